//! Opt-out directives of a page.

use std::collections::BTreeSet;

/// Directives that are kept. The rest (`index`, `follow`, `max-snippet:`…) allow, or say nothing about use.
/// `noai` and `noimageai`: DeviantArt's, taken up by img2dataset; the others: Google's robots meta tag specification.
const KEPT: [&str; 8] = ["none", "noindex", "noimageindex", "noai", "noimageai", "nofollow", "noarchive", "nosnippet"];

/// Collects directives from all places of a page.
#[derive(Debug, Default)]
pub(crate) struct OptOuts {
    seen: BTreeSet<&'static str>,
}

impl OptOuts {
    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }

    /// A `meta` element: `robots` (for all robots) and `tdm-reservation` (W3C TDMRep).
    pub(crate) fn meta(&mut self, name: &str, content: &str) {
        if name.eq_ignore_ascii_case("robots") {
            self.directives(content);
        } else if name.eq_ignore_ascii_case("tdm-reservation") {
            self.tdm(content);
        }
    }

    /// A response header. An `X-Robots-Tag` that is addressed to one robot by name is not for us.
    pub(crate) fn header(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("x-robots-tag") {
            match value.split_once(':') {
                Some((before, _)) if !before.contains(',') && !takes_value(before) => {}
                _ => self.directives(value),
            }
        } else if name.eq_ignore_ascii_case("tdm-reservation") {
            self.tdm(value);
        }
    }

    fn directives(&mut self, list: &str) {
        for word in list.split([',', ';', ' ']) {
            let word = word.trim();
            if let Some(kept) = KEPT.iter().find(|kept| kept.eq_ignore_ascii_case(word)) {
                self.seen.insert(kept);
            }
        }
    }

    fn tdm(&mut self, value: &str) {
        if value.trim() == "1" {
            self.seen.insert("tdm-reservation");
        }
    }

    /// Sorted and joined with commas; `None` when there are none.
    pub(crate) fn joined(&self) -> Option<String> {
        (!self.seen.is_empty()).then(|| self.seen.iter().copied().collect::<Vec<_>>().join(","))
    }
}

/// Directives that have a colon of their own.
fn takes_value(word: &str) -> bool {
    ["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"].iter().any(|name| name.eq_ignore_ascii_case(word.trim()))
}
