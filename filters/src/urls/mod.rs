//! Rules on image and page addresses: canonical form, host, registered domain, extension, block lists.

mod blocklist;
mod canonical;
mod parts;
mod string_set;

pub use blocklist::{BlockList, BlockListBuilder, BlockListError, Blocked, OnBadLine};
pub use canonical::{CanonicalOptions, canonical_url, canonical_url_with, strip_tracking};
pub use parts::{domain, host, tld, url_ext};

use url::Url;

/// The URL in `text`, if it is an absolute `http` or `https` one.
fn parse_http(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}
