//! The pages of a miniature web: what stands on them and how it is linked. `html.rs` writes them down.

use super::MiniWeb;
use super::caption::{Caption, CaptionKind};
use super::draw::{Draw, stratum};
use super::site::Host;
use super::slot::Slot;
use super::words::Lang;

/// How a page shows an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Markup {
    /// `<img src alt>`; the text is the alt.
    Img,
    /// `<img src title>` without an alt; the text is the title.
    Title,
    /// `<figure><img src alt=""><figcaption>`; the text is the figcaption.
    Figure,
    /// `<img src srcset alt>`; the largest entry of the srcset is the src.
    Srcset,
    /// `<picture><source srcset><img src alt></picture>`; the source is the src.
    Picture,
    /// `<img data-src alt>` with a stand-in as its src; the text is the alt.
    Lazy,
    /// The stand-in that a lazy image has as its src: a blank picture with the alt of another.
    LazyStandIn,
    /// `<meta property="og:image">` in the head; the text is in `og:image:alt`.
    OpenGraph,
    /// An `ImageObject` in a JSON-LD script; the text is its `caption`.
    JsonLd,
}

impl Markup {
    const SHARES: [(Self, f64); 8] = [
        (Self::Img, 0.62),
        (Self::Title, 0.02),
        (Self::Figure, 0.10),
        (Self::Srcset, 0.08),
        (Self::Picture, 0.05),
        (Self::Lazy, 0.07),
        (Self::OpenGraph, 0.03),
        (Self::JsonLd, 0.03),
    ];

    /// Whether a WAT shows the image as `IMG@/src`.
    pub fn is_in_wat(self) -> bool {
        !matches!(self, Self::Lazy | Self::OpenGraph | Self::JsonLd)
    }
}

/// The character encoding of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charset {
    /// UTF-8, said in the header.
    Utf8,
    /// ISO-8859-1, said in the header or in a meta tag.
    Latin1,
    /// windows-1251, said in the header or in a meta tag.
    Cyrillic,
}

impl Charset {
    /// The label that the page gives.
    pub fn label(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Latin1 => "iso-8859-1",
            Self::Cyrillic => "windows-1251",
        }
    }

    /// The bytes of `text`; a character that the encoding lacks becomes `?`.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        let byte = |c: char| match (self, c as u32) {
            (_, code @ 0..=0x7f) => code as u8,
            (Self::Latin1, code @ 0xa0..=0xff) => code as u8,
            (Self::Cyrillic, code @ 0x410..=0x44f) => (code - 0x410 + 0xc0) as u8,
            (Self::Cyrillic, 0x401) => 0xa8,
            (Self::Cyrillic, 0x451) => 0xb8,
            _ => b'?',
        };
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            _ => text.chars().map(byte).collect(),
        }
    }
}

/// One image on a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageImage {
    /// The slot, for an image that is one; logos, pixels and stand-ins are not.
    pub(crate) slot: Option<Slot>,
    /// The link as it is written.
    pub(crate) raw: String,
    /// The address that the link means.
    pub(crate) url: Option<String>,
    pub(crate) caption: Caption,
    pub(crate) markup: Markup,
}

/// One page, before it is HTML.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Its number, from 0.
    pub index: u64,
    /// The host that has it.
    pub host: Host,
    /// Its address.
    pub url: String,
    /// Its language, said in `<html lang>`.
    pub lang: Lang,
    /// Its title.
    pub title: String,
    /// Its `<base href>`, if it has one.
    pub base: Option<String>,
    /// Its encoding.
    pub charset: Charset,
    /// Whether the `Content-Type` header names the encoding; else a meta tag does.
    pub charset_in_header: bool,
    /// Whether a meta tag opts out: `noai, noimageai`.
    pub opted_out: bool,
    pub(crate) images: Vec<PageImage>,
    /// Address and text of the links to other pages.
    pub(crate) anchors: Vec<(String, String)>,
    pub(crate) prose: Vec<&'static str>,
}

