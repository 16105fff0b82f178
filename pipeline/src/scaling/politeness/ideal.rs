//! The crawl that no packing could beat: every host is asked at its own pace from the first second on.
//!
//! A host with *c* requests that lie *g* seconds apart is done after `D = c·g` seconds, and at a time *t* before that has given
//! `t / g`. So by *t* no crawl has done more than `min(R·t, Σ_{D≤t} c + t·Σ_{D>t} 1/g)`, with *R* the rate of all machines.

/// Classes of durations to a factor of ten.
const PER_DECADE: f64 = 64.0;
/// Classes: from 10⁻³ to 10¹³ seconds.
const CLASSES: usize = 16 * 64;

/// Hosts by how long they take at least.
#[derive(Debug)]
pub(crate) struct Ideal {
    /// Urls of the hosts in a class, and how many a second all of them together give.
    classes: Vec<(f64, f64)>,
    urls: f64,
    longest: f64,
}

impl Default for Ideal {
    fn default() -> Self {
        Self { classes: vec![(0.0, 0.0); CLASSES], urls: 0.0, longest: 0.0 }
    }
}

impl Ideal {
    /// Adds a host.
    pub(crate) fn host(&mut self, urls: u64, gap: f64) {
        let urls = urls as f64;
        let seconds = urls * gap;
        let class = ((seconds.max(1e-3).log10() + 3.0) * PER_DECADE).floor().clamp(0.0, (CLASSES - 1) as f64) as usize;
        self.classes[class].0 += urls;
        self.classes[class].1 += 1.0 / gap;
        self.urls += urls;
        self.longest = self.longest.max(seconds);
    }

    /// Seconds of the host that takes longest.
    pub(crate) fn longest(&self) -> f64 {
        self.longest
    }

    /// Urls that may be done by `seconds`, of all machines together `rate` a second; hosts in one class count as alike.
    fn done(&self, seconds: f64, rate: f64) -> f64 {
        let classes = self.classes.iter().map(|&(urls, pace)| urls.min(pace * seconds)).sum::<f64>();
        classes.min(rate * seconds)
    }

    /// The moment before which this fraction (0 to 1) of the urls cannot be done, to a millionth.
    pub(crate) fn when(&self, fraction: f64, rate: f64) -> f64 {
        let wanted = fraction * self.urls;
        let (mut low, mut high) = (0.0, (self.urls / rate).max(self.longest) * 1.1);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.done(middle, rate) < wanted * (1.0 - 1e-12) { low = middle } else { high = middle }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_set_the_pace_until_a_host_does() {
        let mut ideal = Ideal::default();
        // 900 hosts of one url, and one of 100 urls, ten seconds apart.
        (0..900).for_each(|_| ideal.host(1, 0.1));
        ideal.host(100, 10.0);
        assert_eq!(ideal.longest(), 1000.0);
        assert!((ideal.when(0.5, 10.0) - 50.0).abs() < 1e-3, "{}", ideal.when(0.5, 10.0));
        // 990 of 1,000: all small hosts and 90 of the large one.
        assert!((ideal.when(0.99, 10.0) - 900.0).abs() < 1.0);
        assert!((ideal.when(1.0, 10.0) - 1000.0).abs() < 1.0);
    }
}
