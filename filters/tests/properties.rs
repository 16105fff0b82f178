//! What holds for any text and any address.

use proptest::prelude::*;
use trommel_filters::{language, pii, text, uid, urls};

/// Strings that look like what the scanners look for.
fn tempting() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "@",
        ".",
        "-",
        "+",
        "(",
        ")",
        " ",
        "0",
        "1",
        "4111",
        "555",
        "1234",
        ":",
        "::",
        "/",
        "2001:db8",
        "8.8.8.8",
        "example.com",
        "tel",
        "é",
        "\u{a0}",
        "\u{202e}",
        "公司",
        "'",
        "http://",
        "xn--",
        "%",
        "?",
        "#",
        "&",
        "=",
        "\\",
        "\t",
        "jpg",
        "utm_source",
        "[",
        "]",
        "\0",
        "😀",
        "ß",
        "İ",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), tempting()]
}

fn any_url() -> impl Strategy<Value = String> {
    prop_oneof![any_text(), any_text().prop_map(|t| format!("http://{t}")), any_text().prop_map(|t| format!("https://a.example/{t}"))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn uid_is_hex_and_differs_where_the_pair_differs(a in any_text(), b in any_text(), c in any_text(), d in any_text()) {
        let id = uid(&a, &b);
        prop_assert!(id.len() == 32 && id.bytes().all(|x| matches!(x, b'0'..=b'9' | b'a'..=b'f')));
        // The zero byte is a border only where the url holds none, as is so of every canonical one.
        if !a.contains('\0') && !c.contains('\0') {
            prop_assert_eq!(id == uid(&c, &d), (&a, &b) == (&c, &d));
        }
    }

    #[test]
    fn canonical_url_is_idempotent(url in any_url()) {
        for canonical in [urls::canonical_url as fn(&str) -> Option<String>, urls::strip_tracking] {
            if let Some(once) = canonical(&url) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Some(once.as_str()));
                prop_assert_eq!(urls::host(&once), urls::host(&url));
                prop_assert_eq!(urls::domain(&once), urls::domain(&url));
                prop_assert!(!once.contains('#') && once.is_ascii());
            }
        }
        urls::tld(&url);
        urls::url_ext(&url);
    }

    #[test]
    fn findings_are_in_order_inside_the_text_and_redaction_keeps_the_rest(t in any_text()) {
        let found = pii::find_pii(&t);
        let mut at = 0;
        for m in &found {
            prop_assert!(at <= m.start && m.start < m.end && m.end <= t.len());
            prop_assert!(t.is_char_boundary(m.start) && t.is_char_boundary(m.end));
            at = m.end;
        }
        prop_assert_eq!(pii::has_pii(&t), !found.is_empty());
        prop_assert_eq!(pii::pii_kinds(&t).is_empty(), found.is_empty());
        if found.is_empty() {
            prop_assert_eq!(pii::redact_pii(&t), t);
        }
    }

    #[test]
    fn clean_text_is_one_line_and_idempotent(t in any_text()) {
        let clean = text::clean_text(&t).into_owned();
        prop_assert!(!clean.chars().any(char::is_control));
        prop_assert!(!clean.contains("  ") && clean.trim() == clean);
        prop_assert_eq!(text::clean_text(&clean), clean.as_str());
        prop_assert_eq!(text::text_hash(&t), text::text_hash(&clean));
        prop_assert!(text::chars(&clean) <= text::chars(&t));
    }

    #[test]
    fn clean_bytes_takes_anything(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let clean = text::clean_bytes(&bytes);
        prop_assert_eq!(text::clean_text(&clean), clean.as_str());
    }

    #[test]
    fn measures_stay_in_their_ranges(t in any_text()) {
        for share in [text::alnum_ratio(&t), text::word_repetition(&t), text::bigram_repetition(&t), language::lang_score(&t)] {
            prop_assert!((0.0..=1.0).contains(&share));
        }
        prop_assert!(text::words(&t) <= text::chars(&t) && text::longest_run(&t) <= text::chars(&t));
        prop_assert_eq!(language::lang(&t) == language::UNDETERMINED, language::lang_score(&t) == 0.0);
        text::is_boilerplate(&t);
        text::laion_caption_ok(&t);
        text::datacomp_image_caption_ok(&t);
    }
}
