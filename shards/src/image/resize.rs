//! Resampling with OpenCV's rules, on top of `fast_image_resize`.
//!
//! | rule | smaller | larger |
//! |---|---|---|
//! | nearest | `floor(x * scale)` | the same |
//! | linear, cubic (a = -0.75), lanczos (8 taps) | fixed kernel, no averaging | fixed kernel |
//! | area | exact mean over the covered area | share of the covered pixels |
//!
//! Edges are repeated for the fixed kernels (OpenCV's BORDER_REPLICATE). Results differ from OpenCV's
//! by rounding only: both passes round to eight bits here.

use std::cell::Cell;
use std::f64::consts::PI;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{Filter, FilterType, PixelType, ResizeAlg, ResizeOptions};

use super::decode::PlaneSize;
use super::error::ImageError;
use super::options::Interpolation;
use super::raster::Raster;
use super::size::Resample;
use super::transpose::transpose;

/// Pixels by which edges are repeated: half of the widest kernel.
const EDGE: u32 = 4;

/// The part of a raster that is resampled, from its top left corner, in pixels. Smaller than the
/// raster, by less than a pixel, after a JPEG decode at a reduced scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Extent {
    pub(crate) fn whole(raster: &Raster) -> Self {
        Self { width: f64::from(raster.width), height: f64::from(raster.height) }
    }
}

/// Neighbouring target samples along one axis, each of which takes an equal part of the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    /// The first target sample.
    pub(crate) at: u32,
    /// How many there are, at least one.
    pub(crate) count: u32,
    /// Where the source starts, in its samples.
    pub(crate) start: f64,
    /// Samples of the source for all of them together.
    pub(crate) len: f64,
}

impl Stretch {
    fn scale(&self) -> f64 {
        self.len / f64::from(self.count)
    }

    /// Its source, shifted by `by` and without what rounding has put outside of `most` samples.
    fn source(&self, by: u32, most: u32) -> (f64, f64) {
        let start = self.start - f64::from(by);
        let mut len = self.len;
        while start + len > f64::from(most) {
            len = (len - (start + len - f64::from(most))).next_down();
        }
        (start, len)
    }
}

/// Resamples; owns the buffers between the passes.
#[derive(Debug, Default)]
pub(crate) struct Resizer {
    inner: fast_image_resize::Resizer,
    between: Vec<u8>,
    turned: Vec<u8>,
    padded: Vec<u8>,
}

impl Resizer {
    /// Resamples `extent` of `source` to the size in `to`.
    pub(crate) fn resize(&mut self, source: &Raster, extent: Extent, to: Resample) -> Result<Raster, ImageError> {
        let fixed = |name, kernel, support| Filter::new(name, kernel, support).map_err(|error| ImageError::encode(error.to_string()));
        match to.interpolation {
            Interpolation::Nearest => Ok(nearest(source, to)),
            Interpolation::Linear => self.fixed_kernel(source, to, fixed("linear", linear, 1.0)?),
            Interpolation::Cubic => self.fixed_kernel(source, to, fixed("cubic", cubic, 2.0)?),
            Interpolation::Lanczos => self.fixed_kernel(source, to, fixed("lanczos4", lanczos4, 4.0)?),
            Interpolation::Area => self.area(source, extent, to),
        }
    }

    /// Rows first, as it is the faster order for bytes, each pass with its own scale.
    fn area(&mut self, source: &Raster, extent: Extent, to: Resample) -> Result<Raster, ImageError> {
        let (width, height) = (source.width, to.height);
        let channels = usize::from(source.channels);
        let mut between = std::mem::take(&mut self.between);
        between.resize(width as usize * height as usize * channels, 0);
        let rows = area_options(extent.height / f64::from(height))?.crop(0.0, 0.0, f64::from(width), extent.height);
        self.pass(source.width, source.height, &source.data, source.channels, width, height, &mut between, &rows)?;
        let mut data = vec![0; to.width as usize * to.height as usize * channels];
        let columns = area_options(extent.width / f64::from(to.width))?.crop(0.0, 0.0, extent.width, f64::from(height));
        self.pass(width, height, &between, source.channels, to.width, to.height, &mut data, &columns)?;
        self.between = between;
        Ok(Raster { width: to.width, height: to.height, channels: source.channels, data })
    }

