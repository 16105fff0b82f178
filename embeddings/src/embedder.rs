//! A model with everything around it: files, preprocessing, tokenizer, pool. What most callers want.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::checkpoint::builtin::builtin;
use crate::checkpoint::config::{Architecture, Grid, ModelConfig};
use crate::checkpoint::{Layout, ModelFiles, locate};
use crate::device::{DeviceChoice, DeviceName, Precision};
use crate::error::ModelError;
use crate::model::{ComputePath, LoadOptions, Logits, Model};
use crate::pool::{Batching, Embedded, Pool, PoolError, PoolMetrics, PoolModel, PoolOptions};
use crate::prepared::{Picture, Prepared};
use crate::preprocess::{Defaults, Preprocessor};
use crate::tokenizer::{CaptionTokenizer, Family, Rules};

/// Name of the one model in an embedder's pool.
const MODEL: &str = "model";
/// Patches of a picture at most, where nothing else is said: what the checkpoints of SigLIP 2 say themselves.
const PATCHES: u32 = 256;

/// How a model is found and run.
#[derive(Debug, Clone)]
pub struct EmbedderOptions {
    /// Commit or branch of a hub id.
    pub revision: Option<String>,
    /// What the weights must be.
    pub sha256: Option<String>,
    /// Where it computes.
    pub device: DeviceChoice,
    /// What it computes in; the device's own default otherwise.
    pub precision: Option<Precision>,
    /// Pictures in a batch, and captions; the device's own default otherwise.
    pub batch: Option<usize>,
    /// Threads of the CPU, all workers together.
    pub threads: usize,
    /// NaFlex: patches of a picture at most.
    pub max_num_patches: Option<u32>,
}

impl Default for EmbedderOptions {
    /// Any revision, any weights, `auto`, all cores.
    fn default() -> Self {
        Self {
            revision: None,
            sha256: None,
            device: DeviceChoice::Auto,
            precision: None,
            batch: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_num_patches: None,
        }
    }
}

/// What decides a model's values: goes into the metadata of every column that comes from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Folder or hub id, as asked for.
    pub model: String,
    /// Commit of the hub's repository.
    pub revision: Option<String>,
    /// Digest of the weights; see [`ModelFiles::weights_sha256`].
    pub weights_sha256: String,
    /// See [`Preprocessor::id`].
    pub preprocess: String,
    /// See [`CaptionTokenizer::id`].
    pub tokenizer: String,
    /// `f32`, `bf16` or `f16`.
    pub precision: String,
    /// Components of an embedding.
    pub dim: usize,
}

/// A model, ready to embed pictures and captions. Cheap to share.
pub struct Embedder {
    card: ModelCard,
    preprocessor: Preprocessor,
    tokenizer: CaptionTokenizer,
    pool: Pool,
    logits: Logits,
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder").field("card", &self.card).finish_non_exhaustive()
    }
}

/// The files and what they say, before any weight is loaded.
struct Read {
    files: ModelFiles,
    config: ModelConfig,
    preprocessor: Preprocessor,
    tokenizer: CaptionTokenizer,
    devices: Vec<(DeviceName, candle_core::Device)>,
    precision: Precision,
    card: ModelCard,
}

impl Read {
    fn new(model: &str, options: &EmbedderOptions) -> Result<Self, ModelError> {
        let files = match builtin(model)? {
            Some(folder) => ModelFiles { model: model.to_owned(), ..locate(&folder.display().to_string(), None, None)? },
            None => locate(model, options.revision.as_deref(), None)?,
        };
        let weights_sha256 = match &options.sha256 {
            Some(expected) => files.expect_weights(expected)?,
            None => files.weights_sha256()?,
        };
        let config = ModelConfig::read(&files.config)?;
        let (preprocessor, tokenizer) = inputs(&files, &config, options.max_num_patches)?;
        tokenizer.check(config.text.vocabulary, config.text.context)?;
        let devices = options.device.resolve()?;
        let first =
            devices.first().ok_or_else(|| ModelError::Device { device: options.device.to_string(), message: "no device".into() })?;
        let precision = options.precision.unwrap_or_else(|| Precision::default_for(&first.1));
        let card = ModelCard {
            model: files.model.clone(),
            revision: files.revision.clone(),
            weights_sha256,
            preprocess: preprocessor.id().to_owned(),
            tokenizer: tokenizer.id().to_owned(),
            precision: precision.to_string(),
            dim: config.dim,
        };
        Ok(Self { files, config, preprocessor, tokenizer, devices, precision, card })
    }
}

