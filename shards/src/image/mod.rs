//! Decode, judge, resize, encode: what becomes of the bytes of one downloaded picture.
//!
//! ```
//! use trommel_shards::image::{ImageError, ImageOptions, Processor};
//!
//! let mut processor = Processor::new()?;
//! let refused = processor.process(b"<html>not found</html>", &[], &ImageOptions::default());
//! assert_eq!(refused.unwrap_err().code(), "html_instead_of_image");
//! # Ok::<(), ImageError>(())
//! ```
//!
//! The options and the sizes are img2dataset's. The pixels are right where img2dataset's are not:
//! pictures stand upright (EXIF orientation), 16 bits are scaled and not clipped, inks and colour
//! profiles become sRGB, and a picture that ends early is refused.
//!
//! Every header is judged before a pixel is decoded, against [`Limits`]; decoders are run inside
//! `catch_unwind`. Not decoded: AVIF, HEIC, JPEG XL, JPEG 2000, SVG, PSD. Of an animation the first
//! frame is taken.

mod blur;
mod colour;
mod decode;
mod encode;
mod error;
mod exif;
mod exif_tags;
mod ifd;
mod options;
mod orientation;
mod planes;
mod probe;
mod processor;
mod raster;
mod resize;
mod rgb;
mod size;
mod transpose;

#[cfg(test)]
mod tests;

pub use colour::IccUse;
pub use error::{ImageError, OptionsError};
pub use options::{EncodeFormat, ImageOptions, Interpolation, Limits, ResizeMode};
pub use orientation::Orientation;
pub use probe::{ImageFormat, ImageInfo, probe, sniff};
pub use processor::{Processed, Processor};
pub use rgb::RgbPicture;