    /// Resamples a plane by area into `to`, whose rows have `stride` samples: every pair of a stretch of
    /// columns and one of rows is a part of it. The stretches follow each other in the source.
    pub(crate) fn area_plane(
        &mut self,
        (from, size): (&[u8], PlaneSize),
        to: &mut [u8],
        stride: u32,
        columns: &[Stretch],
        rows: &[Stretch],
    ) -> Result<(), ImageError> {
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return Ok(()) };
        // Columns of the source that are used, in whole samples.
        let left = first.start as u32;
        let width = ((last.start + last.len).ceil() as u32).min(size.width) - left;
        let (mut between, mut turned) = (std::mem::take(&mut self.between), std::mem::take(&mut self.turned));
        for row in rows {
            between.resize(width as usize * row.count as usize, 0);
            let (start, len) = row.source(0, size.height);
            let down = area_options(row.scale())?.crop(f64::from(left), start, f64::from(width), len);
            self.pass(size.width, size.height, from, 1, width, row.count, &mut between, &down)?;
            // Single rows are resampled a few times faster than single columns: they change places.
            turned.resize(between.len(), 0);
            transpose(&between, width as usize, &mut turned, row.count as usize);
            for column in columns {
                between.resize(row.count as usize * column.count as usize, 0);
                let (start, len) = column.source(left, width);
                let across = area_options(column.scale())?.crop(0.0, start, f64::from(row.count), len);
                self.pass(row.count, width, &turned, 1, row.count, column.count, &mut between, &across)?;
                let part = &mut to[row.at as usize * stride as usize + column.at as usize..];
                transpose(&between, row.count as usize, part, stride as usize);
            }
        }
        self.turned = turned;
        self.between = between;
        Ok(())
    }

    fn fixed_kernel(&mut self, source: &Raster, to: Resample, filter: Filter) -> Result<Raster, ImageError> {
        let mut padded = std::mem::take(&mut self.padded);
        repeat_edges(source, &mut padded);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Custom(filter))).use_alpha(false).crop(
            f64::from(EDGE),
            f64::from(EDGE),
            f64::from(source.width),
            f64::from(source.height),
        );
        let mut data = vec![0; to.width as usize * to.height as usize * usize::from(source.channels)];
        let (width, height) = (source.width + 2 * EDGE, source.height + 2 * EDGE);
        self.pass(width, height, &padded, source.channels, to.width, to.height, &mut data, &options)?;
        self.padded = padded;
        Ok(Raster { width: to.width, height: to.height, channels: source.channels, data })
    }

    #[expect(clippy::too_many_arguments, reason = "two pictures and a rule, private")]
    fn pass(
        &mut self,
        width: u32,
        height: u32,
        from: &[u8],
        channels: u8,
        to_width: u32,
        to_height: u32,
        to: &mut [u8],
        options: &ResizeOptions,
    ) -> Result<(), ImageError> {
        let pixel = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let source = ImageRef::new(width, height, from, pixel).map_err(|e| ImageError::encode(e.to_string()))?;
        let mut target = Image::from_slice_u8(to_width, to_height, to, pixel).map_err(|e| ImageError::encode(e.to_string()))?;
        self.inner.resize(&source, &mut target, options).map_err(|e| ImageError::encode(e.to_string()))
    }

    /// Gives back buffers that one large picture has blown up.
    pub(crate) fn shrink(&mut self, keep: usize) {
        if self.inner.size_of_internal_buffers() > keep {
            self.inner.reset_internal_buffers();
        }
        for buffer in [&mut self.between, &mut self.turned, &mut self.padded] {
            if buffer.capacity() > keep {
                *buffer = Vec::new();
            }
        }
    }
}

thread_local! {
    /// Source pixels per target pixel of the running pass. The kernel of `area` depends on it, and a
    /// kernel can only be a plain function.
    static AREA_SCALE: Cell<f64> = const { Cell::new(1.0) };
}

fn area_options(scale: f64) -> Result<ResizeOptions, ImageError> {
    AREA_SCALE.set(scale);
    // Half of the target pixel and half of a source pixel, in units of the kernel's argument.
    let support = (0.5 + scale / 2.0) / scale.max(1.0);
    let filter = Filter::new("area", area, support).map_err(|e| ImageError::encode(e.to_string()))?;
    Ok(ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Custom(filter))).use_alpha(false))
}

