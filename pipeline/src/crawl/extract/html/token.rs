//! The tokens of a page: the HTML standard's tokenizer, less what extraction has no use for (comments, doctypes, errors).
//!
//! Names and values are slices of the page, references not undone. Each byte is looked at a bounded number of times, so that no
//! page can make it slow, and nothing nests. Elements inside `noscript` are tokens like all others: that is where lazy
//! loaders keep the plain `img`.

/// Most attributes kept of one tag.
const ATTRIBUTES: usize = 256;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// The attributes are in [`Tokenizer::attributes`] until the next token is asked for.
    Start {
        name: &'a str,
    },
    End {
        name: &'a str,
    },
    Text(&'a str),
}

pub(crate) struct Tokenizer<'a> {
    page: &'a str,
    at: usize,
    attributes: Vec<(&'a str, &'a str)>,
    /// The element whose raw text comes next.
    raw: Option<&'a str>,
    /// Depth of `svg` and `math`, in which `title`, `style` and `script` are elements like others.
    foreign: usize,
}

impl<'a> Tokenizer<'a> {
    pub(crate) fn new(page: &'a str) -> Self {
        Self { page, at: 0, attributes: Vec::new(), raw: None, foreign: 0 }
    }

    /// Whether the present place is inside `svg` or `math`.
    pub(crate) fn foreign(&self) -> bool {
        self.foreign > 0
    }

    /// Value of an attribute of the last start tag. Of two with one name the first counts.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    pub(crate) fn next(&mut self) -> Option<Token<'a>> {
        loop {
            if let Some(name) = self.raw.take()
                && let Some(text) = self.raw_text(name)
            {
                return Some(Token::Text(text));
            }
            let page = self.page;
            let rest = page.get(self.at..)?;
            if rest.is_empty() {
                return None;
            }
            let bytes = rest.as_bytes();
            let Some(less) = memchr::memchr(b'<', bytes) else {
                self.at = page.len();
                return Some(Token::Text(rest));
            };
            let tag_like = match bytes.get(less + 1) {
                Some(b'/') => bytes.get(less + 2).is_some(),
                Some(b'!' | b'?') => true,
                Some(byte) => byte.is_ascii_alphabetic(),
                None => false,
            };
            if !tag_like {
                self.at += less + 1;
                return Some(Token::Text(&rest[..=less]));
            }
            if less > 0 {
                self.at += less;
                return Some(Token::Text(&rest[..less]));
            }
            match bytes[1] {
                b'!' => self.declaration(rest),
                b'?' => self.bogus(rest),
                b'/' if bytes[2].is_ascii_alphabetic() => {
                    let name = self.tag(2)?;
                    if matches!(self.lower(name).as_str(), "svg" | "math") {
                        self.foreign = self.foreign.saturating_sub(1);
                    }
                    return Some(Token::End { name });
                }
                b'/' => self.bogus(rest),
                _ => {
                    let name = self.tag(1)?;
                    let self_closing = self.page[..self.at].ends_with("/>");
                    match self.lower(name).as_str() {
                        "svg" | "math" if !self_closing => self.foreign += 1,
                        "script" | "style" | "xmp" | "iframe" | "noembed" | "noframes" | "textarea" | "title" | "plaintext"
                            if self.foreign == 0 =>
                        {
                            self.raw = Some(name);
                        }
                        _ => {}
                    }
                    return Some(Token::Start { name });
                }
            }
        }
    }

    /// Short names in lower case; longer ones are nothing that the tokenizer knows.
    fn lower(&self, name: &str) -> Short {
        Short::new(name)
    }

    fn bogus(&mut self, rest: &str) {
        self.at += memchr::memchr(b'>', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
    }

    fn declaration(&mut self, rest: &str) {
        let bytes = rest.as_bytes();
        if bytes.starts_with(b"<!--") {
            let body = &bytes[4..];
            if body.starts_with(b">") {
                self.at += 5;
                return;
            }
            if body.starts_with(b"->") {
                self.at += 6;
                return;
            }
            let mut from = 0;
            while let Some(dashes) = memchr::memmem::find(&body[from..], b"--") {
                let after = from + dashes + 2;
                match body.get(after) {
                    Some(b'>') => {
                        self.at += 4 + after + 1;
                        return;
                    }
                    Some(b'!') if body.get(after + 1) == Some(&b'>') => {
                        self.at += 4 + after + 2;
                        return;
                    }
                    _ => from = after - 1,
                }
            }
            self.at = self.page.len();
        } else if self.foreign > 0 && bytes.starts_with(b"<![CDATA[") {
            self.at += memchr::memmem::find(bytes, b"]]>").map_or(rest.len(), |end| end + 3);
        } else {
            self.bogus(rest);
        }
    }

    /// Text up to the end tag of `name`, which stays for the next token. `None` when there is no text.
    fn raw_text(&mut self, name: &str) -> Option<&'a str> {
        let rest = &self.page[self.at..];
        let bytes = rest.as_bytes();
        let mut end = rest.len();
        if !name.eq_ignore_ascii_case("plaintext") {
            let mut from = 0;
            while let Some(at) = memchr::memmem::find(&bytes[from..], b"</") {
                let at = from + at;
                let after = at + 2 + name.len();
                let named = bytes.get(at + 2..after).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
                if named && matches!(bytes.get(after), None | Some(b'\t' | b'\n' | 0xc | b'\r' | b' ' | b'/' | b'>')) {
                    end = at;
                    break;
                }
                from = at + 2;
            }
        }
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }

    /// Reads a tag whose name begins `skip` bytes from here, and its attributes. `None`: the page ends inside it, which is the end.
    fn tag(&mut self, skip: usize) -> Option<&'a str> {
        let page = self.page;
        let bytes = page.as_bytes();
        let space = |byte: u8| matches!(byte, b'\t' | b'\n' | 0xc | b'\r' | b' ');
        self.attributes.clear();
        let start = self.at + skip;
        let mut at = start;
        while bytes.get(at).is_some_and(|byte| !space(*byte) && *byte != b'/' && *byte != b'>') {
            at += 1;
        }
        let name = &page[start..at];
        loop {
            while bytes.get(at).is_some_and(|byte| space(*byte) || *byte == b'/') {
                at += 1;
            }
            let Some(first) = bytes.get(at) else {
                self.at = bytes.len();
                return None;
            };
            if *first == b'>' {
                self.at = at + 1;
                return Some(name);
            }
            let name_start = at;
            // An equals sign in front belongs to the name.
            at += 1;
            while bytes.get(at).is_some_and(|byte| !space(*byte) && !matches!(byte, b'/' | b'>' | b'=')) {
                at += 1;
            }
            let attribute = &page[name_start..at];
            while bytes.get(at).is_some_and(|byte| space(*byte)) {
                at += 1;
            }
            let mut value = "";
            if bytes.get(at) == Some(&b'=') {
                at += 1;
                while bytes.get(at).is_some_and(|byte| space(*byte)) {
                    at += 1;
                }
                match bytes.get(at) {
                    Some(quote @ (b'"' | b'\'')) => {
                        let Some(length) = memchr::memchr(*quote, &bytes[at + 1..]) else {
                            self.at = bytes.len();
                            return None;
                        };
                        value = &page[at + 1..at + 1 + length];
                        at += length + 2;
                    }
                    _ => {
                        let value_start = at;
                        while bytes.get(at).is_some_and(|byte| !space(*byte) && *byte != b'>') {
                            at += 1;
                        }
                        value = &page[value_start..at];
                    }
                }
            }
            if self.attributes.len() < ATTRIBUTES {
                self.attributes.push((attribute, value));
            }
        }
    }
}

