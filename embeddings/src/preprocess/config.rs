//! Preprocessing as a checkpoint's own files describe it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::geometry::{Crop, Half, Resize};
use super::levels::{Levels, Scale};
use super::resample::Filter;
use super::{Defaults, Inputs};
use crate::error::ModelError;

/// Deviations of OpenAI's training pictures (CLIP `clip.py`).
const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
const HALVES: [f64; 3] = [0.5; 3];
/// A side beyond this is a damaged file, not a model.
const LARGEST_SIDE: u64 = 8192;
const LARGEST_FILE: u64 = 1 << 20;

const KNOWN: &str = "CLIPImageProcessor, SiglipImageProcessor, Siglip2ImageProcessor";

/// A JSON file of the model with the place for messages.
struct Document<'a> {
    path: &'a Path,
    value: &'a Value,
}

impl Document<'_> {
    fn wrong(&self, message: impl Into<String>) -> ModelError {
        ModelError::Config { path: self.path.to_path_buf(), message: message.into() }
    }

    /// A key that is there and not null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        self.get(key)
            .map_or(Ok(default), |value| value.as_bool().ok_or_else(|| self.wrong(format!("`{key}` is {value}, expected true or false"))))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.get(key).map(|value| value.as_f64().ok_or_else(|| self.wrong(format!("`{key}` is {value}, expected a number")))).transpose()
    }

    fn side(&self, key: &str, value: &Value) -> Result<u32, ModelError> {
        match value.as_u64() {
            Some(side @ 1..=LARGEST_SIDE) => Ok(side as u32),
            _ => Err(self.wrong(format!("`{key}` is {value}, expected 1 to {LARGEST_SIDE} pixels"))),
        }
    }

    /// Both sides of a square, from `[h, w]`-like values.
    fn square(&self, key: &str, height: &Value, width: &Value) -> Result<u32, ModelError> {
        let (height, width) = (self.side(key, height)?, self.side(key, width)?);
        if height != width {
            return Err(self.wrong(format!("`{key}` is {height} x {width}; only squares are known")));
        }
        Ok(height)
    }

    fn channels(&self, key: &str, default: [f64; 3]) -> Result<[f64; 3], ModelError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let numbers: Option<Vec<f64>> = match value {
            Value::Array(values) => values.iter().map(Value::as_f64).collect(),
            other => other.as_f64().map(|number| vec![number; 3]),
        };
        match numbers.as_deref() {
            Some(&[red, green, blue]) => Ok([red, green, blue]),
            Some(&[all]) => Ok([all; 3]),
            _ => Err(self.wrong(format!("`{key}` is {value}, expected three numbers"))),
        }
    }
}

/// Reads a JSON file of the model when it is there.
pub(super) fn read_json(path: &Path) -> Result<Option<Value>, ModelError> {
    let io = |source| ModelError::Io { path: path.to_path_buf(), source };
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let wrong = |message: String| ModelError::Config { path: path.to_path_buf(), message };
    if size > LARGEST_FILE {
        return Err(wrong(format!("{size} bytes are too many for a config")));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(format!("not JSON: {error}")))
}

/// The processor's config of a folder in the layout of transformers, if there is one.
pub(super) fn transformers(folder: &Path, defaults: Defaults) -> Result<Option<Inputs>, ModelError> {
    // Newer checkpoints nest it in the processor's file; the older file wins there too.
    for name in ["preprocessor_config.json", "processor_config.json"] {
        let path: PathBuf = folder.join(name);
        let Some(value) = read_json(&path)? else { continue };
        let nested = value.get("image_processor").filter(|inner| inner.is_object());
        if nested.is_none() && name == "processor_config.json" && value.get("image_mean").is_none() {
            continue;
        }
        return image_processor(&Document { path: &path, value: nested.unwrap_or(&value) }, defaults).map(Some);
    }
    Ok(None)
}

/// Class of the processor, without the suffix of its implementation.
fn class(document: &Document<'_>) -> Option<String> {
    let kind = ["image_processor_type", "feature_extractor_type"].iter().find_map(|key| document.get(key)?.as_str())?;
    let kind = kind.trim_end_matches("Fast").trim_end_matches("Pil");
    Some(kind.replace("FeatureExtractor", "ImageProcessor"))
}

