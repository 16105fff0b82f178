//! k-means.

use super::assign::{Assignments, assign};
use super::draw::{Draws, Keys};
use super::lloyd::Lloyd;
use super::matrix::{Taken, setting, valid_rows};
use super::parallel::all_cores;
use super::{faiss, init};
use crate::scores::{Metric, Rows, RowsError, ScoreError, VectorSource};

/// Where the first centroids come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Init {
    /// Vectors drawn evenly.
    #[default]
    Random,
    /// k-means++ with `2 + ln k` candidates per step, the best of which is taken (Arthur and Vassilvitskii 2007). Costs
    /// as much as some iterations where clusters are few, and far more than all of them where they are many.
    PlusPlus {
        /// Vectors that it looks at, drawn evenly when there are more; these are held in memory.
        points: usize,
    },
}

/// Which vectors take part in the iterations; all are assigned at the end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Sample {
    /// All of them.
    #[default]
    All,
    /// This share, above 0 and at most 1, drawn without replacement.
    Ratio(f64),
    /// At most so many for each centroid, drawn without replacement: faiss's `max_points_per_centroid`.
    PerCentroid(usize),
}

/// Whose code iterates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Engine {
    /// Ours. Vectors stay where they are; the result depends neither on the number of threads nor on the vector
    /// instructions of the machine (AVX2 and AVX-512 alike); a cluster that becomes empty keeps its centroid.
    #[default]
    Own,
    /// faiss's `Clustering` over a flat index. The vectors of the sample are copied to memory; `init` must be
    /// [`Init::Random`] and is drawn by faiss from the seed's lower 31 bits; a cluster that becomes empty takes half of a
    /// large one; threads are OpenMP's (`OMP_NUM_THREADS`), and the rounding of its sums is its own affair: the same
    /// seed gives the same centroids on the same machine with the same number of threads, and no more is promised. The
    /// objectives are not reported, because the binding cannot read them.
    Faiss,
}

/// Settings of [`kmeans`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KMeansOptions {
    /// Number of clusters, 1 or more.
    pub clusters: usize,
    /// The most iterations; fewer when no vector changes its cluster any more. With 0 the first centroids stay.
    pub iterations: usize,
    /// Seed of all draws.
    pub seed: u64,
    /// Vectors are brought to length 1 when they are read, centroids after each iteration; the cosine decides. Zero
    /// vectors are null then.
    pub spherical: bool,
    /// The first centroids.
    pub init: Init,
    /// The vectors that take part.
    pub sample: Sample,
    /// Whose code iterates.
    pub engine: Engine,
    /// Threads. Changes no result of ours.
    pub threads: usize,
}

impl KMeansOptions {
    /// `clusters` clusters by Euclidean distance, 20 iterations, seed 0, random first centroids, all vectors.
    pub fn new(clusters: usize) -> Self {
        Self {
            clusters,
            iterations: 20,
            seed: 0,
            spherical: false,
            init: Init::Random,
            sample: Sample::All,
            engine: Engine::Own,
            threads: all_cores(),
        }
    }

    /// DataComp's image-based clustering (`image_based_clustering.py`): 100,000 clusters, 20 iterations, seed 0,
    /// Euclidean distance. `sample_ratio` is `None` at its small and medium scales, 0.3 at large, 0.03 at xlarge. (It
    /// samples with replacement, this without.)
    pub fn datacomp(sample_ratio: Option<f64>) -> Self {
        Self { sample: sample_ratio.map_or(Sample::All, Sample::Ratio), ..Self::new(100_000) }
    }

    /// SemDeDup's clustering of LAION-440M (arXiv 2303.09540): 50,000 clusters, 100 iterations, seed 1234, spherical.
    pub fn semdedup() -> Self {
        Self { iterations: 100, seed: 1234, spherical: true, ..Self::new(50_000) }
    }

    /// The metric in which vectors are compared.
    pub fn metric(&self) -> Metric {
        if self.spherical { Metric::Cosine } else { Metric::L2 }
    }

    fn check(&self) -> Result<(), ScoreError> {
        if self.clusters == 0 || self.clusters >= u32::MAX as usize {
            return Err(setting("clusters", self.clusters, "1 to 4294967294 are possible"));
        }
        match (self.sample, self.init, self.engine) {
            (Sample::Ratio(ratio), ..) if !(ratio > 0.0 && ratio <= 1.0) => {
                Err(setting("sample ratio", ratio, "a number above 0 and at most 1 is needed"))
            }
            (Sample::PerCentroid(0), ..) => Err(setting("points per centroid", 0, "1 or more are needed")),
            (_, Init::PlusPlus { points }, _) if points < self.clusters => {
                Err(setting("points of k-means++", points, "as many as there are clusters are needed"))
            }
            (_, Init::PlusPlus { .. }, Engine::Faiss) => Err(setting("init", "k-means++", "faiss draws its centroids itself")),
            _ => Ok(()),
        }
    }
}

