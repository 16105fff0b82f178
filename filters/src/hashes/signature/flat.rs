//! Flat pictures among others: a sky, a gradient, a logo on white.
//!
//! Their codes are a matter of noise, so they have none, and nothing joins them in general. A known flat picture can still be found
//! again: what is compared is the thumbnail as it is, shade by shade, and by how much two differ is seen against how much there is in
//! them. That survives other sizes, other shapes, recompression and mirroring; it does not survive crops and other colours.

use super::super::pdq::LOW_QUALITY;
use super::{SIDE, Signature};

/// The least similarity of two flat pictures that are one. Of generated pictures copies in other sizes are above 0.94, and others below 0.4.
pub const MIN_FLAT_SIMILARITY: f32 = 0.9;
/// Up to this quality a picture is looked at here: copies of a flat picture lie on both sides of [`LOW_QUALITY`].
const FLATTISH: u8 = LOW_QUALITY + 10;
/// Mean deviation, in levels, below which a picture is blank: it is like every other blank one, which says nothing.
const BLANK: f32 = 2.0;

/// What a flat picture is compared by.
struct Shades {
    thumbnail: Box<[u8; SIDE * SIDE]>,
    mean: f32,
    /// The mean distance of its pixels from their mean.
    deviation: f32,
}

impl Shades {
    fn of(signature: &Signature) -> Option<Self> {
        if signature.quality > FLATTISH {
            return None;
        }
        let thumbnail = signature.thumbnail.clone();
        let mean = thumbnail.iter().map(|pixel| u32::from(*pixel)).sum::<u32>() as f32 / thumbnail.len() as f32;
        let deviation = thumbnail.iter().map(|pixel| (f32::from(*pixel) - mean).abs()).sum::<f32>() / thumbnail.len() as f32;
        (deviation >= BLANK).then_some(Self { thumbnail, mean, deviation })
    }

    /// How alike two are, at most 1: one less the mean distance of their pixels over the deviation of the one that has less.
    fn similarity(&self, other: &Self) -> f32 {
        let lesser = self.deviation.min(other.deviation);
        let (mut upright, mut mirrored) = (0, 0);
        for (row, of_other) in self.thumbnail.as_chunks::<SIDE>().0.iter().zip(other.thumbnail.as_chunks::<SIDE>().0) {
            upright += apart(row, of_other);
            let mut reversed = *of_other;
            reversed.reverse();
            mirrored += apart(row, &reversed);
        }
        1.0 - upright.min(mirrored) as f32 / self.thumbnail.len() as f32 / lesser
    }
}

fn apart(a: &[u8; SIDE], b: &[u8; SIDE]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
}

impl Signature {
    /// Whether there is nothing in the picture at all: it is [flat](Self::is_flat), and its pixels lie less than two levels around their mean.
    /// It is like no other for [`FlatPictures`] either.
    pub fn is_blank(&self) -> bool {
        self.is_flat() && Shades::of(self).is_none()
    }
}

/// Known flat pictures, to be found again.
#[derive(Default)]
pub struct FlatPictures {
    /// By their mean.
    known: Vec<(Shades, u32)>,
}

