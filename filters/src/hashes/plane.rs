//! Views of 8-bit pixels, and the two ways to make them grey.

use std::borrow::Cow;

/// Why pixels cannot be seen as a picture of the stated size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaneError {
    /// A side is zero.
    #[error("a picture of {width} x {height} pixels has no pixels")]
    Empty {
        /// Columns that were stated.
        width: usize,
        /// Rows that were stated.
        height: usize,
    },
    /// Rows would overlap.
    #[error("rows of {width} pixels need {needed} bytes, the stride is {stride}")]
    Stride {
        /// Columns that were stated.
        width: usize,
        /// Bytes of a row.
        needed: usize,
        /// Bytes from one row to the next that were stated.
        stride: usize,
    },
    /// The slice ends before the last row does, or the size does not fit into memory.
    #[error("a picture of {width} x {height} pixels with rows {stride} bytes apart does not fit into {bytes} bytes")]
    Short {
        /// Columns that were stated.
        width: usize,
        /// Rows that were stated.
        height: usize,
        /// Bytes from one row to the next that were stated.
        stride: usize,
        /// Bytes that were given.
        bytes: usize,
    },
}

/// Interleaved 8-bit pixels of `C` channels: rows from the top, `stride` bytes apart.
///
/// Use it as [`Luma`] or [`Rgb`].
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a, const C: usize> {
    pixels: &'a [u8],
    width: usize,
    height: usize,
    stride: usize,
}

/// One byte a pixel: grey.
pub type Luma<'a> = Plane<'a, 1>;
/// Three bytes a pixel: red, green, blue, as sRGB stores them.
pub type Rgb<'a> = Plane<'a, 3>;

impl<'a, const C: usize> Plane<'a, C> {
    /// A picture whose rows follow one another without a gap; bytes behind the last row are left alone.
    pub fn new(pixels: &'a [u8], width: usize, height: usize) -> Result<Self, PlaneError> {
        Self::with_stride(pixels, width, height, width.saturating_mul(C))
    }

    /// A picture whose rows begin every `stride` bytes.
    pub fn with_stride(pixels: &'a [u8], width: usize, height: usize, stride: usize) -> Result<Self, PlaneError> {
        if width == 0 || height == 0 {
            return Err(PlaneError::Empty { width, height });
        }
        let needed = width.saturating_mul(C);
        if stride < needed {
            return Err(PlaneError::Stride { width, needed, stride });
        }
        match (height - 1).checked_mul(stride).and_then(|last| last.checked_add(needed)) {
            Some(end) if end <= pixels.len() => Ok(Self { pixels, width, height, stride }),
            _ => Err(PlaneError::Short { width, height, stride, bytes: pixels.len() }),
        }
    }

    /// Columns, at least one.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows, at least one.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The `width * C` bytes of a row. Panics where `y` is not below the height.
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.pixels[y * self.stride..][..self.width * C]
    }

    /// Grey pixels without gaps, as Pillow's `convert("L")` makes them of RGB: the weights of ITU-R BT.601 in 16-bit
    /// fixed point, `(19595 R + 38470 G + 7471 B + 32768) >> 16`. Grey pixels stay as they are.
    pub fn to_luma(&self) -> Cow<'a, [u8]> {
        if C == 1 && self.stride == self.width {
            return Cow::Borrowed(&self.pixels[..self.width * self.height]);
        }
        let mut grey = Vec::with_capacity(self.width * self.height);
        for y in 0..self.height {
            let row = self.row(y);
            if C == 1 {
                grey.extend_from_slice(row);
            } else {
                grey.extend(row.chunks_exact(C).map(luma));
            }
        }
        Cow::Owned(grey)
    }
}

/// Pillow's grey of a pixel; see [`Plane::to_luma`].
#[inline]
fn luma(pixel: &[u8]) -> u8 {
    match *pixel {
        [r, g, b] => ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8,
        _ => pixel[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_the_bytes_do_not_hold_is_an_error() {
        assert!(Luma::new(&[0; 12], 4, 3).is_ok());
        assert!(matches!(Luma::new(&[0; 11], 4, 3), Err(PlaneError::Short { .. })));
        assert!(matches!(Luma::new(&[], 0, 3), Err(PlaneError::Empty { .. })));
        assert!(matches!(Rgb::with_stride(&[0; 100], 4, 3, 11), Err(PlaneError::Stride { needed: 12, .. })));
        assert!(Rgb::new(&[0; 8], usize::MAX, usize::MAX).is_err());
        // The last row need not be followed by its gap.
        assert!(Luma::with_stride(&[0; 2 * 10 + 4], 4, 3, 10).is_ok());
    }

    #[test]
    fn grey_is_pillows_grey() {
        // `PIL.Image.fromarray(...).convert("L")` of these four pixels.
        let pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 13, 200, 77];
        assert_eq!(Rgb::new(&pixels, 2, 2).unwrap().to_luma().as_ref(), [76, 150, 29, 130]);
        let padded = [1, 2, 9, 3, 4];
        assert_eq!(Luma::with_stride(&padded, 2, 2, 3).unwrap().to_luma().as_ref(), [1, 2, 3, 4]);
    }
}