/// What [`kmeans`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// Centroid after centroid, each of `dim` components; of length 1 where spherical.
    pub centroids: Vec<f32>,
    /// Components of a vector.
    pub dim: usize,
    /// The cluster of every row, sampled or not; distances are Euclidean, or `1 - cosine` where spherical.
    pub assignments: Assignments,
    /// The objective over the sample before each improvement of the centroids: `Σ ‖x − c‖²`, or `Σ (1 − cos)` where
    /// spherical. Never rises, but for rounding. Empty with [`Engine::Faiss`].
    pub objectives: Vec<f64>,
    /// The objective over all rows with the final centroids.
    pub objective: f64,
}

impl KMeans {
    /// The centroids as rows.
    ///
    /// # Errors
    /// [`RowsError`] when the public fields were brought out of step.
    pub fn rows(&self) -> Result<Rows<'_>, RowsError> {
        Rows::new(&self.centroids, self.dim, None)
    }
}

/// Clusters vectors by Lloyd's algorithm. Null vectors are skipped and have no cluster.
///
/// Memory: the centroids four times over (themselves, packed, and their sums in double precision), up to 32 bytes per
/// row, 32 MiB of vectors at hand, and what [`Init`] and [`Engine`] say. Vectors are read once per iteration, from
/// wherever they are.
///
/// # Errors
/// [`ScoreError`] when there are fewer vectors than clusters, a vector that is not null is not finite, or a setting has
/// no meaning.
pub fn kmeans(vectors: &impl VectorSource, keys: Keys<'_>, options: &KMeansOptions) -> Result<KMeans, ScoreError> {
    options.check()?;
    keys.check(vectors.len())?;
    let rows = valid_rows(vectors);
    let wanted = match options.sample {
        Sample::All => rows.len(),
        Sample::Ratio(ratio) => (rows.len() as f64 * ratio) as usize,
        Sample::PerCentroid(points) => points.saturating_mul(options.clusters),
    };
    let rows = Draws::new(options.seed, "kmeans_sample", 0).sample(rows, keys, wanted);
    let (centroids, objectives) = train(vectors, &rows, keys, options)?;
    drop(rows);
    let dim = vectors.dim();
    let flags = Rows::new(&centroids, dim, None).map_err(|_| ScoreError::Empty { what: "centroids" })?;
    let assignments = assign(vectors, &flags, options.metric(), options.threads)?;
    let loss = |distance: f32| if options.spherical { f64::from(distance) } else { f64::from(distance).powi(2) };
    let objective = assignments.distances.iter().filter(|distance| !distance.is_nan()).map(|&distance| loss(distance)).sum();
    Ok(KMeans { centroids, dim, assignments, objectives, objective })
}

/// The centroids of some rows.
pub(super) fn train<V: VectorSource>(
    vectors: &V,
    rows: &[usize],
    keys: Keys<'_>,
    options: &KMeansOptions,
) -> Result<(Vec<f32>, Vec<f64>), ScoreError> {
    if rows.len() < options.clusters {
        let clusters = format!("{} for {} vectors", options.clusters, rows.len());
        return Err(setting("clusters", clusters, "no more clusters than vectors are possible"));
    }
    let lloyd = Lloyd { source: vectors, rows, spherical: options.spherical, threads: options.threads.max(1) };
    if options.engine == Engine::Faiss {
        return faiss::train(vectors, rows, lloyd.taken(), options).map(|centroids| (centroids, Vec::new()));
    }
    let taken: Taken = lloyd.taken();
    let mut centroids = match options.init {
        Init::Random => init::random(vectors, rows, keys, options.seed, options.clusters, taken)?,
        Init::PlusPlus { points } => {
            let rows = Draws::new(options.seed, "kmeans_plus_plus_points", 0).sample(rows.to_vec(), keys, points);
            init::plus_plus(vectors, &rows, keys, options.seed, options.clusters, taken, lloyd.threads)?
        }
    };
    let objectives = lloyd.run(&mut centroids, options.iterations)?;
    Ok((centroids, objectives))
}
