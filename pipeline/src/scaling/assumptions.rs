//! What a plan takes for granted because no measurement on one machine can give it. Every value is an option, and every default
//! names its source.

use serde::{Deserialize, Serialize};

use super::error::{PlanError, check};
use super::politeness::{CrawlDelay, HostDistribution, LimitScope, published_delays};

/// Which rows `--pairs` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairsAt {
    /// Rows of the source: candidates of a crawl, or rows of a url list.
    Source,
    /// Pairs whose picture was fetched (DataComp's pool of 12.8 billion).
    Fetched,
    /// Pairs that the last stage leaves.
    #[default]
    Written,
}

/// Assumptions of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assumptions {
    /// Pairs that the job is planned for, 1 to 10¹³.
    pub pairs: f64,
    /// Which rows these are.
    pub pairs_at: PairsAt,
    /// Bytes of a WAT file as it lies in the store. Common Crawl, September 2016: 10.35 TiB in 30,374 files.
    pub wat_bytes: f64,
    /// Inflated over stored bytes of a WAT file. Common Crawl's sample of December 2016 that r-spark/sparkwarc holds: 55,046 over
    /// 6,670. Check: cc2dataset's 50 s a file at 69 MB of raw WAT a second are 3.4 GB, this is 3.1 GB.
    pub wat_inflates: f64,
    /// Candidates with a caption in a WAT file. cc2dataset's golden count for the first file of CC-MAIN-2022-40.
    pub wat_candidates: f64,
    /// Bytes of a WARC file as it lies in the store. Common Crawl, September 2016: 28.94 TiB in 30,374 files.
    pub warc_bytes: f64,
    /// Inflated over stored bytes of a WARC file. Common Crawl, December 2024: 394 TiB inflated; no stored size beside it was found,
    /// so this is a guess from gzip on HTML.
    pub warc_inflates: f64,
    /// Share of rows that exact deduplication keeps. cc2dataset issue #5: 40 billion candidates of 130,000 WAT files, 8 billion after.
    pub dedupe_kept: f64,
    /// Share of a crawl's urls that give a picture. cc2dataset PR #42: an error rate of 50 % with img2dataset.
    pub success_from_crawl: f64,
    /// Share of a url list's urls that give a picture. img2dataset issue #277: 8,542 of 10,000 of LAION-400M in February 2023.
    pub success_from_list: f64,
    /// Requests for a url beyond the first: redirects and retries. The retry budget that the fetcher keeps to; no figure for
    /// redirects was found.
    pub extra_requests: f64,
    /// Bytes of a picture as it is downloaded. img2dataset's README: 1,000 average images a second are 130 MB/s.
    pub picture_bytes: f64,
    /// Pixels of a picture as it is downloaded. LAION-5B's English part: 1,324, 488 and 76 of 2,300 million have at least 256², 512² and
    /// 1024² pixels; the geometric middle of each class (and 2 megapixels for the last) gives 0.22 million.
    pub picture_pixels: f64,
    /// Bytes of a stored picture; by default from its size, see [`Assumptions::stored_bytes_at`].
    pub stored_bytes: Option<f64>,
    /// Seconds that a request holds its connection. img2dataset's large benchmark: 16 × 64 threads give 1,350 pictures a second; its
    /// cores were busy, so this is an upper bound.
    pub answer_seconds: f64,
    /// Share of a card's data-sheet rate that models reach. clip-retrieval on an A100: 312 pictures a second with ViT-L/14 of
    /// 162 GFLOP are 16 % of 312 TFLOP/s.
    pub gpu_utilisation: f64,
    /// Network of a machine whose group does not give it, each way, in bit/s.
    pub network_bps: f64,
    /// How urls lie on hosts.
    pub hosts: HostDistribution,
    /// Pauses that hosts ask for.
    pub crawl_delays: Vec<CrawlDelay>,
    /// Where the limits of hosts hold.
    pub limit_scope: LimitScope,
    /// Seed of the simulated crawl.
    pub seed: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            pairs: 12.8e9,
            pairs_at: PairsAt::default(),
            wat_bytes: 374.7e6,
            wat_inflates: 8.25,
            wat_candidates: 405_232.0,
            warc_bytes: 1.0476e9,
            warc_inflates: 5.0,
            dedupe_kept: 0.2,
            success_from_crawl: 0.5,
            success_from_list: 0.8542,
            extra_requests: 0.1,
            picture_bytes: 130e3,
            picture_pixels: 0.22e6,
            stored_bytes: None,
            answer_seconds: 0.76,
            gpu_utilisation: 0.16,
            network_bps: 10e9,
            hosts: HostDistribution::default(),
            crawl_delays: published_delays(),
            limit_scope: LimitScope::default(),
            seed: 0,
        }
    }
}

