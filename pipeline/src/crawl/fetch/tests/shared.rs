//! Checks against files by others, where they are at hand.
#![allow(clippy::print_stderr)]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::super::guard::Guard;
use super::super::robots::{Matching, RobotsTxt, path_of};
use super::super::{FetchConfig, Fetcher};
use super::server::{Server, code, fetch, quick, reply};

fn fixture(path: &str) -> Option<PathBuf> {
    // Tests run in the folder of their crate.
    let root = std::env::var_os("TROMMEL_SHARED").map_or_else(|| PathBuf::from("../../shared"), PathBuf::from);
    let file = root.join("fixtures").join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!("SKIPPED: {} is not there; set TROMMEL_SHARED", file.display());
    None
}

fn lines(path: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(fixture(path)?).unwrap();
    Some(text.lines().map(|l| serde_json::from_str(l).unwrap()).collect())
}

#[test]
fn googles_robots_suite_holds() {
    let Some(cases) = lines("robots/google-robotstxt/cases.jsonl") else {
        return;
    };
    let (mut held, mut unmade) = (0, 0);
    for case in &cases {
        // The robots.txt of this test is put together in a loop that the table does not have;
        // `a_line_too_long_is_cut_and_still_a_rule` does it by hand.
        if case["test"] == "GoogleOnly_LineTooLong" {
            unmade += 1;
            continue;
        }
        let text = case["robots_txt"].as_str().unwrap();
        let rules = RobotsTxt::parse(text.as_bytes(), case["agent"].as_str().unwrap(), &[], Matching::AsWritten);
        let path = path_of(case["url"].as_str().unwrap()).into_owned();
        assert_eq!(rules.allowed(&path), case["allowed"].as_bool().unwrap(), "{case}");
        held += 1;
    }
    eprintln!("google: {held} of {} cases held, {unmade} are made by hand elsewhere", cases.len());
    assert_eq!(held + unmade, cases.len());
}

/// Where RFC 9309 §2.2.2 and Google's library differ, we go with the RFC.
#[test]
fn the_rfc_mode_differs_from_google_only_in_percent_encoding() {
    let Some(cases) = lines("robots/google-robotstxt/cases.jsonl") else {
        return;
    };
    let mut differ = Vec::new();
    for case in cases.iter().filter(|c| c["test"] != "GoogleOnly_LineTooLong") {
        let text = case["robots_txt"].as_str().unwrap();
        let rules = RobotsTxt::parse(text.as_bytes(), case["agent"].as_str().unwrap(), &[], Matching::Rfc9309);
        let path = path_of(case["url"].as_str().unwrap()).into_owned();
        if rules.allowed(&path) != case["allowed"].as_bool().unwrap() {
            differ.push(path);
        }
    }
    assert_eq!(differ, ["/foo/bar/ツ", "/foo/bar/ツ", "/foo/bar/baz"]);
}

#[test]
fn real_robots_files_are_read_without_trouble() {
    let Some(archive) = fixture("robots/protego/real-robots-txt.tar.xz") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let unpacked = std::process::Command::new("tar").arg("xf").arg(&archive).arg("-C").arg(folder.path()).status();
    if !unpacked.is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: tar with xz is not there");
        return;
    }
    let mut files = Vec::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let paths = ["/", "/a.jpg", "/images/x.png?y=1", "/wp-content/uploads/2020/a.jpg", "/search?q=x", "/*", "/%7Euser/", "/ü"];
    let agents = ["trommel", "Googlebot", "CCBot", "GPTBot", "*"];
    let (mut denied, mut slowest, mut bytes) = (0, Duration::ZERO, 0);
    for file in &files {
        let text = std::fs::read(file).unwrap();
        bytes += text.len();
        let start = std::time::Instant::now();
        for agent in agents {
            let rules = RobotsTxt::parse(&text, agent, &["img2dataset".to_owned()], Matching::Rfc9309);
            denied += paths.iter().filter(|p| !rules.allowed(p)).count();
        }
        slowest = slowest.max(start.elapsed());
    }
    eprintln!("{} files, {bytes} bytes, {denied} of {} denied, slowest file x5 agents {slowest:?}", files.len(), files.len() * 40);
    assert!(files.len() > 4000, "{}", files.len());
}

