//! Whether two thumbnails show one picture.
//!
//! One of the two may be the mirror image, or a crop of up to a quarter, of the other. The place of the crop is searched on a
//! coarse grid, refined edge by edge, and the pair is judged there by what is left of both without their broad shades and
//! contrasts: the correlation over the four fifths of the pixels that agree best, so that something written over the rest does
//! not count.

use super::super::lanes::versions;
use super::{SIDE, Signature};

/// The least similarity of a pair that shows one picture. Copies are mostly above 0.9; other pictures that share a
/// banner reach 0.8.
pub const MIN_SIMILARITY: f32 = 0.85;

/// Side of the thumbnails of the search.
const COARSE: usize = SIDE / 2;
/// Shares of a side that a crop may take away in the search, in twentieths.
const AWAY: std::ops::RangeInclusive<usize> = 0..=4;
/// Correlation that the search must find for a pair to be looked at closely.
const PROMISING: f32 = 0.2;
/// Similarity of two pictures as they are above which no crop is searched.
const SAME: f32 = 0.95;
/// Steps by which the edges are moved, in turn.
const STEPS: [f32; 2] = [0.02, 0.01];
/// The most that one edge takes away.
const MOST_AWAY: f32 = 0.25;
/// Pixels to each side whose mean is a pixel's broad shade.
const REACH: usize = 3;
/// Contrast, in levels, below which details are taken for noise.
const NOISE: f32 = 2.0;
/// Share of the pixels that must agree.
const AGREEING: f32 = 0.8;

/// Rows of `N` grey pixels.
type Grey<const N: usize> = [[f32; N]; N];

/// What is kept of the larger picture, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Crop {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

/// How alike two pictures are: the correlation, [`MIN_SIMILARITY`] to 1, of the details that agree best, or `None` where they
/// are not alike or one of them is [flat](Signature::is_flat).
///
/// The order of the two does not matter. Crops of up to a quarter of a side, mirror images, other sizes and shapes,
/// brightness, contrast, and overlays on up to a fifth of the picture are seen through; turned pictures are not.
pub fn verify(a: &Signature, b: &Signature) -> Option<f32> {
    similarity(a, b).filter(|similarity| *similarity >= MIN_SIMILARITY)
}

/// The similarity whatever it is; `None` where a picture is flat.
pub(super) fn similarity(a: &Signature, b: &Signature) -> Option<f32> {
    if a.is_flat() || b.is_flat() {
        return None;
    }
    // The order of the arguments must not decide between places that are equally good.
    let (a, b) = if a.thumbnail <= b.thumbnail { (a, b) } else { (b, a) };
    let (a, b) = (grey(a), grey(b));
    let mirrored = mirror(&b);
    let [a, b, mirrored] = [a, b, mirrored].map(Looked::at);
    // Two of one shape need no search, and most pairs are.
    let mut best = agreement(&a.fine, &b.fine).max(agreement(&a.fine, &mirrored.fine));
    if best > SAME {
        return Some(best);
    }
    let (mut promise, mut place) = (PROMISING, None);
    for (larger, smaller) in [(&a, &b), (&b, &a), (&a, &mirrored), (&mirrored, &a)] {
        if let Some((correlation, crop)) = search(&larger.coarse, &smaller.coarse)
            && correlation > promise
        {
            promise = correlation;
            place = Some((larger, smaller, crop));
        }
    }
    if let Some((larger, smaller, crop)) = place {
        let crop = refine(&larger.fine, &smaller.fine, crop);
        best = best.max(agreement(&details(&cropped(&larger.grey, crop)), &smaller.fine));
    }
    Some(best)
}

/// A thumbnail and its details. Places are searched by details: shades and banners would draw the edges to themselves.
struct Looked {
    grey: Grey<SIDE>,
    fine: Grey<SIDE>,
    coarse: Grey<COARSE>,
}

impl Looked {
    fn at(grey: Grey<SIDE>) -> Self {
        let fine = details(&grey);
        Self { coarse: halved(&fine), grey, fine }
    }
}

fn grey(signature: &Signature) -> Grey<SIDE> {
    std::array::from_fn(|y| std::array::from_fn(|x| f32::from(signature.thumbnail[y * SIDE + x])))
}

fn mirror(picture: &Grey<SIDE>) -> Grey<SIDE> {
    picture.map(|mut row| {
        row.reverse();
        row
    })
}

fn halved(picture: &Grey<SIDE>) -> Grey<COARSE> {
    std::array::from_fn(|y| {
        let (upper, lower) = (&picture[2 * y], &picture[2 * y + 1]);
        std::array::from_fn(|x| (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]) / 4.0)
    })
}

/// For each of `N` pixels over a span: the pixel to the left of it in the larger picture and the share of the next.
#[inline(always)]
fn places<const N: usize>(start: f32, end: f32) -> [(usize, f32); N] {
    std::array::from_fn(|at| {
        let place = (start + (end - start) * (at as f32 + 0.5) / N as f32) * N as f32 - 0.5;
        let place = place.clamp(0.0, (N - 1) as f32);
        let first = (place as usize).min(N - 2);
        (first, place - first as f32)
    })
}

#[inline(always)]
fn across<const N: usize>(picture: &Grey<N>, places: &[(usize, f32); N]) -> Grey<N> {
    picture.map(|row| places.map(|(first, share)| row[first] + share * (row[first + 1] - row[first])))
}

#[inline(always)]
fn down<const N: usize>(picture: &Grey<N>, places: &[(usize, f32); N]) -> Grey<N> {
    places.map(|(first, share)| {
        let (upper, lower) = (&picture[first], &picture[first + 1]);
        std::array::from_fn(|x| upper[x] + share * (lower[x] - upper[x]))
    })
}

