//! What stands on a page: pictures with their texts, links, and the facts of the head.

use super::social::Social;
use super::srcset::{largest, parse_srcset};
use super::token::{Short, Token, Tokenizer};
use crate::crawl::extract::extensions::kind_of;
use crate::crawl::extract::opt_out::OptOuts;
use crate::crawl::extract::wat::{has_license, is_cc};
use crate::crawl::extract::{ExtractOptions, LicenseSource, TextSource};

/// Where lazy loaders keep the url while `src` holds a placeholder. In order of trust.
const LAZY_SRC: [&str; 9] = [
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-original-src",
    "data-orig-file",
    "data-hi-res-src",
    "data-full-src",
    "data-echo",
];
const LAZY_SRCSET: [&str; 4] = ["srcset", "data-srcset", "data-lazy-srcset", "data-original-set"];
const DATA_TEXT: [&str; 4] = ["data-caption", "data-image-caption", "data-image-title", "data-title"];

/// Most pictures and links kept of one page.
const MOST: usize = 100_000;
/// Most texts of a caption or a link, in bytes. A longer one is no caption, and is left out by the limit on texts.
const TEXT_BYTES: usize = 256 << 10;

/// A picture on the page. All slices are as they stand there.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) url: &'a str,
    pub(crate) texts: Vec<(TextSource, &'a str)>,
    /// Place in [`Found::captions`] of the figure around it.
    pub(crate) figure: Option<usize>,
}

/// A link to a file.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    pub(crate) url: &'a str,
    pub(crate) text: String,
    pub(crate) title: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    pub(crate) title: Option<&'a str>,
    pub(crate) lang: Option<&'a str>,
    pub(crate) base: Option<&'a str>,
    pub(crate) canonical: Option<&'a str>,
    pub(crate) license: Option<(&'a str, LicenseSource)>,
    pub(crate) cc_link: Option<&'a str>,
    pub(crate) social: Social,
    pub(crate) pictures: Vec<Picture<'a>>,
    pub(crate) captions: Vec<String>,
    pub(crate) links: Vec<Link<'a>>,
    pub(crate) json_ld: Vec<&'a str>,
}

/// What the tokens seen so far leave open.
#[derive(Default)]
struct Open<'a> {
    /// Captions of the figures that are open, innermost last.
    figures: Vec<usize>,
    caption: bool,
    /// Largest url of the `source`s of the `picture` that is open, by list.
    picture: Option<Vec<&'a str>>,
    anchor: Option<usize>,
    title: bool,
    json_ld: bool,
}

/// Reads a page.
pub(crate) fn read<'a>(page: &'a str, options: &ExtractOptions, opt_outs: &mut OptOuts) -> Found<'a> {
    let mut found = Found::default();
    let mut open = Open::default();
    let mut tokens = Tokenizer::new(page);
    let (pictures, files) = (options.types.pictures(), options.types.files());
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) => {
                if open.title {
                    found.title.get_or_insert(text);
                } else if open.json_ld {
                    found.json_ld.push(text);
                } else {
                    if open.caption
                        && let Some(caption) = open.figures.last().and_then(|at| found.captions.get_mut(*at))
                    {
                        append(caption, text);
                    }
                    if let Some(link) = open.anchor.and_then(|at| found.links.get_mut(at)) {
                        append(&mut link.text, text);
                    }
                }
                open.title = false;
                open.json_ld = false;
            }
            Token::Start { name } => {
                let name = Short::new(name);
                open.title = false;
                open.json_ld = false;
                match name.as_str() {
                    "html" if found.lang.is_none() => found.lang = tokens.attribute("lang").or_else(|| tokens.attribute("xml:lang")),
                    "title" => open.title = !tokens.foreign() && found.title.is_none(),
                    "base" if found.base.is_none() => found.base = tokens.attribute("href"),
                    "meta" => meta(&tokens, &mut found, opt_outs),
                    "link" => head_link(&tokens, &mut found),
                    "script" => {
                        open.json_ld = pictures
                            && tokens
                                .attribute("type")
                                .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/ld+json"))
                    }
                    "img" | "amp-img" if pictures => picture(&tokens, &mut found, &mut open),
                    "image" if pictures && !tokens.foreign() => picture(&tokens, &mut found, &mut open),
                    "picture" => open.picture = Some(Vec::new()),
                    "source" if open.picture.is_some() => {
                        let lists = LAZY_SRCSET.iter().filter_map(|name| tokens.attribute(name));
                        open.picture.get_or_insert_default().extend(lists);
                    }
                    "figure" if pictures => {
                        found.captions.push(String::new());
                        open.figures.push(found.captions.len() - 1);
                        open.caption = false;
                    }
                    "figcaption" => open.caption = !open.figures.is_empty(),
                    "a" | "area" => {
                        open.anchor = None;
                        anchor(&tokens, &mut found, &mut open, files);
                    }
                    "source" | "audio" | "video" | "embed" | "iframe" | "track" | "object" if files => {
                        let url = tokens.attribute("src").or_else(|| tokens.attribute("data"));
                        file(url, &tokens, &mut found, options);
                    }
                    "br" | "p" | "div" | "li" | "tr" | "td" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => separate(&mut found, &open),
                    _ => {}
                }
            }
            Token::End { name } => {
                open.title = false;
                open.json_ld = false;
                match Short::new(name).as_str() {
                    "figure" => {
                        open.figures.pop();
                        open.caption = false;
                    }
                    "figcaption" => open.caption = false,
                    "picture" => open.picture = None,
                    "a" => open.anchor = None,
                    "p" | "div" | "li" | "tr" | "td" => separate(&mut found, &open),
                    _ => {}
                }
            }
        }
        if found.pictures.len() >= MOST || found.links.len() >= MOST {
            // The limit on candidates of a page is lower by default; this one is for memory.
            break;
        }
    }
    found
}