fn image_processor(document: &Document<'_>, defaults: Defaults) -> Result<Inputs, ModelError> {
    let class = class(document);
    let base = match class.as_deref() {
        None => Inputs::from(defaults),
        Some("CLIPImageProcessor") => Inputs::from(Defaults::Clip { side: 224 }),
        Some("SiglipImageProcessor") => Inputs::from(Defaults::Siglip { side: 224 }),
        Some("Siglip2ImageProcessor") => Inputs::from(Defaults::NaFlex { patch: 16, patches: 256 }),
        Some(other) => {
            return Err(ModelError::UnknownArchitecture {
                path: document.path.to_path_buf(),
                found: other.to_owned(),
                known: KNOWN.to_owned(),
            });
        }
    };
    let base_levels = base.levels();
    let rescale = document.number("rescale_factor")?.or(base_levels.rescale).unwrap_or(1.0 / 255.0);
    if !(rescale.is_finite() && rescale > 0.0) {
        return Err(document.wrong(format!("`rescale_factor` is {rescale}, expected a positive number")));
    }
    let (mean, std) = base_levels.normalize.unwrap_or((HALVES, HALVES));
    let normalize = (document.channels("image_mean", mean)?, document.channels("image_std", std)?);
    if normalize.1.contains(&0.0) {
        return Err(document.wrong("`image_std` is zero for a channel"));
    }
    let levels = Levels {
        scale: Scale::Fused,
        rescale: document.flag("do_rescale", true)?.then_some(rescale),
        normalize: document.flag("do_normalize", true)?.then_some(normalize),
    };
    let filter = match document.get("resample") {
        None => base.filter(),
        Some(code) => match code.as_u64() {
            Some(0) => Filter::Nearest,
            Some(1) => Filter::Lanczos,
            Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            _ => return Err(document.wrong(format!("`resample` is {code}; known are 0, 1, 2, 3"))),
        },
    };
    match base {
        Inputs::Patches { patch, patches, .. } => {
            let count = |key: &str, default: u32, most: u64| match document.get(key) {
                None => Ok(default),
                Some(value) => match value.as_u64() {
                    Some(number) if (1..=most).contains(&number) => Ok(number as u32),
                    _ => Err(document.wrong(format!("`{key}` is {value}, expected 1 to {most}"))),
                },
            };
            let (patch, patches) = (count("patch_size", patch, 256)?, count("max_num_patches", patches, 65_536)?);
            if !document.flag("do_resize", true)? {
                return Err(document.wrong("`do_resize` is false; patches need a size that is a multiple of theirs"));
            }
            Ok(Inputs::Patches { patch, patches, filter, levels })
        }
        Inputs::Square { resize, crop, .. } => {
            let resize = if document.flag("do_resize", true)? { size(document, resize)? } else { Resize::Keep };
            let crop = if document.flag("do_center_crop", crop.is_some())? {
                let side = crop_side(document, crop.map_or(224, |crop| crop.side))?;
                Some(Crop { side, half: Half::Down, fill: 0 })
            } else {
                None
            };
            match (crop, resize) {
                (None, Resize::Shortest(_)) => Err(document.wrong("`size.shortest_edge` without `do_center_crop` gives no square")),
                (None, Resize::Keep) => Err(document.wrong("neither `do_resize` nor `do_center_crop`: no fixed size")),
                _ => Ok(Inputs::Square { resize, crop, filter, levels }),
            }
        }
    }
}

fn size(document: &Document<'_>, default: Resize) -> Result<Resize, ModelError> {
    let Some(value) = document.get("size") else { return Ok(default) };
    // A bare number is the shortest edge: both classes say `default_to_square = False`.
    if value.is_number() {
        return document.side("size", value).map(Resize::Shortest);
    }
    let part = |key: &str| value.get(key).filter(|value| !value.is_null());
    match (part("shortest_edge"), part("height"), part("width")) {
        (Some(edge), None, None) if part("longest_edge").is_none() => document.side("size", edge).map(Resize::Shortest),
        (None, Some(height), Some(width)) => document.square("size", height, width).map(Resize::Squash),
        _ => Err(document.wrong(format!("`size` is {value}; known are shortest_edge, height and width, a number"))),
    }
}

