//! Decoded pixels.

/// Eight-bit pixels without padding: gray (one channel) or RGB (three).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 or 3.
    pub(crate) channels: u8,
    /// `width * height * channels` bytes, row by row.
    pub(crate) data: Vec<u8>,
}

impl Raster {
    /// Adds white on all sides until the picture is at least `side` x `side`, centred; the odd pixel
    /// goes to the right and the bottom, as in albumentations' PadIfNeeded.
    pub(crate) fn pad_white(self, side: u32) -> Self {
        let (width, height) = (self.width.max(side), self.height.max(side));
        if (width, height) == (self.width, self.height) {
            return self;
        }
        let channels = usize::from(self.channels);
        let left = (width - self.width) as usize / 2 * channels;
        let top = (height - self.height) as usize / 2;
        let (row, out_row) = (self.width as usize * channels, width as usize * channels);
        let mut data = vec![255; out_row * height as usize];
        for (source, target) in self.data.chunks_exact(row).zip(data.chunks_exact_mut(out_row).skip(top)) {
            target[left..left + row].copy_from_slice(source);
        }
        Self { width, height, channels: self.channels, data }
    }

    /// Cuts out the centre `side` x `side`; a shorter side is kept whole.
    pub(crate) fn crop_centre(self, side: u32) -> Self {
        let (width, height) = (self.width.min(side), self.height.min(side));
        if (width, height) == (self.width, self.height) {
            return self;
        }
        let channels = usize::from(self.channels);
        let left = (self.width - width) as usize / 2 * channels;
        let top = (self.height - height) as usize / 2;
        let (row, out_row) = (self.width as usize * channels, width as usize * channels);
        let mut data = Vec::with_capacity(out_row * height as usize);
        for source in self.data.chunks_exact(row).skip(top).take(height as usize) {
            data.extend_from_slice(&source[left..left + out_row]);
        }
        Self { width, height, channels: self.channels, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden value: img2dataset puts a picture 69 wide into columns 93 to 161 of 256.
    #[test]
    fn padding_is_centred_and_rounds_down_on_the_left() {
        let raster = Raster { width: 69, height: 256, channels: 1, data: vec![0; 69 * 256] };
        let padded = raster.pad_white(256);
        assert_eq!((padded.width, padded.height), (256, 256));
        let row = &padded.data[..256];
        assert_eq!(row.iter().position(|&v| v == 0), Some(93));
        assert_eq!(row.iter().rposition(|&v| v == 0), Some(161));
    }

    #[test]
    fn cropping_takes_the_centre() {
        let data = (0..5u8).flat_map(|x| [x, x, x]).collect();
        let raster = Raster { width: 5, height: 1, channels: 3, data };
        let cropped = raster.crop_centre(2);
        assert_eq!((cropped.width, cropped.height), (2, 1));
        assert_eq!(cropped.data, [1, 1, 1, 2, 2, 2]);
    }
}
