//! The server is asked for everything that the web has, by a client that believes nothing.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::counters::Kind;
use super::format::Format;
use super::hostile::Hostile;
use super::server::Server;
use super::site::Policy;
use super::slot::Slot;
use super::truth::{Fate, Repeat};
use super::{MiniWeb, MiniWebConfig};

/// An answer as it came: the header as text, and all bytes until the connection was closed.
struct Reply {
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())))?;
        Some(line.split_once(':')?.1.trim())
    }
}

async fn open(addr: SocketAddr, host: &str, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

async fn get(addr: SocketAddr, host: &str, path: &str) -> Reply {
    let mut stream = open(addr, host, path).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |end| end + 4);
    let body = all.split_off(end);
    Reply { head: String::from_utf8(all).unwrap(), body }
}

async fn launch() -> Server {
    let config =
        MiniWebConfig { pages: 120, hostile: 0.1, refusing: 0.35, slow: 0.1, slow_delay: Duration::ZERO, ..MiniWebConfig::default() };
    MiniWeb::launch(config).await.unwrap()
}

async fn get_slot(server: &Server, slot: &Slot) -> Reply {
    get(server.addr(), &slot.host.name(), &slot.path).await
}

fn slot_of(web: &MiniWeb, kind: Hostile) -> Slot {
    (0..web.slots()).map(|n| web.slot(n)).find(|slot| slot.hostile == Some(kind)).expect("the web has every kind")
}

/// Follows redirects on the miniature web; the addresses on the way, and the last answer.
async fn follow(server: &Server, slot: &Slot) -> (Vec<String>, Reply) {
    let mut path = slot.path.clone();
    let mut way = Vec::new();
    loop {
        let reply = get(server.addr(), &slot.host.name(), &path).await;
        let Some(to) = reply.header("location").map(str::to_owned) else {
            return (way, reply);
        };
        let origin = server.web().origin(slot.host);
        let on_this_host = to.strip_prefix(&origin).or(to.starts_with('/').then_some(to.as_str()));
        let next = on_this_host.map(str::to_owned);
        let again = way.contains(&to);
        way.push(to);
        match next {
            Some(next) if !again => path = next,
            _ => return (way, reply),
        }
    }
}

#[tokio::test]
async fn good_addresses_give_pictures_of_the_size_that_the_truth_says() {
    let server = launch().await;
    let mut seen = HashSet::new();
    for n in 0..server.web().slots() {
        let slot = server.web().slot(n);
        if slot.hostile.is_some() || server.web().slot_fate(&slot) != Fate::Ok || !seen.insert(slot.path.clone()) {
            continue;
        }
        let reply = get_slot(&server, &slot).await;
        assert_eq!(reply.status(), 200, "{slot:?}");
        assert_eq!(reply.header("content-type"), Some(slot.look.format.media_type()));
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        let reader = image::ImageReader::new(io::Cursor::new(&reply.body)).with_guessed_format().unwrap();
        let (width, height) = reader.into_dimensions().unwrap();
        let upright = if slot.look.format == Format::JpegTurned { (height, width) } else { (width, height) };
        assert_eq!(upright, (slot.look.width, slot.look.height), "{slot:?}");
        if let Some((Repeat::SameBytes, origin)) = slot.earlier {
            assert_eq!(reply.body, server.web().picture(&server.web().slot(origin)).unwrap());
        }
        if seen.len() > 60 {
            break;
        }
    }
    assert!(seen.len() > 60);
}

#[tokio::test]
async fn statuses_come_as_they_should_and_busy_hosts_relent() {
    let server = launch().await;
    for kind in Hostile::ALL {
        let Fate::HttpStatus(status) = kind.fate() else {
            continue;
        };
        let slot = slot_of(server.web(), kind);
        for _ in 0..2 {
            assert_eq!(get_slot(&server, &slot).await.status(), status, "{kind:?}");
        }
        assert_eq!(server.counters().of(Kind::Hostile(kind)), 2);
    }
    let busy = slot_of(server.web(), Hostile::BusyOnce);
    let first = get_slot(&server, &busy).await;
    assert_eq!((first.status(), first.header("retry-after")), (429, Some("1")));
    assert_eq!(get_slot(&server, &busy).await.status(), 200);
    let flaky = slot_of(server.web(), Hostile::FlakyOnce);
    assert_eq!(get_slot(&server, &flaky).await.status(), 503);
    assert_eq!(get_slot(&server, &flaky).await.status(), 200);
}