/// The stand-in of lazy images, one for each host.
pub(crate) const BLANK: &str = "/assets/blank.gif";
/// The logo that stands on every page of a host.
pub(crate) const LOGO: &str = "/assets/logo.png";
/// The tracking pixel that stands on every page of a host.
pub(crate) const PIXEL: &str = "/assets/pixel.gif";
/// A picture inside the link: one transparent pixel.
pub(crate) const DATA_URI: &str = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

impl MiniWeb {
    /// The host of page `index`.
    pub(crate) fn page_host(&self, index: u64) -> Host {
        let host = self.zipf_host(&mut Draw::new(self.config.seed, "page host", index));
        self.host(host)
    }

    /// The address of page `index`.
    pub fn page_url(&self, index: u64) -> String {
        format!("{}/pages/{index}.html", self.origin(self.page_host(index)))
    }

    /// Page `index`; the same on every call.
    pub fn page(&self, index: u64) -> Page {
        let seed = self.config.seed;
        let mut draw = Draw::new(seed, "page", index);
        let host = self.page_host(index);
        let lang = draw.weighted(&Lang::SHARES);
        let base = draw.chance(0.15).then(|| format!("{}/", self.origin(host)));
        let charset = match lang {
            Lang::De | Lang::Fr | Lang::Es | Lang::It | Lang::Pt if draw.chance(0.15) => Charset::Latin1,
            Lang::Ru if draw.chance(0.15) => Charset::Cyrillic,
            _ => Charset::Utf8,
        };
        let words = lang.words();
        let mut page = Page {
            index,
            host,
            url: self.page_url(index),
            lang,
            title: String::new(),
            base,
            charset,
            charset_in_header: charset == Charset::Utf8 || draw.chance(0.5),
            opted_out: stratum(seed, "opted-out pages", self.config.refusing / 4.0, index).is_some(),
            images: Vec::new(),
            anchors: Vec::new(),
            prose: (0..2).map(|_| draw.pick(&words.prose)).collect(),
        };
        page.images.push(self.asset(&page, LOGO, Some("logo"), Markup::Img));
        let per_page = u64::from(self.config.images_per_page);
        for place in 0..per_page {
            self.add_slot(&mut page, index * per_page + place);
        }
        if draw.chance(0.6) {
            page.images.push(self.asset(&page, PIXEL, Some(""), Markup::Img));
        }
        if draw.chance(0.1) {
            page.images.push(PageImage {
                slot: None,
                raw: DATA_URI.to_owned(),
                url: None,
                caption: boilerplate("pixel"),
                markup: Markup::Img,
            });
        }
        page.title = page
            .images
            .iter()
            .find(|image| image.caption.kind == CaptionKind::Right)
            .and_then(|image| image.caption.text.clone())
            .unwrap_or_else(|| words.prose[0].split(['.', '。']).next().unwrap_or_default().to_owned());
        for _ in 0..3 {
            let other = draw.below(self.config.pages);
            page.anchors.push((self.page_url(other), format!("{} {other}", words.code)));
        }
        page
    }

    fn add_slot(&self, page: &mut Page, n: u64) {
        let slot = self.slot(n);
        let mut draw = Draw::new(self.config.seed, "on page", n);
        // A few captions are in English whatever the page is in.
        let english = page.charset == Charset::Utf8 && draw.chance(0.06);
        let caption = Caption::draw(&mut draw, &slot.scene, if english { Lang::En } else { page.lang });
        let markup = draw.weighted(&Markup::SHARES);
        let link = self.slot_link(&slot);
        let is_bad_link = slot.hostile.and_then(|hostile| hostile.link(n)).is_some();
        let raw = if is_bad_link { link.clone() } else { self.spell(page, &slot, &link, &mut draw) };
        let url = url::Url::parse(&link).ok().filter(|url| matches!(url.scheme(), "http" | "https" | "file")).map(|url| url.to_string());
        if markup == Markup::Lazy {
            let alt = caption.text.clone();
            let stand_in = self.asset(page, BLANK, alt.as_deref(), Markup::LazyStandIn);
            page.images.push(PageImage { caption: Caption { kind: CaptionKind::Wrong, ..caption.clone() }, ..stand_in });
        }
        page.images.push(PageImage { slot: Some(slot), raw, url, caption, markup });
    }