#[test]
fn byte_order_marks_and_typos_of_crawler_commons_are_understood() {
    for name in ["utf8", "utf16le", "utf16be"] {
        let Some(file) = fixture(&format!("robots/crawler-commons/robots/robots-with-{name}-bom.txt")) else {
            return;
        };
        let rules = RobotsTxt::parse(&std::fs::read(file).unwrap(), "trommel", &[], Matching::Rfc9309);
        assert_ne!(rules, RobotsTxt::default(), "{name}: rules were found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_url_is_connected_to() {
    let Some(cases) = lines("ssrf/hostile_urls.jsonl") else {
        return;
    };
    let fetcher = Fetcher::new(FetchConfig { contact: "a@b.org".into(), ..quick_closed() }).unwrap();
    let guard = Guard::default();
    let (mut blocked, mut allowed) = (Vec::new(), 0);
    let page = Url::parse("http://page.example.org/").unwrap();
    for case in &cases {
        let url = case["url"].as_str().unwrap();
        if case["verdict"] == "block" {
            blocked.push(url.to_owned());
            // Seen from a page, which resolves `//host/`.
            if let Ok(joined) = page.join(url) {
                let relative = joined.host() == page.host();
                assert!(relative || guard.check_url(&joined).is_err(), "{url} as a link");
                assert!(!(relative && url.starts_with("//")), "{url}");
            }
        } else {
            assert!(guard.check_url(&Url::parse(url).unwrap()).is_ok(), "{url} is a public address");
            allowed += 1;
        }
    }
    let outcomes = fetch(&fetcher, &blocked).await;
    for (url, outcome) in blocked.iter().zip(&outcomes) {
        assert!(matches!(code(outcome), "blocked_address" | "blocked_port" | "blocked_scheme" | "invalid_url"), "{url:?} {outcome:?}");
    }
    assert_eq!(fetcher.metrics().requests, 0, "no request was started");
    assert_eq!(fetcher.metrics().dns_lookups, 0);
    eprintln!("{} urls blocked without a request, {allowed} controls let through", blocked.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hostile_url_is_followed_as_a_redirect() {
    let Some(cases) = lines("ssrf/hostile_urls.jsonl") else {
        return;
    };
    let targets: Vec<String> =
        cases.iter().filter(|c| c["verdict"] == "block").map(|c| c["url"].as_str().unwrap().trim().replace('\n', "")).collect();
    let list = targets.clone();
    let server = Server::start(move |seen| {
        let mut parts = seen.path.trim_start_matches('/').split('/');
        let status = parts.next().and_then(|p| p.parse().ok()).unwrap_or(302);
        let at: usize = parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
        reply(status, &format!("Location: {}\r\n", list[at]), b"")
    })
    .await;
    // Loopback is opened for the test's server, so its ranges are judged by the guard alone above.
    // `http:10.0.0.1/` is a relative reference on an http page, and stays on the server.
    let loopback = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], vec![], vec![], vec![]);
    let base = Url::parse("http://page.example.org/").unwrap();
    let open = |t: &str| base.join(t).is_ok_and(|u| u.host() == base.host() || loopback.check_url(&u).is_ok());
    let mut urls = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        if open(target) {
            continue;
        }
        for status in [301, 302, 303, 307, 308] {
            urls.push(server.url(&format!("h{}", i % 50), &format!("/{status}/{i}")));
        }
    }
    let fetcher = Fetcher::new(FetchConfig { header_timeout: 5.0, total_timeout: 10.0, ..quick() }).unwrap();
    let outcomes = fetch(&fetcher, &urls).await;
    for (url, outcome) in urls.iter().zip(&outcomes) {
        assert!(matches!(code(outcome), "blocked_address" | "blocked_port" | "blocked_scheme" | "bad_redirect"), "{url} {outcome:?}");
    }
    assert_eq!(fetcher.metrics().requests, urls.len() as u64, "one request each, none to a target");
    eprintln!("{} redirects to {} targets, none followed", urls.len(), urls.len() / 5);
}

fn quick_closed() -> FetchConfig {
    FetchConfig { allow_net: Vec::new(), resolve: Vec::new(), ..quick() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapys_bombs_and_good_bodies_end_as_they_should() {
    let table = [
        ("bomb-br.bin", "br", "decoded_too_large"),
        ("bomb-gzip.bin", "gzip", "decoded_too_large"),
        ("bomb-deflate.bin", "deflate", "decoded_too_large"),
        ("bomb-zstd.bin", "zstd", "decoded_too_large"),
        ("html-br.bin", "br", "ok"),
        ("html-gzip.bin", "gzip", "ok"),
        ("html-rawdeflate.bin", "deflate", "ok"),
        ("html-zlibdeflate.bin", "deflate", "ok"),
        ("html-zstd-static-content-size.bin", "zstd", "ok"),
        ("html-zstd-static-no-content-size.bin", "zstd", "ok"),
        ("html-zstd-streaming-no-content-size.bin", "zstd", "ok"),
        ("html-gzip-deflate.bin", "gzip, deflate", "unsupported_encoding"),
        ("truncated-crc-error.gz", "gzip", "bad_encoding"),
        ("truncated-crc-error-short.gz", "gzip", "bad_encoding"),
        ("unexpected-eof.gz", "gzip", "bad_encoding"),
    ];
    if fixture("http/scrapy-compressed/bomb-br.bin").is_none() {
        return;
    }
    let bodies: Vec<Vec<u8>> =
        table.iter().map(|(name, ..)| std::fs::read(fixture(&format!("http/scrapy-compressed/{name}")).unwrap()).unwrap()).collect();
    let server = Server::start(move |seen| {
        let at: usize = seen.path.trim_start_matches('/').parse().unwrap();
        reply(200, &format!("Content-Encoding: {}\r\n", table[at].1), &bodies[at])
    })
    .await;
    // 32 MiB allowed: the 11.5 MB bombs fall by their ratio alone.
    let wide = FetchConfig {
        max_decoded_bytes: 32 << 20,
        max_body_bytes: 32 << 20,
        max_bytes_in_flight: 256 << 20,
        total_timeout: 10.0,
        ..quick()
    };
    let fetcher = Fetcher::new(wide).unwrap();
    let urls: Vec<String> = (0..table.len()).map(|i| server.url(&format!("h{i}"), &format!("/{i}"))).collect();
    for ((name, _, expected), outcome) in table.iter().zip(fetch(&fetcher, &urls).await) {
        assert_eq!(code(&outcome), *expected, "{name} {outcome:?}");
    }
}
