//! Pictures to pixels, equal to the reference processors.
//!
//! The references are the processors of transformers 5 on torchvision and open_clip's evaluation transform on Pillow.
//! They differ in rounding (a crop with an odd margin, mean and deviation in one or two steps), and so do the two
//! layouts here. Scaling is Pillow's: the filter grows with the scale. After preprocessing each value is within one
//! 8-bit level (`1 / 255` before the normalisation) of the reference's.
//!
//! ```
//! use trommel_embeddings::preprocess::{Defaults, Preprocessor};
//! use trommel_embeddings::{Picture, Prepared};
//!
//! let clip = Preprocessor::new(Defaults::Clip { side: 224 })?;
//! let grey = vec![128; 640 * 480 * 3];
//! let Prepared::Fixed { side, data } = clip.prepare(Picture { width: 640, height: 480, data: &grey })? else {
//!     unreachable!("a square model gives squares")
//! };
//! assert_eq!((side, data.len()), (224, 3 * 224 * 224));
//! # Ok::<(), trommel_embeddings::ModelError>(())
//! ```

mod config;
mod geometry;
mod id;
mod levels;
mod naflex;
mod resample;
mod scaled;

use std::path::Path;

use crate::checkpoint::Layout;
use crate::error::ModelError;
use crate::prepared::{Picture, Prepared};
use geometry::{Crop, Resize};
use levels::{Levels, Table};
use resample::Filter;

/// What an architecture does when its folder has no file about preprocessing, or when the file leaves a key out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// Bicubic, shortest side, centre crop, OpenAI's mean and deviation.
    Clip {
        /// Pixels of a side.
        side: u32,
    },
    /// Bicubic, squashed to a square, values in -1 to 1.
    Siglip {
        /// Pixels of a side.
        side: u32,
    },
    /// Bilinear, squashed to a square, values in -1 to 1.
    Siglip2 {
        /// Pixels of a side.
        side: u32,
    },
    /// Bilinear, own aspect ratio, patches, values in -1 to 1.
    NaFlex {
        /// Pixels of a patch's side.
        patch: u32,
        /// Most patches of a picture.
        patches: u32,
    },
}

impl Defaults {
    fn side(self) -> Option<u32> {
        match self {
            Self::Clip { side } | Self::Siglip { side } | Self::Siglip2 { side } => Some(side),
            Self::NaFlex { .. } => None,
        }
    }
}

/// Everything that decides the values.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Inputs {
    Square { resize: Resize, crop: Option<Crop>, filter: Filter, levels: Levels },
    Patches { patch: u32, patches: u32, filter: Filter, levels: Levels },
}

impl Inputs {
    fn levels(&self) -> Levels {
        match *self {
            Self::Square { levels, .. } | Self::Patches { levels, .. } => levels,
        }
    }

    fn filter(&self) -> Filter {
        match *self {
            Self::Square { filter, .. } | Self::Patches { filter, .. } => filter,
        }
    }
}

/// Turns pictures into what one model takes. Cheap to clone, shared between threads.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    inputs: Inputs,
    table: Box<Table>,
    id: String,
}

impl Preprocessor {
    /// The architecture's own preprocessing.
    ///
    /// # Errors
    /// [`ModelError::Input`] when a side or a count is zero.
    pub fn new(defaults: Defaults) -> Result<Self, ModelError> {
        Self::build(defaults.into())
    }

    /// What the files of a model folder say: `preprocessor_config.json` or `processor_config.json`
    /// ([`Layout::Transformers`]), `open_clip_config.json` ([`Layout::OpenClip`]). `defaults` holds where they are silent.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Config`] with the key, [`ModelError::UnknownArchitecture`] for the class of
    /// another kind of model.
    pub fn from_folder(folder: &Path, layout: Layout, defaults: Defaults) -> Result<Self, ModelError> {
        let found = match layout {
            Layout::Transformers => config::transformers(folder, defaults)?,
            Layout::OpenClip => config::open_clip(folder, defaults)?,
        };
        Self::build(found.unwrap_or_else(|| defaults.into()))
    }

    /// The same with another limit of patches; the checkpoints are trained for 128, 256, 576, 784 and 1024.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the model takes squares, or for no patches.
    pub fn with_patches(&self, most: u32) -> Result<Self, ModelError> {
        match self.inputs {
            Inputs::Patches { patch, filter, levels, .. } => Self::build(Inputs::Patches { patch, patches: most, filter, levels }),
            Inputs::Square { .. } => Err(ModelError::Input("a model of squares has no number of patches".to_owned())),
        }
    }

    fn build(inputs: Inputs) -> Result<Self, ModelError> {
        let usable = match inputs {
            Inputs::Square { resize: Resize::Shortest(side) | Resize::Squash(side) | Resize::Longest(side), crop, .. } => {
                side > 0 && crop.is_none_or(|crop| crop.side > 0)
            }
            Inputs::Square { resize: Resize::Keep, crop, .. } => crop.is_some_and(|crop| crop.side > 0),
            Inputs::Patches { patch, patches, .. } => patch > 0 && patches > 0,
        };
        if !usable {
            return Err(ModelError::Input("preprocessing to no pixels".to_owned()));
        }
        Ok(Self { inputs, table: inputs.levels().table(), id: id::of(&inputs) })
    }

    /// Short text for provenance: filter, geometry and eight hexadecimal digits of a digest of every parameter, as
    /// `bicubic:shortest224:crop224:1c9f00aa`. Equal texts mean equal values.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Pixels of a side, for models of squares.
    pub fn side(&self) -> Option<usize> {
        match self.inputs {
            Inputs::Square { crop: Some(crop), .. } => Some(crop.side as usize),
            Inputs::Square { resize: Resize::Shortest(side) | Resize::Squash(side) | Resize::Longest(side), .. } => Some(side as usize),
            Inputs::Square { .. } | Inputs::Patches { .. } => None,
        }
    }

    /// Pixels of a patch's side and most patches of a picture, for NaFlex.
    pub fn patches(&self) -> Option<(usize, usize)> {
        match self.inputs {
            Inputs::Patches { patch, patches, .. } => Some((patch as usize, patches as usize)),
            Inputs::Square { .. } => None,
        }
    }

    /// Scales, crops and normalises one picture. Memory is bounded by the picture and the model's size, whatever the
    /// aspect ratio: only what the crop keeps is scaled.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the picture has no pixels, not as many bytes as it says, or cannot be scaled.
    pub fn prepare(&self, picture: Picture<'_>) -> Result<Prepared, ModelError> {
        self.normalise(&self.scale(picture)?)
    }
}