/// What a model's values will depend on, without loading it: its files are found, read and hashed.
///
/// # Errors
/// As [`Embedder::open`], but for weights that do not load.
pub fn describe(model: &str, options: &EmbedderOptions) -> Result<ModelCard, ModelError> {
    Ok(Read::new(model, options)?.card)
}

/// Preprocessing and tokenizer of a model folder.
fn inputs(files: &ModelFiles, config: &ModelConfig, patches: Option<u32>) -> Result<(Preprocessor, CaptionTokenizer), ModelError> {
    let folder: &Path = &files.folder;
    let defaults = match (config.architecture, config.image.grid) {
        (Architecture::Clip, Grid::Fixed { image }) => Defaults::Clip { side: image as u32 },
        (_, Grid::Naflex { .. }) => Defaults::NaFlex { patch: config.image.patch as u32, patches: PATCHES },
        (_, Grid::Fixed { image }) => Defaults::Siglip { side: image as u32 },
    };
    let mut preprocessor = Preprocessor::from_folder(folder, files.layout, defaults)?;
    if let Some(most) = patches {
        preprocessor = preprocessor.with_patches(most)?;
    }
    if let (Some(side), Grid::Fixed { image }) = (preprocessor.side(), config.image.grid)
        && side != image
    {
        let message = format!("preprocessing makes squares of {side} pixels, the model takes {image}");
        return Err(ModelError::Config { path: files.config.clone(), message });
    }
    let mut rules = match files.layout {
        Layout::OpenClip => Rules::open_clip(folder)?,
        Layout::Transformers => Rules::transformers(match config.architecture {
            Architecture::Clip => Family::Clip,
            Architecture::Siglip2Naflex => Family::Siglip2,
            // SigLIP 2 at a fixed resolution says `siglip` too; only its vocabulary tells them apart.
            Architecture::Siglip if config.text.vocabulary > 200_000 => Family::Siglip2,
            Architecture::Siglip => Family::Siglip,
        }),
    };
    rules.context = config.text.context;
    let tokenizer = CaptionTokenizer::from_folder(folder, rules)?;
    Ok((preprocessor, tokenizer))
}

impl Embedder {
    /// Finds a model (a folder, or a hub id `owner/name`), loads it, and starts a worker on each device.
    ///
    /// # Errors
    /// [`ModelError`], naming the file and what is wrong with it.
    pub fn open(model: &str, options: &EmbedderOptions) -> Result<Self, ModelError> {
        let read = Read::new(model, options)?;
        let cpus = read.devices.iter().filter(|(_, device)| device.is_cpu()).count().max(1);
        let threads = (options.threads / cpus).max(1);
        let mut replicas: Vec<(DeviceName, crate::pool::Factory)> = Vec::new();
        let mut on_cpu = true;
        let mut logits = None;
        for (name, device) in &read.devices {
            on_cpu &= device.is_cpu();
            let load = LoadOptions { device: device.clone(), dtype: read.precision.dtype(), path: ComputePath::Fastest };
            let loaded = Model::with_config(read.config.clone(), &read.files.weights, &load)?;
            logits.get_or_insert(loaded.info().logits);
            replicas.push((name.clone(), Box::new(move || Ok(loaded.replica(threads)))));
        }
        let logits = logits.unwrap_or(Logits { scale: 1.0, bias: 0.0, sigmoid: false });
        let size = options.batch.unwrap_or(if on_cpu { 16 } else { 128 }).max(1);
        let batching = Batching { images: size, texts: size, ..Batching::default() };
        let pool = PoolModel { name: MODEL.to_owned(), replicas, batching };
        let pool = Pool::new(vec![pool], PoolOptions::default())
            .map_err(|e| ModelError::NotFound { model: model.to_owned(), message: e.to_string() })?;
        Ok(Self { card: read.card, preprocessor: read.preprocessor, tokenizer: read.tokenizer, pool, logits })
    }

