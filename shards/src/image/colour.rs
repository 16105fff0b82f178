//! Colour: profiles to sRGB, inks to RGB, transparency onto white, deep samples to eight bits.

use std::io::Read;
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use super::probe::IccSource;
use super::raster::Raster;

/// What became of an attached colour profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IccUse {
    /// None is attached: the pixels are taken as sRGB.
    #[default]
    Absent,
    /// It is sRGB, to within two levels of 255: nothing to do.
    Srgb,
    /// The pixels were converted to sRGB.
    Converted,
    /// It is broken, over the size limit or made for other channels: the pixels are taken as sRGB.
    Ignored,
}

/// Profiles met lately and the transforms made from them: a crawl shows the same few over and over.
#[derive(Default)]
pub(crate) struct Profiles {
    known: Vec<Known>,
    next: usize,
}

struct Known {
    profile: Vec<u8>,
    channels: u8,
    transform: Transform,
}

#[derive(Clone)]
enum Transform {
    Unusable,
    Identity,
    Convert(Arc<Transform8BitExecutor>),
}

/// Profiles kept per thread.
const KEPT: usize = 8;

/// The bytes of a profile, `None` when it is absent, broken or larger than `limit` bytes.
pub(crate) fn profile_bytes(file: &[u8], source: &IccSource, limit: usize) -> Option<Vec<u8>> {
    match source {
        IccSource::None | IccSource::Broken => None,
        IccSource::Plain(pieces) => {
            let len: usize = pieces.iter().map(ExactSizeIterator::len).sum();
            if len == 0 || len > limit {
                return None;
            }
            let mut profile = Vec::with_capacity(len);
            for piece in pieces {
                profile.extend_from_slice(file.get(piece.clone())?);
            }
            Some(profile)
        }
        IccSource::Deflated(range) => {
            let mut profile = Vec::new();
            let stream = flate2::read::ZlibDecoder::new(file.get(range.clone())?);
            stream.take(limit as u64 + 1).read_to_end(&mut profile).ok()?;
            (profile.len() <= limit).then_some(profile)
        }
    }
}

impl Profiles {
    /// Converts a gray or RGB raster to sRGB in place.
    pub(crate) fn convert(&mut self, profile: &[u8], raster: &mut Raster) -> IccUse {
        match self.transform(profile, raster.channels) {
            Transform::Unusable => IccUse::Ignored,
            Transform::Identity => IccUse::Srgb,
            Transform::Convert(transform) => {
                let converted = run(transform.as_ref(), &raster.data, raster.channels);
                match converted {
                    Some(data) => {
                        raster.data = data;
                        IccUse::Converted
                    }
                    None => IccUse::Ignored,
                }
            }
        }
    }

    /// What [`Self::convert`] would say of a picture with these channels, when it would leave it as it is.
    pub(crate) fn neutral_use(&mut self, profile: &[u8], channels: u8) -> Option<IccUse> {
        match self.transform(profile, channels) {
            Transform::Unusable => Some(IccUse::Ignored),
            Transform::Identity => Some(IccUse::Srgb),
            Transform::Convert(_) => None,
        }
    }

    /// Whether a picture with these channels would be left as it is.
    pub(crate) fn is_neutral(&mut self, profile: &[u8], channels: u8) -> bool {
        !matches!(self.transform(profile, channels), Transform::Convert(_))
    }

    /// Whether the profile can be read and fits the channels.
    pub(crate) fn is_usable(&mut self, profile: &[u8], channels: u8) -> bool {
        !matches!(self.transform(profile, channels), Transform::Unusable)
    }

    /// Converts inks (four bytes a pixel, 255 is full ink) to RGB.
    pub(crate) fn inks_to_srgb(&mut self, profile: &[u8], inks: &[u8]) -> Option<Vec<u8>> {
        match self.transform(profile, 4) {
            Transform::Convert(transform) => run(transform.as_ref(), inks, 4),
            Transform::Unusable | Transform::Identity => None,
        }
    }

    fn transform(&mut self, profile: &[u8], channels: u8) -> Transform {
        let known = self.known.iter().find(|k| k.channels == channels && k.profile == profile);
        if let Some(known) = known {
            return known.transform.clone();
        }
        let transform = build(profile, channels).unwrap_or(Transform::Unusable);
        let entry = Known { profile: profile.to_vec(), channels, transform: transform.clone() };
        if self.known.len() < KEPT {
            self.known.push(entry);
        } else {
            self.known[self.next % KEPT] = entry;
            self.next += 1;
        }
        transform
    }
}

