//! Whether two thumbnails show one picture.
//!
//! One of the two may be the mirror image, or a crop of up to a quarter, of the other. The place of the crop is searched on a
//! coarse grid, refined edge by edge, and the pair is judged there by what is left of both without their broad shades:
//! the correlation over the four fifths of the pixels that agree best, so that something written over the rest does
//! not count.

use super::{SIDE, Signature};

/// The least similarity of a pair that shows one picture.
pub const MIN_SIMILARITY: f32 = 0.3;

/// Side of the thumbnails of the search.
const COARSE: usize = SIDE / 2;
/// Shares of a side that a crop may take away in the search, in twentieths.
const AWAY: std::ops::RangeInclusive<usize> = 0..=4;
/// Correlation that the search must find for a pair to be looked at closely.
const PROMISING: f32 = 0.3;
/// Steps by which the edges are moved, in turn.
const STEPS: [f32; 3] = [0.03, 0.015, 0.0075];
/// The most that one edge takes away.
const MOST_AWAY: f32 = 0.25;
/// Pixels to each side whose mean is a pixel's broad shade.
const REACH: usize = 3;
/// Share of the pixels that must agree.
const AGREEING: f32 = 0.8;

/// Share of the details of at least one of the two that the agreeing pixels must hold.
const LEFT: f32 = 0.45;
/// The same of pictures with little in them.
const LEFT_OF_SPARSE: f32 = 0.85;
/// A picture has little in it when a fifth of its pixels hold more than this share of its details: a shape or a word on plain ground.
const SPARSE: f32 = 0.9;

/// Difference from which on a pixel disagrees, as a share of the larger of the two details.
const DISAGREEING: f32 = 0.5;

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

