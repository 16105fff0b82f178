//! The eight ways in which a stored picture can lie, and how to set it upright.

use super::ifd::Tiff;
use super::raster::Raster;

/// The EXIF orientation of the stored pixels, 1 (upright) to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// Stored as seen.
    pub const UPRIGHT: Self = Self(1);

    /// Values outside 1 to 8 mean upright, as in every viewer.
    pub fn from_exif(value: u32) -> Self {
        match u8::try_from(value) {
            Ok(value @ 1..=8) => Self(value),
            _ => Self::UPRIGHT,
        }
    }

    /// Reads tag 0x0112 of the first directory of an EXIF block (which starts with its TIFF header).
    pub(crate) fn of_exif_block(exif: &[u8]) -> Self {
        Tiff::open(exif).and_then(|(tiff, first)| tiff.find(first, 0x0112)).map_or(Self::UPRIGHT, Self::from_exif)
    }

    /// The EXIF value, 1 to 8.
    pub fn exif(self) -> u8 {
        self.0
    }

    /// Whether width and height change places when the picture is set upright.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// The size of the upright picture.
    pub fn upright(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// Moves the pixels so that the picture stands upright.
    pub(crate) fn apply(self, source: Raster) -> Raster {
        if self == Self::UPRIGHT {
            return source;
        }
        match source.channels {
            1 => turn::<1>(&source, self),
            _ => turn::<3>(&source, self),
        }
    }
}

/// For each upright pixel (x, y): where it lies in the stored picture of size w x h.
fn turn<const N: usize>(source: &Raster, orientation: Orientation) -> Raster {
    let (w, h) = (source.width as usize, source.height as usize);
    let (width, height) = orientation.upright(source.width, source.height);
    let (pixels, _) = source.data.as_chunks::<N>();
    let mut data = Vec::with_capacity(source.data.len());
    for y in 0..height as usize {
        for x in 0..width as usize {
            let (sx, sy) = match orientation.0 {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                8 => (w - 1 - y, x),
                _ => (x, y),
            };
            data.extend_from_slice(&pixels[sy * w + sx]);
        }
    }
    Raster { width, height, channels: source.channels, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letter F, 2 wide and 3 high, as each orientation stores it; EXIF 2.32 table 6.
    #[test]
    fn the_eight_stored_forms_of_a_picture_become_the_same_picture() {
        let upright = [1u8, 2, 3, 4, 5, 6];
        let stored: [(u8, u32, u32, [u8; 6]); 8] = [
            (1, 2, 3, [1, 2, 3, 4, 5, 6]),
            (2, 2, 3, [2, 1, 4, 3, 6, 5]),
            (3, 2, 3, [6, 5, 4, 3, 2, 1]),
            (4, 2, 3, [5, 6, 3, 4, 1, 2]),
            (5, 3, 2, [1, 3, 5, 2, 4, 6]),
            (6, 3, 2, [2, 4, 6, 1, 3, 5]),
            (7, 3, 2, [6, 4, 2, 5, 3, 1]),
            (8, 3, 2, [5, 3, 1, 6, 4, 2]),
        ];
        for (value, width, height, data) in stored {
            let raster = Raster { width, height, channels: 1, data: data.to_vec() };
            let turned = Orientation(value).apply(raster);
            assert_eq!((turned.width, turned.height), (2, 3), "orientation {value}");
            assert_eq!(turned.data, upright, "orientation {value}");
        }
    }

    #[test]
    fn nonsense_values_mean_upright() {
        for value in [0, 9, 300, u32::MAX] {
            assert_eq!(Orientation::from_exif(value), Orientation::UPRIGHT);
        }
    }
}