/// How much of a source pixel, whose centre is `x` kernel units away, a target pixel covers.
fn area(x: f64) -> f64 {
    let scale = AREA_SCALE.get();
    let distance = x.abs() * scale.max(1.0);
    let covered = (0.5 + scale / 2.0 - distance).clamp(0.0, scale.min(1.0));
    // Slivers come from rounding of the centre and would widen every kernel by one tap.
    if covered < 1e-7 { 0.0 } else { covered }
}

fn linear(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

fn lanczos4(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    if (-4.0..4.0).contains(&x) { sinc(x) * sinc(x / 4.0) } else { 0.0 }
}

fn nearest(source: &Raster, to: Resample) -> Raster {
    let pick = |from: u32, to: u32| -> Vec<usize> {
        let scale = 1.0 / (f64::from(to) / f64::from(from));
        (0..to).map(|x| ((f64::from(x) * scale) as usize).min(from as usize - 1)).collect()
    };
    let (columns, rows) = (pick(source.width, to.width), pick(source.height, to.height));
    let channels = usize::from(source.channels);
    let row_len = source.width as usize * channels;
    let mut data = Vec::with_capacity(columns.len() * rows.len() * channels);
    for y in rows {
        let row = &source.data[y * row_len..(y + 1) * row_len];
        for &x in &columns {
            data.extend_from_slice(&row[x * channels..(x + 1) * channels]);
        }
    }
    Raster { width: to.width, height: to.height, channels: source.channels, data }
}

/// Writes the picture with `EDGE` repeated pixels on every side.
fn repeat_edges(source: &Raster, out: &mut Vec<u8>) {
    let channels = usize::from(source.channels);
    let row_len = source.width as usize * channels;
    out.clear();
    out.reserve((row_len + 2 * EDGE as usize * channels) * (source.height + 2 * EDGE) as usize);
    for y in 0..source.height + 2 * EDGE {
        let y = y.saturating_sub(EDGE).min(source.height - 1) as usize;
        let row = &source.data[y * row_len..(y + 1) * row_len];
        for _ in 0..EDGE {
            out.extend_from_slice(&row[..channels]);
        }
        out.extend_from_slice(row);
        for _ in 0..EDGE {
            out.extend_from_slice(&row[row_len - channels..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: u32, data: &[u8]) -> Raster {
        Raster { width, height: data.len() as u32 / width, channels: 1, data: data.to_vec() }
    }

    fn to(width: u32, height: u32, interpolation: Interpolation) -> Resample {
        Resample { width, height, interpolation }
    }

    fn run(source: &Raster, to: Resample) -> Vec<u8> {
        Resizer::default().resize(source, Extent::whole(source), to).unwrap().data
    }

    #[test]
    fn area_weighs_pixels_by_the_part_that_is_covered() {
        // 3 to 2: each target pixel covers one whole pixel and half of the middle one.
        assert_eq!(run(&gray(3, &[0, 90, 240]), to(2, 1, Interpolation::Area)), [30, 190]);
        assert_eq!(run(&gray(4, &[0, 10, 100, 200]), to(2, 1, Interpolation::Area)), [5, 150]);
    }

    /// Golden values: cv2.resize of OpenCV 4.14.
    #[test]
    fn enlarging_matches_opencv_on_a_step() {
        let step = gray(4, &[0, 0, 200, 200]);
        assert_eq!(run(&step, to(8, 1, Interpolation::Linear)), [0, 0, 0, 50, 150, 200, 200, 200]);
        assert_eq!(run(&step, to(8, 1, Interpolation::Nearest)), [0, 0, 0, 0, 200, 200, 200, 200]);
        assert_eq!(run(&step, to(6, 1, Interpolation::Area)), [0, 0, 0, 200, 200, 200]);
    }

    #[test]
    fn a_flat_picture_stays_flat_under_every_rule() {
        use Interpolation::*;
        let flat = Raster { width: 7, height: 5, channels: 3, data: vec![77; 105] };
        for interpolation in [Nearest, Linear, Cubic, Area, Lanczos] {
            for (width, height) in [(3, 2), (1, 1), (20, 11), (7, 9)] {
                let out = run(&flat, to(width, height, interpolation));
                assert!(out.iter().all(|&v| v == 77), "{interpolation:?} to {width}x{height}");
            }
        }
    }
}
