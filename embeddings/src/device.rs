//! Where models run, and in which precision.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Device};
use serde::Serialize;

use crate::error::ModelError;

/// A device's name, as `cpu` or `cuda:0`. In metrics and messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceName(String);

impl DeviceName {
    /// Any name; a pool only compares them.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which devices to use: `auto`, `cpu`, or `cuda:0,cuda:1`.
///
/// ```
/// use trommel_embeddings::device::DeviceChoice;
///
/// let choice: DeviceChoice = "cuda:0,cuda:1".parse()?;
/// assert_eq!(choice, DeviceChoice::Cuda(vec![0, 1]));
/// assert_eq!("cpu".parse::<DeviceChoice>()?.resolve()?.len(), 1);
/// # Ok::<(), trommel_embeddings::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// All CUDA devices where the build can use them and there are any, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA devices by ordinal, each once, at least one.
    ///
    /// The CPU does not work beside them: its precision differs, and a row's bits would depend on who took it.
    Cuda(Vec<usize>),
}

impl FromStr for DeviceChoice {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let wrong = |message: &str| Err(ModelError::Device { device: text.to_owned(), message: message.to_owned() });
        match text.trim() {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            "cuda" => return Ok(Self::Cuda(vec![0])),
            _ => {}
        }
        let mut ordinals = Vec::new();
        for part in text.split(',').map(str::trim) {
            match part.strip_prefix("cuda:").map(str::parse::<usize>) {
                Some(Ok(ordinal)) if ordinals.contains(&ordinal) => return wrong("a device is named twice"),
                Some(Ok(ordinal)) => ordinals.push(ordinal),
                None if part == "cpu" || part == "auto" => return wrong("`cpu` and `auto` stand alone"),
                _ => return wrong("expected `auto`, `cpu`, or CUDA devices as in `cuda:0,cuda:1`"),
            }
        }
        Ok(Self::Cuda(ordinals))
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinals) => {
                let names: Vec<_> = ordinals.iter().map(|ordinal| format!("cuda:{ordinal}")).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl DeviceChoice {
    /// Opens the devices. Never empty.
    ///
    /// # Errors
    /// [`ModelError::Device`] when a CUDA device is asked for that is not there, or the build has no CUDA.
    pub fn resolve(&self) -> Result<Vec<(DeviceName, Device)>, ModelError> {
        let cpu = || vec![(DeviceName::new("cpu"), Device::Cpu)];
        match self {
            Self::Cpu => Ok(cpu()),
            Self::Auto if candle_core::utils::cuda_is_available() => {
                let found: Vec<_> = (0..).map_while(|ordinal| open(ordinal).ok()).collect();
                Ok(if found.is_empty() { cpu() } else { found })
            }
            Self::Auto => Ok(cpu()),
            Self::Cuda(ordinals) => ordinals.iter().map(|ordinal| open(*ordinal)).collect(),
        }
    }
}

/// Opens one CUDA device.
fn open(ordinal: usize) -> Result<(DeviceName, Device), ModelError> {
    let name = format!("cuda:{ordinal}");
    let wrong = |message: String| ModelError::Device { device: name.clone(), message };
    if !candle_core::utils::cuda_is_available() {
        let message = "this build has no CUDA; build it with `cargo build --release --features cuda`";
        return Err(wrong(message.to_owned()));
    }
    // The driver's bindings panic where its library is missing.
    match std::panic::catch_unwind(|| Device::new_cuda(ordinal)) {
        Ok(Ok(device)) => Ok((DeviceName::new(name), device)),
        Ok(Err(error)) => Err(wrong(error.to_string())),
        Err(_) => Err(wrong("the CUDA driver cannot be loaded".to_owned())),
    }
}

/// The precision that a model computes in. Embeddings leave it as f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits, 8 of them exponent.
    Bf16,
    /// 16 bits, 5 of them exponent: overflows beyond 65504.
    F16,
}

impl Precision {
    /// f32 on the CPU, bf16 on a GPU. (Cards before compute capability 8.0 have no fast bf16: choose f16 there.)
    pub fn default_for(device: &Device) -> Self {
        if device.is_cpu() { Self::F32 } else { Self::Bf16 }
    }

    /// The tensors' type.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

impl FromStr for Precision {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(ModelError::Input(format!("precision `{text}`: expected `f32`, `bf16` or `f16`"))),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_and_written_alike() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3,cuda:1"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(vec![0]));
        assert_eq!(" cuda:0 , cuda:1 ".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(vec![0, 1]));
    }

    #[test]
    fn what_is_no_device_is_refused_with_what_would_be_right() {
        for (text, says) in [
            ("", "expected `auto`"),
            ("gpu", "cuda:0,cuda:1"),
            ("cuda:x", "cuda:0,cuda:1"),
            ("cuda:0,cuda:0", "twice"),
            ("cpu,cuda:0", "stand alone"),
            ("cuda:-1", "expected"),
        ] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn auto_finds_a_device_and_the_cpu_is_always_there() {
        assert!(!DeviceChoice::Auto.resolve().unwrap().is_empty());
        let (name, device) = DeviceChoice::Cpu.resolve().unwrap().remove(0);
        assert!(name.as_str() == "cpu" && device.is_cpu());
        assert_eq!(Precision::default_for(&device), Precision::F32);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn asking_for_cuda_without_it_says_what_to_build() {
        let error = DeviceChoice::Cuda(vec![0]).resolve().unwrap_err().to_string();
        assert!(error.starts_with("device `cuda:0`") && error.contains("cargo build --release --features cuda"), "{error}");
        assert_eq!(DeviceChoice::Auto.resolve().unwrap().len(), 1);
    }

    #[test]
    fn a_precision_is_read_and_written_alike() {
        for text in ["f32", "bf16", "f16"] {
            assert_eq!(text.parse::<Precision>().unwrap().to_string(), text);
        }
        assert!("int8".parse::<Precision>().is_err());
    }
}
