//! Checks against published corpora, where a copy of them is at hand.

#![allow(clippy::print_stderr, reason = "a skipped check says so")]

use std::path::{Path, PathBuf};
use std::process::Command;

use trommel_filters::{language, urls};

/// The folder `fixtures/<name>` of the shared references, if there is one.
fn fixture(name: &str) -> Option<PathBuf> {
    // Tests run in the folder of their crate.
    let root = std::env::var("TROMMEL_SHARED").unwrap_or_else(|_| "../../shared".into());
    let path = Path::new(&root).join("fixtures").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: no {}; set TROMMEL_SHARED", path.display());
    None
}

#[test]
fn registered_domains_are_those_of_the_public_suffix_list_tests() {
    let Some(path) = fixture("url/test_psl.txt") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let mut checked = 0;
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("checkPublicSuffix(")) {
        let args = line.trim_start_matches("checkPublicSuffix(").trim_end_matches(");");
        let (host, want) = args.split_once(", ").unwrap();
        let unquoted = |s: &str| (s != "null").then(|| s.trim_matches('\'').to_lowercase());
        let Some(host) = unquoted(host) else { continue };
        if host.starts_with('.') {
            // Hosts that begin with a dot are refused as the URLs that they would make are odd.
            continue;
        }
        // The list gives Unicode names for Unicode hosts; a parsed host is Punycode.
        let ascii = |name: &str| urls::host(&format!("http://{name}/")).unwrap();
        let got = urls::domain(&format!("http://{host}/"));
        assert_eq!(got, unquoted(want).map(|name| ascii(&name)), "{line}");
        checked += 1;
    }
    eprintln!("{checked} hosts of the Public Suffix List agree");
    assert!(checked > 60);
}

#[test]
fn canonical_urls_are_idempotent_on_the_web_platform_tests() {
    let Some(path) = fixture("url/urltestdata.json") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let (mut good, mut all) = (0, 0);
    // Only the inputs are needed: one `"input": "..."` per case, unescaped by hand where it is plain.
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("\"input\": \"")) {
        let Some(input) = line.strip_suffix("\",") else {
            continue;
        };
        all += 1;
        if let Some(once) = urls::canonical_url(input) {
            assert_eq!(urls::canonical_url(&once).as_deref(), Some(once.as_str()), "{input}");
            good += 1;
        }
    }
    eprintln!("{good} of {all} inputs are http urls");
    assert!(good > 100);
}

#[test]
fn languages_of_75_corpora_are_told() {
    let Some(path) = fixture("langid/lingua-testdata-75-langs.tar.xz") else {
        return;
    };
    let dir = std::env::temp_dir().join(format!("trommel-langid-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let unpacked = Command::new("tar").arg("xf").arg(&path).arg("-C").arg(&dir).status();
    if !unpacked.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: tar with xz is needed to unpack {}", path.display());
        return;
    }
    for (kind, floor) in [("sentences", 0.945), ("word-pairs", 0.805), ("single-words", 0.64)] {
        let (mut right, mut all) = (0, 0);
        for folder in std::fs::read_dir(dir.join("language-models")).unwrap() {
            let folder = folder.unwrap();
            let name = folder.file_name().into_string().unwrap();
            // CLD2 calls Bokmål Norwegian.
            let want = if name == "nb" { "no" } else { &name };
            let text = std::fs::read_to_string(folder.path().join(format!("testdata/{kind}.txt"))).unwrap();
            for line in text.lines() {
                all += 1;
                right += usize::from(language::lang(line) == want);
            }
        }
        let accuracy = right as f64 / all as f64;
        eprintln!("{kind}: {accuracy:.4} of {all}");
        assert!(accuracy >= floor, "{kind}: {accuracy}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