#[tokio::test]
async fn redirects_lead_to_the_picture_round_in_a_circle_or_where_nobody_should_go() {
    let server = launch().await;
    let web = server.web();
    for (kind, hops) in [(Hostile::RedirectOnce, 1), (Hostile::RedirectChain, 3)] {
        let slot = slot_of(web, kind);
        let (way, last) = follow(&server, &slot).await;
        assert_eq!((way.len(), last.status()), (hops, 200), "{way:?}");
        assert_eq!(last.body, web.picture(&slot).unwrap());
    }
    let (way, last) = follow(&server, &slot_of(web, Hostile::RedirectLoop)).await;
    assert_eq!((last.status(), way.len()), (302, 3), "{way:?}");
    for (kind, target) in [
        (Hostile::RedirectPrivate, "http://10."),
        (Hostile::RedirectMetadata, "http://169.254.169.254/"),
        (Hostile::RedirectFile, "file:///"),
    ] {
        let (way, _) = follow(&server, &slot_of(web, kind)).await;
        assert!(way[0].starts_with(target), "{way:?}");
    }
}

#[tokio::test]
async fn bad_bodies_are_bad_in_the_way_that_they_promise() {
    let server = launch().await;
    let web = server.web();
    let reply = async |kind| get_slot(&server, &slot_of(web, kind)).await;
    for kind in [Hostile::HtmlInstead, Hostile::ZeroBytes, Hostile::Corrupt, Hostile::Truncated] {
        let reply = reply(kind).await;
        assert_eq!((reply.status(), reply.header("content-type")), (200, Some("image/jpeg")));
        let decoded = image::load_from_memory(&reply.body);
        assert!(decoded.is_err() || kind == Hostile::Truncated, "{kind:?}");
    }
    let truncated = reply(Hostile::Truncated).await;
    let full = web.picture(&slot_of(web, Hostile::Truncated)).unwrap();
    assert_eq!(truncated.body, full[..full.len() / 2]);
    for (kind, declared) in [(Hostile::LengthTooLong, 1000), (Hostile::LengthTooShort, -1)] {
        let reply = reply(kind).await;
        let length: i64 = reply.header("content-length").unwrap().parse().unwrap();
        let sent = reply.body.len() as i64;
        assert_eq!(length - sent, if declared > 0 { declared } else { sent / 2 - sent });
        assert_eq!(reply.header("connection"), None);
    }
    assert!(reply(Hostile::HangUp).await.head.is_empty());
    assert_eq!(reply(Hostile::HeaderFlood).await.head.matches("X-Flood").count(), 2000);
    let bomb = reply(Hostile::GzipBomb).await;
    assert_eq!(bomb.header("content-encoding"), Some("gzip"));
    assert!(
        reply(Hostile::OptedOut).await.header("x-robots-tag").unwrap().to_lowercase().contains("noai")
            || reply(Hostile::OptedOut).await.header("x-robots-tag").unwrap().contains("noimageai")
    );
    assert_eq!(reply(Hostile::OptedOutForOthers).await.header("x-robots-tag"), Some("someotherbot: noai"));
}

#[tokio::test]
async fn silent_endpoints_say_nothing_until_the_server_goes() {
    let server = launch().await;
    let web = server.web().clone();
    let mut silent = Vec::new();
    for kind in [Hostile::Stall, Hostile::StallingHost] {
        let slot = slot_of(&web, kind);
        silent.push(open(server.addr(), &slot.host.name(), &slot.path).await.unwrap());
        // The request after it, on a connection of its own, is answered all the same.
        assert_eq!(get(server.addr(), "h000.miniweb.test", "/robots.txt").await.status(), 404);
    }
    let stalling = slot_of(&web, Hostile::StallingHost);
    silent.push(open(server.addr(), &stalling.host.name(), "/robots.txt").await.unwrap());

    let half = slot_of(&web, Hostile::StallHalfway);
    let mut halfway = open(server.addr(), &half.host.name(), &half.path).await.unwrap();
    let mut some = vec![0; web.picture(&half).unwrap().len() / 2];
    halfway.read_exact(&mut some).await.unwrap();

    let drip = slot_of(&web, Hostile::Drip);
    let mut dripping = open(server.addr(), &drip.host.name(), &drip.path).await.unwrap();
    dripping.read_exact(&mut [0; 40]).await.unwrap();

    let endless = slot_of(&web, Hostile::Endless);
    let mut stream = open(server.addr(), &endless.host.name(), &endless.path).await.unwrap();
    let mut much = vec![0; 20 << 20];
    stream.read_exact(&mut much).await.unwrap();
    drop(stream);

    server.shutdown().await;
    for mut stream in silent {
        let mut all = Vec::new();
        // A reset is as good an end as any.
        let _ = stream.read_to_end(&mut all).await;
        assert!(all.is_empty());
    }
}

