//! Opt-out signals: header words, TDMRep, Content-Usage, meta robots.

use super::super::optout::{TdmRules, page_optout, signal_denies, tdm_header_denies, usage_denies, x_robots_tag};

const DENY: [&str; 6] = ["noai", "noimageai", "noindex", "noimageindex", "none", "noml"];

fn denied(values: &[&str]) -> bool {
    x_robots_tag(values.iter().copied(), &["trommel", "img2dataset"], &DENY).is_some()
}

#[test]
fn x_robots_tag_is_read_as_the_table_says() {
    let table: &[(&str, bool)] = &[
        // The strings that img2dataset's rule lets through.
        ("noai, max-snippet:20", true),
        ("max-image-preview:none, noai", true),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST, noai", true),
        ("googlebot: noindex, img2dataset: noai", true),
        ("img2dataset : noai", true),
        ("none", true),
        ("noml", true),
        ("NOAI", true),
        ("noai", true),
        // One word.
        ("noimageai", true),
        ("noindex", true),
        ("noimageindex", true),
        ("NoImageAI", true),
        ("all", false),
        ("index", false),
        ("nofollow", false),
        ("noarchive", false),
        ("nosnippet", false),
        ("notranslate", false),
        ("noaix", false),
        ("xnoai", false),
        ("no ai", false),
        ("", false),
        (",", false),
        (" , ,noai", true),
        ("noai,", true),
        ("\tnoai\t", true),
        ("noai;noimageai", true),
        ("nofollow noai", true),
        ("\"noai\"", true),
        // Lists.
        ("noarchive, nosnippet", false),
        ("noarchive, noindex", true),
        ("index, follow, noimageai", true),
        // Directives with values.
        ("max-snippet:-1", false),
        ("max-image-preview:large", false),
        ("max-image-preview:none", false),
        ("max-image-preview: none", false),
        ("max-video-preview:0, none", true),
        ("MAX-SNIPPET:0, NOAI", true),
        ("unavailable_after: Wednesday, 25-Jun-30 15:00:00 PST", false),
        ("unavailable_after: Wednesday, 25-Jun-30 15:00:00 PST, noimageai", true),
        ("unavailable_after: 2030-06-25T15:00:00Z, nofollow", false),
        ("unavailable_after:25 Jun 2030 15:00:00 GMT", false),
        // Agents.
        ("otherbot: noindex", false),
        ("otherbot: noindex, noai", false),
        ("otherbot: noindex, noai, trommel: nofollow", false),
        ("trommel: noai", true),
        ("TROMMEL: noai", true),
        ("Trommel : NOAI", true),
        ("trommel: nofollow, noai", true),
        ("trommel/1.0: noai", true),
        ("trommel: nofollow", false),
        ("trommelbot: noai", false),
        ("*: noai", true),
        ("robots: noai", true),
        ("googlebot: noai", false),
        ("Googlebot-Image: noai", false),
        ("noai, otherbot: nofollow", true),
        ("otherbot: nofollow, *: noai", true),
        ("otherbot: unavailable_after: 25 Jun 2030 15:00:00 PST, noai", false),
        ("trommel: unavailable_after: 25 Jun 2030 15:00:00 PST, noai", true),
        ("trommel: max-snippet: 5, noai", true),
        ("otherbot: trommel: noai", true),
        ("noai:", true),
        ("noai: yes", true),
        (": noai", true),
        ("http://example.org/: noai", false),
    ];
    let wrong: Vec<_> = table.iter().filter(|(value, expected)| denied(&[value]) != *expected).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(table.len() >= 60, "{}", table.len());
}

#[test]
fn repeated_headers_are_read_one_by_one() {
    assert!(denied(&["nofollow", "noai"]));
    assert!(denied(&["otherbot: nofollow", "noai"]), "an agent holds for its own line only");
    assert!(!denied(&["otherbot: noai", "nofollow"]));
    assert!(!denied(&[]));
}

#[test]
fn the_list_of_directives_can_be_chosen() {
    assert!(x_robots_tag(["noarchive"], &["trommel"], &["noarchive"]).is_some());
    assert!(x_robots_tag(["noai"], &["trommel"], &["noarchive"]).is_none());
    assert_eq!(x_robots_tag(["all, NoAI"], &["trommel"], &DENY).as_deref(), Some("noai"));
}

#[test]
fn meta_robots_lists_are_read() {
    let denied = |content: &str| page_optout([content], &DENY).is_some();
    for content in ["noai", "noai, noimageai", "NOINDEX,NOFOLLOW", "noindex nofollow", "max-snippet:5, none"] {
        assert!(denied(content), "{content}");
    }
    for content in ["", "index, follow", "max-image-preview:none", "noarchive"] {
        assert!(!denied(content), "{content}");
    }
    assert_eq!(page_optout(["follow", "noai"], &DENY).unwrap().value, "noai");
}

#[test]
fn tdm_reservations_are_read() {
    // The examples of the W3C TDM Reservation Protocol, with the values that it calls unset.
    let rules = TdmRules::parse(
        br#"[{"location": "/directory-a/", "tdm-reservation": 1, "tdm-policy": "https://provider.com/p.json"},
            {"location": "/directory-b/html/", "tdm-reservation": 0},
            {"location": "/directory-b/*.jpg", "tdm-reservation": 1},
            {"location": "/x$", "tdm-reservation": "1"}, 7, {"location": 3}, {"tdm-reservation": 1},
            {"location": "/y", "tdm-reservation": 2}, {"location": "/z"}]"#,
    )
    .unwrap();
    for (path, reserved) in [
        ("/directory-a/x.jpg", true),
        ("/directory-a", false),
        ("/directory-b/html/a.jpg", false),
        ("/directory-b/images/a.jpg", true),
        ("/x", true),
        ("/x/y", false),
        ("/y", false),
        ("/z", false),
        ("/", false),
    ] {
        assert_eq!(rules.reserved(path).is_some(), reserved, "{path}");
    }
    for not_rules in ["", "{}", "<html>", "[", "null"] {
        assert!(TdmRules::parse(not_rules.as_bytes()).is_none(), "{not_rules}");
    }
    for (value, denied) in [("1", true), (" 1 ", true), ("0", false), ("2", false), ("", false), ("true", false), ("11", false)] {
        assert_eq!(tdm_header_denies(value), denied, "{value}");
    }
}

#[test]
fn content_usage_and_signals_are_read() {
    for (value, denied) in [
        ("train-ai=n", true),
        ("train-ai=y", false),
        ("train-ai=n;exceptions=x", true),
        ("search=n", false),
        ("search=y, train-ai=n", true),
        ("train-ai=y, train-ai=n", true),
        ("train-genai=n", true),
        ("bots=n", true),
        ("train-ai", false),
        ("train-ai=no", false),
        ("unknown=n", false),
        ("", false),
    ] {
        assert_eq!(usage_denies(value), denied, "{value}");
    }
    for (value, denied) in [
        ("ai-train=no", true),
        ("search=yes, ai-train=no", true),
        ("search=yes,ai-input=no", false),
        ("ai-train=yes", false),
        ("AI-Train = NO", true),
        ("", false),
    ] {
        assert_eq!(signal_denies(value), denied, "{value}");
    }
}
