//! What is wanted of a WAT record, found in one walk over its JSON.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::skim::{NotJson, Skim, Span, unescape};
use crate::crawl::extract::emit::{Emitter, Rights, tidied};
use crate::crawl::extract::entities::{Place, decode};
use crate::crawl::extract::html::Social;
use crate::crawl::extract::{Compat, LicenseSource, SkipReason, TextSource, Types};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    pub(crate) path: Option<Span>,
    pub(crate) url: Option<Span>,
    pub(crate) alt: Option<Span>,
    pub(crate) title: Option<Span>,
    pub(crate) text: Option<Span>,
    pub(crate) rel: Option<Span>,
    pub(crate) image: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Meta {
    name: Option<Span>,
    property: Option<Span>,
    http_equiv: Option<Span>,
    content: Option<Span>,
}

/// Which links are kept during the walk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) pictures: bool,
    pub(crate) files: bool,
    pub(crate) licenses: bool,
    pub(crate) heads: bool,
}

/// The places of a record. Kept from record to record for its buffers.
#[derive(Debug, Default)]
pub(crate) struct Wat {
    pub(crate) target: Option<Span>,
    date: Option<Span>,
    pub(crate) filename: Option<Span>,
    offset: Option<Span>,
    pub(crate) base: Option<Span>,
    title: Option<Span>,
    headers: Vec<(Span, Span)>,
    metas: Vec<Meta>,
    head_links: Vec<Link>,
    pub(crate) links: Vec<Link>,
    pub(crate) has_links: bool,
    text: [String; 4],
}

const IMAGE: &[u8] = b"IMG@/src";

impl Wat {
    /// Looks through the JSON of one record and gives its candidates.
    pub(crate) fn record(&mut self, json: &[u8], emitter: &mut Emitter<'_>) {
        let types = emitter.options.types;
        let compat = emitter.options.compat;
        if !json.trim_ascii_start().starts_with(b"{") {
            emitter.stats.skip(SkipReason::NotAPage);
            return;
        }
        if json.len() > emitter.options.limits.json_bytes.min(u32::MAX as usize) {
            emitter.stats.skip(SkipReason::JsonTooLarge);
            return;
        }
        let Some(wanted) = wanted(json, types, compat) else {
            emitter.stats.skip(SkipReason::NotAPage);
            return;
        };
        let mut skim = Skim::new(json);
        if self.walk(&mut skim, wanted).is_err() {
            emitter.stats.skip(SkipReason::BadJson);
            return;
        }
        let document = skim.document();
        if compat.is_some() {
            // simdjson refuses a document that is not wholly UTF-8.
            if skim.lone_surrogate || simdutf8::basic::from_utf8(document).is_err() {
                emitter.stats.skip(SkipReason::BadJson);
                return;
            }
            self.give_cc2dataset(document, emitter);
        } else {
            self.give(document, emitter);
        }
    }

    fn clear(&mut self) {
        self.target = None;
        self.date = None;
        self.filename = None;
        self.offset = None;
        self.clear_response();
    }

    fn clear_response(&mut self) {
        self.headers.clear();
        self.clear_html();
    }

    fn clear_html(&mut self) {
        self.clear_head();
        self.links.clear();
        self.has_links = false;
    }

    fn clear_head(&mut self) {
        self.base = None;
        self.title = None;
        self.metas.clear();
        self.head_links.clear();
    }

    /// Of keys that occur twice the last one counts, as in every JSON library that makes maps.
    fn walk(&mut self, skim: &mut Skim<'_>, wanted: Wanted) -> Result<(), NotJson> {
        self.clear();
        let document = skim.document();
        object(skim, |skim, key| match key.bytes(document) {
            b"Envelope" => {
                self.clear_response();
                object(skim, |skim, key| match key.bytes(document) {
                    b"WARC-Header-Metadata" => object(skim, |skim, key| match key.bytes(document) {
                        b"WARC-Target-URI" => set(skim, &mut self.target),
                        b"WARC-Date" => set(skim, &mut self.date),
                        _ => skim.skip(),
                    }),
                    b"Payload-Metadata" => {
                        self.clear_response();
                        object(skim, |skim, key| match key.bytes(document) {
                            b"HTTP-Response-Metadata" => self.response(skim, wanted),
                            _ => skim.skip(),
                        })
                    }
                    _ => skim.skip(),
                })
            }
            b"Container" => object(skim, |skim, key| match key.bytes(document) {
                b"Filename" => set(skim, &mut self.filename),
                b"Offset" => set(skim, &mut self.offset),
                _ => skim.skip(),
            }),
            _ => skim.skip(),
        })?;
        skim.end()
    }

