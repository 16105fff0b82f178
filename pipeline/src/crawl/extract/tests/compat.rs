use super::*;

fn compat(kind: CandidateKind) -> ExtractOptions {
    ExtractOptions { types: Types::NONE.with(kind), compat: Some(Compat::Cc2dataset), ..ExtractOptions::default() }
}

/// Rules of cc2dataset 1.5.0's `main.py`, each row checked against its `process_wat` on the same record.
#[test]
fn rows_are_cc2datasets() {
    let record = wat(
        r#""Head":{"Base":"../base/x"},"Links":[{"path":"IMG@/src","url":"x.jpg?a&amp;b","alt":" A &amp; \u00e9 "},{"path":"IMG@/src","url":"x.jpg?a&amp;b","alt":" A &amp; \u00e9 "},{"path":"IMG@/src","url":"//h/y.png","alt":""},{"path":"IMG@/src","url":"data:x","alt":"d"},{"path":"IMG@/src","url":"//[","alt":"d"},
        {"path":"A@/href","url":"/m.mp3","text":"song"},{"path":"A@/href","url":"/m.MP3","text":"song"},{"path":"A@/href","url":"/m.mp3?x","text":"song"},{"path":"SOURCE@/src","url":"v.mp4"},{"path":"A@/href","url":"http://x.md","text":"t"}]"#,
    );
    let texts = |kind| rows(&record, &compat(kind)).0.into_iter().map(|row| (row.1, row.2)).collect::<Vec<_>>();
    let pair = |url: &str, text: &str| (url.to_owned(), text.to_owned());
    let image = pair("http://example.com/base/x.jpg?a&amp;b", " A &amp; é ");
    assert_eq!(texts(CandidateKind::Image), [image.clone(), image.clone()]);
    assert_eq!(texts(CandidateKind::ImageOnly), [image.clone(), image, pair("http://h/y.png", "")]);
    assert_eq!(texts(CandidateKind::Audio), [pair("http://example.com/m.mp3", "song")]);
    assert_eq!(texts(CandidateKind::Video), [pair("http://example.com/base/v.mp4", "")]);
    assert_eq!(texts(CandidateKind::Text), [pair("http://x.md", "t")]);
}

#[test]
fn a_record_with_half_a_character_is_left_out_as_simdjson_does() {
    let record = wat(r#""Head":{"Title":"\ud800"},"Links":[{"path":"IMG@/src","url":"x.jpg","alt":"a"}]"#);
    assert_eq!(rows(&record, &compat(CandidateKind::Image)).0.len(), 0);
    assert_eq!(rows(&record, &ExtractOptions::default()).0.len(), 1);
}

#[test]
fn pages_give_no_rows() {
    assert_eq!(rows(b"<!doctype html><img src=a alt=b>", &compat(CandidateKind::Image)).0.len(), 0);
}