impl FlatPictures {
    /// Of these pictures those that are flat or nearly so, each with the number that it is called by. Blank ones are left out.
    pub fn new<'a>(pictures: impl IntoIterator<Item = (u32, &'a Signature)>) -> Self {
        let mut known: Vec<_> = pictures.into_iter().filter_map(|(name, picture)| Some((Shades::of(picture)?, name))).collect();
        known.sort_by(|(a, x), (b, y)| a.mean.total_cmp(&b.mean).then(x.cmp(y)));
        Self { known }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The known picture that is most like this one, and how much, [`MIN_FLAT_SIMILARITY`] to 1. Of equals the one of the smallest number.
    pub fn most_alike(&self, picture: &Signature) -> Option<(u32, f32)> {
        if self.known.is_empty() {
            return None;
        }
        let picture = Shades::of(picture)?;
        // The means of two pictures differ by no more than their pixels do; the little more is for rounding.
        let reach = (1.0 - MIN_FLAT_SIMILARITY) * picture.deviation + 0.01;
        let from = self.known.partition_point(|(known, _)| known.mean < picture.mean - reach);
        let near = self.known[from..].iter().take_while(|(known, _)| known.mean <= picture.mean + reach);
        near.map(|(known, name)| (*name, known.similarity(&picture)))
            .filter(|(_, similarity)| *similarity >= MIN_FLAT_SIMILARITY)
            .min_by(|(x, a), (y, b)| b.total_cmp(a).then(x.cmp(y)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::plane::Luma;
    use super::*;

    /// A ramp at some angle between two shades, of any size.
    fn ramp(width: usize, height: usize, (from, to): (u8, u8), turn: f64) -> Signature {
        let (sin, cos) = turn.sin_cos();
        let pixels: Vec<u8> = (0..width * height)
            .map(|at| {
                let (x, y) = ((at % width) as f64 / width as f64 - 0.5, (at / width) as f64 / height as f64 - 0.5);
                let along = ((x * cos + y * sin) / 1.42 + 0.5).clamp(0.0, 1.0);
                (f64::from(from) + (f64::from(to) - f64::from(from)) * along) as u8
            })
            .collect();
        let signature = Signature::new(Luma::new(&pixels, width, height).unwrap()).unwrap();
        assert!(signature.is_flat());
        signature
    }

    #[test]
    fn a_flat_picture_is_found_in_other_sizes_and_mirrored() {
        let pictures = [ramp(400, 300, (20, 120), 0.4), ramp(400, 300, (120, 220), 1.1), ramp(300, 300, (60, 90), 2.0)];
        let known = FlatPictures::new((7..).zip(&pictures));
        assert_eq!(known.len(), 3);
        for (copy, name) in [
            (ramp(200, 150, (20, 120), 0.4), 7),
            (ramp(311, 420, (120, 220), 1.1), 8),
            (ramp(150, 150, (60, 90), 2.0), 9),
            // Mirrored.
            (ramp(200, 150, (20, 120), std::f64::consts::PI - 0.4), 7),
        ] {
            let (found, similarity) = known.most_alike(&copy).unwrap();
            assert_eq!(found, name);
            assert!((MIN_FLAT_SIMILARITY..=1.0).contains(&similarity));
        }
        assert_eq!(known.most_alike(&pictures[1]), Some((8, 1.0)));
    }

    #[test]
    fn others_are_not_found() {
        let known = FlatPictures::new([(0, &ramp(400, 300, (20, 120), 0.4))]);
        for other in [(20, 160), (45, 120), (120, 20)] {
            assert_eq!(known.most_alike(&ramp(400, 300, other, 0.4)), None);
        }
        assert_eq!(known.most_alike(&ramp(400, 300, (20, 120), 1.2)), None);
    }

    #[test]
    fn blank_pictures_are_like_nothing() {
        let blank = ramp(100, 100, (200, 201), 0.0);
        let known = FlatPictures::new([(0, &blank)]);
        assert!(known.is_empty());
        assert!(blank.is_blank() && !ramp(90, 90, (100, 220), 0.0).is_blank());
        assert_eq!(FlatPictures::new([(0, &ramp(90, 90, (100, 220), 0.0))]).most_alike(&blank), None);
    }

    proptest! {
        #[test]
        fn the_order_of_means_hides_nothing(
            shades in prop::collection::vec((0u8..200, 10u8..55, 0u8..4), 1..16),
            asked in (0u8..200, 10u8..55, 0u8..4),
        ) {
            let made = |(from, span, turn): (u8, u8, u8)| ramp(64, 64, (from, from + span), f64::from(turn) * 0.8);
            let pictures: Vec<Signature> = shades.into_iter().map(made).collect();
            let asked = made(asked);
            let all = pictures.iter().enumerate().filter_map(|(at, picture)| {
                let similarity = Shades::of(picture)?.similarity(&Shades::of(&asked)?);
                (similarity >= MIN_FLAT_SIMILARITY).then_some((at as u32, similarity))
            });
            let best = all.min_by(|(x, a), (y, b)| b.total_cmp(a).then(x.cmp(y)));
            prop_assert_eq!(FlatPictures::new((0..).zip(&pictures)).most_alike(&asked), best);
        }
    }
}