/// Stored bytes of a picture by target side: img2dataset's README (256 px with borders, JPEG 95: 29.9 GB a million), LAION-5B (384 px:
/// 230 TB of 5.85 billion), DataComp (512 px, only shrunk: 450 GB of 12.8 million), laion-high-res (1024 px: 50 TB in 7 days at 280 a second).
const STORED: [(f64, f64); 4] = [(256.0, 29_900.0), (384.0, 39_300.0), (512.0, 35_200.0), (1024.0, 295_000.0)];

impl Assumptions {
    /// Bytes of a stored picture of a target side in pixels: what the user says, else between the published points on a line, and
    /// below the smallest in proportion to the area.
    ///
    /// # Errors
    /// [`PlanError::Range`] beyond 1024 pixels, where nothing was published.
    pub fn stored_bytes_at(&self, image_size: u32) -> Result<f64, PlanError> {
        if let Some(bytes) = self.stored_bytes {
            return Ok(bytes);
        }
        let side = f64::from(image_size);
        let (smallest, bytes) = STORED[0];
        if side <= smallest {
            return Ok(bytes * (side / smallest).powi(2));
        }
        let pair = STORED.windows(2).find(|pair| side <= pair[1].0).map(|pair| (pair[0], pair[1]));
        let Some(((from, low), (to, high))) = pair else {
            let wanted = "1024 at most, or `--stored-bytes` says how large a picture is";
            return Err(PlanError::Range { name: "image_size".to_owned(), value: side.to_string(), wanted });
        };
        Ok(low + (high - low) * (side - from) / (to - from))
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`PlanError::Range`] naming the first bad one.
    pub fn validate(&self) -> Result<(), PlanError> {
        check("pairs", self.pairs, (1.0..=1e13).contains(&self.pairs), "1 to 10^13")?;
        for (name, share) in [
            ("dedupe_kept", self.dedupe_kept),
            ("success_from_crawl", self.success_from_crawl),
            ("success_from_list", self.success_from_list),
            ("gpu_utilisation", self.gpu_utilisation),
        ] {
            check(name, share, share > 0.0 && share <= 1.0, "a share over 0, up to 1")?;
        }
        for (name, value) in [
            ("wat_bytes", self.wat_bytes),
            ("wat_inflates", self.wat_inflates),
            ("wat_candidates", self.wat_candidates),
            ("warc_bytes", self.warc_bytes),
            ("warc_inflates", self.warc_inflates),
            ("picture_bytes", self.picture_bytes),
            ("picture_pixels", self.picture_pixels),
            ("stored_bytes", self.stored_bytes.unwrap_or(1.0)),
            ("answer_seconds", self.answer_seconds),
            ("network_bps", self.network_bps),
        ] {
            check(name, value, value > 0.0, "over 0")?;
        }
        check("extra_requests", self.extra_requests, self.extra_requests >= 0.0, "not negative")?;
        self.hosts.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_are_the_published_ones_and_lie_between_them() {
        let assumptions = Assumptions::default();
        let at = |side| assumptions.stored_bytes_at(side).unwrap();
        assert_eq!(at(256), 29_900.0);
        assert_eq!(at(512), 35_200.0);
        assert_eq!(at(128), 29_900.0 / 4.0);
        assert_eq!(at(320), (29_900.0 + 39_300.0) / 2.0);
        assert!(assumptions.stored_bytes_at(2048).is_err());
        assert_eq!(Assumptions { stored_bytes: Some(7.0), ..assumptions }.stored_bytes_at(2048).unwrap(), 7.0);
    }

    #[test]
    fn defaults_are_what_their_sources_give() {
        let a = Assumptions::default();
        assert!((a.wat_bytes / (10.35 * 1024_f64.powi(4) / 30_374.0) - 1.0).abs() < 1e-3);
        assert!((a.warc_bytes / (28.94 * 1024_f64.powi(4) / 30_374.0) - 1.0).abs() < 1e-3);
        assert!((a.wat_inflates / (55_046.0 / 6_670.0) - 1.0).abs() < 1e-3);
        assert!((a.answer_seconds / (1024.0 / 1350.0) - 1.0).abs() < 5e-3);
        assert!((a.gpu_utilisation / (312.0 * 162e9 / 312e12) - 1.0).abs() < 0.02);
        let classes = [(976.0, 0.03), (836.0, 0.131), (412.0, 0.524), (76.0, 2.0)];
        let pixels: f64 = classes.iter().map(|(millions, megapixels)| millions * megapixels).sum::<f64>() / 2300.0 * 1e6;
        assert!((a.picture_pixels / pixels - 1.0).abs() < 0.02, "{pixels}");
        a.validate().unwrap();
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (bad, name) in [
            (Assumptions { pairs: 0.0, ..Assumptions::default() }, "pairs"),
            (Assumptions { dedupe_kept: 1.5, ..Assumptions::default() }, "dedupe_kept"),
            (Assumptions { picture_bytes: f64::NAN, ..Assumptions::default() }, "picture_bytes"),
        ] {
            assert!(bad.validate().unwrap_err().to_string().contains(name));
        }
    }
}
