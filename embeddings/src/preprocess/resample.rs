//! Scaling with Pillow's antialiasing: the filter grows with the scale, edges are cut off and renormalised.

use std::cell::RefCell;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, ImageBufferError, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::geometry::Axis;
use crate::error::ModelError;
use crate::prepared::Picture;

/// Buffers that a thread keeps between pictures; more is given back at once.
const KEPT_BYTES: usize = 16 << 20;

/// How pixels are mixed. Pillow's codes: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The pixel at the centre.
    Nearest,
    /// Three lobes.
    Lanczos,
    /// A triangle.
    Bilinear,
    /// Catmull-Rom (`a = -0.5`).
    Bicubic,
}

impl Filter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Lanczos => "lanczos",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        }
    }

    /// Pixels to each side that the filter reads when it enlarges.
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.5,
            Self::Lanczos => 3.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Nearest => ResizeAlg::Nearest,
            Self::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        }
    }
}

/// What a thread keeps: the resizer with its buffers, the rows between the passes, the result.
#[derive(Default)]
struct Buffers {
    resizer: Resizer,
    between: Vec<u8>,
    result: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Scales what is kept of a picture and hands the interleaved pixels, `x.kept` times `y.kept`, to `then`.
///
/// First along the rows, then along the columns, as Pillow and torchvision do. The levels between the passes are 8-bit
/// there, so the other order (the resizer's own) clips overshoots elsewhere and is several levels off at hard edges.
pub(crate) fn scaled<T>(picture: Picture<'_>, x: Axis, y: Axis, filter: Filter, then: impl FnOnce(&[u8]) -> T) -> Result<T, ModelError> {
    let same = |axis: Axis| axis.scaled == axis.source;
    if same(x) && same(y) && x.kept == x.source && y.kept == y.source {
        return Ok(then(picture.data));
    }
    let failed = |reason: &dyn std::fmt::Display| {
        ModelError::Input(format!("a picture of {} x {} pixels cannot be scaled: {reason}", picture.width, picture.height))
    };
    let source = ImageRef::new(picture.width, picture.height, picture.data, PixelType::U8x3).map_err(|e| failed(&e))?;
    let ((left, width), (top, height)) = (x.source_span(), y.source_span());
    let options = ResizeOptions::new().resize_alg(filter.algorithm()).use_alpha(false);
    BUFFERS.with_borrow_mut(|Buffers { resizer, between, result }| {
        let mut target = image(result, x.kept, y.kept).map_err(|e| failed(&e))?;
        if filter == Filter::Nearest {
            nearest(picture, x, y, target.buffer_mut());
        } else if same(x) || same(y) {
            resizer.resize(&source, &mut target, &options.crop(left, top, width, height)).map_err(|e| failed(&e))?;
        } else {
            let (first, end) = rows(y, filter);
            let mut wide = image(between, x.kept, end - first).map_err(|e| failed(&e))?;
            let along_rows = options.crop(left, f64::from(first), width, f64::from(end - first));
            resizer.resize(&source, &mut wide, &along_rows).map_err(|e| failed(&e))?;
            let along_columns = options.crop(0.0, top - f64::from(first), f64::from(x.kept), height);
            resizer.resize(&wide, &mut target, &along_columns).map_err(|e| failed(&e))?;
        }
        let done = then(target.buffer());
        if resizer.size_of_internal_buffers() > KEPT_BYTES {
            resizer.reset_internal_buffers();
        }
        for buffer in [between, result] {
            if buffer.len() > KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        Ok(done)
    })
}

/// torchvision's `NEAREST_EXACT`: the source pixel under the centre, with the scale in single precision, which decides
/// ties.
fn nearest(picture: Picture<'_>, x: Axis, y: Axis, target: &mut [u8]) {
    let place = |axis: Axis| {
        let scale = axis.source as f32 / axis.scaled as f32;
        let at = move |pixel: u32| ((pixel as f32 + 0.5) * scale) as u32;
        (axis.offset..axis.offset + axis.kept).map(move |pixel| at(pixel).min(axis.source - 1) as usize)
    };
    let width = picture.width as usize;
    let pixels = place(y).flat_map(|row| place(x).map(move |column| (row * width + column) * 3));
    for (at, target) in pixels.zip(target.chunks_exact_mut(3)) {
        target.copy_from_slice(&picture.data[at..at + 3]);
    }
}

/// A picture in a buffer that grows when it must.
fn image(buffer: &mut Vec<u8>, width: u32, height: u32) -> Result<Image<'_>, ImageBufferError> {
    let bytes = width as usize * height as usize * 3;
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
    Image::from_slice_u8(width, height, &mut buffer[..bytes], PixelType::U8x3)
}

/// Rows of the picture that the filter reads for what is kept, with one to spare on both sides.
fn rows(y: Axis, filter: Filter) -> (u32, u32) {
    let (top, height) = y.source_span();
    let scale = f64::from(y.source) / f64::from(y.scaled);
    let reach = filter.support() * scale.max(1.0) + 1.0;
    let first = (top + 0.5 * scale - reach).floor().max(0.0);
    let end = (top + height - 0.5 * scale + reach).ceil().min(f64::from(y.source));
    (first as u32, end as u32)
}
