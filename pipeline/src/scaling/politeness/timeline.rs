//! When urls are done: pieces of work that go on evenly between two moments, summed up.

/// Steps that a timeline is cut into when it is read.
const STEPS: usize = 200_000;

/// Work over time, in seconds from the start.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// `(from, to, urls)`.
    spans: Vec<(f64, f64, f64)>,
    total: f64,
    end: f64,
}

impl Timeline {
    /// Adds urls that are done evenly from one moment to another.
    pub(crate) fn add(&mut self, from: f64, to: f64, urls: f64) {
        if urls <= 0.0 {
            return;
        }
        self.spans.push((from, to.max(from), urls));
        self.total += urls;
        self.end = self.end.max(to).max(from);
    }

    /// Urls that are done in the end.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// The last moment.
    pub(crate) fn end(&self) -> f64 {
        self.end
    }

    /// Urls done by the end of each of [`STEPS`] equal steps.
    pub(crate) fn curve(&self) -> Curve {
        let step = if self.end > 0.0 { self.end / STEPS as f64 } else { 1.0 };
        // Rate changes at both ends of a span, each laid on the two steps around it so that its moment is kept.
        let mut change = vec![0.0; STEPS + 2];
        let mut lump = vec![0.0; STEPS + 2];
        for &(from, to, urls) in &self.spans {
            if to - from < step {
                lump[((to / step).ceil() as usize).min(STEPS)] += urls;
                continue;
            }
            let rate = urls / (to - from) * step;
            for (at, by) in [(from, rate), (to, -rate)] {
                let (index, part) = ((at / step).floor(), (at / step).fract());
                let index = (index as usize).min(STEPS);
                change[index] += by * (1.0 - part);
                change[index + 1] += by * part;
            }
        }
        let mut done = Vec::with_capacity(STEPS + 1);
        let (mut rate, mut sum) = (0.0, lump[0]);
        done.push(sum);
        for index in 0..STEPS {
            rate += change[index];
            sum += rate + lump[index + 1];
            done.push(sum);
        }
        Curve { step, done, total: self.total }
    }
}

/// A timeline that is read.
#[derive(Debug)]
pub(crate) struct Curve {
    step: f64,
    done: Vec<f64>,
    total: f64,
}

impl Curve {
    /// The moment at which this fraction (0 to 1) of `of` urls is done; `None` where it never is.
    pub(crate) fn when(&self, fraction: f64, of: f64) -> Option<f64> {
        // Sums of millions of spans are exact to 10⁻⁹ of the whole.
        let wanted = fraction * of;
        if wanted > self.total * (1.0 + 1e-9) {
            return None;
        }
        let wanted = wanted.min(self.total) * (1.0 - 1e-9);
        let index = self.done.partition_point(|&done| done < wanted);
        Some(index.min(STEPS) as f64 * self.step)
    }

    /// Urls done at a moment.
    pub(crate) fn by(&self, moment: f64) -> f64 {
        let index = (moment / self.step).floor().max(0.0) as usize;
        self.done.get(index).filter(|_| index < STEPS).map_or(self.total, |done| done.min(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_work_is_half_done_in_half_of_the_time() {
        let mut line = Timeline::default();
        line.add(0.0, 100.0, 1000.0);
        let curve = line.curve();
        assert!((curve.when(0.5, 1000.0).unwrap() - 50.0).abs() < 0.01);
        assert!((curve.by(25.0) - 250.0).abs() < 0.1);
        assert_eq!(curve.by(1e9), 1000.0);
    }

    #[test]
    fn what_is_never_done_has_no_time() {
        let mut line = Timeline::default();
        line.add(10.0, 10.0, 90.0);
        line.add(0.0, 1000.0, 5.0);
        let curve = line.curve();
        assert!((curve.when(0.9, 100.0).unwrap() - 10.0).abs() < 0.02);
        assert!((curve.when(0.95, 100.0).unwrap() - 1000.0).abs() < 0.02);
        assert_eq!(curve.when(0.96, 100.0), None);
    }

    #[test]
    fn an_empty_timeline_is_read_too() {
        let line = Timeline::default();
        assert_eq!(line.curve().by(5.0), 0.0);
        assert_eq!(line.end(), 0.0);
    }
}
