//! Pages as HTML, with the header of the response that carries them.

use std::fmt::Write as _;

use super::MiniWeb;
use super::page::{Markup, Page, PageImage};

/// A page as a crawler receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageDocument {
    /// The address of the page.
    pub url: String,
    /// The response header, in order, without the status line. The status is 200.
    pub headers: Vec<(&'static str, String)>,
    /// The body, in the page's own encoding.
    pub html: Vec<u8>,
}

impl MiniWeb {
    /// All pages in order. Cheap to start anywhere: `pages().skip(n)` makes nothing of what it skips but the numbers.
    pub fn pages(&self) -> impl Iterator<Item = PageDocument> + '_ {
        (0..self.config.pages).map(|index| self.page(index).to_document())
    }
}

impl Page {
    /// The page as a crawler receives it.
    pub fn to_document(&self) -> PageDocument {
        let html = self.charset.encode(&self.to_html());
        let content_type = match self.charset_in_header {
            true => format!("text/html; charset={}", self.charset.label()),
            false => "text/html".to_owned(),
        };
        PageDocument {
            url: self.url.clone(),
            headers: vec![("Server", "miniweb".to_owned()), ("Content-Type", content_type), ("Content-Length", html.len().to_string())],
            html,
        }
    }

    /// The page as text, before it is encoded.
    fn to_html(&self) -> String {
        let mut out = String::with_capacity(4096);
        // Writing into a string cannot fail.
        let _ = self.write_head(&mut out);
        let _ = self.write_body(&mut out);
        out
    }

    fn write_head(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>", self.lang.code())?;
        if !self.charset_in_header {
            writeln!(out, "<meta charset=\"{}\">", self.charset.label())?;
        }
        writeln!(out, "<title>{}</title>", escaped(&self.title))?;
        if let Some(base) = &self.base {
            writeln!(out, "<base href=\"{}\">", escaped(base))?;
        }
        for (key, name, content) in self.metas() {
            writeln!(out, "<meta {key}=\"{name}\" content=\"{}\">", escaped(&content))?;
        }
        for image in self.images.iter().filter(|image| image.markup == Markup::JsonLd) {
            let mut object = serde_json::json!({
                "@context": "https://schema.org",
                "@type": "ImageObject",
                "contentUrl": image.raw,
            });
            if let Some(text) = &image.caption.text {
                object["caption"] = text.as_str().into();
            }
            writeln!(out, "<script type=\"application/ld+json\">{object}</script>")?;
        }
        writeln!(out, "</head>")
    }

    fn write_body(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "<body>\n<h1>{}</h1>", escaped(&self.title))?;
        let (before, after) = self.prose.split_at(self.prose.len() / 2);
        for text in before {
            writeln!(out, "<p>{}</p>", escaped(text))?;
        }
        let mut stand_in = None;
        for image in &self.images {
            match image.markup {
                Markup::LazyStandIn => stand_in = Some(image.raw.as_str()),
                _ => image.write(out, stand_in.take())?,
            }
        }
        for text in after {
            writeln!(out, "<p>{}</p>", escaped(text))?;
        }
        for (url, text) in &self.anchors {
            writeln!(out, "<a href=\"{}\">{}</a>", escaped(url), escaped(text))?;
        }
        writeln!(out, "</body>\n</html>")
    }

    /// The meta tags: which attribute names it (`name` or `property`), the name, the content.
    pub(crate) fn metas(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut metas = vec![("name", "generator", "miniweb".to_owned())];
        if self.opted_out {
            metas.push(("name", "robots", "noai, noimageai".to_owned()));
        }
        for image in self.images.iter().filter(|image| image.markup == Markup::OpenGraph) {
            metas.push(("property", "og:image", image.raw.clone()));
            if let Some(text) = &image.caption.text {
                metas.push(("property", "og:image:alt", text.clone()));
            }
        }
        metas
    }
}

impl PageImage {
    fn write(&self, out: &mut String, stand_in: Option<&str>) -> std::fmt::Result {
        let raw = escaped(&self.raw);
        let alt = self.alt().map(|alt| format!(" alt=\"{}\"", escaped(alt))).unwrap_or_default();
        let caption = self.caption.text.as_deref().map(escaped).unwrap_or_default();
        match self.markup {
            Markup::Img => writeln!(out, "<img src=\"{raw}\"{alt}>"),
            Markup::Title if self.title().is_none() => writeln!(out, "<img src=\"{raw}\">"),
            Markup::Title => writeln!(out, "<img src=\"{raw}\" title=\"{caption}\">"),
            Markup::Figure => {
                writeln!(out, "<figure><img src=\"{raw}\"{alt}><figcaption>{caption}</figcaption></figure>")
            }
            // No entry for an address with a space in it or a query of its own: a srcset could not be told from it.
            Markup::Srcset if raw.contains([' ', '?']) => writeln!(out, "<img src=\"{raw}\"{alt}>"),
            Markup::Srcset => {
                writeln!(out, "<img src=\"{raw}\" srcset=\"{raw}?w=320 320w, {raw} 1280w\" sizes=\"100vw\"{alt}>")
            }
            Markup::Picture => {
                writeln!(out, "<picture><source media=\"(min-width: 800px)\" srcset=\"{}\"><img src=\"{raw}\"{alt}></picture>", raw.trim())
            }
            Markup::Lazy => writeln!(out, "<img class=\"lazy\" src=\"{}\" data-src=\"{raw}\"{alt}>", escaped(stand_in.unwrap_or_default())),
            // Written in the head, or as a part of another image.
            Markup::OpenGraph | Markup::JsonLd | Markup::LazyStandIn => Ok(()),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::MiniWebConfig;
    use super::*;

    #[test]
    fn the_pages_of_two_equal_webs_are_equal_and_those_of_another_seed_are_not() {
        let config = MiniWebConfig { pages: 50, hostile: 0.2, refusing: 0.2, ..MiniWebConfig::default() };
        let pages = |config: &MiniWebConfig| MiniWeb::new(config.clone()).pages().collect::<Vec<_>>();
        assert_eq!(pages(&config), pages(&config));
        assert_ne!(pages(&config), pages(&MiniWebConfig { seed: 1, ..config.clone() }));
        assert_eq!(pages(&config)[7], MiniWeb::new(config).pages().nth(7).unwrap());
    }

    #[test]
    fn every_kind_of_markup_is_somewhere_on_the_web() {
        let web = MiniWeb::new(MiniWebConfig { pages: 200, refusing: 0.2, ..MiniWebConfig::default() });
        let all: String = web.pages().map(|page| String::from_utf8_lossy(&page.html).into_owned()).collect();
        for part in [
            "<figcaption>",
            "srcset=\"",
            "<picture>",
            "data-src=\"",
            "src=\"/assets/blank.gif\"",
            "property=\"og:image\"",
            "application/ld+json",
            "<base href=\"",
            "src=\"//h0",
            "src=\"../",
            "src=\"data:image/gif",
            "content=\"noai, noimageai\"",
            "<meta charset=\"iso-8859-1\">",
            " title=\"",
        ] {
            assert!(all.contains(part), "{part}");
        }
    }
}
