//! The arithmetic of a head.

use super::config::Activation;

/// Rows that go through a layer together: 32 rows of 2048 values are 256 KB, what a core's second cache holds.
pub(super) const BLOCK: usize = 32;

/// `activation(weight · x + bias)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `outputs` rows of `inputs` values, as PyTorch stores it.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) activation: Activation,
}

impl Linear {
    /// Rows of `inputs` values become rows of `outputs` values.
    pub(super) fn apply(&self, values: &[f32]) -> Vec<f32> {
        let rows = values.len() / self.inputs;
        let mut results = vec![0.0; rows * self.outputs];
        for (output, weight) in self.weight.chunks(self.inputs).enumerate() {
            let bias = self.bias.as_ref().map_or(0.0, |bias| bias[output]);
            for (row, values) in values.chunks(self.inputs).enumerate() {
                results[row * self.outputs + output] = self.activation.apply(product(weight, values) + bias);
            }
        }
        results
    }
}

/// Inner product of equally long slices, always summed in the same order.
fn product(a: &[f32], b: &[f32]) -> f32 {
    // Sixteen sums side by side fill the vector registers and hide the latency of the addition.
    let (mut sums, split) = ([0.0_f32; 16], a.len() - a.len() % 16);
    for (a, b) in a[..split].chunks_exact(16).zip(b[..split].chunks_exact(16)) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a[split..].iter().zip(&b[split..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// `x * factor + shift`, component by component: a normalisation with stored statistics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    pub(super) factor: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Scale {
    pub(super) fn apply(&self, row: &mut [f32]) {
        for ((value, factor), shift) in row.iter_mut().zip(&self.factor).zip(&self.shift) {
            *value = *value * factor + shift;
        }
    }
}
