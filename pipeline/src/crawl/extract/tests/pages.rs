use proptest::prelude::*;

use super::*;

fn images(html: &str) -> Vec<(String, String, &'static str)> {
    page_rows(html, &all()).into_iter().map(|row| (row.1.replace("https://example.com", ""), row.2, row.3)).collect()
}

fn row(url: &str, text: &str, source: &'static str) -> (String, String, &'static str) {
    (url.to_owned(), text.to_owned(), source)
}

#[test]
fn one_picture_is_one_url() {
    for (html, url) in [
        ("<img src=s.jpg alt=a>", "/a/s.jpg"),
        ("<img src=s.jpg srcset='s.jpg 320w, l.jpg 1280w' alt=a>", "/a/l.jpg"),
        ("<img src=data:image/gif;base64,R0 data-src=real.jpg alt=a>", "/a/real.jpg"),
        ("<img src=p.gif data-srcset='m.jpg 1x, n.jpg 2x' alt=a>", "/a/n.jpg"),
        ("<img src=p.gif data-lazy-src='r.jpg' alt=a><noscript><img src=r.jpg alt=a></noscript>", "/a/r.jpg"),
        ("<picture><source srcset='a.webp 800w, b.webp 1600w'><img src=s.jpg alt=a></picture>", "/a/b.webp"),
        ("<base href=/x/><base href=/y/><img src=s.jpg alt=a>", "/x/s.jpg"),
        ("<base href='data:,x'><img src=s.jpg alt=a>", "/a/s.jpg"),
        ("<IMG SRC='a&amp;b.jpg' ALT=a>", "/a/a&b.jpg"),
        ("<svg><image href=no /></svg><image src=s.jpg alt=a>", "/a/s.jpg"),
        ("<script>'<img src=no alt=a>'</script><!-- <img src=no alt=a> --><img src=s.jpg alt=a>", "/a/s.jpg"),
    ] {
        assert_eq!(images(html), [row(url, "a", "alt")], "{html}");
    }
}

#[test]
fn every_text_of_a_picture_is_a_row() {
    let html = "<figure><a href=/><img src=s.jpg alt='Alt &amp; text' title=T aria-label=L data-caption=D></a><figcaption>A <b>cap</b>tion<br>here</figcaption></figure><img src=t.jpg>";
    assert_eq!(
        images(html),
        [
            row("/a/s.jpg", "Alt & text", "alt"),
            row("/a/s.jpg", "T", "title"),
            row("/a/s.jpg", "L", "aria_label"),
            row("/a/s.jpg", "D", "data_attribute"),
            row("/a/s.jpg", "A caption here", "figcaption"),
            row("/a/t.jpg", "", "none"),
        ]
    );
    assert_eq!(page_rows(html, &ExtractOptions::default()).len(), 5);
}

#[test]
fn cards_and_json_ld_are_read() {
    let html = r#"<meta property="og:image" content="/o.jpg"><meta property="og:image:secure_url" content="/o.jpg"><meta property="og:image:alt" content="Og"><meta name="twitter:image" content="/o.jpg">
        <script type="application/ld+json">{"@type":"ImageObject","contentUrl":"/p.jpg","caption":"Cap &amp; tion","license":"/lic","creditText":"Me"}</script><img src=/p.jpg alt=P>"#;
    assert_eq!(images(html), [row("/o.jpg", "Og", "og"), row("/p.jpg", "P", "alt"), row("/p.jpg", "Cap & tion", "jsonld")]);
    let page = Page {
        bytes: html.as_bytes(),
        content_type: None,
        url: "https://example.com/",
        warc_file: None,
        warc_offset: None,
        warc_date: None,
    };
    let mut rights = Vec::new();
    extract_html(&page, &all(), &mut |c: &Candidate<'_>| rights.push((c.license.map(str::to_owned), c.credit.map(str::to_owned))));
    let lic = (Some("https://example.com/lic".to_owned()), Some("Me".to_owned()));
    assert_eq!(rights, [(None, None), lic.clone(), lic]);
}

#[test]
fn facts_of_the_page_come_with_each_row() {
    let html = "<html lang=fr><head><title>T &lt;x&gt;</title><meta name=robots content='noai,follow'><meta name=tdm-reservation content=1></head><img src=a alt=b><a rel='nofollow license' href=https://creativecommons.org/licenses/by/4.0/>x</a>";
    let page = Page {
        bytes: html.as_bytes(),
        content_type: None,
        url: "https://example.com/",
        warc_file: Some("f"),
        warc_offset: Some(3),
        warc_date: Some("d"),
    };
    let mut seen = 0;
    extract_html(&page, &ExtractOptions::default(), &mut |c: &Candidate<'_>| {
        seen += 1;
        assert_eq!((c.page_title, c.page_lang, c.robots), (Some("T <x>"), Some("fr"), Some("noai,tdm-reservation")));
        assert_eq!((c.license, c.license_source), (Some("https://creativecommons.org/licenses/by/4.0/"), Some(LicenseSource::Rel)));
        assert_eq!((c.warc_file, c.warc_offset, c.warc_date), (Some("f"), Some(3), Some("d")));
    });
    assert_eq!(seen, 1);
}