    fn response(&mut self, skim: &mut Skim<'_>, wanted: Wanted) -> Result<(), NotJson> {
        self.clear_response();
        let document = skim.document();
        object(skim, |skim, key| match key.bytes(document) {
            b"Headers" if wanted.heads => object(skim, |skim, key| {
                let name = key.bytes(document);
                let kept =
                    [&b"X-Robots-Tag"[..], b"Content-Language", b"TDM-Reservation"].iter().any(|kept| kept.eq_ignore_ascii_case(name));
                match skim.string_or_skip()? {
                    Some(value) if kept => self.headers.push((key, value)),
                    _ => {}
                }
                Ok(())
            }),
            b"HTML-Metadata" => {
                self.clear_html();
                object(skim, |skim, key| match key.bytes(document) {
                    b"Head" => self.head(skim, wanted),
                    b"Links" => {
                        self.links.clear();
                        self.has_links = skim.next_is(b'[');
                        self.links(skim, wanted)
                    }
                    _ => skim.skip(),
                })
            }
            _ => skim.skip(),
        })
    }

    fn head(&mut self, skim: &mut Skim<'_>, wanted: Wanted) -> Result<(), NotJson> {
        self.clear_head();
        let document = skim.document();
        object(skim, |skim, key| match key.bytes(document) {
            b"Base" => set(skim, &mut self.base),
            b"Title" => set(skim, &mut self.title),
            b"Metas" if wanted.heads => array(skim, |skim| {
                let mut meta = Meta::default();
                object(skim, |skim, key| match key.bytes(document) {
                    b"name" => set(skim, &mut meta.name),
                    b"property" => set(skim, &mut meta.property),
                    b"http-equiv" => set(skim, &mut meta.http_equiv),
                    b"content" => set(skim, &mut meta.content),
                    _ => skim.skip(),
                })?;
                self.metas.push(meta);
                Ok(())
            }),
            b"Link" if wanted.licenses => array(skim, |skim| {
                let link = link(skim, document)?;
                self.head_links.push(link);
                Ok(())
            }),
            _ => skim.skip(),
        })
    }

    fn links(&mut self, skim: &mut Skim<'_>, wanted: Wanted) -> Result<(), NotJson> {
        let document = skim.document();
        array(skim, |skim| {
            if !skim.next_is(b'{') {
                return skim.skip();
            }
            let mut link = link(skim, document)?;
            // Compared unescaped: some writers put a backslash before every slash.
            link.image = link.path.is_some_and(|path| {
                if path.escaped { unescape(document, path, &mut self.text[0]).as_bytes() == IMAGE } else { path.bytes(document) == IMAGE }
            });
            if wanted.files || if link.image { wanted.pictures } else { wanted.licenses } {
                self.links.push(link);
            }
            Ok(())
        })
    }

    fn give(&mut self, document: &[u8], emitter: &mut Emitter<'_>) {
        let [first, second, third, fourth] = &mut self.text;
        let Some(target) = self.target else {
            emitter.stats.skip(SkipReason::NotAPage);
            return;
        };
        let most = emitter.options.limits.text_bytes;
        let facts = &mut emitter.facts;
        facts.url.clear();
        facts.url.push_str(unescape(document, target, first).trim_matches(['<', '>']));
        facts.title = self.title.and_then(|title| tidied(unescape(document, title, first), Place::Text, most));
        facts.warc_file = self.filename.map(|name| unescape(document, name, first).to_owned());
        facts.warc_offset = self.offset.and_then(|offset| unescape(document, offset, first).parse().ok());
        facts.warc_date = self.date.map(|date| unescape(document, date, first).to_owned());
        facts.lang = None;
        let base = self.base.map(|base| unescape(document, base, first));
        let decoded = base.map(|base| decode(base, Place::Attribute, second).unwrap_or(base));
        emitter.base.set(&facts.url, decoded);

        emitter.opt_outs.clear();
        for (name, value) in &self.headers {
            let name = unescape(document, *name, first);
            let value = unescape(document, *value, second);
            if name.eq_ignore_ascii_case("content-language") {
                emitter.facts.lang = tidied(value, Place::Attribute, 64);
            } else {
                emitter.opt_outs.header(name, value);
            }
        }
        let mut social = Social::default();
        for meta in &self.metas {
            let Some(content) = meta.content else {
                continue;
            };
            let content = unescape(document, content, first);
            if let Some(name) = meta.name.or(meta.property) {
                let name = unescape(document, name, second);
                if name == "HTML@/lang" {
                    emitter.facts.lang = tidied(content, Place::Attribute, 64);
                } else {
                    emitter.opt_outs.meta(name, content);
                    social.meta(name, content);
                }
            } else if let Some(name) = meta.http_equiv
                && emitter.facts.lang.is_none()
                && unescape(document, name, second).eq_ignore_ascii_case("content-language")
            {
                emitter.facts.lang = tidied(content, Place::Attribute, 64);
            }
        }
        emitter.facts.robots = emitter.opt_outs.joined();
        emitter.facts.license = None;
        for link in self.head_links.iter().chain(self.links.iter().filter(|link| !link.image)) {
            let Some(url) = link.url else { continue };
            let rel = link.rel.is_some_and(|rel| has_license(unescape(document, rel, first)));
            let url = unescape(document, url, second);
            if rel || (emitter.facts.license.is_none() && is_cc(url)) {
                let source = if rel { LicenseSource::Rel } else { LicenseSource::CcLink };
                emitter.facts.license = emitter.absolute(url).map(|url| (url, source));
                if rel {
                    break;
                }
            }
        }

        emitter.begin_page();
        let pictures = emitter.options.types.pictures();
        let files = emitter.options.types.files();
        if pictures {
            social.give(emitter);
        }
        for link in &self.links {
            let Some(url) = link.url else {
                if link.image && pictures {
                    emitter.stats.skip(SkipReason::NoUrl);
                }
                continue;
            };
            let url = unescape(document, url, first);
            let text = |span: Option<Span>, buffer| span.map_or("", |span| unescape(document, span, buffer));
            if link.image && pictures {
                let texts = [(TextSource::Alt, text(link.alt, second)), (TextSource::Title, text(link.title, third))];
                emitter.picture(url, &texts, Rights::default());
            } else if files && !link.image {
                emitter.link(url, text(link.text, third), text(link.title, fourth));
            }
        }
    }
}