fn append(to: &mut String, text: &str) {
    if to.len() + text.len() <= TEXT_BYTES {
        to.push_str(text);
    }
}

fn separate(found: &mut Found<'_>, open: &Open<'_>) {
    if open.caption
        && let Some(caption) = open.figures.last().and_then(|at| found.captions.get_mut(*at))
    {
        append(caption, " ");
    }
    if let Some(link) = open.anchor.and_then(|at| found.links.get_mut(at)) {
        append(&mut link.text, " ");
    }
}

fn meta<'a>(tokens: &Tokenizer<'a>, found: &mut Found<'a>, opt_outs: &mut OptOuts) {
    let Some(content) = tokens.attribute("content") else {
        return;
    };
    for name in ["name", "property", "itemprop"] {
        if let Some(name) = tokens.attribute(name) {
            opt_outs.meta(name.trim(), content);
            found.social.meta(name, content);
            return;
        }
    }
    if let Some(pragma) = tokens.attribute("http-equiv") {
        if pragma.eq_ignore_ascii_case("content-language") && found.lang.is_none() {
            found.lang = Some(content);
        } else if pragma.eq_ignore_ascii_case("x-robots-tag") {
            opt_outs.header(pragma, content);
        }
    }
}

fn head_link<'a>(tokens: &Tokenizer<'a>, found: &mut Found<'a>) {
    let (Some(rel), Some(href)) = (tokens.attribute("rel"), tokens.attribute("href")) else {
        return;
    };
    if has_license(rel) && found.license.is_none() {
        found.license = Some((href, LicenseSource::Rel));
    } else if rel.trim().eq_ignore_ascii_case("canonical") && found.canonical.is_none() {
        found.canonical = Some(href.trim());
    }
}

fn anchor<'a>(tokens: &Tokenizer<'a>, found: &mut Found<'a>, open: &mut Open<'a>, files: bool) {
    let Some(href) = tokens.attribute("href") else {
        return;
    };
    if found.license.is_none() && tokens.attribute("rel").is_some_and(has_license) {
        found.license = Some((href, LicenseSource::Rel));
    } else if found.cc_link.is_none() && is_cc(href) {
        found.cc_link = Some(href);
    }
    if files && kind_of(href.trim_ascii().as_bytes()).is_some() {
        let title = tokens.attribute("title").or_else(|| tokens.attribute("aria-label")).unwrap_or_default();
        found.links.push(Link { url: href, text: String::new(), title });
        open.anchor = Some(found.links.len() - 1);
    }
}

fn file<'a>(url: Option<&'a str>, tokens: &Tokenizer<'a>, found: &mut Found<'a>, options: &ExtractOptions) {
    let Some(url) = url else { return };
    if kind_of(url.trim_ascii().as_bytes()).is_some_and(|kind| options.types.has(kind)) {
        let title = tokens.attribute("title").or_else(|| tokens.attribute("aria-label")).unwrap_or_default();
        found.links.push(Link { url, text: String::new(), title });
    }
}

fn picture<'a>(tokens: &Tokenizer<'a>, found: &mut Found<'a>, open: &mut Open<'a>) {
    let own = LAZY_SRCSET.iter().filter_map(|name| tokens.attribute(name));
    let around = open.picture.iter().flatten().copied();
    // Every size of the picture, of the `img` first, so that of equals its own format is taken.
    let sizes: Vec<_> = own.chain(around).flat_map(parse_srcset).collect();
    let looks_like_url = |url: &&str| {
        let url = url.trim_start();
        !url.is_empty() && !url.starts_with(['{', '[', '<']) && url != "true" && url != "false"
    };
    let lazy = || LAZY_SRC.iter().filter_map(|name| tokens.attribute(name)).find(looks_like_url);
    let url = largest(&sizes).filter(looks_like_url).or_else(lazy).or_else(|| tokens.attribute("src")).unwrap_or_default();
    let mut texts = Vec::new();
    for (source, name) in [(TextSource::Alt, "alt"), (TextSource::Title, "title"), (TextSource::AriaLabel, "aria-label")] {
        if let Some(text) = tokens.attribute(name) {
            texts.push((source, text));
        }
    }
    if let Some(text) = DATA_TEXT.iter().find_map(|name| tokens.attribute(name)) {
        texts.push((TextSource::DataAttribute, text));
    }
    found.pictures.push(Picture { url, texts, figure: open.figures.last().copied() });
}
