use super::*;

fn urls(html_metadata: &str) -> Vec<String> {
    rows(&wat(html_metadata), &all()).0.into_iter().map(|row| row.1).collect()
}

#[test]
fn links_of_a_wat_become_candidates() {
    let record = wat(
        r#""Head":{"Title":" A &amp;\n B ","Base":"/base/","Metas":[{"name":"HTML@/lang","content":"de"},{"name":"robots","content":"noai, NOIMAGEAI"},{"property":"og:image","content":"o.jpg"},{"property":"og:image:alt","content":"og text"}],"Link":[{"path":"LINK@/href","rel":"license","url":"/l"}]},
        "Links":[{"path":"IMG@/src","url":"x.jpg?a=1&amp;b=2","alt":"A  caf\u00e9 &eacute; \ud83d\ude00","title":"T"},{"alt":"no url","path":"IMG@/src"},{"path":"IMG@/src","url":"y.png"},{"path":"IMG@/src","url":"data:image/png;base64,xx","alt":"d"},{"path":"A@/href","url":"f.MP3?x","text":"song"},{"path":"IMG@/src","url":"x.jpg?a=1&amp;b=2","alt":"A caf\u00e9 é \ud83d\ude00"}]"#,
    );
    let mut facts = None;
    let mut got = Vec::new();
    let stats = extract_archive(input(&record), "w", &all(), &mut |c: &Candidate<'_>| {
        got.push((c.kind, c.url.to_owned(), c.text.to_owned(), c.text_source.as_str()));
        facts.get_or_insert((
            c.page_url.to_owned(),
            c.page_title.map(str::to_owned),
            c.page_lang.map(str::to_owned),
            c.license.map(str::to_owned),
            c.license_source,
            c.robots.map(str::to_owned),
            (c.warc_file.map(str::to_owned), c.warc_offset, c.warc_date.map(str::to_owned)),
        ));
    })
    .unwrap();
    let row = |kind, url: &str, text: &str, source| (kind, url.to_owned(), text.to_owned(), source);
    assert_eq!(
        got,
        [
            row(CandidateKind::Image, "http://example.com/base/o.jpg", "og text", "og"),
            row(CandidateKind::Image, "http://example.com/base/x.jpg?a=1&b=2", "A café é 😀", "alt"),
            row(CandidateKind::Image, "http://example.com/base/x.jpg?a=1&b=2", "T", "title"),
            row(CandidateKind::ImageOnly, "http://example.com/base/y.png", "", "none"),
            row(CandidateKind::Audio, "http://example.com/base/f.MP3?x", "song", "anchor"),
        ]
    );
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        facts.unwrap(),
        (
            "http://example.com/a/b".to_owned(),
            some("A & B"),
            some("de"),
            some("http://example.com/l"),
            Some(LicenseSource::Rel),
            some("noai,noimageai,noindex"),
            (some("f.warc.gz"), Some(77), some("2024-01-01T00:00:00Z")),
        )
    );
    for (reason, n) in [(SkipReason::NoUrl, 1), (SkipReason::OtherScheme, 1), (SkipReason::Duplicate, 1), (SkipReason::NoText, 0)] {
        assert_eq!(stats.skipped(reason), n, "{reason:?}");
    }
}

#[test]
fn keys_may_come_in_any_order_and_twice() {
    let image = r#"{"alt":"a","url":"1.jpg","path":"IMG@/src"}"#;
    assert_eq!(urls(&format!("\"Links\":[{image}],\"Head\":{{\"Base\":\"/z/\"}}")), ["http://example.com/z/1.jpg"]);
    assert_eq!(
        urls(&format!(
            "\"Links\":[{image},{image}],\"Links\":[{{\"url\":\"0.jpg\",\"url\":\"2.jpg\",\"alt\":\"a\",\"path\":\"IMG@\\/src\"}}]"
        )),
        ["http://example.com/a/2.jpg"]
    );
}

