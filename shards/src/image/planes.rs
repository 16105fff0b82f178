//! Pictures that stay in the planes in which JPEG stores them, from the decoder to the encoder.
//!
//! Each plane is resampled by itself, which is half the work of three full channels and needs no
//! conversion between colours. Resampling is linear and so are those conversions: the result is that
//! of the way over RGB, up to rounding and to values that RGB has to clip.

use std::ops::Range;

use super::decode::{PlaneSize, Planes};
use super::error::ImageError;
use super::resize::{Resizer, Stretch};
use super::size::Finish;

/// White in YCbCr.
const WHITE: [u8; 3] = [255, 128, 128];

/// A finished 4:2:0 picture: Y with its sides rounded up to even numbers, then Cb and Cr.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) data: Vec<u8>,
}

/// One axis of the finished picture, in its pixels.
#[derive(Debug, Clone, Copy)]
struct Axis {
    /// Side of the resampled picture.
    picture: u32,
    /// Where the resampled picture starts: positive where white comes first, negative where it is cut.
    lead: i64,
    /// Side of the finished picture.
    canvas: u32,
}

impl Axis {
    fn new(picture: u32, finish: Finish) -> Self {
        let (lead, canvas) = match finish {
            Finish::None => (0, picture),
            Finish::Pad(side) => (i64::from(side.saturating_sub(picture) / 2), picture.max(side)),
            Finish::Crop(side) => (-i64::from(picture.saturating_sub(side) / 2), picture.min(side)),
        };
        Self { picture, lead, canvas }
    }

    /// How the samples of a plane come about, of which each covers `unit` pixels, and whose picture
    /// is `extent` samples of the decoded plane.
    ///
    /// A sample at an end of the picture may cover fewer pixels of it than the others, because the
    /// white starts there or the picture ends. It is then the mean over those pixels.
    fn runs(self, unit: u32, extent: f64) -> Vec<Run> {
        let unit = i64::from(unit);
        let end = self.lead + i64::from(self.picture);
        let visible = self.lead.max(0)..end.min(i64::from(self.canvas));
        let step = extent / f64::from(self.picture);
        let run = |samples: Range<i64>, pixels: Range<i64>| Run {
            at: samples.start as u32,
            count: (samples.end - samples.start) as u32,
            start: (pixels.start - self.lead) as f64 * step,
            len: (pixels.end - pixels.start) as f64 * step,
            // In a cell that is cut by the end of the canvas the encoder repeats the last pixel.
            half_white: pixels.end - pixels.start < (samples.end * unit).min(i64::from(self.canvas)) - samples.start * unit,
        };
        let first = visible.start / unit;
        let whole = (visible.start + unit - 1) / unit..visible.end / unit;
        let mut runs = Vec::with_capacity(3);
        if first < whole.start {
            runs.push(run(first..first + 1, visible.start..visible.end.min(whole.start * unit)));
        }
        if !whole.is_empty() {
            runs.push(run(whole.clone(), whole.start * unit..whole.end * unit));
        }
        if whole.end >= whole.start && whole.end * unit < visible.end {
            runs.push(run(whole.end..whole.end + 1, whole.end * unit..visible.end));
        }
        runs
    }
}

/// Neighbouring samples that cover equal parts of the decoded plane.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    at: u32,
    count: u32,
    /// In samples of the decoded plane.
    start: f64,
    len: f64,
    /// The other half of the pixels that the sample covers is white.
    half_white: bool,
}

impl Canvas {
    /// Resamples the planes to `size` by their areas, and pads or crops them.
    pub(crate) fn draw(&mut self, planes: &Planes, size: (u32, u32), finish: Finish, resizer: &mut Resizer) -> Result<(), ImageError> {
        let (x, y) = (Axis::new(size.0, finish), Axis::new(size.1, finish));
        (self.width, self.height) = (x.canvas, y.canvas);
        let (chroma_width, chroma_height) = (x.canvas.div_ceil(2), y.canvas.div_ceil(2));
        let chroma = chroma_width as usize * chroma_height as usize;
        // All of it is written below but for the margins.
        let margins = x.canvas > x.picture || y.canvas > y.picture;
        self.data.resize(chroma * 6, 0);
        let (luma, blue_red) = self.data.split_at_mut(chroma * 4);
        let (blue, red) = blue_red.split_at_mut(chroma);
        let (from_luma, from_blue_red) = planes.data.split_at(planes.luma.len());
        let (from_blue, from_red) = from_blue_red.split_at(planes.chroma.len());
        if margins {
            for (plane, white) in [&mut *luma, &mut *blue, &mut *red].into_iter().zip(WHITE) {
                plane.fill(white);
            }
        }
        draw_plane(resizer, (from_luma, planes.luma), luma, chroma_width * 2, (x, y), 1)?;
        repeat_last(luma, chroma_width as usize * 2, self.width as usize, self.height as usize);
        draw_plane(resizer, (from_blue, planes.chroma), blue, chroma_width, (x, y), 2)?;
        draw_plane(resizer, (from_red, planes.chroma), red, chroma_width, (x, y), 2)
    }

