//! What each of the 64 samples along an axis reads, and with which weight.

use super::SAMPLES;

/// The side that Meta's reader of files scales large pictures to.
pub(super) const PRESCALED: usize = 512;

/// Places and weights of each sample.
pub(super) struct Axis {
    taps: Vec<(u32, f32)>,
    ends: [usize; SAMPLES],
}

impl Axis {
    /// An axis of `pixels`, at least 5: two running means over `ceil(pixels / 128)` pixels, sampled at the centres of
    /// 64 equal parts.
    pub(super) fn new(pixels: usize) -> Self {
        Self::of(pixels, |at| at as u32)
    }

    /// An axis of `pixels` of which 512 are picked first.
    pub(super) fn prescaled(pixels: usize) -> Self {
        Self::of(PRESCALED, |at| ((at as f64 * pixels as f64 / PRESCALED as f64) as u32).min(pixels as u32 - 1))
    }

    fn of(pixels: usize, place: impl Fn(usize) -> u32) -> Self {
        let window = pixels.div_ceil(2 * SAMPLES);
        // A window of 7 reaches 3 to both sides, one of 8 reaches 3 back and 4 ahead. At the borders it is cut off, and
        // the mean is that of what is left.
        let ahead = (window + 2) / 2;
        let reach = |at: usize| at.saturating_sub(window - ahead)..(at + ahead).min(pixels);
        let mut axis = Self { taps: Vec::with_capacity(SAMPLES * 2 * window), ends: [0; SAMPLES] };
        for (sample, end) in axis.ends.iter_mut().enumerate() {
            let centre = (2 * sample + 1) * pixels / (2 * SAMPLES);
            let outer = reach(centre);
            let first = reach(outer.start).start;
            let last = reach(outer.end - 1).end;
            let mut weights = vec![0f64; last - first];
            for at in outer.clone() {
                let inner = reach(at);
                let share = 1.0 / (outer.len() * inner.len()) as f64;
                weights[inner.start - first..inner.end - first].iter_mut().for_each(|weight| *weight += share);
            }
            axis.taps.extend(weights.iter().enumerate().map(|(at, weight)| (place(first + at), *weight as f32)));
            *end = axis.taps.len();
        }
        axis
    }

    /// The taps of each sample in turn.
    pub(super) fn samples(&self) -> impl Iterator<Item = &[(u32, f32)]> {
        let starts = std::iter::once(0).chain(self.ends);
        starts.zip(self.ends).map(|(start, end)| &self.taps[start..end])
    }
}
