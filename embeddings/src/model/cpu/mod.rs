//! The towers on the CPU in f32, with kernels of their own.
//!
//! candle's general operations copy for every transposition and pass over memory for every bias and activation. Here the
//! weights are packed once, products finish with bias, activation and residual in registers, attention reads queries, keys
//! and values where they are, sequences of different length stand side by side without padding, and the last block
//! computes only the token that is pooled.
//!
//! A row's result does not depend on the batch or on the number of threads: outputs are equal byte for byte.

mod attention;
mod elementwise;
mod encoder;
mod forward;
mod kernels;
mod matrix;
pub(crate) mod micro;
#[cfg(test)]
mod tests;

pub(super) use encoder::{CpuEncoder, CpuModel};

use super::parameters::Store;
use crate::error::ModelError;
use kernels::Kernels;
use matrix::Packed;

/// Packs parameters for one set of kernels.
pub(in crate::model) struct CpuStore {
    kernels: &'static Kernels,
}

impl CpuStore {
    pub(super) fn new() -> Self {
        Self { kernels: Kernels::detect() }
    }

    /// The instructions that are used, for reports.
    pub(super) fn instructions(&self) -> &'static str {
        self.kernels.name
    }
}

/// A linear layer in panels.
pub(super) struct Linear {
    packed: Packed,
    bias: Option<Vec<f32>>,
}

/// A layer norm.
pub(super) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

/// Rows one after the other.
pub(super) struct Table {
    values: Vec<f32>,
    columns: usize,
}

impl Table {
    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

impl Store for CpuStore {
    type Linear = Linear;
    type Norm = Norm;
    type Table = Table;

    fn linear(&self, weight: Vec<f32>, bias: Option<Vec<f32>>, out: usize, input: usize) -> Result<Linear, ModelError> {
        Ok(Linear { packed: Packed::of_rows(self.kernels, &weight, out, input), bias })
    }

    fn norm(&self, weight: Vec<f32>, bias: Vec<f32>, eps: f64) -> Result<Norm, ModelError> {
        Ok(Norm { weight, bias, eps: eps as f32 })
    }

    fn table(&self, values: Vec<f32>, columns: usize) -> Result<Table, ModelError> {
        Ok(Table { values, columns })
    }
}
