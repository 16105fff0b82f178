//! robots.txt: the rules of RFC 9309 and what sites write.

use std::time::Duration;

use super::super::robots::{Matching, RobotsTxt, Verdict, path_of};

fn parse(text: &str) -> RobotsTxt {
    RobotsTxt::parse(text.as_bytes(), "trommel", &["img2dataset".to_owned()], Matching::Rfc9309)
}

fn allowed(text: &str, path: &str) -> bool {
    parse(text).allowed(path)
}

#[test]
fn rules_are_judged_as_the_table_says() {
    const ALL: &str = "User-agent: *\n";
    // (group, path, allowed)
    let table: &[(&str, &str, bool)] = &[
        ("", "/a", true),
        ("Disallow: /", "/a", false),
        ("Disallow:", "/a", true),
        ("Disallow: /\nAllow: /a", "/a", true),
        ("Disallow: /a\nAllow: /a", "/a", true),
        ("Allow: /a\nDisallow: /a/b", "/a/b/c", false),
        ("Disallow: /a$", "/a", false),
        ("Disallow: /a$", "/a/", true),
        ("Disallow: /*.jpg", "/x/y.jpg?z", false),
        ("Disallow: /*.jpg$", "/x/y.jpg?z", true),
        ("Disallow: /*.jpg$", "/x/y.jpg", false),
        ("Disallow: /a*b*c", "/a1b2c3", false),
        ("Disallow: /a*b*c", "/a1c2b3", true),
        ("Disallow: /a*$", "/abc", false),
        ("Disallow: *", "/abc", false),
        ("Disallow: $", "/abc", true),
        ("Disallow: /A", "/a", true),
        ("Disallow: /%61", "/a", false),
        ("Disallow: /a", "/%61", false),
        ("Disallow: /ツ", "/%e3%83%84", false),
        ("Disallow: /%E3%83%84", "/ツ", false),
        ("Disallow: /a%2Fb", "/a/b", true),
        ("Disallow: /a%2fb", "/a%2Fb", false),
        ("Disallow: /?x", "/?x=1", false),
        ("Disallow: /", "/robots.txt", true),
        ("disalow: /", "/a", false),
        ("Disallow /", "/a", false),
        ("Disallow: / # all of it", "/a", false),
        ("  Disallow  :   /a  ", "/a", false),
        ("Allow: /d/index.html\nDisallow: /", "/d/", true),
        ("Allow: /d/index.html\nDisallow: /", "/d/x", false),
        ("Disallow: /x\r\nDisallow: /y\rDisallow: /z", "/z", false),
        ("Unknown: /\nDisallow: /x", "/y", true),
    ];
    for (group, path, expected) in table {
        assert_eq!(allowed(&format!("{ALL}{group}\n"), path), *expected, "{group:?} {path}");
    }
}

#[test]
fn the_group_that_names_us_replaces_the_star_group() {
    let text = "User-agent: *\nDisallow: /\n\nUser-agent: Trommel\nDisallow: /private\n";
    assert!(allowed(text, "/a"));
    assert!(!allowed(text, "/private"));
    assert!(allowed("User-agent: *\nDisallow: /\nUser-agent: trommel\n", "/a"), "an empty group of ours");
    assert!(!allowed("User-agent: *\nDisallow: /\nUser-agent: trommelmann\nAllow: /", "/a"));
    assert!(!allowed("User-agent: trommel/2.0 (x)\nDisallow: /", "/a"), "version after the token");
}

#[test]
fn groups_of_one_agent_are_merged() {
    let text = "User-agent: trommel\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: trommel\nDisallow: /b\n";
    assert!(!allowed(text, "/a"));
    assert!(!allowed(text, "/b"));
    assert!(allowed(text, "/c"));
    let shared = "User-agent: x\nUser-agent: trommel\n\nSitemap: y\nUser-agent: z\nDisallow: /a\n";
    assert!(!allowed(shared, "/a"), "neighbouring agent lines share the rules");
}

#[test]
fn rules_for_agents_that_we_also_listen_to_are_obeyed() {
    let text = "User-agent: img2dataset\nDisallow: /\n\nUser-agent: trommel\nAllow: /\n";
    assert_eq!(parse(text).verdict("/a", true), Verdict::Disallowed { agent: "img2dataset".to_owned(), rule: "/".to_owned() });
    assert!(RobotsTxt::parse(text.as_bytes(), "trommel", &[], Matching::Rfc9309).allowed("/a"));
}

