//! negCLIPLoss: the cosine of a pair, less what its image and its caption have in common with everything else.

use super::ScoreError;
use super::log_sum_exp::log_sum_exp;
use super::permutation::permutation;
use super::source::{VectorSource, gather, same_dim, same_len, valid_rows};

/// Settings of [`neg_clip_loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegClipLoss {
    /// The model's temperature τ, the inverse of its logit scale: 0.01 for OpenAI's CLIP, 0.07 for the public DFN.
    pub temperature: f32,
    /// Pairs in a batch, 32 768 in the paper.
    pub batch: usize,
    /// Random batches that each pair is seen in. The paper asks for 5 at least, its code uses 10.
    pub rounds: u64,
    /// Seed of the random batches.
    pub seed: u64,
    /// Threads for the exponentials. Changes no score.
    pub threads: usize,
}

impl Default for NegClipLoss {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { temperature: 0.01, batch: 32_768, rounds: 10, seed: 0, threads }
    }
}

/// negCLIPLoss of every pair (arXiv 2405.19547, §3; higher is better):
///
/// ```text
/// R_i = mean over rounds of [ f_i·g_i − (τ/2) log Σ_{j∈B} exp(f_i·g_j / τ) − (τ/2) log Σ_{j∈B} exp(f_j·g_i / τ) ]
/// ```
///
/// `images` and `texts` are unit vectors, row for row; `uids` their join keys. A pair with a null on either side is in
/// no batch and scores `None`. The values lie in -2 - τ log batch to 0.
///
/// In each round the rows are sorted by `hash(seed, "neg_clip_loss", uid, round)` and cut into batches; the last one is
/// filled from the start of the order (one batch of all rows when there are fewer than a batch). So the scores depend
/// neither on the order of the rows nor on how they were spread over files.
///
/// Memory beside the vectors: `2 * batch * dim * 4` bytes for the batch (200 MB with 768 components), one tile of 16 MiB,
/// and about 70 bytes a row. Time: `2 * rounds * rows * batch * dim` multiplications.
///
/// # Errors
/// [`ScoreError`] when the parts differ in length, a vector that is not null is not finite, or a setting has no meaning.
pub fn neg_clip_loss<U: AsRef<str>>(
    images: &impl VectorSource,
    texts: &impl VectorSource,
    uids: &[U],
    settings: &NegClipLoss,
) -> Result<Vec<Option<f32>>, ScoreError> {
    same_len("uids", images.len(), uids.len())?;
    same_len("captions", images.len(), texts.len())?;
    let rows: Vec<usize> = valid_rows(images).into_iter().filter(|&row| texts.is_valid(row)).collect();
    let orders = (0..settings.rounds).map(|round| permutation(settings.seed, "neg_clip_loss", uids, round, &rows));
    neg_clip_loss_ordered(images, texts, orders, settings)
}

/// [`neg_clip_loss`] with the order of the rows given for each round; rows that an order leaves out are in no batch of
/// that round. Orders take the place of `seed` and `rounds`.
///
/// # Errors
/// As [`neg_clip_loss`].
///
/// # Panics
/// When an order names a row that does not exist.
pub fn neg_clip_loss_ordered(
    images: &impl VectorSource,
    texts: &impl VectorSource,
    orders: impl IntoIterator<Item = Vec<usize>>,
    settings: &NegClipLoss,
) -> Result<Vec<Option<f32>>, ScoreError> {
    let (dim, temperature) = (images.dim(), settings.temperature);
    same_dim("captions", dim, texts.dim())?;
    same_len("captions", images.len(), texts.len())?;
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(ScoreError::Setting { name: "temperature", value: temperature.to_string(), expected: "a positive number is needed" });
    }
    if settings.batch < 2 {
        return Err(ScoreError::Setting { name: "batch", value: settings.batch.to_string(), expected: "two pairs at least are needed" });
    }
    let mut sums = vec![0.0_f64; images.len()];
    let mut counts = vec![0_u32; images.len()];
    let (mut f, mut g, mut batch) = (Vec::new(), Vec::new(), Vec::new());
    for order in orders {
        for (number, rows) in order.chunks(settings.batch).enumerate() {
            batch.clear();
            batch.extend_from_slice(rows);
            if number > 0 {
                batch.extend_from_slice(&order[..settings.batch - rows.len()]);
            }
            gather("images", images, &batch, &mut f)?;
            gather("captions", texts, &batch, &mut g)?;
            let (of_images, of_texts) = log_sum_exp(1.0 / temperature, &f, &g, dim, settings.threads)?;
            for (at, &row) in rows.iter().enumerate() {
                let own = f[at * dim..][..dim].iter().zip(&g[at * dim..][..dim]).map(|(f, g)| f64::from(*f) * f64::from(*g)).sum::<f64>();
                sums[row] += own - f64::from(temperature) / 2.0 * (of_images[at] + of_texts[at]);
                counts[row] += 1;
            }
        }
    }
    Ok(sums.into_iter().zip(counts).map(|(sum, count)| (count > 0).then(|| (sum / f64::from(count)) as f32)).collect())
}