#[inline(always)]
fn cropped<const N: usize>(picture: &Grey<N>, crop: Crop) -> Grey<N> {
    down(&across(picture, &places(crop.left, crop.right)), &places(crop.top, crop.bottom))
}

/// Pearson's correlation, -1 to 1; 0 where one of the two has no contrast.
#[inline(always)]
fn correlation<const N: usize>(a: &Grey<N>, b: &Grey<N>) -> f32 {
    // Lanes by column, so that the sums need not wait for one another.
    let mut lanes = [[0f32; N]; 5];
    for (a, b) in a.iter().zip(b) {
        for x in 0..N {
            lanes[0][x] += a[x];
            lanes[1][x] += b[x];
            lanes[2][x] += a[x] * a[x];
            lanes[3][x] += b[x] * b[x];
            lanes[4][x] += a[x] * b[x];
        }
    }
    let [a, b, aa, bb, ab] = lanes.map(|lane| lane.iter().sum::<f32>() / (N * N) as f32);
    let spread = (aa - a * a).max(0.0) * (bb - b * b).max(0.0);
    if spread > 1e-3 { (ab - a * b) / spread.sqrt() } else { 0.0 }
}

versions! {
    /// The crop of a coarse grid at which the larger picture is most like the smaller.
    fn search(larger: &Grey<COARSE>, smaller: &Grey<COARSE>) -> Option<(f32, Crop)> {
        let mut best: Option<(f32, Crop)> = None;
        for away in AWAY {
            let span = |start: usize| (start as f32 / 20.0, (start + 20 - away) as f32 / 20.0);
            for (left, right) in (0..=away).map(span) {
                let wide = across(larger, &places(left, right));
                for (top, bottom) in (0..=away).map(span) {
                    let found = correlation(&down(&wide, &places(top, bottom)), smaller);
                    if best.is_none_or(|(best, _)| found > best) {
                        best = Some((found, Crop { left, right, top, bottom }));
                    }
                }
            }
        }
        best
    }
}

versions! {
    /// Moves one edge after another as long as that helps.
    fn refine(larger: &Grey<SIDE>, smaller: &Grey<SIDE>, start: Crop) -> Crop {
        let mut crop = start;
        let measure = |crop: Crop| correlation(&cropped(larger, crop), smaller);
        let mut best = measure(crop);
        for step in STEPS {
            for _ in 0..2 {
                let before = crop;
                for edge in 0..4 {
                    for by in [-step, step] {
                        let mut moved = crop;
                        match edge {
                            0 => moved.left = (moved.left + by).clamp(0.0, MOST_AWAY),
                            1 => moved.right = (moved.right + by).clamp(1.0 - MOST_AWAY, 1.0),
                            2 => moved.top = (moved.top + by).clamp(0.0, MOST_AWAY),
                            _ => moved.bottom = (moved.bottom + by).clamp(1.0 - MOST_AWAY, 1.0),
                        }
                        if moved == crop {
                            continue;
                        }
                        let found = measure(moved);
                        if found > best {
                            best = found;
                            crop = moved;
                        }
                    }
                }
                if crop == before {
                    break;
                }
            }
        }
        crop
    }
}

/// A picture less its broad shades and local contrast: every pixel less the mean of those around it, over what is left
/// around it. Without the division a banner that two pictures share outweighs all else that they show.
fn details(picture: &Grey<SIDE>) -> Grey<SIDE> {
    let broad = around(picture);
    let fine: Grey<SIDE> = std::array::from_fn(|y| std::array::from_fn(|x| picture[y][x] - broad[y][x]));
    let energy = around(&fine.map(|row| row.map(|value| value * value)));
    std::array::from_fn(|y| std::array::from_fn(|x| fine[y][x] / (energy[y][x].sqrt() + NOISE)))
}

/// The mean around every pixel.
fn around(picture: &Grey<SIDE>) -> Grey<SIDE> {
    let reach = |at: usize| at.saturating_sub(REACH)..(at + REACH + 1).min(SIDE);
    let wide = picture.map(|row| -> [f32; SIDE] { std::array::from_fn(|x| row[reach(x)].iter().sum::<f32>() / reach(x).len() as f32) });
    std::array::from_fn(|y| {
        let mut sums = [0f32; SIDE];
        wide[reach(y)].iter().for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
        sums.map(|sum| sum / reach(y).len() as f32)
    })
}

/// The correlation of the details that agree best.
fn agreement(a: &Grey<SIDE>, b: &Grey<SIDE>) -> f32 {
    let mut pixels: Vec<(f32, f32)> = a.iter().flatten().copied().zip(b.iter().flatten().copied()).collect();
    let kept = (pixels.len() as f32 * AGREEING) as usize;
    for counted in [pixels.len(), kept] {
        // The gain that makes the two most alike, in both directions: orthogonal regression through zero.
        let (aa, bb) = (energy(&pixels[..counted], |(a, _)| a), energy(&pixels[..counted], |(_, b)| b));
        let gain = (aa / bb.max(1e-6)).sqrt();
        let apart = |(a, b): &(f32, f32)| (a - gain * b).abs();
        pixels.select_nth_unstable_by(kept, |x, y| apart(x).total_cmp(&apart(y)));
    }
    let pixels = &pixels[..kept];
    let (aa, bb) = (energy(pixels, |(a, _)| a), energy(pixels, |(_, b)| b));
    let ab: f32 = pixels.iter().map(|(a, b)| a * b).sum();
    if aa * bb > 1e-3 { ab / (aa * bb).sqrt() } else { 0.0 }
}

fn energy(pixels: &[(f32, f32)], side: impl Fn((f32, f32)) -> f32) -> f32 {
    pixels.iter().map(|pixel| side(*pixel).powi(2)).sum()
}