#[test]
fn one_bad_record_never_costs_the_file() {
    let good = wat(r#""Links":[{"path":"IMG@/src","url":"1.jpg","alt":"a"}]"#);
    let deep = format!("{{\"IMG@\":{}}}", "[".repeat(100_000));
    let bad = [
        r#"{"IMG@/src":NaN}"#,
        r#"{"IMG@/src":"\ud8"}"#,
        "{\"IMG@/src\":",
        "not json IMG@/src",
        "[\"IMG@/src\"]",
        "{\"IMG@/src\":null,\"Envelope\":[],\"Container\":5}",
        "",
        deep.as_str(),
        "{\"IMG@/src\":\"\u{0}\"}",
    ];
    let mut bytes = Vec::new();
    for record in &bad {
        bytes.extend(&good);
        // The words without which a record is not even parsed.
        bytes.extend(wat_json(&record.replace("IMG@", "HTML-Metadata IMG@")));
    }
    bytes.extend(wat(r#""Links":null,"x":"IMG@/src""#));
    bytes.extend(wat(
        r#""Links":[null,5,"IMG@/src",{"path":null,"url":3,"alt":[]},{"path":"IMG@/src","url":"2.jpg","alt":"\ud800b"}],"Head":7"#,
    ));
    let (found, stats) = rows(&bytes, &all());
    assert_eq!(found.iter().filter(|row| row.1.ends_with("/1.jpg")).count(), bad.len());
    assert_eq!(found.last().unwrap().2, "\u{fffd}b");
    assert!(stats.skipped(SkipReason::BadJson) >= 5);
    assert_eq!(stats.records, 2 * bad.len() as u64 + 2);
}

#[test]
fn limits_leave_rows_out_and_count_them() {
    let long = "x".repeat(70_000);
    let links = format!(
        r#""Links":[{{"path":"IMG@/src","url":"{long}","alt":"a"}},{{"path":"IMG@/src","url":"1.jpg","alt":"{long}"}},{{"path":"IMG@/src","url":"2.jpg","alt":"b"}},{{"path":"IMG@/src","url":"3.jpg","alt":"c"}}]"#
    );
    let mut options = all();
    options.limits.page_candidates = 1;
    let (found, stats) = rows(&wat(&links), &options);
    assert_eq!(found.len(), 1);
    for reason in [SkipReason::UrlTooLong, SkipReason::TextTooLong, SkipReason::TooMany] {
        assert_eq!(stats.skipped(reason), 1, "{reason:?}");
    }
    options.limits.json_bytes = 100;
    assert_eq!(rows(&wat(&links), &options).1.skipped(SkipReason::JsonTooLarge), 1);
}

#[test]
fn captions_are_always_tidy_text() {
    let (found, _) =
        rows(&wat(r#""Links":[{"path":"IMG@/src","url":"1.jpg","alt":"\u0000 a\u0007b\t\n c \u0085 &#0;&amp;amp;"}]"#), &all());
    assert_eq!(found[0].2, "ab c \u{fffd}&amp;");
}

#[test]
fn a_generated_file_with_broken_records_is_read_to_its_end() {
    let mut bytes = Vec::new();
    let what = generate::GenerateWat { raw_bytes: 3_000_000, seed: 3, broken: true, gzip: true };
    let (_, offsets) = generate::generate_wat(&mut bytes, what).unwrap();
    let (found, stats) = rows(&bytes, &all());
    assert_eq!(stats.records, offsets.len() as u64);
    assert_eq!(stats.archive.broken, 0);
    assert!(stats.skipped(SkipReason::BadJson) > 0);
    assert_eq!(found.len() as u64, stats.candidates_total());
    assert!(found.len() > 3000);
}

/// Damage to a compressed WAT costs the rows of at most two records.
#[test]
fn a_damaged_wat_gives_the_rows_of_all_other_records() {
    let mut bytes = Vec::new();
    let what = generate::GenerateWat { raw_bytes: 300_000, seed: 5, broken: false, gzip: true };
    let (_, offsets) = generate::generate_wat(&mut bytes, what).unwrap();
    let mut place = 3usize;
    for _ in 0..200 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (place >> 20) % bytes.len();
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let stats = rows(&damaged, &all()).1;
        assert!(stats.records + 2 >= offsets.len() as u64, "byte {at}");
    }
}
