//! From files to a model, and from a model to its replicas.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};
use serde::Serialize;

use super::cpu::{CpuEncoder, CpuModel, CpuStore};
use super::parameters::{Parameters, Store};
use super::plain::{PlainEncoder, PlainModel, PlainStore};
use super::positions::PositionCache;
use super::{DualEncoder, Logits};
use crate::checkpoint::ModelFiles;
use crate::checkpoint::config::{Architecture, Grid, ModelConfig};
use crate::checkpoint::weights::Weights;
use crate::error::ModelError;

/// Where and how a model computes.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The device of the weights.
    pub device: Device,
    /// What it computes in: `f32`, `f16` or `bf16`. On the CPU only `f32` is fast.
    pub dtype: DType,
    /// Which code computes.
    pub path: ComputePath,
}

impl Default for LoadOptions {
    /// The CPU, `f32`, the fastest code.
    fn default() -> Self {
        Self { device: Device::Cpu, dtype: DType::F32, path: ComputePath::Fastest }
    }
}

/// Which code computes a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComputePath {
    /// The CPU's own kernels for `f32` on the CPU, candle otherwise.
    #[default]
    Fastest,
    /// candle's operations, on any device: what the other path is held against.
    Candle,
}

/// What a model is, for callers and for provenance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInfo {
    /// The family.
    pub architecture: Architecture,
    /// The whole config, resolved: image size or patch grid, context length, ids.
    pub config: ModelConfig,
    /// Components of an embedding.
    pub dim: usize,
    /// Temperature and bias.
    pub logits: Logits,
    /// Values in the weights.
    pub parameters: u64,
    /// Numbers that it computes in: `f32`, `f16` or `bf16`.
    pub dtype: &'static str,
    /// The code that computes: `avx512`, `avx2` or `portable` for the CPU's own kernels, or `candle`.
    pub kernels: &'static str,
}

impl ModelInfo {
    /// Pixels of a side for fixed squares, `None` for NaFlex.
    pub fn image_size(&self) -> Option<usize> {
        match self.config.image.grid {
            Grid::Fixed { image } => Some(image),
            Grid::Naflex { .. } => None,
        }
    }
}

/// A model on a device, from which replicas are made. Cloning shares the weights.
#[derive(Clone)]
pub struct Model {
    shared: Shared,
    info: Arc<ModelInfo>,
}

#[derive(Clone)]
enum Shared {
    Cpu(Arc<CpuModel>),
    Plain(Arc<PlainModel>),
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Model {
    /// Loads a folder that holds a config and weights.
    ///
    /// # Errors
    /// As [`ModelFiles::in_folder`] and [`Model::load`].
    pub fn from_folder(folder: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        Self::load(&ModelFiles::in_folder(folder)?, options)
    }

    /// Loads files: reads the config, maps and checks the weights. Their digest is [`ModelFiles::weights_sha256`].
    ///
    /// # Errors
    /// [`ModelError::Config`], [`ModelError::UnknownArchitecture`], [`ModelError::Weights`], [`ModelError::Io`], and
    /// [`ModelError::Device`] or [`ModelError::Compute`] when the weights do not get onto the device.
    pub fn load(files: &ModelFiles, options: &LoadOptions) -> Result<Self, ModelError> {
        Self::with_config(ModelConfig::read(&files.config)?, &files.weights, options)
    }

    /// As [`Model::load`] with a config that is already there.
    ///
    /// # Errors
    /// As there.
    pub fn with_config(config: ModelConfig, weights: &[std::path::PathBuf], options: &LoadOptions) -> Result<Self, ModelError> {
        let dtype = match options.dtype {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            other => {
                return Err(ModelError::Device {
                    device: format!("{:?}", options.device.location()),
                    message: format!("models compute in f32, f16 or bf16, not in {other:?}"),
                });
            }
        };
        let opened = Weights::open(weights)?;
        let own = options.path == ComputePath::Fastest && options.device.is_cpu() && options.dtype == DType::F32;
        let (shared, logits, count, kernels) = if own {
            let store = CpuStore::new();
            let parameters = Parameters::read(&config, &opened, &store)?;
            let (logits, count) = (logits(&config, &parameters), parameters.count);
            let kernels = store.instructions();
            let positions = PositionCache::default();
            let model = CpuModel { config: config.clone(), parameters, store, positions, logits };
            (Shared::Cpu(Arc::new(model)), logits, count, kernels)
        } else {
            let store = PlainStore { device: options.device.clone(), dtype: options.dtype };
            let parameters = Parameters::read(&config, &opened, &store)?;
            let (logits, count) = (logits(&config, &parameters), parameters.count);
            let positions = PositionCache::default();
            let model = PlainModel { config: config.clone(), parameters, store, positions, logits };
            (Shared::Plain(Arc::new(model)), logits, count, "candle")
        };
        let info = ModelInfo { architecture: config.architecture, dim: config.dim, logits, parameters: count, dtype, kernels, config };
        Ok(Self { shared, info: Arc::new(info) })
    }

    /// What it is.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// A replica that shares the weights, for one worker. `threads` is how many it computes with on the CPU when the
    /// kernels are its own; candle's operations follow `RAYON_NUM_THREADS`.
    pub fn replica(&self, threads: usize) -> Box<dyn DualEncoder> {
        match &self.shared {
            Shared::Cpu(model) => Box::new(CpuEncoder::new(Arc::clone(model), threads)),
            Shared::Plain(model) => Box::new(PlainEncoder::new(Arc::clone(model))),
        }
    }
}

/// Loads a folder and gives one replica that computes with all cores: the short way.
///
/// # Errors
/// As [`Model::from_folder`].
pub fn load(folder: &Path, device: Device, dtype: DType) -> Result<Box<dyn DualEncoder>, ModelError> {
    let model = Model::from_folder(folder, &LoadOptions { device, dtype, ..LoadOptions::default() })?;
    Ok(model.replica(std::thread::available_parallelism().map_or(1, usize::from)))
}

fn logits<S: Store>(config: &ModelConfig, parameters: &Parameters<S>) -> Logits {
    Logits {
        scale: parameters.logit_scale.exp(),
        bias: parameters.logit_bias.unwrap_or(0.0),
        sigmoid: config.logit_bias || parameters.logit_bias.is_some(),
    }
}
