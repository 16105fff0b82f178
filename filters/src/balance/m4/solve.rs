//! The dual over a histogram: projected accelerated gradient, then an exact mean.

use super::moments::Moments;
use super::problem::M4Problem;
use super::tilt::Tilt;

/// Patterns per partial sum. Fixed, so that sums have the same bits on any number of threads.
const CHUNK: usize = 4096;

/// Power iterations for the step size; the estimate is then raised by [`STEP_MARGIN`], since it comes from below.
const POWER_ITERATIONS: usize = 60;
const STEP_MARGIN: f64 = 1.1;

/// A row of the histogram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) bits: u128,
    /// η·u.
    pub(super) utility: f64,
    /// Part of all rows.
    pub(super) part: f64,
}

/// Where the solver stopped.
pub(super) struct Solution {
    pub(super) v: Vec<f64>,
    pub(super) iterations: u64,
    pub(super) residual: f64,
}

/// The histogram with its problem: evaluates weights and their moments.
pub(super) struct Dual<'a> {
    pub(super) problem: &'a M4Problem,
    pub(super) lines: &'a [Line],
    pub(super) threads: usize,
}

impl Dual<'_> {
    /// Moments of `weight(line, v·a of the line)` over all lines, in fixed chunks.
    fn moments(&self, tilt: &Tilt, weight: impl Fn(&Line, f64) -> f64 + Sync) -> Moments {
        let sum = |lines: &[Line]| {
            let mut moments = Moments::new(self.problem);
            // Lines of one pattern and several utilities are neighbours.
            let mut last = (0, tilt.of(0));
            for line in lines {
                if line.bits != last.0 {
                    last = (line.bits, tilt.of(line.bits));
                }
                moments.add(line.bits, line.part * weight(line, last.1));
            }
            moments
        };
        let chunks: Vec<&[Line]> = self.lines.chunks(CHUNK).collect();
        let threads = self.threads.min(chunks.len());
        let parts: Vec<Moments> = if threads < 2 {
            chunks.into_iter().map(sum).collect()
        } else {
            let size = chunks.len().div_ceil(threads);
            std::thread::scope(|scope| {
                let sum = &sum;
                let running: Vec<_> =
                    chunks.chunks(size).map(|part| scope.spawn(move || part.iter().map(|lines| sum(lines)).collect::<Vec<_>>())).collect();
                running.into_iter().flat_map(super::counts::joined).collect()
            })
        };
        let mut all = Moments::new(self.problem);
        parts.iter().for_each(|part| all.merge(part));
        all
    }

    /// Moments of the rows as they are.
    pub(super) fn before(&self) -> Moments {
        self.moments(&Tilt::new(self.problem, &vec![0.0; self.problem.multipliers()]), |_, _| 1.0)
    }

    /// Moments of the weights at (v, μ).
    pub(super) fn at(&self, tilt: &Tilt, mu: f64) -> Moments {
        let cap = self.problem.options().cap;
        self.moments(tilt, |line, tilted| (line.utility - tilted - mu).clamp(0.0, cap))
    }

    /// Maximises the dual: Nesterov's method on coordinates scaled by `1/√E[a_j²]`, step 1/λ_max of the scaled second moments, projected on
    /// [0, V], started again when the momentum points against the step (O'Donoghue and Candès, 2015).
    ///
    /// Stops when no entry of the projected gradient, scaled in the same way, is above `tolerance`.
    pub(super) fn maximise(&self, before: &Moments, tolerance: f64, max_iterations: u64) -> Solution {
        let n = self.problem.multipliers();
        let options = self.problem.options();
        let mut scale = vec![0.0; n];
        before.squares(self.problem, &mut scale);
        // A row that is 0 everywhere stays where it is.
        scale.iter_mut().for_each(|square| *square = if *square > f64::MIN_POSITIVE { square.sqrt().recip() } else { 0.0 });
        let step = 1.0 / (self.largest_eigenvalue(&scale) * STEP_MARGIN);
        let ceiling: Vec<f64> = scale.iter().map(|s| if *s > 0.0 { options.enforcement / s } else { 0.0 }).collect();

        let mut tilt = Tilt::new(self.problem, &vec![0.0; n]);
        let mut multipliers = vec![0.0; n];
        let mut gradient = vec![0.0; n + 1];
        // Scaled multipliers, μ last.
        let mut here = vec![0.0; n + 1];
        let mut ahead = here.clone();
        let mut next = here.clone();
        let mut momentum = 1.0f64;
        let mut best = (f64::INFINITY, here.clone());
        let mut iterations = 0;
        while iterations < max_iterations {
            iterations += 1;
            multipliers.iter_mut().zip(&ahead).zip(&scale).for_each(|((v, z), s)| *v = z * s);
            tilt.set(self.problem, &multipliers);
            let moments = self.at(&tilt, ahead[n]);
            moments.bias(self.problem, &mut gradient[..n]);
            gradient[..n].iter_mut().zip(&scale).for_each(|(g, s)| *g *= s);
            gradient[n] = moments.weight() - options.eta;

            let mut residual = gradient[n].abs();
            for j in 0..n {
                let open_up = ahead[j] < ceiling[j] && gradient[j] > 0.0;
                let open_down = ahead[j] > 0.0 && gradient[j] < 0.0;
                if open_up || open_down {
                    residual = residual.max(gradient[j].abs());
                }
            }
            if residual < best.0 {
                best.0 = residual;
                best.1.copy_from_slice(&ahead);
            }
            if residual <= tolerance {
                break;
            }

            let mut against = 0.0;
            for j in 0..=n {
                let moved = ahead[j] + step * gradient[j];
                next[j] = if j < n { moved.clamp(0.0, ceiling[j]) } else { moved };
                against += (ahead[j] - next[j]) * (next[j] - here[j]);
            }
            let previous = momentum;
            momentum = if against > 0.0 { 1.0 } else { 0.5 + (0.25 + previous * previous).sqrt() };
            let push = if against > 0.0 { 0.0 } else { (previous - 1.0) / momentum };
            for j in 0..=n {
                let moved = next[j] + push * (next[j] - here[j]);
                // The extrapolation may leave the box, where the gradient is defined but the residual above is not.
                ahead[j] = if j < n { moved.clamp(0.0, ceiling[j]) } else { moved };
                here[j] = next[j];
            }
        }
        let v = best.1[..n].iter().zip(&scale).map(|(z, s)| (z * s).clamp(0.0, options.enforcement)).collect();
        Solution { v, iterations, residual: best.0 }
    }

    /// λ_max of `E[ã ãᵀ]` in scaled coordinates, ã = (a, 1), by power iteration from a fixed start; from below.
    fn largest_eigenvalue(&self, scale: &[f64]) -> f64 {
        let n = scale.len();
        // A start that is not even: with an even one the ± rows of a limit of 0 would cancel.
        let mut vector: Vec<f64> = (0..=n).map(|j| 1.0 + ((j * 7919) % 101) as f64 / 101.0).collect();
        let mut tilt = Tilt::new(self.problem, &vec![0.0; n]);
        let mut value = 1.0;
        for _ in 0..POWER_ITERATIONS {
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|x| *x /= norm);
            let scaled: Vec<f64> = vector[..n].iter().zip(scale).map(|(x, s)| x * s).collect();
            tilt.set(self.problem, &scaled);
            let last = vector[n];
            let moments = self.moments(&tilt, |_, tilted| tilted + last);
            moments.bias(self.problem, &mut vector[..n]);
            vector[..n].iter_mut().zip(scale).for_each(|(x, s)| *x *= s);
            vector[n] = moments.weight();
            value = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        }
        value.max(1.0)
    }

    /// The μ at which the mean weight is η to the last bits, for fixed v: bisection, then the line within the last bracket.
    pub(super) fn exact_mean(&self, tilt: &Tilt) -> f64 {
        let options = self.problem.options();
        let levels: Vec<(f64, f64)> = self.lines.iter().map(|line| (line.utility - tilt.of(line.bits), line.part)).collect();
        let mean = |mu: f64| {
            // Summed in the chunks of the moments, so that both means agree.
            levels
                .chunks(CHUNK)
                .map(|chunk| chunk.iter().map(|(x, part)| part * (x - mu).clamp(0.0, options.cap)).sum::<f64>())
                .sum::<f64>()
        };
        let (least, most) = levels.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
        bisect(least - options.cap, most, options.eta, mean)
    }
}

/// The μ in [low, high] where the non-increasing `mean` is `wanted`.
pub(super) fn bisect(mut low: f64, mut high: f64, wanted: f64, mean: impl Fn(f64) -> f64) -> f64 {
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        // Of several solutions (all rows at the cap) the largest: the weights are the same.
        if mean(middle) >= wanted { low = middle } else { high = middle }
    }
    let (below, above) = (mean(low), mean(high));
    if (below - wanted).abs() <= (above - wanted).abs() { low } else { high }
}
