//! Lists of a few lines, written to the temporary folder.

use std::fs;
use std::path::PathBuf;

use super::*;

fn written(name: &str, text: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("trommel-blocklist-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join("list");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn hosts_cover_what_is_below_them_on_label_boundaries() {
    let path = written(
        "hosts",
        "# a comment\r\nexample.com\n.Tracker.Example # inline\n*.wild.example\n0.0.0.0 ads.example\n\
         127.0.0.1\nbücher.example\n\n2001:db8::1\n",
    );
    let list = BlockListBuilder::new().hosts_file(path, "ads").unwrap().build();
    assert_eq!(list.len(), 7);
    for url in [
        "http://example.com/",
        "https://a.b.EXAMPLE.com:8443/x",
        "http://tracker.example",
        "http://x.wild.example/",
        "http://ads.example./",
        "http://127.1/",
        "http://xn--bcher-kva.example/",
        "http://[2001:DB8::1]/",
    ] {
        assert_eq!(list.check(url), Some(Blocked::Host("ads")), "{url}");
    }
    for url in ["http://notexample.com/", "http://com/", "http://1.127.0.0.1.example/", "ftp://example.com/", ""] {
        assert_eq!(list.check(url), None, "{url}");
    }
}

#[test]
fn url_prefixes_end_on_path_boundaries() {
    let path = written("urls", "whole.example/\nexample.com/ads\nwww.example.org/a/b/\nhttps://example.net/show?id=3\n");
    let list = BlockListBuilder::new().urls_file(path, "porn").unwrap().build();
    for url in [
        "http://example.com/ads",
        "https://www.example.com/ads/1.jpg",
        "http://example.com/ads?x=1",
        "http://whole.example/x",
        "http://www.whole.example",
        "http://example.org:81/a/b/c",
        "http://example.org/a/b",
        "http://example.net/show?id=3&page=2",
    ] {
        assert_eq!(list.check(url), Some(Blocked::Url("porn")), "{url}");
    }
    for url in [
        "http://example.com/adsense",
        "http://example.com/",
        "http://sub.example.com/ads",
        "http://example.org/a",
        "http://whole.example.com/",
        "http://example.net/show?id=33",
        "http://example.net/show",
    ] {
        assert_eq!(list.check(url), None, "{url}");
    }
}

#[test]
fn a_bad_line_is_named_or_skipped() {
    let path = written("bad", "good.example\n\nnot a host\n");
    let error = BlockListBuilder::new().hosts_file(&path, "x").unwrap_err().to_string();
    assert!(error.contains("list:3: more than a host in the line: `not a host`"), "{error}");
    let list = BlockListBuilder::new().on_bad_line(OnBadLine::Skip).hosts_file(&path, "x").unwrap().build();
    assert_eq!((list.len(), list.skipped()), (1, 1));
    let long = written("long", &"a".repeat(100_000));
    assert!(BlockListBuilder::new().on_bad_line(OnBadLine::Skip).hosts_file(long, "x").is_err());
    let error = BlockListBuilder::new().hosts_file("no/such/list", "x").unwrap_err().to_string();
    assert!(error.contains("no/such/list"), "{error}");
}

#[test]
fn a_folder_of_categories_is_read_whole() {
    let root = written("folder", "").parent().unwrap().to_path_buf();
    for (name, file, text) in [
        ("adult", "domains", "bad.example\n"),
        ("adult", "urls", "mixed.example/bad\n"),
        ("gambling", "domains", "bet.example\nbad.example\n"),
    ] {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join(file), text).unwrap();
    }
    let list = BlockListBuilder::new().folder(&root).unwrap().build();
    assert_eq!(list.check("http://bad.example/").map(Blocked::list), Some("adult"));
    assert_eq!(list.check("http://mixed.example/bad/1").map(Blocked::list), Some("adult"));
    assert_eq!(list.check("http://x.bet.example/").map(Blocked::list), Some("gambling"));
    let empty = written("empty", "");
    assert!(matches!(BlockListBuilder::new().folder(empty.parent().unwrap()), Err(BlockListError::Empty { .. })));
}

#[test]
fn an_empty_list_blocks_nothing() {
    let list = BlockList::default();
    assert!(list.is_empty());
    assert_eq!(list.check("http://example.com/"), None);
}