fn build(profile: &[u8], channels: u8) -> Option<Transform> {
    let source = ColorProfile::new_from_slice(profile).ok()?;
    let (space, layout) = match channels {
        1 => (DataColorSpace::Gray, Layout::Gray),
        3 => (DataColorSpace::Rgb, Layout::Rgb),
        // Four inks travel in the four-channel layout.
        4 => (DataColorSpace::Cmyk, Layout::Rgba),
        _ => return None,
    };
    if source.color_space != space {
        return None;
    }
    let options = TransformOptions::default();
    let transform = source.create_transform_8bit(layout, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()?;
    let neutral = channels != 4 && is_neutral(transform.as_ref(), channels)?;
    Some(if neutral { Transform::Identity } else { Transform::Convert(transform) })
}

/// Whether a transform moves no colour of a 6 x 6 x 6 grid by more than two levels.
fn is_neutral(transform: &Transform8BitExecutor, channels: u8) -> Option<bool> {
    let steps = [0u8, 51, 102, 153, 204, 255];
    let mut grid = Vec::new();
    if channels == 1 {
        grid.extend(steps);
    } else {
        for r in steps {
            for g in steps {
                grid.extend(steps.iter().flat_map(|&b| [r, g, b]));
            }
        }
    }
    let out = run(transform, &grid, channels)?;
    Some(grid.iter().zip(&out).all(|(a, b)| a.abs_diff(*b) <= 2))
}

/// Applies a transform; gray stays gray.
fn run(transform: &Transform8BitExecutor, data: &[u8], channels: u8) -> Option<Vec<u8>> {
    let mut out = vec![0; data.len() / usize::from(channels) * 3];
    transform.transform(data, &mut out).ok()?;
    Some(if channels == 1 { out.chunks_exact(3).map(|rgb| rgb[1]).collect() } else { out })
}

/// Inks to RGB without a profile: what is left of the light after the ink and the black.
/// Takes the inverted form that JPEG stores (255 is no ink), which then is a product.
pub(crate) fn inverted_inks_to_rgb(inks: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(inks.len() / 4 * 3);
    for pixel in inks.as_chunks::<4>().0 {
        let black = u16::from(pixel[3]);
        let mix = |ink: u8| ((u16::from(ink) * black + 127) / 255) as u8;
        rgb.extend([mix(pixel[0]), mix(pixel[1]), mix(pixel[2])]);
    }
    rgb
}

/// Puts `N - 1` colour channels and alpha onto white: `round(a / 255 * c + 255 - a)`, img2dataset's
/// rule. Tells whether any pixel was not opaque.
pub(crate) fn onto_white<const N: usize>(data: &[u8]) -> (Vec<u8>, bool) {
    let pixels = data.as_chunks::<N>().0;
    let mut out = Vec::with_capacity(pixels.len() * (N - 1));
    let mut transparent = false;
    for pixel in pixels {
        let alpha = u32::from(pixel[N - 1]);
        transparent |= alpha != 255;
        for &colour in &pixel[..N - 1] {
            out.push(((u32::from(colour) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
        }
    }
    (out, transparent)
}

/// Sixteen bits (native order) to eight, to the nearest.
pub(crate) fn sixteen_to_eight(data: &[u8]) -> Vec<u8> {
    data.as_chunks::<2>().0.iter().map(|pair| ((u32::from(u16::from_ne_bytes(*pair)) * 255 + 32_767) / 65_535) as u8).collect()
}

/// Floats (native order) in 0 to 1 to eight bits; what lies outside is clipped, NaN is black.
pub(crate) fn float_to_eight(data: &[u8]) -> Vec<u8> {
    data.as_chunks::<4>().0.iter().map(|four| (f32::from_ne_bytes(*four).clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparency_goes_onto_white() {
        let (rgb, transparent) = onto_white::<4>(&[10, 20, 30, 0, 10, 20, 30, 255, 0, 100, 200, 128]);
        // 128 / 255 * 100 + 127 = 177.2, 128 / 255 * 200 + 127 = 227.4
        assert_eq!(rgb, [255, 255, 255, 10, 20, 30, 127, 177, 227]);
        assert!(transparent);
        assert!(!onto_white::<2>(&[7, 255]).1);
    }

    #[test]
    fn sixteen_bits_are_scaled_and_not_clipped() {
        let deep: Vec<u8> = [0u16, 128, 129, 32_768, 65_535].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(sixteen_to_eight(&deep), [0, 0, 1, 128, 255]);
    }

    #[test]
    fn no_ink_is_white_and_full_black_is_black() {
        assert_eq!(inverted_inks_to_rgb(&[255, 255, 255, 255, 255, 255, 255, 0]), [255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn the_srgb_profile_changes_nothing_and_display_p3_does() {
        let mut profiles = Profiles::default();
        let mut raster = Raster { width: 1, height: 1, channels: 3, data: vec![200, 30, 30] };
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert_eq!(profiles.convert(&srgb, &mut raster), IccUse::Srgb);
        assert_eq!(raster.data, [200, 30, 30]);
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        assert_eq!(profiles.convert(&p3, &mut raster), IccUse::Converted);
        assert!(raster.data[0] > 205, "{:?}", raster.data);
        assert_eq!(profiles.convert(b"not a profile", &mut raster), IccUse::Ignored);
    }
}
