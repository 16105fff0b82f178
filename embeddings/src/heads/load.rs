//! Heads from files: tensors, their order, and what lies between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use super::Head;
use super::config::{Activation, Activations, HeadConfig, Output};
use super::layers::{Linear, Scale};
use crate::error::ModelError;

/// The largest file that is read; the largest published head has 25 MB.
const MAX_BYTES: u64 = 1 << 30;

/// A head that is known by its shape.
struct Known {
    /// Outputs of the layers.
    outputs: &'static [usize],
    normalised: bool,
    hidden: &'static [Activation],
    output: Output,
    /// Of the normalisation in front.
    epsilon: f64,
}

use Activation::{None as Bare, Relu};

const KNOWN: [Known; 3] = [
    // https://github.com/christophschuhmann/improved-aesthetic-predictor, `simple_inference.py`: the ReLUs are commented out.
    Known { outputs: &[1024, 128, 64, 16, 1], normalised: false, hidden: &[Bare; 4], output: Output::None, epsilon: 0.0 },
    // https://github.com/LAION-AI/CLIP-based-NSFW-Detector, `h14_nsfw_model.py`: nothing between the last two layers.
    Known {
        outputs: &[1024, 2048, 1024, 256, 128, 16, 1],
        normalised: false,
        hidden: &[Relu, Relu, Relu, Relu, Relu, Bare],
        output: Output::None,
        epsilon: 0.0,
    },
    // The same repository's model for L/14, as https://github.com/mlfoundations/dataset2metadata ports it: eps 0.
    Known { outputs: &[64, 512, 256, 1], normalised: true, hidden: &[Relu; 3], output: Output::Sigmoid, epsilon: 0.0 },
];

/// A tensor's shape and values.
struct Values {
    shape: Vec<usize>,
    data: Vec<f32>,
}

pub(super) fn load(path: &Path) -> Result<Head, ModelError> {
    let tensors = read(path)?;
    let config_path = path.with_extension("json");
    let config = config(&config_path)?;
    let mut parts = Parts { path, tensors };
    let input = parts.normalisation()?;
    let mut layers = parts.layers()?;
    if let Some(name) = parts.tensors.keys().find(|name| !name.ends_with("num_batches_tracked")) {
        return Err(parts.weights(format!("tensor `{name}` belongs to no layer of a head")));
    }

    let outputs: Vec<usize> = layers.iter().map(|layer| layer.outputs).collect();
    let known = KNOWN.iter().find(|known| known.outputs == outputs && known.normalised == input.is_some());
    let gaps = layers.len() - 1;
    let complain = |message: String| Err(ModelError::Config { path: config_path.clone(), message });
    let hidden = match (config.as_ref().and_then(|config| config.activation.clone()), known) {
        (Some(Activations::All(activation)), _) => vec![activation; gaps],
        (Some(Activations::Each(each)), _) if each.len() == gaps => each,
        (Some(Activations::Each(each)), _) => {
            return complain(format!("`activation` lists {}, but {} layers have {gaps} gaps", each.len(), layers.len()));
        }
        (None, Some(known)) => known.hidden.to_vec(),
        (None, None) if gaps == 0 => Vec::new(),
        (None, None) => {
            let chain: Vec<String> = outputs.iter().map(usize::to_string).collect();
            let chain = chain.join(" -> ");
            return complain(format!(
                "the head {} -> {chain} is not a known one, and its weights do not say what lies between the layers: write this file with {{\"activation\": \"relu\"}}, or `none`, `gelu`, `gelu_tanh`, `silu`, `tanh`, `sigmoid`",
                layers[0].inputs
            ));
        }
    };
    for (layer, activation) in layers.iter_mut().zip(hidden) {
        layer.activation = activation;
    }
    let classes = outputs[gaps];
    let class = match config.as_ref().and_then(|config| config.class) {
        Some(class) if class < classes => class,
        Some(class) => return complain(format!("`class` is {class}, but the head has {classes} outputs, counted from 0")),
        None if classes == 1 => 0,
        None => return complain(format!("the head has {classes} outputs: say in this file which one is the score, as {{\"class\": 0}}")),
    };
    let output = config.as_ref().map_or_else(|| known.map_or(Output::None, |known| known.output), |config| config.output);
    let epsilon = config.and_then(|config| config.epsilon).or(known.map(|known| known.epsilon));
    let input = match input {
        Some(input) => Some(input.scale(path, layers[0].inputs, epsilon)?),
        None => None,
    };
    Ok(Head { input, layers, output, class })
}

