//! Politeness over a real loopback server: turns, spacing, robots.txt, Retry-After, giving up, budgets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::{FetchConfig, FetchDone, FetchItem, FetchOutcome, Fetcher, Leave, UnitBudget};
use super::server::{Do, IMAGE, Seen, Server, code, fetch, fetch_within, quick, raw, reply};

fn calm() -> FetchConfig {
    FetchConfig { header_timeout: 5.0, idle_timeout: 5.0, total_timeout: 10.0, connect_timeout: 5.0, ..quick() }
}

fn image() -> Vec<Do> {
    reply(200, "Content-Type: image/png\r\nETag: \"e\"\r\nX-Robots-Tag: nofollow\r\n", IMAGE)
}

fn codes(outcomes: &[FetchOutcome]) -> Vec<&'static str> {
    outcomes.iter().map(code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_comes_with_what_was_said_about_it() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/a?b" => reply(302, "Location: //two.web.test:1/../c#d\r\n", b""),
        _ => image(),
    })
    .await;
    let port = server.addr.port();
    let redirected = Server::start(move |seen| match seen.path.as_str() {
        "/a" => reply(301, &format!("Location: http://user:pw@two.web.test:{port}/../c#d\r\n"), b""),
        _ => image(),
    })
    .await;
    let fetcher = Fetcher::new(calm()).unwrap();
    let outcomes = fetch(&fetcher, &[redirected.url("one", "/a")]).await;
    let FetchOutcome::Success(fetched) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(fetched.body, IMAGE);
    assert_eq!(fetched.status, 200);
    assert_eq!(fetched.final_url, server.url("two", "/c"), "no credentials, no fragment");
    assert_eq!((fetched.redirects, fetched.requests), (1, 2));
    assert_eq!(fetched.content_type.as_deref(), Some("image/png"));
    assert_eq!(fetched.etag.as_deref(), Some("\"e\""));
    assert_eq!(fetched.x_robots_tag.as_deref(), Some("nofollow"));
    assert_eq!(fetched.remote_ip, Some("127.0.0.1".parse().unwrap()));
    assert!(fetcher.metrics().bytes_in_flight > 0);
    drop(outcomes);
    assert_eq!(fetcher.metrics().bytes_in_flight, 0);
    for seen in server.log.seen.lock().iter().chain(redirected.log.seen.lock().iter()) {
        let head = seen.head.to_ascii_lowercase();
        assert!(head.contains("user-agent: trommel/"), "{head}");
        assert!(head.contains("(+https://example.org/bot)"), "{head}");
        assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
        for never in ["cookie", "authorization", "referer", "mozilla"] {
            assert!(!head.contains(never), "{never} in {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_host_has_more_requests_at_once_than_allowed() {
    let server = Server::start(|_| {
        let mut todo = vec![Do::Wait(Duration::from_millis(3))];
        todo.extend(image());
        todo
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig { per_host_concurrency: 3, ..calm() }).unwrap();
    let urls: Vec<String> = (0..600).map(|i| server.url(&format!("h{}", i % 7), &format!("/{i}"))).collect();
    // Two units at once: their requests do not add up.
    let (a, b) = tokio::join!(fetch(&fetcher, &urls[..300]), fetch(&fetcher, &urls[300..]));
    assert!(a.iter().chain(&b).all(|o| code(o) == "ok"), "{:?} {:?}", codes(&a), codes(&b));
    // The server sees the end of a request a moment after its client.
    let busy = || server.log.most.lock().values().any(|(now, _)| *now > 0);
    let settled = async {
        while busy() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), settled).await.is_ok(), "a request never ended");
    let most = server.log.most.lock();
    assert_eq!(most.len(), 7);
    for (host, (_, most)) in most.iter() {
        assert!((1..=3).contains(most), "{host}: {most}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_a_host_keep_their_distance_with_robots_txt_and_redirects_counted() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/robots.txt" => reply(200, "", b"User-agent: *\nDisallow: /no\n"),
        "/.well-known/tdmrep.json" => reply(404, "", b""),
        "/r" => reply(302, "Location: /s\r\n", b""),
        _ => image(),
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig { per_host_delay: 0.04, robots: true, tdmrep: true, ..calm() }).unwrap();
    let urls: Vec<String> = ["/a", "/b", "/no/c", "/r", "/d"].iter().map(|p| server.url("h", p)).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    assert_eq!(codes(&outcomes), ["ok", "ok", "robots_txt", "ok", "ok"]);
    let mut starts: Vec<_> = server.log.seen.lock().iter().map(|s| s.start).collect();
    starts.sort();
    assert_eq!(starts.len(), 7, "{:?}", server.log.paths());
    for pair in starts.windows(2) {
        // The client's clock starts before the server sees the request, so a late first one and a
        // prompt second one may look a little closer.
        assert!(pair[1] - pair[0] >= Duration::from_millis(20), "{:?}", pair[1] - pair[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_txt_is_asked_for_once_however_many_wait() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/robots.txt" => {
            let mut todo = vec![Do::Wait(Duration::from_millis(30))];
            todo.extend(reply(200, "", b"User-agent: *\nDisallow: /private\n"));
            todo
        }
        _ => image(),
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig { per_host_concurrency: 50, robots: true, ..calm() }).unwrap();
    let urls: Vec<String> = (0..500).map(|i| server.url("h", &format!("/{}{i}", if i % 2 == 0 { "private/" } else { "" }))).collect();
    let (a, b) = tokio::join!(fetch(&fetcher, &urls), fetch(&fetcher, &urls));
    for (i, outcome) in a.iter().chain(&b).enumerate() {
        assert_eq!(code(outcome), if i % 2 == 0 { "robots_txt" } else { "ok" });
    }
    assert_eq!(server.log.count("/robots.txt"), 1);
    assert_eq!(server.log.paths().iter().filter(|p| p.starts_with("/private")).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_answers_decide_as_rfc_9309_says() {
    let deny = b"User-agent: *\nDisallow: /\n".as_slice();
    let big = [b"#".repeat(499_980).as_slice(), b"\nUser-agent: *\nDisallow: /\n"].concat();
    let late = [b"# comment\n".repeat(52_000).as_slice(), b"User-agent: *\nDisallow: /\n"].concat();
    let table: Vec<(&str, Vec<Do>, &str)> = vec![
        ("deny", reply(200, "", deny), "robots_txt"),
        ("empty", reply(200, "", b""), "ok"),
        ("html", reply(200, "Content-Type: text/html\r\n", b"<html><body>no robots</body></html>"), "ok"),
        ("s204", raw(b"HTTP/1.1 204 No\r\n\r\n"), "ok"),
        ("s400", reply(400, "", deny), "ok"),
        ("s401", reply(401, "", deny), "ok"),
        ("s403", reply(403, "", deny), "ok"),
        ("s404", reply(404, "", deny), "ok"),
        ("s410", reply(410, "", deny), "ok"),
        ("s451", reply(451, "", deny), "ok"),
        ("s429", reply(429, "", b""), "robots_unreachable"),
        ("s500", reply(500, "", b""), "robots_unreachable"),
        ("s503", reply(503, "", b""), "robots_unreachable"),
        ("reset", vec![Do::Reset], "connection_reset"),
        ("stall", vec![Do::Stall], "header_timeout"),
        ("garbage", raw(b"SSH-2.0-x\r\n\r\n"), "protocol_error"),
        ("loop", reply(302, "Location: /robots.txt\r\n", b""), "ok"),
        ("nowhere", reply(302, "", b""), "ok"),
        ("inside", reply(302, "Location: http://10.0.0.1/robots.txt\r\n", b""), "blocked_address"),
        ("away", reply(302, "Location: /elsewhere\r\n", b""), "robots_txt"),
        ("gzipped", reply(200, "Content-Encoding: zstd\r\n", &zstd::bulk::compress(deny, 3).unwrap()), "robots_txt"),
        ("big", reply(200, "", &big), "robots_txt"),
        ("late", reply(200, "", &late), "ok"),
        (
            "endless",
            vec![Do::Send(b"HTTP/1.1 200 OK\r\n\r\nUser-agent: *\nDisallow: /\n".to_vec()), Do::Endless(b"# more\n".repeat(5000))],
            "robots_txt",
        ),
        ("signal", reply(200, "", b"User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n"), "content_signal"),
        ("usage", reply(200, "", b"User-agent: *\nContent-Usage: train-ai=n\nAllow: /\n"), "content_usage"),
    ];
    let answers: HashMap<String, Vec<Do>> = table.iter().map(|(h, todo, _)| ((*h).to_owned(), todo.clone())).collect();
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/robots.txt" => answers[seen.host.split('.').next().unwrap()].clone(),
        "/elsewhere" => reply(200, "", deny),
        _ => image(),
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig {
        robots: true,
        header_timeout: 0.3,
        connect_timeout: 0.3,
        total_timeout: 3.0,
        idle_timeout: 1.0,
        ..quick()
    })
    .unwrap();
    let urls: Vec<String> = table.iter().map(|(h, ..)| server.url(h, "/a")).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    let wrong: Vec<_> = table.iter().zip(&outcomes).filter(|((.., c), o)| code(o) != *c).map(|((h, ..), o)| (h, o)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let asked: Vec<_> =
        server.log.seen.lock().iter().filter(|s| s.path == "/a").map(|s| s.host.split('.').next().unwrap().to_owned()).collect();
    for (host, _, expected) in &table {
        assert_eq!(asked.iter().any(|a| a == host), *expected == "ok", "{host}: no request for the image where it is closed");
    }
    assert_eq!(server.log.seen.lock().iter().filter(|s| s.path == "/robots.txt" && s.host.starts_with("loop")).count(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opt_outs_in_files_and_headers_refuse_without_a_body() {
    let server = Server::start(|seen| {
        let no =
            |header: &str| vec![Do::Send(format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 100000\r\n\r\n").into_bytes()), Do::Stall];
        match seen.path.as_str() {
            "/robots.txt" => reply(404, "", b""),
            "/ai.txt" => reply(200, "", b"User-Agent: *\nDisallow: *.webp\n"),
            "/.well-known/tdmrep.json" => reply(200, "", br#"[{"location": "/reserved/*", "tdm-reservation": 1}]"#),
            "/x" => no("X-Robots-Tag: otherbot: all\r\nX-Robots-Tag: unavailable_after: 1 Jan 2040 00:00:00 GMT, NoAI"),
            "/t" => no("tdm-reservation: 1"),
            "/u" => no("Content-Usage: train-ai=n"),
            _ => image(),
        }
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig { robots: true, tdmrep: true, ai_txt: true, ..calm() }).unwrap();
    let urls: Vec<String> = ["/x", "/t", "/u", "/reserved/a", "/a.webp", "/fine"].iter().map(|p| server.url("h", p)).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    assert_eq!(codes(&outcomes), ["x_robots_tag", "tdm_reservation", "content_usage", "tdmrep_json", "ai_txt", "ok"]);
    assert_eq!(server.log.count("/reserved/a") + server.log.count("/a.webp"), 0);
    let FetchOutcome::Refused(opt_out) = &outcomes[0] else { panic!() };
    assert_eq!((opt_out.value.as_str(), opt_out.source.as_str()), ("noai", urls[0].as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_retry_after_nothing_comes_early() {
    let answers = AtomicUsize::new(0);
    let server = Server::start(move |_| match answers.fetch_add(1, Ordering::Relaxed) {
        0 => reply(429, "Retry-After: 1\r\n", b""),
        _ => image(),
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig { retries: 1, per_host_concurrency: 1, ..calm() }).unwrap();
    let urls: Vec<String> = (0..3).map(|i| server.url("h", &format!("/{i}"))).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    assert_eq!(codes(&outcomes), ["ok", "ok", "ok"]);
    let seen: Vec<Seen> = server.log.seen.lock().clone();
    assert_eq!(seen.len(), 4);
    assert!(seen[1].start - seen[0].start >= Duration::from_millis(999), "{:?}", seen[1].start - seen[0].start);
    assert_eq!(fetcher.metrics().retries, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_wants_more_time_than_there_is_is_deferred_and_holds_up_nobody() {
    let server =
        Server::start(|seen| if seen.host.starts_with("busy") { reply(503, "Retry-After: 86400\r\n", b"") } else { image() }).await;
    let fetcher = Fetcher::new(FetchConfig { per_host_concurrency: 1, ..calm() }).unwrap();
    let urls: Vec<String> = (0..40).map(|i| server.url(if i < 20 { "busy" } else { "h" }, &format!("/{i}"))).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    assert_eq!(code(&outcomes[0]), "http_503");
    assert!(outcomes[1..20].iter().all(|o| code(o) == "deferred"), "{:?}", codes(&outcomes));
    assert!(outcomes[20..].iter().all(|o| code(o) == "ok"));
    assert_eq!(server.log.seen.lock().iter().filter(|s| s.host.starts_with("busy")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_only_throttles_or_only_fails_is_given_up_after_a_few_requests() {
    let server = Server::start(|seen| {
        if seen.host.starts_with("full") {
            reply(429, "", b"")
        } else if seen.host.starts_with("dead") {
            vec![Do::Reset]
        } else {
            image()
        }
    })
    .await;
    let fetcher = Fetcher::new(FetchConfig { host_failures: 5, retries: 3, per_host_concurrency: 1, ..calm() }).unwrap();
    let urls: Vec<String> = (0..300).map(|i| server.url(["full", "dead", "fine"][i % 3], &format!("/{i}"))).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    let mut by: HashMap<(&str, &str), usize> = HashMap::new();
    for (i, outcome) in outcomes.iter().enumerate() {
        *by.entry((["full", "dead", "fine"][i % 3], code(outcome))).or_default() += 1;
    }
    assert_eq!(by[&("fine", "ok")], 100);
    assert!(by[&("full", "host_throttled")] >= 95, "{by:?}");
    assert!(by[&("dead", "host_unreachable")] >= 95, "{by:?}");
    for host in ["full", "dead"] {
        let requests = server.log.seen.lock().iter().filter(|s| s.host.starts_with(host)).count();
        let paths: Vec<_> = server.log.seen.lock().iter().filter(|s| s.host.starts_with(host)).map(|s| s.path.clone()).collect();
        assert_eq!(requests, 5, "{host}: {by:?} {paths:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_budget_does_not_reach_is_deferred() {
    let server = Server::start(|seen| if seen.host.starts_with("slow") { vec![Do::Stall] } else { image() }).await;
    let fetcher = Fetcher::new(FetchConfig { per_host_concurrency: 1, header_timeout: 0.2, connect_timeout: 0.1, ..calm() }).unwrap();
    let urls: Vec<String> = (0..30).map(|i| server.url(if i % 3 == 0 { "slow" } else { "h" }, &format!("/{i}"))).collect();
    let budget = UnitBudget { time: Duration::from_millis(100), ..UnitBudget::default() };
    let outcomes = fetch_within(&fetcher, &urls, budget).await;
    assert!(outcomes.iter().step_by(3).skip(1).all(|o| code(o) == "deferred"), "{:?}", codes(&outcomes));
    assert_eq!(fetcher.metrics().deferred as usize, codes(&outcomes).iter().filter(|c| **c == "deferred").count());
    let none = fetch_within(&fetcher, &urls, UnitBudget { time: Duration::ZERO, ..UnitBudget::default() }).await;
    assert!(none.iter().all(|o| code(o) == "deferred"));
    let before = server.log.seen.lock().len();
    let few = fetch_within(&fetcher, &urls[1..3], UnitBudget { requests: 1, ..UnitBudget::default() }).await;
    assert_eq!(codes(&few).iter().filter(|c| **c == "deferred").count(), 1, "{:?}", codes(&few));
    assert_eq!(server.log.seen.lock().len(), before + 1);
    let capped = Fetcher::new(FetchConfig { max_urls_per_host_per_unit: 2, ..calm() }).unwrap();
    let outcomes = fetch(&capped, &(0..5).map(|i| server.url("h", &format!("/{i}"))).collect::<Vec<_>>()).await;
    assert_eq!(codes(&outcomes), ["ok", "ok", "deferred", "deferred", "deferred"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_leaves_its_slow_hosts_where_other_work_waits() {
    let server = Server::start(|seen| {
        let mut todo = vec![];
        if seen.host.starts_with("slow") {
            todo.push(Do::Wait(Duration::from_millis(500)));
        }
        todo.extend(image());
        todo
    })
    .await;
    let config = FetchConfig { per_host_concurrency: 1, ..calm() };
    // Twenty urls of a host that gives two a second, and two hundred of a hundred quick ones.
    let urls: Vec<String> =
        (0..220).map(|i| server.url(&if i < 20 { "slow".to_owned() } else { format!("h{}", i % 100) }, &format!("/{i}"))).collect();
    let short = UnitBudget { time: Duration::from_secs(3), stay: Duration::from_secs(1), ..UnitBudget::default() };
    let leaving = UnitBudget { time: Duration::from_secs(60), leave: Leave::Always, ..short };
    let fetcher = Fetcher::new(config.clone()).unwrap();
    let outcomes = fetch_within(&fetcher, &urls, leaving).await;
    assert!(outcomes[20..].iter().all(|o| code(o) == "ok"), "{:?}", codes(&outcomes));
    let given = outcomes[..20].iter().filter(|o| code(o) == "ok").count();
    assert!((1..15).contains(&given) && outcomes[..20].iter().all(|o| ["ok", "deferred"].contains(&code(o))), "{:?}", codes(&outcomes));
    assert_eq!(fetcher.metrics().units_left, 1);
    // Alone it stays until its time is over.
    let fetcher = Fetcher::new(config.clone()).unwrap();
    let outcomes = fetch_within(&fetcher, &urls, UnitBudget { leave: Leave::WhenOthersWait, ..short }).await;
    assert_eq!((fetcher.metrics().units_left, outcomes.iter().filter(|o| code(o) == "ok").count() > 200), (0, true));
    // Two places are held; a third unit that waits makes this one leave.
    let fetcher = Fetcher::new(config).unwrap();
    fetcher.crew.backed_up(std::time::Instant::now() + Duration::from_secs(3600));
    let _places = (fetcher.place().await, fetcher.place().await);
    let ((), outcomes) = tokio::join!(
        async { drop(tokio::time::timeout(Duration::from_secs(20), fetcher.place()).await) },
        fetch_within(&fetcher, &urls[15..], UnitBudget { time: Duration::from_secs(60), leave: Leave::WhenOthersWait, ..short })
    );
    assert_eq!((fetcher.metrics().units_left, outcomes.len()), (1, 205));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_receiver_or_unit_stops_everything() {
    let server = Server::start(|_| vec![Do::Stall]).await;
    let fetcher = Fetcher::new(calm()).unwrap();
    let items = || (0..50).map(|index| FetchItem { index, url: server.url(&format!("h{index}"), "/") }).collect::<Vec<_>>();
    let (out, answers) = tokio::sync::mpsc::channel::<FetchDone>(1);
    drop(answers);
    // Ends by itself: the test's own time limit is the runtime's.
    fetcher.run_unit(items(), UnitBudget::default(), out).await;
    let (out, _answers) = tokio::sync::mpsc::channel::<FetchDone>(1);
    let owner = Arc::clone(&fetcher);
    let all = items();
    let unit = tokio::spawn(async move { owner.run_unit(all, UnitBudget::default(), out).await });
    while server.log.seen.lock().len() < 50 {
        tokio::task::yield_now().await;
    }
    unit.abort();
    assert!(unit.await.is_err());
    while fetcher.metrics().bytes_in_flight > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_while_there_is_more_and_closed_with_the_last() {
    let server = Server::start(|_| image()).await;
    let fetcher = Fetcher::new(FetchConfig { per_host_concurrency: 1, ..calm() }).unwrap();
    let urls: Vec<String> = (0..20).map(|i| server.url("h", &format!("/{i}"))).collect();
    assert!(fetch(&fetcher, &urls).await.iter().all(|o| code(o) == "ok"));
    assert_eq!(server.log.connections.load(Ordering::Relaxed), 1);
    let closes: Vec<bool> = server.log.seen.lock().iter().map(|s| s.head.to_ascii_lowercase().contains("connection: close")).collect();
    assert_eq!(closes.iter().position(|c| *c), Some(19), "{closes:?}");
}