#[tokio::test]
async fn hosts_say_what_they_allow() {
    let server = launch().await;
    let web = server.web();
    let host = |policy| (0..web.hosts()).map(|n| web.host(n)).find(|host| host.policy == policy).unwrap();
    let robots = async |policy| get(server.addr(), &host(policy).name(), "/robots.txt").await;
    assert!(robots(Policy::RobotsAll).await.body.ends_with(b"Disallow: /\n"));
    assert!(robots(Policy::RobotsPrivate).await.body.windows(19).any(|part| part == b"Disallow: /private/"));
    assert_eq!(robots(Policy::RobotsBroken).await.status(), 500);
    assert!(String::from_utf8(robots(Policy::ContentSignal).await.body).unwrap().contains("ai-train=no"));
    let tdm = get(server.addr(), &host(Policy::TdmFile).name(), "/.well-known/tdmrep.json").await;
    let rules: serde_json::Value = serde_json::from_slice(&tdm.body).unwrap();
    assert_eq!(rules[0]["tdm-reservation"], 1);
    assert_eq!(get(server.addr(), "h000.miniweb.test", "/.well-known/tdmrep.json").await.status(), 404);
    for (policy, name, value) in [
        (Policy::NoAiHeader, "x-robots-tag", "noai, noimageai"),
        (Policy::TdmHeader, "tdm-reservation", "1"),
        (Policy::ContentUsage, "content-usage", "train-ai=n"),
    ] {
        let logo = get(server.addr(), &host(policy).name(), "/assets/logo.png").await;
        assert_eq!((logo.status(), logo.header(name)), (200, Some(value)));
        let of_host = |slot: &Slot| slot.host.policy == policy && slot.hostile.is_none();
        if let Some(slot) = (0..web.slots()).map(|n| web.slot(n)).find(of_host) {
            for _ in 0..2 {
                assert_eq!(get_slot(&server, &slot).await.header(name), Some(value));
            }
        }
    }
}

#[tokio::test]
async fn pages_assets_and_the_bench_are_served_and_the_rest_is_not() {
    let server = launch().await;
    let web = server.web();
    for (index, page) in web.pages().enumerate().take(10) {
        let host = web.page(index as u64).host;
        let reply = get(server.addr(), &host.name(), &format!("/pages/{index}.html")).await;
        assert_eq!(reply.body, page.html);
    }
    for asset in ["/assets/logo.png", "/assets/pixel.gif", "/assets/blank.gif"] {
        let reply = get(server.addr(), "h000.miniweb.test", asset).await;
        image::load_from_memory(&reply.body).unwrap();
    }
    let one = get(server.addr(), "h001.miniweb.test", "/bench/640/5.jpg").await;
    let same = get(server.addr(), "h002.miniweb.test", "/bench/640/69.jpg?x=1").await;
    assert_eq!((one.status(), one.body.len()), (200, same.body.len()));
    for path in ["/bench/641/5.jpg", "/nothing", "/img/999999999.jpg", "/pages/x.html", "/final/", "/hop/99/1.jpg", "/img/.jpg"] {
        assert_eq!(get(server.addr(), "h000.miniweb.test", path).await.status(), 404, "{path}");
    }
    assert_eq!(get(server.addr(), "elsewhere.test", "/").await.status(), 421);
}

#[tokio::test]
async fn a_connection_answers_one_request_after_the_other_and_the_counters_know() {
    let server = launch().await;
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    let request = "GET /assets/pixel.gif HTTP/1.1\r\nHost: h000.miniweb.test\r\n\r\n";
    let last = "HEAD /bench/640/1.jpg HTTP/1.1\r\nhost: H001.miniweb.test:80\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{request}{request}{request}{last}").as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let text = String::from_utf8_lossy(&all);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4);
    assert!(text.ends_with("Connection: close\r\n\r\n"));
    let counters = server.counters();
    assert_eq!((counters.requests(), counters.connections()), (4, 1));
    assert_eq!(counters.bytes(), all.len() as u64);
    assert_eq!((counters.of(Kind::Asset), counters.of(Kind::Bench)), (3, 1));
    let seen = counters.host(0);
    assert_eq!((seen.visits, seen.most_at_once), (3, 1));
    assert!(seen.shortest_gap.is_some());
}

#[tokio::test]
async fn what_is_not_http_is_told_so() {
    let server = launch().await;
    for bad in ["POST / HTTP/1.1\r\nHost: h000.miniweb.test\r\n\r\n", "hello\r\n\r\n", "GET / SPDY/3\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        stream.write_all(bad.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert!(all.starts_with(b"HTTP/1.1 400"), "{bad}");
    }
    assert_eq!(server.counters().of(Kind::Malformed), 3);
}
