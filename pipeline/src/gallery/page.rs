//! A page of pictures: one file that a browser opens, with everything in it.

use std::fmt::Write;

/// A picture on a page.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Ending and bytes; without them the url is asked by the browser.
    pub picture: Option<(String, Vec<u8>)>,
    /// Its address, if it is known.
    pub url: Option<String>,
    /// Lines below it.
    pub lines: Vec<String>,
    /// It stands out: the one that stays of a group.
    pub marked: bool,
}

/// A page of groups, each with a heading. Nothing in it runs, and text from the web is text.
pub fn page(title: &str, intro: &str, groups: &[(String, Vec<Shown>)]) -> String {
    let mut html = String::new();
    let title = escaped(title);
    html.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    // Pictures are data, or come by https when the reader allows it; no scripts, no frames.
    html.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'\">\n");
    html.push_str("<meta name=\"referrer\" content=\"no-referrer\">\n");
    let _ = writeln!(html, "<title>{title}</title>");
    html.push_str(
        "<style>body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222;background:#fff}h2{font-size:1em;margin:2em 0 .5em}\
         .g{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;width:180px}img{max-width:180px;max-height:180px;display:block;background:#eee}\
         figcaption{font-size:12px;overflow-wrap:anywhere}.k img{outline:3px solid #2a7}</style></head><body>\n",
    );
    let _ = writeln!(html, "<h1>{title}</h1>\n<p>{}</p>", escaped(intro));
    for (heading, pictures) in groups {
        let _ = writeln!(html, "<h2>{}</h2>\n<div class=\"g\">", escaped(heading));
        for shown in pictures {
            let class = if shown.marked { " class=\"k\"" } else { "" };
            let source = match (&shown.picture, &shown.url) {
                (Some((ending, bytes)), _) => format!("data:{};base64,{}", mime(ending), base64(bytes)),
                (None, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => escaped(url),
                _ => String::new(),
            };
            let lines = shown.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>");
            let image = if source.is_empty() { String::new() } else { format!("<img loading=\"lazy\" alt=\"\" src=\"{source}\">") };
            let _ = writeln!(html, "<figure{class}>{image}<figcaption>{lines}</figcaption></figure>");
        }
        html.push_str("</div>\n");
    }
    html.push_str("</body></html>\n");
    html
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn mime(ending: &str) -> &'static str {
    match ending {
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => "image/jpeg",
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().enumerate().fold(0_u32, |word, (at, &byte)| word | u32::from(byte) << (16 - 8 * at));
        for at in 0..4 {
            match at <= three.len() {
                true => text.push(char::from(DIGITS[(word >> (18 - 6 * at)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of RFC 4648, section 10.
    #[test]
    fn bytes_are_written_in_base_64() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn text_from_the_web_stays_text() {
        let shown = Shown { url: Some("javascript:alert(1)".into()), lines: vec!["<script>alert(1)</script>".into()], ..Shown::default() };
        let html = page("A & B", "", &[("\"x\"".into(), vec![shown])]);
        assert!(!html.contains("<script") && !html.contains("javascript:"), "{html}");
        assert!(html.contains("A &amp; B") && html.contains("&lt;script&gt;") && html.contains("&quot;x&quot;"));
    }
}