fn crop_side(document: &Document<'_>, default: u32) -> Result<u32, ModelError> {
    match document.get("crop_size") {
        None => Ok(default),
        Some(value) if value.is_number() => document.side("crop_size", value),
        Some(value) => match (value.get("height"), value.get("width")) {
            (Some(height), Some(width)) => document.square("crop_size", height, width),
            _ => Err(document.wrong(format!("`crop_size` is {value}; known are height and width, a number"))),
        },
    }
}

/// Preprocessing of `open_clip_config.json`, if it is there.
pub(super) fn open_clip(folder: &Path, defaults: Defaults) -> Result<Option<Inputs>, ModelError> {
    let path = folder.join("open_clip_config.json");
    let Some(value) = read_json(&path)? else { return Ok(None) };
    let empty = Value::Null;
    let config = value.get("preprocess_cfg").unwrap_or(&empty);
    let document = Document { path: &path, value: config };
    // The tower's own size wins over the one in `preprocess_cfg` (open_clip `factory.py`).
    let tower = value.pointer("/model_cfg/vision_cfg/image_size").filter(|size| !size.is_null());
    let side = match tower.or_else(|| document.get("size")) {
        None => defaults.side().unwrap_or(224),
        Some(Value::Array(sides)) => match sides.as_slice() {
            [side] => document.side("image_size", side)?,
            [height, width] => document.square("image_size", height, width)?,
            _ => return Err(document.wrong("`image_size` has neither one nor two sides")),
        },
        Some(side) => document.side("image_size", side)?,
    };
    if let Some(mode) = document.get("mode").filter(|mode| mode.as_str() != Some("RGB")) {
        return Err(document.wrong(format!("`mode` is {mode}; only RGB is known")));
    }
    let filter = match document.get("interpolation").map(|name| name.as_str()) {
        Some(Some("bilinear")) => Filter::Bilinear,
        // `random` is bicubic at inference, as there.
        None | Some(Some("bicubic" | "random")) => Filter::Bicubic,
        Some(_) => return Err(document.wrong("`interpolation`: known are bicubic, bilinear, random")),
    };
    let fill = match document.number("fill_color")? {
        None => 0,
        Some(fill) if (0.0..=255.0).contains(&fill) => fill as u8,
        Some(fill) => return Err(document.wrong(format!("`fill_color` is {fill}, expected 0 to 255"))),
    };
    let crop = Crop { side, half: Half::Even, fill };
    let (resize, crop) = match document.get("resize_mode").map(|mode| mode.as_str()) {
        None | Some(Some("shortest")) => (Resize::Shortest(side), Some(Crop { fill: 0, ..crop })),
        Some(Some("squash")) => (Resize::Squash(side), None),
        Some(Some("longest")) => (Resize::Longest(side), Some(crop)),
        Some(_) => return Err(document.wrong("`resize_mode`: known are shortest, squash, longest")),
    };
    let normalize = (document.channels("mean", CLIP_MEAN)?, document.channels("std", CLIP_STD)?);
    if normalize.1.contains(&0.0) {
        return Err(document.wrong("`std` is zero for a channel"));
    }
    let levels = Levels { scale: Scale::Divided, rescale: Some(1.0 / 255.0), normalize: Some(normalize) };
    Ok(Some(Inputs::Square { resize, crop, filter, levels }))
}

impl From<Defaults> for Inputs {
    /// What the classes of transformers 5 do when a file says nothing.
    fn from(defaults: Defaults) -> Self {
        let levels = |mean, std| Levels { scale: Scale::Fused, rescale: Some(1.0 / 255.0), normalize: Some((mean, std)) };
        match defaults {
            Defaults::Clip { side } => Self::Square {
                resize: Resize::Shortest(side),
                crop: Some(Crop { side, half: Half::Down, fill: 0 }),
                filter: Filter::Bicubic,
                levels: levels(CLIP_MEAN, CLIP_STD),
            },
            Defaults::Siglip { side } => {
                Self::Square { resize: Resize::Squash(side), crop: None, filter: Filter::Bicubic, levels: levels(HALVES, HALVES) }
            }
            Defaults::Siglip2 { side } => {
                Self::Square { resize: Resize::Squash(side), crop: None, filter: Filter::Bilinear, levels: levels(HALVES, HALVES) }
            }
            Defaults::NaFlex { patch, patches } => {
                Self::Patches { patch, patches, filter: Filter::Bilinear, levels: levels(HALVES, HALVES) }
            }
        }
    }
}
