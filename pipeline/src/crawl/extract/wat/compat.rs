//! The rows of cc2dataset 1.5 (`cc2dataset/main.py`), to the letter.

use super::page::Wat;
use super::skim::unescape;
use crate::crawl::extract::emit::Emitter;
use crate::crawl::extract::extensions::cc2dataset_is;
use crate::crawl::extract::links::{python_urljoin, python_urljoin_or_same};
use crate::crawl::extract::{Candidate, CandidateKind, SkipReason, TextSource};

impl Wat {
    /// Gives a row for each kind that is asked for and each link that it takes, in document order. No row is dropped as a duplicate; cc2dataset
    /// does that later, over the whole dataset.
    pub(crate) fn give_cc2dataset(&mut self, document: &[u8], emitter: &mut Emitter<'_>) {
        if !self.has_links {
            emitter.stats.skip(SkipReason::NotAPage);
            return;
        }
        let (Some(target), Some(filename)) = (self.target, self.filename) else {
            // cc2dataset raises a KeyError here, and loses the whole file.
            emitter.stats.skip(SkipReason::BadJson);
            return;
        };
        emitter.stats.pages += 1;
        let mut buffers: [String; 5] = Default::default();
        let [page_buffer, file_buffer, base_buffer, url_buffer, text_buffer] = &mut buffers;
        let page_url = unescape(document, target, page_buffer);
        let warc_file = unescape(document, filename, file_buffer);
        let joined;
        let base = match self.base {
            Some(base) => {
                joined = python_urljoin(page_url, unescape(document, base, base_buffer)).unwrap_or_else(|_| page_url.to_owned());
                joined.as_str()
            }
            None => page_url,
        };
        for link in &self.links {
            let url = link.url.map_or("", |url| unescape(document, url, url_buffer));
            for kind in CandidateKind::ALL {
                if !emitter.options.types.has(kind) {
                    continue;
                }
                let (taken, text, text_source) = match kind {
                    CandidateKind::Image => (link.image && link.alt.is_some_and(|alt| alt.end > alt.start), link.alt, TextSource::Alt),
                    CandidateKind::ImageOnly => (link.image, link.alt, TextSource::Alt),
                    _ => (cc2dataset_is(kind, url), link.text, TextSource::Anchor),
                };
                if !taken {
                    continue;
                }
                if link.url.is_none() {
                    emitter.stats.skip(SkipReason::NoUrl);
                    continue;
                }
                let absolute;
                let url = if url.starts_with("http://") || url.starts_with("https://") {
                    url
                } else {
                    absolute = python_urljoin_or_same(base, url);
                    absolute.as_str()
                };
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    emitter.stats.skip(SkipReason::OtherScheme);
                    continue;
                }
                let text = text.map_or("", |text| unescape(document, text, text_buffer));
                emitter.stats.give(kind);
                emitter.sink().candidate(&Candidate {
                    kind,
                    url,
                    text,
                    text_source,
                    page_url,
                    page_title: None,
                    page_lang: None,
                    license: None,
                    license_source: None,
                    credit: None,
                    robots: None,
                    warc_file: Some(warc_file),
                    warc_offset: None,
                    warc_date: None,
                });
            }
        }
    }
}
