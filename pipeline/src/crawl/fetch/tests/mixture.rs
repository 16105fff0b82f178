//! Whatever comes together in a unit, every URL gets exactly one answer and everything held is given back.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{FetchConfig, Fetcher, UnitBudget};
use super::server::{Do, IMAGE, Server, code, fetch_within, quick, raw, reply};

/// What a URL's path says that the server should do.
const KINDS: [&str; 12] = ["ok", "missing", "busy", "reset", "loop", "away", "private", "cut", "noai", "empty", "gone", "stall"];

fn serve(path: &str, host: &str) -> Vec<Do> {
    let kind = path.trim_start_matches('/').split('/').next().unwrap_or("");
    match kind {
        "robots.txt" if host.starts_with("h3") => reply(200, "", b"User-agent: *\nDisallow: /ok\n"),
        "robots.txt" if host.starts_with("h4") => reply(500, "", b""),
        "missing" | "robots.txt" => reply(404, "", b""),
        "busy" => reply(503, "", b""),
        "reset" => vec![Do::Reset],
        "loop" => reply(302, &format!("Location: {path}\r\n"), b""),
        "away" => reply(302, "Location: /ok/away\r\n", b""),
        "private" => reply(302, "Location: http://10.0.0.1/\r\n", b""),
        "cut" => raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
        "noai" => reply(200, "X-Robots-Tag: noai\r\n", IMAGE),
        "empty" => reply(200, "", b""),
        "gone" => vec![Do::Close],
        "stall" => vec![Do::Stall],
        _ => reply(200, "", IMAGE),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_url_of_any_mixture_is_answered_exactly_once(
        picks in proptest::collection::vec((0..KINDS.len() + 2, 0..5_usize), 0..60),
        budget_ms in prop_oneof![Just(0_u64), Just(40), Just(5000)],
        requests in prop_oneof![Just(3_u64), Just(u64::MAX)],
        robots in any::<bool>(),
        retries in 0..3_u32,
        per_host_concurrency in 1..4_usize,
        concurrency in 1..20_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start(|seen| serve(&seen.path, &seen.host)).await;
            let fetcher = Fetcher::new(FetchConfig {
                robots,
                tdmrep: robots,
                retries,
                per_host_concurrency,
                concurrency,
                min_concurrency: 1,
                host_failures: 6,
                connect_timeout: 0.1,
                header_timeout: 0.05,
                total_timeout: 0.2,
                ..quick()
            }).unwrap();
            let urls: Vec<String> = picks.iter().enumerate().map(|(i, (kind, host))| match KINDS.get(*kind) {
                Some(kind) => server.url(&format!("h{host}"), &format!("/{kind}/{i}")),
                None if *kind == KINDS.len() => "http://[not a url".to_owned(),
                None => format!("http://192.168.0.{host}/"),
            }).collect();
            let budget = UnitBudget { time: Duration::from_millis(budget_ms), requests, ..UnitBudget::default() };
            // Fails by itself where an answer is missing or comes twice.
            let outcomes = fetch_within(&fetcher, &urls, budget).await;
            let metrics = fetcher.metrics();
            let counted = metrics.success + metrics.deferred + metrics.failed.values().sum::<u64>() + metrics.refused.values().sum::<u64>();
            assert_eq!(counted, urls.len() as u64);
            for (url, outcome) in urls.iter().zip(&outcomes) {
                if url.starts_with("http://192.168") { assert_eq!(code(outcome), "blocked_address"); }
                if url.starts_with("http://[") { assert_eq!(code(outcome), "invalid_url"); }
            }
            if requests == 3 {
                assert!(metrics.requests + metrics.policy_requests <= 3, "{metrics:?}");
            }
            drop(outcomes);
            assert_eq!(fetcher.metrics().bytes_in_flight, 0);
        });
    }
}