/// The similarity whatever it is; `None` where a picture is flat or no place looks promising.
pub(super) fn similarity(a: &Signature, b: &Signature) -> Option<f32> {
    if a.is_flat() || b.is_flat() {
        return None;
    }
    // The order of the arguments must not decide between places that are equally good.
    let (a, b) = if a.thumbnail <= b.thumbnail { (a, b) } else { (b, a) };
    let (a, b) = (grey(a), grey(b));
    let mirrored = mirror(&b);
    let pairs = [(&a, &b), (&b, &a), (&a, &mirrored), (&mirrored, &a)];
    let (mut best, mut at) = (PROMISING, None);
    for (larger, smaller) in pairs {
        if let Some((correlation, crop)) = search(&halved(larger), &halved(smaller))
            && correlation > best
        {
            best = correlation;
            at = Some((larger, smaller, crop));
        }
    }
    let (larger, smaller, crop) = at?;
    let crop = refine(larger, smaller, crop);
    Some(agreement(&cropped(larger, crop), smaller))
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
fn places<const N: usize>(start: f32, end: f32) -> [(usize, f32); N] {
    std::array::from_fn(|at| {
        let place = (start + (end - start) * (at as f32 + 0.5) / N as f32) * N as f32 - 0.5;
        let place = place.clamp(0.0, (N - 1) as f32);
        let first = (place as usize).min(N - 2);
        (first, place - first as f32)
    })
}

fn across<const N: usize>(picture: &Grey<N>, places: &[(usize, f32); N]) -> Grey<N> {
    picture.map(|row| places.map(|(first, share)| row[first] + share * (row[first + 1] - row[first])))
}

fn down<const N: usize>(picture: &Grey<N>, places: &[(usize, f32); N]) -> Grey<N> {
    places.map(|(first, share)| {
        let (upper, lower) = (&picture[first], &picture[first + 1]);
        std::array::from_fn(|x| upper[x] + share * (lower[x] - upper[x]))
    })
}

fn cropped<const N: usize>(picture: &Grey<N>, crop: Crop) -> Grey<N> {
    down(&across(picture, &places(crop.left, crop.right)), &places(crop.top, crop.bottom))
}

/// Pearson's correlation, -1 to 1; 0 where one of the two has no contrast.
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

/// Moves one edge after another as long as that helps.
fn refine(larger: &Grey<SIDE>, smaller: &Grey<SIDE>, mut crop: Crop) -> Crop {
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

/// A picture less its broad shades: every pixel less the mean of those around it.
fn details(picture: &Grey<SIDE>) -> Grey<SIDE> {
    let around = |at: usize| at.saturating_sub(REACH)..(at + REACH + 1).min(SIDE);
    let wide = picture.map(|row| -> [f32; SIDE] { std::array::from_fn(|x| row[around(x)].iter().sum::<f32>() / around(x).len() as f32) });
    std::array::from_fn(|y| std::array::from_fn(|x| picture[y][x] - around(y).map(|y| wide[y][x]).sum::<f32>() / around(y).len() as f32))
}

/// The correlation of the details of the pixels that agree best.
fn agreement(a: &Grey<SIDE>, b: &Grey<SIDE>) -> f32 {
    let (a, b) = (details(a), details(b));
    let mut pixels: Vec<(f32, f32)> = a.iter().flatten().copied().zip(b.iter().flatten().copied()).collect();
    let kept = (pixels.len() as f32 * AGREEING) as usize;
    for counted in [pixels.len(), kept] {
        // The gain that makes the two most alike, in both directions: orthogonal regression through zero.
        let (aa, bb) = (energy(&pixels[..counted], |(a, _)| a), energy(&pixels[..counted], |(_, b)| b));
        let gain = (aa / bb.max(1e-6)).sqrt();
        let apart = |(a, b): &(f32, f32)| (a - gain * b).abs();
        pixels.select_nth_unstable_by(kept, |x, y| apart(x).total_cmp(&apart(y)));
    }
    let whole = (energy(&pixels, |(a, _)| a), energy(&pixels, |(_, b)| b));
    let gain = (energy(&pixels[..kept], |(a, _)| a) / energy(&pixels[..kept], |(_, b)| b).max(1e-6)).sqrt();
    // Of those that agree least only what disagrees is left out: the edges of a shape on plain ground are where the largest differences are
    // even in a copy, and all that there is to see.
    let disagrees = |(a, b): &(f32, f32)| (a - gain * b).abs() > DISAGREEING * a.abs().max((gain * b).abs());
    let pixels: Vec<(f32, f32)> =
        pixels.iter().enumerate().filter(|(at, pixel)| *at < kept || !disagrees(pixel)).map(|(_, pixel)| *pixel).collect();
    let (aa, bb) = (energy(&pixels, |(a, _)| a), energy(&pixels, |(_, b)| b));
    // What is written over a picture adds details to one of the two. Where the pixels that were left out held most of the details of both, as
    // they do when two shapes stand on plain ground, it is not an overlay that was left out but the picture.
    let left = if concentration(&a).max(concentration(&b)) > SPARSE { LEFT_OF_SPARSE } else { LEFT };
    if (aa / whole.0.max(1e-6)).max(bb / whole.1.max(1e-6)) < left {
        return 0.0;
    }
    let ab: f32 = pixels.iter().map(|(a, b)| a * b).sum();
    if aa * bb > 1e-3 { ab / (aa * bb).sqrt() } else { 0.0 }
}

/// Share of the details that the fifth of the pixels with the most of them hold.
fn concentration(details: &Grey<SIDE>) -> f32 {
    let mut energies: Vec<f32> = details.iter().flatten().map(|detail| detail * detail).collect();
    let fifth = energies.len() / 5;
    energies.select_nth_unstable_by(fifth, |x, y| y.total_cmp(x));
    energies[..fifth].iter().sum::<f32>() / energies.iter().sum::<f32>().max(1e-6)
}

fn energy(pixels: &[(f32, f32)], side: impl Fn((f32, f32)) -> f32) -> f32 {
    pixels.iter().map(|pixel| side(*pixel).powi(2)).sum()
}
