//! The wall: addresses, names, ports and spellings.

use std::net::IpAddr;

use url::Url;

use super::super::guard::{Blocked, Guard};

fn verdict(guard: &Guard, url: &str) -> Result<(), Blocked> {
    guard.check_url(&Url::parse(url).unwrap())
}

#[test]
fn the_edges_of_every_special_range_are_closed_and_their_neighbours_open() {
    let guard = Guard::default();
    // (first, last, the public address before, the public address after)
    let v4 = [
        ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
        ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
        ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
        ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
        ("168.63.129.16", "168.63.129.16", Some("168.63.129.15"), Some("168.63.129.17")),
        ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
        ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
        ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
        ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
        ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
        ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
        ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
        ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
        ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
        ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
    ];
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for (first, last, before, after) in v4 {
        for closed in [first, last] {
            assert!(guard.check_ip(ip(closed)).is_err(), "{closed}");
            for spelling in [format!("::ffff:{closed}"), format!("64:ff9b::{closed}"), format!("::{closed}")] {
                assert!(guard.check_ip(ip(&spelling)).is_err(), "{spelling}");
            }
        }
        for open in [before, after].into_iter().flatten() {
            assert_eq!(guard.check_ip(ip(open)), Ok(()), "{open}");
            assert_eq!(guard.check_ip(ip(&format!("64:ff9b::{open}"))), Ok(()), "NAT64 to {open}");
        }
    }
    for closed in [
        "::",
        "::1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:0808:0808::1",
        "3fff::1",
        "5f00::1",
        "64:ff9b:1::808:808",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "::ffff:0:808:808",
        "1fff:ffff::1",
        "4000::1",
    ] {
        assert!(guard.check_ip(ip(closed)).is_err(), "{closed}");
    }
    for open in ["2000::1", "2001:200::1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::1", "3ffe::1"] {
        assert_eq!(guard.check_ip(ip(open)), Ok(()), "{open}");
    }
}

#[test]
fn every_spelling_of_an_address_is_the_address() {
    let guard = Guard::default();
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://0x7f.1/",
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1./",
        "http://１２７。０。０。１/",
        "http:\\\\127.0.0.1\\",
        "http:127.0.0.1/",
        "http:///127.0.0.1/",
        "http://good.example.org@127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "https://127.0.0.1:8443/",
    ] {
        assert!(matches!(verdict(&guard, url), Err(Blocked::Address(..))), "{url}");
    }
}

#[test]
fn names_that_are_not_public_are_closed() {
    let guard = Guard::default();
    for name in [
        "localhost",
        "LOCALHOST",
        "a.localhost",
        "localhost.",
        "intranet",
        "x.local",
        "db.internal",
        "x.corp",
        "x.lan",
        "x.home.arpa",
        "x.onion",
        "x.test",
        "x.invalid",
        "metadata.goog",
        "metadata.google.internal",
        "4.3.2.1.in-addr.arpa",
    ] {
        assert!(matches!(verdict(&guard, &format!("http://{name}/")), Err(Blocked::Name(_))), "{name}");
    }
    for name in ["example.com", "localhost.example.com", "127.0.0.1.example.com", "testing.org", "xn--bcher-kva.example.com"] {
        assert_eq!(verdict(&guard, &format!("http://{name}/")), Ok(()), "{name}");
    }
}

#[test]
fn only_web_schemes_and_web_ports_are_open() {
    let guard = Guard::default();
    for url in ["file:///etc/passwd", "ftp://example.com/", "data:image/png,x", "gopher://example.com/", "ws://example.com/"] {
        assert!(matches!(verdict(&guard, url), Err(Blocked::Scheme(_))), "{url}");
    }
    for port in [1, 22, 25, 53, 110, 6000, 6667, 10080] {
        assert_eq!(verdict(&guard, &format!("http://example.com:{port}/")), Err(Blocked::Port(port)));
    }
    for port in [80, 443, 8080, 8443, 3128, 65535] {
        assert_eq!(verdict(&guard, &format!("http://example.com:{port}/")), Ok(()));
    }
    let strict = Guard::new(vec![], vec![], vec![], vec![80, 443]);
    assert_eq!(verdict(&strict, "https://example.com/"), Ok(()));
    assert_eq!(verdict(&strict, "https://example.com:8443/"), Err(Blocked::Port(8443)));
}

#[test]
fn openings_open_what_they_say_and_no_more() {
    let guard = Guard::new(
        vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        vec!["*.corp".parse().unwrap()],
        vec!["*.web.test=127.0.0.1".parse().unwrap()],
        vec![],
    );
    for url in [
        "http://127.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost/",
        "http://[fd00::1]/",
        "http://a.corp/",
        "http://x.web.test/",
    ] {
        assert_eq!(verdict(&guard, url), Ok(()), "{url}");
    }
    for url in ["http://10.0.0.1/", "http://[::1]/", "http://[fc00::1]/", "http://a.lan/", "http://x.test/"] {
        assert!(verdict(&guard, url).is_err(), "{url}");
    }
}

#[test]
fn ranges_and_patterns_are_read_back_as_written() {
    for text in ["10.0.0.0/8", "::1/128", "0.0.0.0/0"] {
        assert_eq!(text.parse::<super::super::guard::Cidr>().unwrap().to_string(), text);
    }
    for text in ["10.0.0.0/33", "10.0.0/8", "x", "::/129", ""] {
        assert!(text.parse::<super::super::guard::Cidr>().is_err(), "{text}");
    }
    for text in ["=1.2.3.4", "a b=1.2.3.4", "a=", "a=b", "a"] {
        assert!(text.parse::<super::super::guard::ResolveOverride>().is_err(), "{text}");
    }
    let all: super::super::guard::Cidr = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains("255.1.2.3".parse().unwrap()));
}
