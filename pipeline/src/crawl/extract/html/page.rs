//! One page from bytes to candidates.

use super::charset::decode_html;
use super::jsonld::image_objects;
use super::state::{Found, read};
use crate::crawl::archive::HttpResponse;
use crate::crawl::extract::emit::{Emitter, Rights, tidied};
use crate::crawl::extract::entities::{Place, decode};
use crate::crawl::extract::run::header_opt_outs;
use crate::crawl::extract::{CandidateSink, ExtractOptions, ExtractStats, LicenseSource, SkipReason, TextSource};

/// A page and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The body, decompressed.
    pub bytes: &'a [u8],
    /// `Content-Type` of the response, for its charset.
    pub content_type: Option<&'a str>,
    /// Url of the page. Where it is not a web address (a file), the page's `link rel=canonical` takes its place if there is one.
    pub url: &'a str,
    /// Column `warc_file`.
    pub warc_file: Option<&'a str>,
    /// Column `warc_offset`.
    pub warc_offset: Option<u64>,
    /// Column `warc_date`.
    pub warc_date: Option<&'a str>,
}

pub(crate) type PageInput<'a> = Page<'a>;

/// Extracts the candidates of one page. In a compatibility mode there are none, as its model reads no pages.
///
/// ```ignore
/// let page = Page { bytes: b"<img src=a.jpg alt='A cat'>", content_type: None, url: "https://example.com/", warc_file: None, warc_offset: None, warc_date: None };
/// let stats = extract_html(&page, &ExtractOptions::default(), &mut |candidate: &Candidate<'_>| urls.push(candidate.url.to_owned()));
/// ```
pub fn extract_html(page: &Page<'_>, options: &ExtractOptions, sink: &mut dyn CandidateSink) -> ExtractStats {
    let mut emitter = Emitter::new(options, sink);
    emitter.stats.records = 1;
    if options.compat.is_none() {
        if page.bytes.len() > options.limits.html_bytes {
            emitter.stats.skip(SkipReason::HtmlTooLarge);
        } else {
            self::page(page, None, &mut emitter);
        }
    }
    emitter.stats
}

pub(crate) fn page(page: &Page<'_>, http: Option<&HttpResponse<'_>>, emitter: &mut Emitter<'_>) {
    let (text, _) = decode_html(page.bytes, page.content_type);
    // Decoding may make a page three times as long.
    if text.len() > emitter.options.limits.html_bytes.saturating_mul(3) {
        emitter.stats.skip(SkipReason::HtmlTooLarge);
        return;
    }
    let options = emitter.options;
    let most = options.limits.text_bytes;
    emitter.opt_outs.clear();
    if let Some(http) = http {
        header_opt_outs(http, emitter);
    }
    let found = read(&text, options, &mut emitter.opt_outs);

    let is_web = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    let facts = &mut emitter.facts;
    facts.url.clear();
    match found.canonical {
        Some(canonical) if !is_web(page.url) && is_web(canonical) => {
            facts.url.push_str(&tidied(canonical, Place::Attribute, options.limits.url_bytes).unwrap_or_default())
        }
        _ => facts.url.push_str(page.url),
    }
    facts.title = found.title.and_then(|title| tidied(title, Place::Text, most));
    facts.lang = found
        .lang
        .and_then(|lang| tidied(lang, Place::Attribute, 64))
        .or_else(|| http.and_then(|http| http.header("Content-Language")).and_then(|lang| tidied(&lang, Place::Attribute, 64)));
    facts.warc_file = page.warc_file.map(str::to_owned);
    facts.warc_offset = page.warc_offset;
    facts.warc_date = page.warc_date.map(str::to_owned);
    facts.license = None;
    facts.robots = emitter.opt_outs.joined();
    let mut decoded = String::new();
    let base = found.base.map(|base| decode(base, Place::Attribute, &mut decoded).unwrap_or(base));
    emitter.base.set(&emitter.facts.url, base);
    if let Some((license, source)) = found.license {
        emitter.facts.license = emitter.absolute(license).map(|url| (url, source));
    } else if let Some(license) = found.cc_link {
        emitter.facts.license = emitter.absolute(license).map(|url| (url, LicenseSource::CcLink));
    }
    emitter.begin_page();
    give(&found, emitter);
}

fn give(found: &Found<'_>, emitter: &mut Emitter<'_>) {
    let pictures = emitter.options.types.pictures();
    emitter.clear_rights();
    if pictures {
        let mut objects = Vec::new();
        for block in &found.json_ld {
            let parsed = if block.len() > emitter.options.limits.jsonld_bytes { None } else { image_objects(block) };
            match parsed {
                Some(parsed) => objects.extend(parsed),
                None => emitter.stats.skip(SkipReason::BadJsonLd),
            }
        }
        let most = emitter.options.limits.text_bytes;
        for object in &mut objects {
            object.license =
                object.license.take().and_then(|license| emitter.absolute(&license).or_else(|| tidied(&license, Place::Text, most)));
            object.credit = object.credit.take().and_then(|credit| tidied(&credit, Place::Text, most));
            emitter.add_rights(&object.url, object.license.as_deref(), object.credit.as_deref());
        }
        found.social.give(emitter);
        for picture in &found.pictures {
            let mut texts = picture.texts.to_vec();
            if let Some(caption) = picture.figure.and_then(|figure| found.captions.get(figure)) {
                texts.push((TextSource::Figcaption, caption.as_str()));
            }
            emitter.picture(picture.url, &texts, Rights::default());
        }
        for object in &objects {
            let rights = Rights { license: object.license.as_deref(), credit: object.credit.as_deref() };
            emitter.picture(&object.url, &[(TextSource::JsonLd, &object.text)], rights);
        }
    }
    for link in &found.links {
        emitter.link(link.url, &link.text, link.title);
    }
}