#[test]
fn byte_order_marks_are_understood() {
    let text = "User-agent: *\nDisallow: /a\n";
    let wide = |order: fn(u16) -> [u8; 2]| std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect::<Vec<u8>>();
    for bytes in [format!("\u{feff}{text}").into_bytes(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
        let rules = RobotsTxt::parse(&bytes, "trommel", &[], Matching::Rfc9309);
        assert!(!rules.allowed("/a"));
        assert!(rules.allowed("/b"));
    }
}

#[test]
fn crawl_delay_is_read_where_it_is_a_number() {
    let delay = |value: &str| parse(&format!("User-agent: *\nCrawl-delay: {value}\nDisallow: /x\n")).crawl_delay();
    assert_eq!(delay("0"), Some(Duration::ZERO));
    assert_eq!(delay("0.5"), Some(Duration::from_millis(500)));
    assert_eq!(delay("10"), Some(Duration::from_secs(10)));
    assert_eq!(delay("1e9"), Some(Duration::from_secs(31_557_600)), "cut to a year here, to the limit by the caller");
    for nothing in ["abc", "-1", "NaN", "inf", ""] {
        assert_eq!(delay(nothing), None, "{nothing}");
    }
    assert_eq!(parse("User-agent: x\nCrawl-delay: 5\nUser-agent: trommel\nAllow: /\n").crawl_delay(), None);
}

#[test]
fn content_signals_and_usage_refuse_training() {
    let verdict = |text: &str, path: &str| parse(text).verdict(path, true);
    let signal = "User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n";
    assert_eq!(verdict(signal, "/a"), Verdict::Signal("search=yes, ai-train=no".to_owned()));
    assert_eq!(parse(signal).verdict("/a", false), Verdict::Allowed, "signals left aside");
    assert!(matches!(verdict("Content-Signal: ai-train=no\n", "/a"), Verdict::Signal(_)), "above all groups");
    let loose = "Content-Signal: ai-train=no\nUser-agent: trommel\nAllow: /\n";
    assert!(matches!(verdict(loose, "/a"), Verdict::Signal(_)), "above all groups, though one names us");
    assert_eq!(verdict("User-agent: *\nContent-Signal: ai-train=yes, search=no\n", "/a"), Verdict::Allowed);
    assert_eq!(verdict("User-agent: x\nContent-Signal: ai-train=no\n", "/a"), Verdict::Allowed);
    let usage = "User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y\n";
    assert!(matches!(verdict(usage, "/a"), Verdict::Usage(_)));
    assert_eq!(verdict(usage, "/open/a"), Verdict::Allowed, "the longest path speaks");
    assert_eq!(verdict("User-agent: *\nContent-Usage: search=n\n", "/a"), Verdict::Allowed);
}

#[test]
fn a_line_too_long_is_cut_and_still_a_rule() {
    // google/robotstxt, GoogleOnly_LineTooLong: the rule is cut at 2083 * 8 bytes.
    let line = 2083 * 8;
    let long = |key: &str, c: &str| format!("/x/{}", c.repeat(line - key.len() - 2 - 3 + 1));
    let path = long("disallow", "a");
    let rules = |text: &str| RobotsTxt::parse(text.as_bytes(), "FooBot", &[], Matching::AsWritten);
    let one = rules(&format!("user-agent: FooBot\ndisallow: {path}/qux\n"));
    assert!(one.allowed("/fux"));
    assert!(!one.allowed(&format!("{path}/fux")));
    let (a, b) = (long("allow", "a"), long("allow", "b"));
    let two = rules(&format!("user-agent: FooBot\ndisallow: /\nallow: {a}/qux\nallow: {b}/qux\n"));
    assert!(!two.allowed("/"));
    assert!(two.allowed(&format!("{a}/qux")));
    assert!(two.allowed(&format!("{b}/fux")));
}

#[test]
fn ten_thousand_stars_do_not_explode() {
    let pattern: String = (0..10_000).map(|i| format!("{}*", char::from(b'a' + (i % 26) as u8))).collect();
    let text = format!("User-agent: *\nDisallow: /{}\n", &pattern[..16_000]);
    let path = format!("/{}", "a".repeat(100_000));
    assert!(allowed(&text, &path));
}

#[test]
fn the_path_of_a_url_is_found_as_google_finds_it() {
    // google/robotstxt, TestPathParamsQuery.
    for (url, path) in [
        ("", "/"),
        ("http://www.example.com", "/"),
        ("http://www.example.com/", "/"),
        ("http://www.example.com/a", "/a"),
        ("http://www.example.com/a/", "/a/"),
        ("http://www.example.com/a/b?c=http://d.e/", "/a/b?c=http://d.e/"),
        ("http://www.example.com/a/b?c=d&e=f#fragment", "/a/b?c=d&e=f"),
        ("example.com", "/"),
        ("example.com/", "/"),
        ("example.com/a", "/a"),
        ("example.com/a?b", "/a?b"),
        ("example.com/a;b#c", "/a;b"),
        ("//a/b/c", "/b/c"),
    ] {
        assert_eq!(path_of(url), path, "{url}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), path in "\\PC{0,40}") {
        let rules = RobotsTxt::parse(&bytes, "trommel", &["a".to_owned()], Matching::Rfc9309);
        let _ = rules.verdict(&format!("/{path}"), true);
        let _ = path_of(&path);
    }

    #[test]
    fn a_pattern_matches_like_a_plain_backtracking_matcher(pattern in "/[ab*]{0,8}\\$?", path in "/[ab]{0,10}") {
        let rules = RobotsTxt::parse(format!("User-agent: *\nDisallow: {pattern}\n").as_bytes(), "trommel", &[], Matching::Rfc9309);
        let (body, anchored) = match pattern.strip_suffix('$') { Some(b) => (b, true), None => (pattern.as_str(), false) };
        proptest::prop_assert_eq!(!rules.allowed(&path), slow(body.as_bytes(), path.as_bytes(), anchored));
    }
}

fn slow(pattern: &[u8], path: &[u8], anchored: bool) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, _) => !anchored || path.is_empty(),
        (Some((b'*', rest)), _) => (0..=path.len()).any(|at| slow(rest, &path[at..], anchored)),
        (Some((a, rest)), Some((b, path))) => a == b && slow(rest, path, anchored),
        (Some(_), None) => false,
    }
}