/// Whether a list of `rel` words names the licence.
pub(crate) fn has_license(rel: &str) -> bool {
    rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("license") || word.eq_ignore_ascii_case("licence"))
}

/// Whether a url is that of a Creative Commons deed.
pub(crate) fn is_cc(url: &str) -> bool {
    memchr::memmem::find(url.as_bytes(), b"creativecommons.org/").is_some_and(|at| {
        let path = &url[at + "creativecommons.org/".len()..];
        path.starts_with("licenses/") || path.starts_with("publicdomain/")
    })
}

/// The words that [`wanted`] looks for; making a searcher takes as long as a search through a short record.
struct Words {
    html: Finder<'static>,
    image: Finder<'static>,
    card: Finder<'static>,
    license: Finder<'static>,
    licence: Finder<'static>,
    creative_commons: Finder<'static>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| Words {
    html: Finder::new("HTML-Metadata"),
    // Not `IMG@/src`: the slash may be written as `\/`.
    image: Finder::new("IMG@"),
    // `og:image` and `twitter:image`.
    card: Finder::new(":image"),
    license: Finder::new("license"),
    licence: Finder::new("licence"),
    creative_commons: Finder::new("creativecommons.org"),
});

/// Looks for the words that a record must hold to give anything. `None`: it cannot, and need not be parsed.
fn wanted(json: &[u8], types: Types, compat: Option<Compat>) -> Option<Wanted> {
    let words = &*WORDS;
    let has = |word: &Finder<'static>| word.find(json).is_some();
    if !has(&words.html) {
        return None;
    }
    let web = compat.is_none();
    let pictures = types.pictures() && (has(&words.image) || (web && has(&words.card)));
    let files = types.files();
    if !pictures && !files {
        return None;
    }
    let licenses = web && (has(&words.license) || has(&words.licence) || has(&words.creative_commons));
    Some(Wanted { pictures, files, licenses, heads: web })
}

#[inline]
fn link(skim: &mut Skim<'_>, document: &[u8]) -> Result<Link, NotJson> {
    let mut link = Link::default();
    object(skim, |skim, key| {
        let place = match key.bytes(document) {
            b"path" => &mut link.path,
            b"url" => &mut link.url,
            b"alt" => &mut link.alt,
            b"title" => &mut link.title,
            b"text" => &mut link.text,
            b"rel" => &mut link.rel,
            _ => return skim.skip(),
        };
        set(skim, place)
    })?;
    Ok(link)
}

#[inline]
fn set(skim: &mut Skim<'_>, place: &mut Option<Span>) -> Result<(), NotJson> {
    *place = skim.string_or_skip()?;
    Ok(())
}

/// An object; any other value is passed over.
#[inline]
fn object<'a>(skim: &mut Skim<'a>, field: impl FnMut(&mut Skim<'a>, Span) -> Result<(), NotJson>) -> Result<(), NotJson> {
    if skim.next_is(b'{') { skim.object(field) } else { skim.skip() }
}

/// An array; any other value is passed over.
#[inline]
fn array<'a>(skim: &mut Skim<'a>, item: impl FnMut(&mut Skim<'a>) -> Result<(), NotJson>) -> Result<(), NotJson> {
    if skim.next_is(b'[') { skim.array(item) } else { skim.skip() }
}
