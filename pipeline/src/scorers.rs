//! Models that score pairs, one per process and configuration.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use trommel_embeddings::checkpoint::expect_sha256;
use trommel_embeddings::device::{DeviceChoice, Precision};
use trommel_embeddings::heads::{Head, ZeroShot, ZeroShotScore};
use trommel_embeddings::pool::PoolError;
use trommel_embeddings::{Embedder, EmbedderOptions, ModelCard, ModelError, Picture, Prepared, dot};
use trommel_shards::image::{ImageOptions, Processor, RgbPicture};

/// A model that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// It does not load, or does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its workers are dead.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// It is not the model that the run was planned with.
    #[error("model `{model}` has changed since the run was planned: {what}")]
    Changed {
        /// The model.
        model: String,
        /// What is different.
        what: &'static str,
    },
}

/// A head over the picture's vector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadSpec {
    /// Its column.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Digest of the file.
    pub sha256: String,
}

/// A score from two lists of prompts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompts {
    /// Its column.
    pub name: String,
    /// What a picture should be.
    pub positive: Vec<String>,
    /// What it should not be.
    pub negative: Vec<String>,
}

/// A model with everything that decides its values: what travels in a plan, and what config hashes are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreModel {
    /// Name of the score's column.
    pub name: String,
    /// The model, found.
    pub card: ModelCard,
    /// Pictures in a batch; the device's own default when there is none.
    pub batch: Option<usize>,
    /// NaFlex: patches of a picture at most.
    pub max_num_patches: Option<u32>,
    /// `auto`, `cpu`, or `cuda:0,cuda:1`.
    pub device: String,
    /// Heads.
    pub heads: Vec<HeadSpec>,
    /// Prompts.
    pub prompts: Option<Prompts>,
}

impl ScoreModel {
    /// How the model is opened. `threads` are those of the CPU.
    ///
    /// # Errors
    /// When the device or the precision has no meaning.
    pub fn options(&self, threads: usize) -> Result<EmbedderOptions, ModelError> {
        Ok(EmbedderOptions {
            revision: self.card.revision.clone(),
            sha256: Some(self.card.weights_sha256.clone()),
            device: self.device.parse::<DeviceChoice>()?,
            precision: Some(self.card.precision.parse::<Precision>()?),
            batch: self.batch,
            threads,
            max_num_patches: self.max_num_patches,
        })
    }
}

/// The vectors of one pair; `None` where there is no picture, no caption, or no vector for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    /// The picture's.
    pub image: Option<Vec<f32>>,
    /// The caption's.
    pub text: Option<Vec<f32>>,
}

impl Pair {
    /// Cosine of picture and caption, -1 to 1.
    pub fn cosine(&self) -> Option<f32> {
        dot(self.image.as_deref()?, self.text.as_deref()?).ok()
    }
}

/// A loaded model with its heads.
pub struct Scorer {
    embedder: Embedder,
    heads: Vec<Head>,
    zero_shot: Option<ZeroShot>,
    images: ImageOptions,
    /// Time that decoder threads have spent on pictures for this model, in nanoseconds.
    preparing: AtomicU64,
}

impl Scorer {
    /// Loads a model. Blocks.
    ///
    /// # Errors
    /// [`ScoreError`]; a model that is not the planned one is refused.
    pub fn open(spec: &ScoreModel, threads: usize) -> Result<Self, ScoreError> {
        let planned = &spec.card;
        let embedder = Embedder::open(&planned.model, &spec.options(threads)?)?;
        let card = embedder.card();
        for (what, planned, found) in
            [("its preprocessing", &planned.preprocess, &card.preprocess), ("its tokenizer", &planned.tokenizer, &card.tokenizer)]
        {
            if planned != found {
                return Err(ScoreError::Changed { model: card.model.clone(), what });
            }
        }
        for head in &spec.heads {
            expect_sha256(Path::new(&head.path), &head.sha256)?;
        }
        let heads = spec.heads.iter().map(|head| Head::load(Path::new(&head.path), card.dim)).collect::<Result<_, _>>()?;
        let zero_shot = spec.prompts.as_ref().map(|prompts| zero_shot(&embedder, prompts)).transpose()?;
        Ok(Self { embedder, heads, zero_shot, images: ImageOptions::default(), preparing: AtomicU64::new(0) })
    }

    /// Components of an embedding.
    pub fn dim(&self) -> usize {
        self.embedder.card().dim
    }

    /// The loaded model.
    pub fn embedder(&self) -> &Embedder {
        &self.embedder
    }

