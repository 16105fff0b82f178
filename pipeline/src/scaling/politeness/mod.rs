//! How long a crawl lasts when every host is asked politely.
//!
//! A simulated crawl over a distribution of hosts that is fitted to published facts: hosts are packed into units as the program
//! packs them, machines take units, and every host answers at its own pace. It is computed host by host in closed form, so that a
//! billion urls take seconds.

mod crawl;
mod hosts;
mod ideal;
mod packer;
mod settings;
mod timeline;

#[cfg(test)]
mod by_url;

pub use crawl::{Crawl, Limit, QUANTILES, Quantile, Round, simulate};
pub use hosts::HostDistribution;
pub use settings::{CrawlDelay, CrawlSettings, LimitScope, published_delays};