fn config(path: &Path) -> Result<Option<HeadConfig>, ModelError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ModelError::Io { path: path.to_owned(), source }),
    };
    let config = serde_json::from_str(&text);
    config.map(Some).map_err(|error| ModelError::Config { path: path.to_owned(), message: error.to_string() })
}

/// All tensors of a file, by name.
fn read(path: &Path) -> Result<BTreeMap<String, Values>, ModelError> {
    let wrong = |message: String| ModelError::Weights { path: path.to_owned(), message };
    let size = std::fs::metadata(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?.len();
    if size > MAX_BYTES {
        return Err(wrong(format!("{size} bytes are too many for a head; the limit is {MAX_BYTES}")));
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let tensors: Vec<(String, Tensor)> = match extension {
        "safetensors" => {
            let tensors = candle_core::safetensors::load(path, &Device::Cpu);
            tensors.map_err(|error| wrong(format!("no safetensors file: {error}")))?.into_iter().collect()
        }
        "pth" | "pt" | "bin" | "ckpt" => pickle(path)?,
        _ => return Err(wrong("a head is `.safetensors`, or `.pth`, `.pt`, `.bin`, `.ckpt` as PyTorch writes it".to_owned())),
    };
    if tensors.is_empty() {
        return Err(wrong("no tensors in it".to_owned()));
    }
    let mut all = BTreeMap::new();
    for (name, tensor) in tensors {
        let of = |error: candle_core::Error| wrong(format!("tensor `{name}`: {error}"));
        let data = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.flatten_all()).and_then(|tensor| tensor.to_vec1::<f32>());
        let (shape, data) = (tensor.dims().to_vec(), data.map_err(of)?);
        if let Some(at) = data.iter().position(|value| !value.is_finite()) {
            return Err(wrong(format!("tensor `{name}`: value {at} is {}", data[at])));
        }
        all.insert(name, Values { shape, data });
    }
    Ok(all)
}

/// A state dict that `torch.save` wrote, as it is or under the key `state_dict`.
fn pickle(path: &Path) -> Result<Vec<(String, Tensor)>, ModelError> {
    let read = |key| candle_core::pickle::read_all_with_key(path, key);
    match read(None) {
        Ok(tensors) if !tensors.is_empty() => Ok(tensors),
        plain => match read(Some("state_dict")) {
            Ok(tensors) => Ok(tensors),
            Err(nested) => {
                let why = plain.err().unwrap_or(nested);
                let message =
                    format!("no state dict that can be read ({why}); load it in PyTorch and save `model.state_dict()` as safetensors");
                Err(ModelError::Weights { path: path.to_owned(), message })
            }
        },
    }
}

/// The tensors that are not yet part of a layer.
struct Parts<'a> {
    path: &'a Path,
    tensors: BTreeMap<String, Values>,
}

/// Stored statistics, and what is learned over them.
struct Normalisation {
    mean: Vec<f32>,
    variance: Vec<f32>,
    factor: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
    /// Keras takes the larger of deviation and epsilon, BatchNorm adds epsilon to the variance.
    keras: bool,
}