    /// One of the ways to write a link to `slot` on `page`.
    fn spell(&self, page: &Page, slot: &Slot, url: &str, draw: &mut Draw) -> String {
        let without_scheme = || url.trim_start_matches("http:").to_owned();
        if slot.host != page.host {
            return if draw.chance(0.2) { without_scheme() } else { url.to_owned() };
        }
        match draw.below(20) {
            0..8 => url.to_owned(),
            8..13 => slot.path.clone(),
            13..15 => without_scheme(),
            15 => format!(" {} ", slot.path),
            // Pages lie in `/pages/`; a base lies at the root, so that ignoring it leads to another address.
            _ if page.base.is_some() => slot.path.trim_start_matches('/').to_owned(),
            _ => format!("..{}", slot.path),
        }
    }

    fn asset(&self, page: &Page, path: &str, alt: Option<&str>, markup: Markup) -> PageImage {
        let kind = if alt.is_none_or(str::is_empty) { CaptionKind::Missing } else { CaptionKind::Boilerplate };
        PageImage {
            slot: None,
            raw: path.to_owned(),
            url: Some(format!("{}{path}", self.origin(page.host))),
            caption: Caption { kind, text: alt.map(str::to_owned), lang: None },
            markup,
        }
    }
}

fn boilerplate(text: &str) -> Caption {
    Caption { kind: CaptionKind::Boilerplate, text: Some(text.to_owned()), lang: None }
}

impl PageImage {
    /// What the `alt` attribute holds; none where there is no attribute, or no `<img>`.
    pub(crate) fn alt(&self) -> Option<&str> {
        match self.markup {
            Markup::Title | Markup::OpenGraph | Markup::JsonLd => None,
            Markup::Figure => Some(""),
            _ => self.caption.text.as_deref(),
        }
    }

    /// What the `title` attribute holds.
    pub(crate) fn title(&self) -> Option<&str> {
        (self.markup == Markup::Title).then_some(self.caption.text.as_deref()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;

    #[test]
    fn a_browser_resolves_every_written_link_to_the_address_that_is_meant() {
        let web = MiniWeb::new(MiniWebConfig { pages: 300, hostile: 0.1, ..MiniWebConfig::default() });
        let mut relative = 0;
        for index in 0..300 {
            let page = web.page(index);
            let base = url::Url::parse(page.base.as_deref().unwrap_or(&page.url)).unwrap();
            for image in page.images {
                let resolved = base.join(image.raw.trim()).ok();
                let resolved = resolved.filter(|url| matches!(url.scheme(), "http" | "file")).map(|url| url.to_string());
                assert_eq!(resolved, image.url, "{} on {}", image.raw, page.url);
                relative += u32::from(!image.raw.contains("//"));
            }
        }
        assert!(relative > 300);
    }

    #[test]
    fn old_encodings_hold_all_that_their_pages_say() {
        let web = MiniWeb::new(MiniWebConfig { pages: 2_000, ..MiniWebConfig::default() });
        let old: Vec<Page> = (0..2_000).map(|n| web.page(n)).filter(|page| page.charset != Charset::Utf8).collect();
        assert!(old.iter().any(|page| page.charset == Charset::Latin1));
        assert!(old.iter().any(|page| page.charset == Charset::Cyrillic));
        for page in old {
            assert!(!page.charset.encode(&page.title).contains(&b'?'), "{}", page.title);
        }
        assert_eq!(Charset::Latin1.encode("Größe"), b"Gr\xf6\xdfe");
        assert_eq!(Charset::Cyrillic.encode("Ёж"), b"\xa8\xe6");
    }
}