    /// What the model has done so far, for reports: the pool's metrics, and the seconds that decoder threads have spent on
    /// its pictures.
    pub fn metrics(&self) -> serde_json::Value {
        let mut metrics = serde_json::to_value(self.embedder.metrics()).unwrap_or_default();
        metrics["decode_seconds"] = (self.preparing.load(Ordering::Relaxed) as f64 / 1e9).into();
        metrics
    }

    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let made = work();
        self.preparing.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        made
    }

    /// Scales a finished picture to the model's pixels.
    ///
    /// # Errors
    /// When the picture cannot be scaled.
    pub fn scale(&self, picture: &RgbPicture) -> Result<Vec<u8>, ModelError> {
        self.timed(|| self.embedder.preprocessor().scale(view(picture)))
    }

    /// Prepares pixels that [`Scorer::scale`] has made.
    ///
    /// # Errors
    /// When they are another model's.
    pub fn of_scaled(&self, scaled: &[u8]) -> Result<Prepared, ModelError> {
        self.embedder.preprocessor().normalise(scaled)
    }

    /// Decodes and prepares an encoded picture; `None` when it does not decode.
    pub fn of_encoded(&self, processor: &mut Processor, bytes: &[u8]) -> Option<Prepared> {
        self.timed(|| {
            let picture = processor.decode_rgb(bytes, &self.images).ok()?;
            self.embedder.preprocessor().prepare(view(&picture)).ok()
        })
    }

    /// Embeds the rows of one batch: as one unit, so that equal batches give equal bits.
    ///
    /// # Errors
    /// When the workers are dead. What is wrong with one row leaves that row without a vector.
    pub async fn embed(&self, pictures: Vec<Option<Prepared>>, captions: Vec<Option<String>>) -> Result<Vec<Pair>, ScoreError> {
        let has_picture: Vec<bool> = pictures.iter().map(Option::is_some).collect();
        let prepared = pictures.into_iter().flatten().map(std::sync::Arc::new).collect();
        let texts: Vec<&str> = captions.iter().flatten().map(String::as_str).collect();
        let mut images = self.embedder.embed_prepared(prepared).await?.into_iter();
        let mut vectors = self.embedder.embed_texts(&texts).await?.into_iter();
        let pairs = has_picture.iter().zip(&captions).map(|(&has_picture, caption)| Pair {
            image: if has_picture { images.next().and_then(Result::ok) } else { None },
            text: caption.as_ref().and_then(|_| vectors.next().and_then(Result::ok)),
        });
        Ok(pairs.collect())
    }

    /// Probability of a pair by the model's own temperature and bias, 0 to 1: what SigLIP was trained for.
    pub fn probability(&self, cosine: f32) -> f32 {
        let logits = self.embedder.logits();
        let logit = logits.scale.mul_add(cosine, logits.bias);
        1.0 / (1.0 + (-logit).exp())
    }

    /// What a head makes of a picture's vector.
    pub fn head(&self, at: usize, vector: &[f32]) -> Option<f32> {
        let scores = self.heads.get(at)?.score(vector, 1, vector.len()).ok()?;
        scores.first().copied().filter(|score| score.is_finite())
    }

    /// What the prompts make of a picture's vector.
    pub fn zero_shot(&self, vector: &[f32]) -> Option<f32> {
        let scores = self.zero_shot.as_ref()?.score(vector, 1, vector.len()).ok()?;
        scores.first().copied().filter(|score| score.is_finite())
    }
}

fn view(picture: &RgbPicture) -> Picture<'_> {
    Picture { width: picture.width, height: picture.height, data: &picture.data }
}

fn zero_shot(embedder: &Embedder, prompts: &Prompts) -> Result<ZeroShot, ScoreError> {
    let vectors = |list: &[String]| -> Result<Vec<Vec<f32>>, ScoreError> {
        let texts: Vec<&str> = list.iter().map(String::as_str).collect();
        let embedded = embedder.embed_captions(&texts)?;
        let refused = |(text, vector): (&str, trommel_embeddings::pool::Embedded)| {
            vector.map_err(|e| ScoreError::Model(ModelError::Input(format!("prompt `{text}`: {e}"))))
        };
        texts.into_iter().zip(embedded).map(refused).collect()
    };
    let score = ZeroShotScore::Softmax { scale: embedder.logits().scale };
    Ok(ZeroShot::new(&vectors(&prompts.positive)?, &vectors(&prompts.negative)?, score)?)
}