impl Parts<'_> {
    fn weights(&self, message: String) -> ModelError {
        ModelError::Weights { path: self.path.to_owned(), message }
    }

    /// Takes the normalisation in front, if there is one.
    fn normalisation(&mut self) -> Result<Option<Normalisation>, ModelError> {
        let found = |suffix: &str| {
            let matches = self.tensors.keys().filter(|name| last_part(name) == suffix);
            matches.map(|name| (prefix(name, suffix).to_owned(), suffix == "mean")).collect::<Vec<_>>()
        };
        let mut found = [found("running_mean"), found("mean")].concat();
        if found.len() > 1 {
            return Err(self.weights("more than one normalisation; a head has at most one, in front".to_owned()));
        }
        let Some((prefix, keras)) = found.pop() else { return Ok(None) };
        let names = if keras { ["mean", "variance"] } else { ["running_mean", "running_var"] };
        let mut take = |suffix: &str| self.tensors.remove(&format!("{prefix}{suffix}")).map(|values| values.data);
        let (mean, variance) = (take(names[0]), take(names[1]));
        let (Some(mean), Some(variance)) = (mean, variance) else {
            return Err(self.weights(format!("`{prefix}{}` is missing", names[1])));
        };
        // Keras calls its count of batches so; it is of no use here.
        drop(take("count"));
        let learned = !keras;
        let (factor, shift) = if learned { (take("weight"), take("bias")) } else { (None, None) };
        Ok(Some(Normalisation { mean, variance, factor, shift, keras }))
    }

    /// Takes the layers in order, and checks that they chain.
    fn layers(&mut self) -> Result<Vec<Linear>, ModelError> {
        let is_layer = |(name, values): (&String, &Values)| {
            (last_part(name) == "weight" && values.shape.len() == 2).then(|| prefix(name, "weight").to_owned())
        };
        let mut prefixes: Vec<String> = self.tensors.iter().filter_map(is_layer).collect();
        prefixes.sort_by_cached_key(|prefix| natural(prefix));
        let (mut layers, mut before) = (Vec::<Linear>::new(), None::<String>);
        for prefix in prefixes {
            let name = format!("{prefix}weight");
            let Some(weight) = self.tensors.remove(&name) else { continue };
            let bias = self.tensors.remove(&format!("{prefix}bias")).map(|bias| bias.data);
            let [outputs, inputs] = weight.shape[..] else { continue };
            if inputs == 0 || outputs == 0 {
                return Err(self.weights(format!("`{name}` is empty")));
            }
            if let Some(bias) = &bias
                && bias.len() != outputs
            {
                return Err(self.weights(format!("`{prefix}bias` has {} values, `{name}` {outputs} outputs", bias.len())));
            }
            if let (Some(last), Some(before)) = (layers.last(), &before)
                && last.outputs != inputs
            {
                let message = format!("`{before}` gives {} values, but `{name}` after it takes {inputs}", last.outputs);
                return Err(self.weights(message));
            }
            layers.push(Linear { inputs, outputs, weight: weight.data, bias, activation: Activation::None });
            before = Some(name);
        }
        if layers.is_empty() {
            let names: Vec<&str> = self.tensors.keys().map(String::as_str).take(8).collect();
            return Err(self.weights(format!("no two-dimensional `*.weight` in it, only `{}`", names.join("`, `"))));
        }
        Ok(layers)
    }
}

impl Normalisation {
    fn scale(self, path: &Path, inputs: usize, epsilon: Option<f64>) -> Result<Scale, ModelError> {
        let wrong = |message: String| ModelError::Weights { path: PathBuf::from(path), message };
        let lengths = [Some(&self.mean), Some(&self.variance), self.factor.as_ref(), self.shift.as_ref()];
        if let Some(other) = lengths.into_iter().flatten().find(|values| values.len() != inputs) {
            return Err(wrong(format!("the normalisation has {} values, the first layer takes {inputs}", other.len())));
        }
        let (mut factors, mut shifts) = (Vec::with_capacity(inputs), Vec::with_capacity(inputs));
        for at in 0..inputs {
            // 1e-7 is Keras's epsilon, 1e-5 PyTorch's.
            let variance = f64::from(self.variance[at]);
            let deviation = if self.keras {
                variance.sqrt().max(epsilon.unwrap_or(1e-7).max(1e-7))
            } else {
                (variance + epsilon.unwrap_or(1e-5)).sqrt()
            };
            if deviation.is_nan() || deviation <= 0.0 {
                return Err(wrong(format!("the normalisation's variance {at} is {variance}")));
            }
            let factor = self.factor.as_ref().map_or(1.0, |factor| f64::from(factor[at])) / deviation;
            let shift = self.shift.as_ref().map_or(0.0, |shift| f64::from(shift[at])) - f64::from(self.mean[at]) * factor;
            factors.push(factor as f32);
            shifts.push(shift as f32);
        }
        Ok(Scale { factor: factors, shift: shifts })
    }
}

/// `weight` of `layers.0.weight` and of `weight`.
fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// `layers.0.` of `layers.0.weight`.
fn prefix<'a>(name: &'a str, suffix: &str) -> &'a str {
    name.strip_suffix(suffix).unwrap_or(name)
}

/// Text and numbers in turn, so that `layers.10` comes after `layers.2`, and `dense` before `dense1`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts: Vec<(String, u64)> = Vec::new();
    let mut rest = name.trim_end_matches('.');
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest[text..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| text + end);
        // No number sorts before number 0, so that `dense` comes before `dense0`.
        let number = rest[text..digits].parse::<u64>().map_or(0, |number| number.saturating_add(1));
        parts.push((rest[..text].to_owned(), number));
        rest = &rest[digits..];
    }
    parts
}
