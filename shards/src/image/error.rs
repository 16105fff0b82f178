//! What can go wrong with one picture, as data: a stable code for statistics and the message that
//! img2dataset writes into `error_message` where it has one.

use thiserror::Error;

/// Why a picture was refused.
///
/// [`ImageError::code`] is short, snake_case and stable: it is what statistics are grouped by.
/// `Display` is what goes into the `error_message` column and equals img2dataset's text where
/// img2dataset has one for the same condition. [`ImageError::detail`] has the decoder's own words.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There are no bytes.
    #[error("empty image")]
    Empty,
    /// The bytes are an HTML page (a soft 404, a login page).
    #[error("html instead of an image")]
    Html,
    /// The format is known, or the bytes are no image at all, but nothing here decodes it.
    #[error("unsupported image format: {format}")]
    UnsupportedFormat {
        /// The name of the format, or of the feature of a format (`tiff: compression 4`).
        format: String,
    },
    /// The decoder gave up, or the pixels are known to be damaged.
    #[error("Image decoding error")]
    Decode {
        /// The decoder's words.
        reason: String,
    },
    /// The data ends before the picture does. Such a picture would be partly grey or black.
    #[error("Image decoding error")]
    Truncated {
        /// The decoder's words.
        reason: String,
    },
    /// Declared pixels (width x height) are over [`Limits::max_pixels`](super::Limits::max_pixels).
    #[error("image has too many pixels")]
    TooManyPixels {
        /// Declared width in pixels.
        width: u32,
        /// Declared height in pixels.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },
    /// A declared side is over [`Limits::max_side`](super::Limits::max_side).
    #[error("image side too long")]
    SideTooLong {
        /// The longer declared side in pixels.
        side: u32,
        /// The limit in pixels.
        limit: u32,
    },
    /// Decoding would need more memory than [`Limits::max_alloc`](super::Limits::max_alloc).
    #[error("image needs too much memory")]
    TooMuchMemory {
        /// Estimated bytes.
        needed: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More frames than [`Limits::max_frames`](super::Limits::max_frames).
    #[error("image has too many frames")]
    TooManyFrames {
        /// The limit in frames.
        limit: u32,
    },
    /// A progressive JPEG with more scans than [`Limits::max_scans`](super::Limits::max_scans).
    #[error("image has too many scans")]
    TooManyScans {
        /// The limit in scans.
        limit: u32,
    },
    /// The shorter side is under `min_image_size`.
    #[error("image too small")]
    TooSmall,
    /// Width x height is over `max_image_area`.
    #[error("image area too large")]
    AreaTooLarge,
    /// Longer side / shorter side is over `max_aspect_ratio`.
    #[error("aspect ratio too large")]
    AspectTooLarge,
    /// A box to blur is not four finite numbers.
    #[error("bad bounding box")]
    BadBox,
    /// The result cannot be written in the chosen format.
    #[error("image encoding error: {reason}")]
    Encode {
        /// The encoder's words.
        reason: String,
    },
    /// A decoder panicked. The panic was caught; the picture is refused.
    #[error("Image decoding error")]
    Panic {
        /// The panic's message.
        reason: String,
    },
}

impl ImageError {
    /// A short, stable, snake_case name for statistics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Html => "html_instead_of_image",
            Self::UnsupportedFormat { .. } => "unsupported_format",
            Self::Decode { .. } => "image_decoding_error",
            Self::Truncated { .. } => "truncated",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::SideTooLong { .. } => "side_too_long",
            Self::TooMuchMemory { .. } => "too_much_memory",
            Self::TooManyFrames { .. } => "too_many_frames",
            Self::TooManyScans { .. } => "too_many_scans",
            Self::TooSmall => "image_too_small",
            Self::AreaTooLarge => "image_area_too_large",
            Self::AspectTooLarge => "aspect_ratio_too_large",
            Self::BadBox => "bad_box",
            Self::Encode { .. } => "encode_error",
            Self::Panic { .. } => "decoder_panic",
        }
    }

    /// The decoder's or encoder's own words, or the numbers that were over a limit; empty when the
    /// message says it all.
    pub fn detail(&self) -> String {
        match self {
            Self::Decode { reason } | Self::Truncated { reason } | Self::Encode { reason } | Self::Panic { reason } => reason.clone(),
            Self::UnsupportedFormat { format } => format.clone(),
            Self::TooManyPixels { width, height, limit } => {
                format!("{width}x{height}, limit {limit}")
            }
            Self::SideTooLong { side, limit } => format!("{side}, limit {limit}"),
            Self::TooMuchMemory { needed, limit } => format!("{needed} bytes, limit {limit}"),
            Self::TooManyFrames { limit } | Self::TooManyScans { limit } => {
                format!("limit {limit}")
            }
            Self::Empty | Self::Html | Self::TooSmall | Self::AreaTooLarge | Self::AspectTooLarge | Self::BadBox => String::new(),
        }
    }

    pub(crate) fn decode(reason: impl Into<String>) -> Self {
        Self::Decode { reason: reason.into() }
    }

    pub(crate) fn truncated(reason: impl Into<String>) -> Self {
        Self::Truncated { reason: reason.into() }
    }

    pub(crate) fn unsupported(format: impl Into<String>) -> Self {
        Self::UnsupportedFormat { format: format.into() }
    }

    pub(crate) fn encode(reason: impl Into<String>) -> Self {
        Self::Encode { reason: reason.into() }
    }
}

/// A setting that makes no sense, found before any picture is read.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{option}`: {problem}")]
pub struct OptionsError {
    /// The name of the option as the user writes it.
    pub option: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}