#[test]
fn files_are_found_by_the_extension_of_their_path() {
    let html =
        "<a href=x.MP3?y><b>A</b> song</a><a href='d.pdf#p' title=D></a><video><source src=v.webm></video><a href=http://x.md>no</a>";
    let found: Vec<_> = page_rows(html, &all()).into_iter().map(|row| (row.0, row.1, row.2)).collect();
    let row = |kind, url: &str, text: &str| (kind, url.to_owned(), text.to_owned());
    assert_eq!(
        found,
        [
            row(CandidateKind::Audio, "https://example.com/a/x.MP3?y", "A song"),
            row(CandidateKind::Text, "https://example.com/a/d.pdf#p", "D"),
            row(CandidateKind::Video, "https://example.com/a/v.webm", ""),
        ]
    );
}

#[test]
fn a_warc_of_pages_is_read() {
    let body = "<meta charset=windows-1251><img src=x.png alt='\u{1}'>".replace('\u{1}', "?");
    let http =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Robots-Tag: noimageai\r\nX-Robots-Tag: somebot: noindex\r\n\r\n{body}");
    let mut block = http.into_bytes();
    let at = block.iter().rposition(|byte| *byte == b'?').unwrap();
    block[at] = 0xcf;
    let mut record = format!("WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: <http://h/p>\r\nWARC-Date: D\r\nContent-Type: application/http\r\nContent-Length: {}\r\n\r\n", block.len()).into_bytes();
    record.extend(block);
    let mut seen = 0;
    extract_archive(input(&record), "w.warc", &ExtractOptions::default(), &mut |c: &Candidate<'_>| {
        seen += 1;
        assert_eq!(
            (c.url, c.text, c.page_url, c.robots, c.warc_file, c.warc_offset),
            ("http://h/x.png", "П", "http://h/p", Some("noimageai"), Some("w.warc"), Some(0))
        );
    })
    .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn huge_and_deep_pages_are_no_trouble() {
    let deep = format!("{}<img src=a alt=b>", "<figure><figcaption><picture>".repeat(100_000));
    assert!(!images(&deep).is_empty());
    let attribute = format!("<img src=a alt='{}'>", "x".repeat(20 << 20));
    assert!(page_rows(&attribute, &ExtractOptions::default()).is_empty());
    let quotes = format!("<style>url({})</style><img src=a alt=b>", "'".repeat(500_000));
    assert_eq!(images(&quotes).len(), 1);
}

#[test]
fn a_local_page_takes_its_canonical_url() {
    let found = rows(b"<html><link rel=canonical href=https://h/x/y><img src=z alt=a>", &ExtractOptions::default()).0;
    assert_eq!(found[0].1, "https://h/x/z");
}

proptest! {
    #[test]
    fn any_page_is_survived(html in "(<(img|figure|figcaption|/figure|picture|source|a|base|meta|title|script type=application/ld\\+json|svg)|( (src|alt|srcset|href|content|property|name)=?['\"]?)|[a-z:/,&;#0-9 é]{1,6}|>|['\"]|og:image|robots){0,40}") {
        let _ = images(&html);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let page = Page { bytes: &bytes, content_type: None, url: "x", warc_file: None, warc_offset: None, warc_date: None };
        extract_html(&page, &all(), &mut |_: &Candidate<'_>| {});
    }
}
