//! A miniature web: seeded, of any size, and served by the binary itself on loopback.
//!
//! A [`MiniWeb`] is a function from a number to a page and from an address to an answer. Nothing is stored: page 7 of seed 0
//! is the same whether it is the first thing asked for or the last, so a web of a million pages costs no more than the pages
//! that are looked at. The same web can be had in five ways: as pages, as WARC, as WAT, as lists of links, and over HTTP.
//!
//! - [`world`], [`words`], [`caption`]: scenes such as "two small red circles on a blue background", and what is said of them;
//! - [`paint`], [`mod@format`]: pictures of scenes, in every file format that a crawl meets;
//! - [`site`], [`slot`], [`page`], [`html`]: hosts and what they allow, images, pages;
//! - [`hostile`]: addresses that a fetcher has to survive;
//! - [`warc`], [`wat`], [`lists`]: archives and lists for the extractor and the fetcher;
//! - [`server`], [`counters`]: the web on a loopback port, and what it saw of its visitors;
//! - [`truth`]: what should become of every image.
//!
//! Useful for the demo, for end-to-end tests that count, and for throughput benches. Not useful as a stand-in for the *look*
//! of real photographs: whoever trains on it learns shapes and colours.

mod answer;
pub mod bench_pool;
mod cache;
mod candidates;
pub mod caption;
pub mod counters;
mod digest;
mod draw;
pub mod error;
pub mod format;
pub mod hostile;
pub mod html;
pub mod lists;
pub mod page;
pub mod paint;
pub mod server;
#[cfg(test)]
mod server_tests;
pub mod site;
pub mod slot;
pub mod truth;
pub mod warc;
pub mod wat;
pub mod words;
pub mod world;

use std::time::Duration;

/// What a miniature web is made from. Two webs with equal fields are equal to the last byte.
#[derive(Debug, Clone, PartialEq)]
pub struct MiniWebConfig {
    /// Everything is drawn from this.
    pub seed: u64,
    /// How many pages there are.
    pub pages: u64,
    /// How many images each page has, besides its logo, pixel and stand-ins.
    pub images_per_page: u32,
    /// The share of images, 0 to 1, whose address is bad in one of the ways of [`hostile::Hostile`]. The ways are walked
    /// through in turn, so `hostile × images ≥ 38` has each of them.
    pub hostile: f64,
    /// The share of hosts, 0 to 1, that refuse in one of the ways of [`site::Policy::REFUSING`], in turn. A quarter of this
    /// share of the pages opts out with a meta tag.
    pub refusing: f64,
    /// The share of hosts, 0 to 1, that wait before every answer.
    pub slow: f64,
    /// How long a slow host waits.
    pub slow_delay: Duration,
    /// The port in every address; the server has to listen on it.
    pub port: u16,
}

impl Default for MiniWebConfig {
    /// 100 pages of 6 images, a tenth of them hostile, a tenth of the hosts refusing, no slow hosts, port 80.
    fn default() -> Self {
        Self {
            seed: 0,
            pages: 100,
            images_per_page: 6,
            hostile: 0.1,
            refusing: 0.1,
            slow: 0.0,
            slow_delay: Duration::from_millis(100),
            port: 80,
        }
    }
}

/// A miniature web. See the [module](self) for what it holds.
#[derive(Debug)]
pub struct MiniWeb {
    config: MiniWebConfig,
    cache: cache::Cache,
    bench: bench_pool::BenchPool,
}

/// How many bytes of painted files a web keeps for those who ask again.
const CACHE_BYTES: usize = 256 << 20;

impl MiniWeb {
    /// The web of this configuration. Cheap: everything is made when it is asked for.
    pub fn new(config: MiniWebConfig) -> Self {
        Self { config, cache: cache::Cache::new(CACHE_BYTES), bench: bench_pool::BenchPool::default() }
    }

    /// What the web is made from.
    pub fn config(&self) -> &MiniWebConfig {
        &self.config
    }

    /// How many hosts there are: 16, and one more for every eight pages.
    pub fn hosts(&self) -> u64 {
        16 + self.config.pages / 8
    }
}

impl MiniWeb {
    /// The file of a slot as it would be without any hostility. Painted anew on each call.
    ///
    /// # Errors
    /// When the encoder refuses; it does not for any slot of a web.
    pub fn picture(&self, slot: &slot::Slot) -> image::ImageResult<Vec<u8>> {
        format::encode(&slot.scene, &slot.look)
    }
}