    /// Gives back a buffer that one large picture has blown up.
    pub(crate) fn shrink(&mut self, keep: usize) {
        if self.data.capacity() > keep {
            self.data = Vec::new();
        }
    }
}

/// Draws one plane into `to`, whose rows have `stride` samples, each covering `unit` x `unit` pixels.
fn draw_plane(
    resizer: &mut Resizer,
    (from, size): (&[u8], PlaneSize),
    to: &mut [u8],
    stride: u32,
    (x, y): (Axis, Axis),
    unit: u32,
) -> Result<(), ImageError> {
    let columns = x.runs(unit, size.extent.width);
    let rows = y.runs(unit, size.extent.height);
    let stretch = |run: &Run| Stretch { at: run.at, count: run.count, start: run.start, len: run.len };
    let (across, down): (Vec<_>, Vec<_>) = (columns.iter().map(stretch).collect(), rows.iter().map(stretch).collect());
    resizer.area_plane((from, size), to, stride, &across, &down)?;
    // A luma sample is one pixel, so only chroma has halves.
    let halve = |value: &mut u8| *value = (u16::from(*value) + u16::from(WHITE[1])).div_ceil(2) as u8;
    for row in rows.iter().filter(|run| run.half_white) {
        let start = (row.at * stride) as usize;
        to[start..start + stride as usize].iter_mut().for_each(halve);
    }
    for column in columns.iter().filter(|run| run.half_white) {
        to.chunks_exact_mut(stride as usize).for_each(|row| halve(&mut row[column.at as usize]));
    }
    Ok(())
}

/// Repeats the last column and row of a luma plane, where a side is odd.
fn repeat_last(plane: &mut [u8], stride: usize, width: usize, height: usize) {
    if width < stride {
        plane.chunks_exact_mut(stride).for_each(|row| row[width] = row[width - 1]);
    }
    if height * stride < plane.len() {
        plane.copy_within((height - 1) * stride..height * stride, height * stride);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(axis: Axis, unit: u32, extent: f64) -> Vec<(u32, u32, f64, f64, bool)> {
        axis.runs(unit, extent).iter().map(|r| (r.at, r.count, r.start, r.len, r.half_white)).collect()
    }

    #[test]
    fn chroma_samples_at_the_ends_cover_what_is_left() {
        // Even on all sides: one run.
        assert_eq!(spans(Axis::new(6, Finish::None), 2, 12.0), [(0, 3, 0.0, 12.0, false)]);
        // Odd side: the last sample covers one pixel.
        assert_eq!(spans(Axis::new(5, Finish::None), 2, 10.0), [(0, 2, 0.0, 8.0, false), (2, 1, 8.0, 2.0, false)]);
        // One pixel of white before and after: two samples are half white.
        assert_eq!(
            spans(Axis::new(6, Finish::Pad(8)), 2, 12.0),
            [(0, 1, 0.0, 2.0, true), (1, 2, 2.0, 8.0, false), (3, 1, 10.0, 2.0, true)]
        );
        // An odd side in the middle of a square.
        assert_eq!(spans(Axis::new(3, Finish::Pad(8)), 2, 6.0), [(1, 1, 0.0, 4.0, false), (2, 1, 4.0, 2.0, true)]);
        // Cropped by one pixel on the left.
        assert_eq!(spans(Axis::new(6, Finish::Crop(4)), 2, 6.0), [(0, 2, 1.0, 4.0, false)]);
        // One pixel alone.
        assert_eq!(spans(Axis::new(1, Finish::Pad(4)), 2, 2.0), [(0, 1, 0.0, 2.0, true)]);
        assert_eq!(spans(Axis::new(1, Finish::None), 2, 2.0), [(0, 1, 0.0, 2.0, false)]);
        assert_eq!(spans(Axis::new(5, Finish::Pad(8)), 1, 9.0), [(1, 5, 0.0, 9.0, false)]);
    }

    #[test]
    fn odd_sides_repeat_the_last_column_and_row() {
        let mut plane = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0];
        repeat_last(&mut plane, 4, 3, 3);
        assert_eq!(plane, [1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, 7, 8, 9, 9]);
    }
}