    /// What its values depend on.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// Temperature and bias.
    pub fn logits(&self) -> Logits {
        self.logits
    }

    /// How pictures are prepared.
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// How captions are tokenised.
    pub fn tokenizer(&self) -> &CaptionTokenizer {
        &self.tokenizer
    }

    /// What the pool has done so far.
    pub fn metrics(&self) -> PoolMetrics {
        self.pool.metrics()
    }

    /// Embeds pictures as one unit: equal calls give equal bits. Blocks.
    ///
    /// # Errors
    /// [`PoolError`] when the pool is dead; what is wrong with one picture stands in its place.
    pub fn embed_pictures(&self, pictures: &[Picture<'_>]) -> Result<Vec<Embedded>, PoolError> {
        let (good, places) = split(pictures.iter().map(|picture| self.preprocessor.prepare(*picture)));
        let embedded = if good.is_empty() { Vec::new() } else { self.pool.embed_images(MODEL, good)? };
        Ok(merge(places, embedded))
    }

    /// Embeds captions as one unit. Blocks.
    ///
    /// # Errors
    /// As [`Embedder::embed_pictures`].
    pub fn embed_captions(&self, captions: &[&str]) -> Result<Vec<Embedded>, PoolError> {
        let (good, places) = split(captions.iter().map(|caption| self.tokenizer.encode(caption)));
        let embedded = if good.is_empty() { Vec::new() } else { self.pool.embed_texts(MODEL, good)? };
        Ok(merge(places, embedded))
    }

    /// Embeds prepared pictures as one unit, waiting without a thread.
    ///
    /// # Errors
    /// As [`Embedder::embed_pictures`].
    pub async fn embed_prepared(&self, pictures: Vec<Arc<Prepared>>) -> Result<Vec<Embedded>, PoolError> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.pool.submit_images_async(MODEL, pictures).await?.await)
    }

    /// Embeds captions as one unit, waiting without a thread. Captions are tokenised here.
    ///
    /// # Errors
    /// As [`Embedder::embed_pictures`].
    pub async fn embed_texts(&self, captions: &[&str]) -> Result<Vec<Embedded>, PoolError> {
        let (good, places) = split(captions.iter().map(|caption| self.tokenizer.encode(caption)));
        let embedded = if good.is_empty() { Vec::new() } else { self.pool.submit_texts_async(MODEL, good).await?.await };
        Ok(merge(places, embedded))
    }
}

/// What could be prepared, and for every row either nothing yet or the reason why not.
fn split<T>(rows: impl Iterator<Item = Result<T, ModelError>>) -> (Vec<T>, Vec<Option<Embedded>>) {
    let mut good = Vec::new();
    let places = rows.map(|row| match row {
        Ok(row) => {
            good.push(row);
            None
        }
        Err(error) => Some(Err(crate::pool::RowError::Input(error.to_string()))),
    });
    let places = places.collect();
    (good, places)
}

/// Puts vectors where no reason stands.
fn merge(places: Vec<Option<Embedded>>, embedded: Vec<Embedded>) -> Vec<Embedded> {
    let mut embedded = embedded.into_iter();
    let lost = || Err(crate::pool::RowError::Input("the pool gave too few rows".to_owned()));
    places.into_iter().map(|place| place.unwrap_or_else(|| embedded.next().unwrap_or_else(lost))).collect()
}
