//! What the tensors of a head cannot say.

use serde::Deserialize;

/// A function between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x * Φ(x)`, with the error function, as PyTorch's default.
    Gelu,
    /// GELU by tanh.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

/// What the last layer's values become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The value as it is.
    #[default]
    None,
    /// Its sigmoid: a probability for a head with one output.
    Sigmoid,
    /// Softmax over all outputs: a probability for a head with several.
    Softmax,
}

/// The JSON beside a head's weights.
///
/// ```json
/// {"activation": "relu", "output": "sigmoid"}
/// {"activation": ["relu", "relu", "none"], "output": "softmax", "class": 1}
/// {"activation": "none", "epsilon": 0.0}
/// ```
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// Between all layers, or a list with one entry per gap between two layers.
    pub activation: Option<Activations>,
    /// What the last layer's values become.
    #[serde(default)]
    pub output: Output,
    /// Which of several outputs is the score, from 0. Must be given when there are several.
    pub class: Option<usize>,
    /// Added to the variance (BatchNorm; 1e-5 when not given) of the normalisation in front.
    pub epsilon: Option<f64>,
}

/// One activation for all gaps between layers, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Activations {
    /// The same between all layers.
    All(Activation),
    /// In order, one fewer than layers.
    Each(Vec<Activation>),
}

impl Activation {
    /// The function.
    pub(super) fn apply(self, x: f32) -> f32 {
        match self {
            Self::None => x,
            Self::Relu => x.max(0.0),
            Self::Gelu => {
                let x = f64::from(x);
                (0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
            }
            Self::GeluTanh => {
                let x = f64::from(x);
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
                (0.5 * x * (1.0 + inner.tanh())) as f32
            }
            Self::Silu => x * sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => sigmoid(x),
        }
    }
}

impl Output {
    /// The score of a row's last values.
    pub(super) fn apply(self, logits: &[f32], class: usize) -> f32 {
        let Some(&logit) = logits.get(class) else { return f32::NAN };
        match self {
            Self::None => logit,
            Self::Sigmoid => sigmoid(logit),
            Self::Softmax => {
                let top = logits.iter().fold(f32::NEG_INFINITY, |top, &x| top.max(x));
                let weight = |x: f32| f64::from(x - top).exp();
                (weight(logit) / logits.iter().map(|&x| weight(x)).sum::<f64>()) as f32
            }
        }
    }
}

/// In f64: saturates to 0 and 1 without overflow.
pub(super) fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}