/// A name in lower case, without an allocation.
pub(crate) struct Short {
    bytes: [u8; 12],
    length: usize,
}

impl Short {
    pub(crate) fn new(name: &str) -> Self {
        let mut bytes = [0; 12];
        let length = if name.len() <= 12 && name.is_ascii() { name.len() } else { 0 };
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        bytes.make_ascii_lowercase();
        Self { bytes, length }
    }

    /// Empty for names that are longer than any known element.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(page: &str) -> Vec<String> {
        let mut tokenizer = Tokenizer::new(page);
        let mut out = Vec::new();
        while let Some(token) = tokenizer.next() {
            out.push(match token {
                Token::Start { name } => {
                    let attributes: String = tokenizer.attributes.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                    format!("<{name}{attributes}>")
                }
                Token::End { name } => format!("</{name}>"),
                Token::Text(text) => text.to_owned(),
            });
        }
        out
    }

    #[test]
    fn odd_markup_is_read_as_browsers_read_it() {
        for (page, expected) in [
            ("<p a=1 b='2' c=\"3\" d e = f>x</p>", &["<p a=1 b=2 c=3 d= e=f>", "x", "</p>"][..]),
            ("a < b", &["a <", " b"]),
            ("<!-- <img> --><b>", &["<b>"]),
            ("<!--><b>", &["<b>"]),
            ("<!--->x--!><b>", &["x--!>", "<b>"]),
            ("<!-- x --!><b>", &["<b>"]),
            ("<script>if (a<b) \"</scr\"</script>x", &["<script>", "if (a<b) \"</scr\"", "</script>", "x"]),
            ("<title>a<b></title>", &["<title>", "a<b>", "</title>"]),
            ("<svg><title>a<b></title></svg>", &["<svg>", "<title>", "a", "<b>", "</title>", "</svg>"]),
            ("<noscript><img src=x></noscript>", &["<noscript>", "<img src=x>", "</noscript>"]),
            ("<a/b=c/>", &["<a b=c/>"]),
            ("<?php x ?><b>", &["<b>"]),
            ("</ x><b>", &["<b>"]),
            ("<b", &[]),
            ("<b a='", &[]),
            ("<b =x>", &["<b =x=>"]),
            ("<style>", &["<style>"]),
        ] {
            assert_eq!(tokens(page), expected, "{page}");
        }
    }

    #[test]
    fn a_million_nested_tags_are_no_trouble() {
        assert_eq!(tokens(&"<div>".repeat(1_000_000)).len(), 1_000_000);
    }

    proptest! {
        #[test]
        fn any_page_is_survived(page in "[<>/!a-c='\" \\-\\?é\\[\\]]{0,60}") {
            let _ = tokens(&page);
        }

        #[test]
        fn any_script_is_survived(page in "<(script|title|svg|!--|!\\[CDATA\\[)[ >][a<>/é!\\-\\]]{0,20}(</script|</title|</svg|-->)?.?>?") {
            let _ = tokens(&page);
        }
    }
}
