//! The truth of a whole web: every image of every page with what should become of it.

use std::collections::HashSet;

use super::MiniWeb;
use super::format::{Format, Look};
use super::page::{LOGO, Markup, Page, PageImage};
use super::truth::{Candidate, Expected, Fate, Repeat};

/// The size of every host's logo.
pub(crate) const LOGO_LOOK: Look = Look { format: Format::Png, width: 120, height: 40, quality: 0 };

impl MiniWeb {
    /// All candidates in page order, logos and stand-ins included. It walks the whole web, since what repeats depends on
    /// what came before: about 100 000 candidates a second.
    pub fn truth(&self) -> Vec<Candidate> {
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for index in 0..self.config.pages {
            let page = self.page(index);
            for image in &page.images {
                all.push(self.candidate(&page, image, &mut seen));
            }
        }
        all
    }

    fn candidate(&self, page: &Page, image: &PageImage, seen: &mut HashSet<String>) -> Candidate {
        let is_new = image.url.as_ref().is_none_or(|url| seen.insert(url.clone()));
        let repeat = match &image.slot {
            _ if !is_new => Repeat::SameUrl,
            Some(slot) => slot.earlier.map_or(Repeat::First, |(repeat, _)| repeat),
            None => Repeat::First,
        };
        let kind = image.caption.kind;
        // What is no address never becomes a candidate; everything else on a page that opts out is refused with it.
        let fate = match self.image_fate(page, image) {
            Fate::BadUrl => Fate::BadUrl,
            _ if page.opted_out => Fate::RefusedMeta,
            fate => fate,
        };
        let has_file = image.slot.as_ref().filter(|_| !image.has_bad_link());
        Candidate {
            page: page.index,
            page_url: page.url.clone(),
            raw: image.raw.clone(),
            url: image.url.clone(),
            alt: image.alt().map(str::to_owned),
            text: image.caption.text.clone(),
            markup: image.markup,
            in_wat: image.markup.is_in_wat(),
            in_html: image.markup != Markup::LazyStandIn,
            expected: Expected {
                fate,
                caption: kind,
                caption_matches: kind.matches(),
                lang: image.caption.lang,
                repeat,
                scene: has_file.map(|slot| slot.scene),
                look: has_file.map(|slot| slot.look),
            },
        }
    }

    fn image_fate(&self, page: &Page, image: &PageImage) -> Fate {
        match (&image.slot, &image.url) {
            (Some(slot), _) => self.slot_fate(slot),
            (None, Some(_)) => page.host.policy.refuses(LOGO).unwrap_or(Fate::Ok),
            (None, None) => Fate::BadUrl,
        }
    }
}

impl PageImage {
    /// Whether the link leads off the web, so that there is no file behind it.
    fn has_bad_link(&self) -> bool {
        match &self.slot {
            Some(slot) => slot.hostile.and_then(|hostile| hostile.link(slot.number)).is_some(),
            None => self.url.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;

    fn web() -> MiniWeb {
        MiniWeb::new(MiniWebConfig { pages: 400, hostile: 0.1, refusing: 0.3, slow: 0.1, ..MiniWebConfig::default() })
    }

    #[test]
    fn every_fate_is_met_on_a_web_with_all_kinds_of_hosts() {
        let truth = web().truth();
        for fate in [
            Fate::Ok,
            Fate::OkAfterRetry,
            Fate::RefusedRobots,
            Fate::RefusedSignal,
            Fate::RefusedTdm,
            Fate::RefusedHeader,
            Fate::RefusedMeta,
            Fate::HttpStatus(404),
            Fate::Blocked,
            Fate::BadUrl,
            Fate::Unresolvable,
            Fate::TooManyRedirects,
            Fate::Timeout,
            Fate::Broken,
            Fate::TooLarge,
            Fate::NotAnImage,
            Fate::TruncatedImage,
        ] {
            assert!(truth.iter().any(|candidate| candidate.expected.fate == fate), "{fate:?}");
        }
    }

    #[test]
    fn repeated_addresses_are_those_that_stood_there_before() {
        let mut seen = HashSet::new();
        for candidate in web().truth() {
            if let Some(url) = candidate.url {
                assert_eq!(!seen.insert(url), candidate.expected.repeat == Repeat::SameUrl);
            }
        }
    }

    #[test]
    fn a_web_without_hostility_and_refusal_loses_only_what_is_no_picture() {
        let web = MiniWeb::new(MiniWebConfig { hostile: 0.0, refusing: 0.0, slow: 0.0, ..MiniWebConfig::default() });
        for candidate in web.truth() {
            let fate = candidate.expected.fate;
            let svg = candidate.expected.look.is_some_and(|look| look.format == Format::Svg);
            let data = candidate.url.is_none();
            assert_eq!(fate.is_ok(), !svg && !data, "{candidate:?}");
        }
    }
}
