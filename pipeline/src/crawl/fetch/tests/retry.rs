//! Back-off, Retry-After, the politeness state, the adaptive controller and the memory bound.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::adaptive::{Adaptive, Feeling};
use super::super::cache::FlightCache;
use super::super::memory::{Memory, MemoryPermit};
use super::super::politeness::{Hosts, Turn, key_of};
use super::super::retry::{Backoff, RetryBudget};
use super::super::{CODES, FetchConfig, FetchError, FetchFailure, PolitenessKey};
use super::server::quick;

#[test]
fn retry_after_is_read_in_both_forms_and_capped() {
    let backoff = Backoff::new(&FetchConfig { max_retry_after: 300.0, ..FetchConfig::default() });
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let table: &[(&str, Option<u64>)] = &[
        ("0", Some(0)),
        ("7", Some(7)),
        (" 7 ", Some(7)),
        ("300", Some(300)),
        ("301", Some(300)),
        ("99999999999999999999999999", Some(300)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        // The date of RFC 9110 §5.6.7 in its three forms is `now`; ten seconds later it is 10.
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
        ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
        ("Sun Nov  6 08:49:47 1994", Some(10)),
        ("Sun, 06 Nov 1994 08:49:36 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(300)),
    ];
    for (value, seconds) in table {
        assert_eq!(backoff.retry_after(value.as_bytes(), now), seconds.map(Duration::from_secs), "{value}");
    }
    assert_eq!(backoff.retry_after(b"\xff\xfe", now), None);
}

#[test]
fn back_off_doubles_within_its_bounds_and_differs_by_host() {
    let backoff = Backoff::new(&FetchConfig { backoff_base: 1.0, backoff_max: 60.0, ..FetchConfig::default() });
    for n in 1..=100 {
        let full = Duration::from_secs(2_u64.saturating_pow(n - 1).min(60));
        let wait = backoff.wait("host.example", n);
        assert!(wait >= full / 2 && wait <= full, "{n}: {wait:?}");
    }
    let waits: std::collections::HashSet<u128> = (0..1000).map(|i| backoff.wait(&format!("h{i}.example"), 3).as_millis() / 100).collect();
    assert!(waits.len() >= 15, "spread over the two seconds of jitter: {}", waits.len());
}

#[test]
fn the_retry_budget_keeps_an_outage_small() {
    let mut budget = RetryBudget::new(0.1);
    for _ in 0..1000 {
        budget.attempt();
    }
    let granted = (0..1000).filter(|_| budget.take()).count();
    assert!((109..=110).contains(&granted), "{granted}");
}

#[test]
fn a_host_grants_turns_by_number_and_by_time() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let hosts = Hosts::new(10, second);
    let host = hosts.get("a.example", now);
    let Turn::Go(first) = host.turn(now, 2) else { panic!("free") };
    assert!(matches!(host.turn(now, 2), Turn::NotBefore(at) if at == now + second));
    let Turn::Go(two) = host.turn(now + second, 2) else { panic!("spaced") };
    assert!(matches!(host.turn(now + 2 * second, 2), Turn::Full));
    drop(first);
    two.unused();
    drop(two);
    let Turn::Go(_slot) = host.turn(now + second, 2) else { panic!("a turn without a request leaves no gap") };
    host.rest_until(now + 10 * second);
    assert!(matches!(host.turn(now + 9 * second, 2), Turn::NotBefore(at) if at == now + 10 * second));
    host.slow_down(5 * second);
    let Turn::Go(_slot) = host.turn(now + 14 * second, 2) else { panic!("rested") };
    assert!(matches!(host.turn(now + 15 * second, 3), Turn::NotBefore(at) if at == now + 19 * second));
    assert!(Arc::ptr_eq(&host, &hosts.get("a.example", now)), "one state per key");
}

#[test]
fn the_host_table_keeps_to_its_size_and_to_hosts_in_use() {
    let now = Instant::now();
    let hosts = Hosts::new(8, Duration::ZERO);
    let kept = hosts.get("kept.example", now);
    kept.rest_until(now + Duration::from_secs(9));
    for i in 0..1000 {
        let host = hosts.get(&format!("h{i}.example"), now);
        host.rest_until(now + Duration::from_secs(5 + i));
    }
    assert!(Arc::ptr_eq(&kept, &hosts.get("kept.example", now)));
}

#[test]
fn politeness_keys_are_hosts_or_registrable_domains() {
    for (host, domain) in [
        ("a.b.example.co.uk", "example.co.uk"),
        ("example.com", "example.com"),
        ("1.bp.blogspot.com", "bp.blogspot.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
    ] {
        assert_eq!(key_of(host, PolitenessKey::Host), host);
        assert_eq!(key_of(host, PolitenessKey::Domain), domain);
    }
}

#[tokio::test]
async fn concurrency_rises_under_demand_and_falls_under_timeouts() {
    let adaptive = Arc::new(Adaptive::new(4, 64));
    assert_eq!(adaptive.limit(), 32);
    let mut now = Instant::now();
    let mut window = |feeling: Feeling, demand: bool| {
        let limit = adaptive.limit().max(32);
        let tickets: Vec<_> = std::iter::from_fn(|| adaptive.try_ticket()).take(if demand { 1000 } else { 1 }).collect();
        for _ in 0..limit {
            now += Duration::from_millis(1);
            adaptive.report(feeling, now);
        }
        drop(tickets);
        adaptive.limit()
    };
    assert_eq!(window(Feeling::Fine, false), 32, "no demand, no rise");
    assert_eq!(window(Feeling::Fine, true), 36);
    let mut last = 36;
    for _ in 0..10 {
        last = window(Feeling::Fine, true);
    }
    assert_eq!(last, 64, "never above the maximum");
    assert!(window(Feeling::TimedOut, true) < 64);
    adaptive.report(Feeling::Exhausted, now);
    adaptive.report(Feeling::Exhausted, now);
    adaptive.report(Feeling::Exhausted, now);
    adaptive.report(Feeling::Exhausted, now);
    assert_eq!(adaptive.limit(), 4, "never below the minimum");
    let held: Vec<_> = std::iter::from_fn(|| adaptive.try_ticket()).take(1000).collect();
    assert_eq!(held.len(), 4, "tickets in the world are as many as the limit says");
}

#[tokio::test]
async fn memory_is_promised_once_and_given_back() {
    let memory = Memory::new(&FetchConfig { max_body_bytes: 1 << 20, max_decoded_bytes: 1 << 20, max_bytes_in_flight: 4 << 20, ..quick() });
    assert_eq!(memory.in_flight(), 0);
    let mut a = memory.share(100 << 10).await;
    assert_eq!(memory.in_flight(), 100 << 10);
    assert!(memory.try_grow(&mut a, 1 << 20));
    assert!(!memory.try_grow(&mut a, 4 << 20), "one lane of the four MiB is kept apart");
    memory.lane(&mut a).await;
    assert_eq!(memory.in_flight(), 2 << 20);
    memory.settle(&mut a, 5000);
    assert_eq!(memory.in_flight(), 5 << 10, "the whole KiB of what is really held");
    drop(a);
    assert_eq!(memory.in_flight(), 0);
    assert_eq!(MemoryPermit::none().bytes(), 0);
}

#[tokio::test]
async fn a_cache_asks_once_forgets_in_time_and_keeps_to_its_size() {
    let cache: FlightCache<u32> = FlightCache::new(16);
    let asked = std::sync::atomic::AtomicU32::new(0);
    let now = Instant::now();
    let ask = |ttl: u64| {
        let n = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            tokio::task::yield_now().await;
            (n, Duration::from_secs(ttl))
        }
    };
    let both = futures::join!(cache.get_or_ask("k", now, |_| ask(10)), cache.get_or_ask("k", now, |_| ask(10)));
    assert_eq!(both, (0, 0), "two askers, one question");
    assert_eq!(cache.get("k", now + Duration::from_secs(9)), Some(0));
    assert_eq!(cache.get("k", now + Duration::from_secs(10)), None);
    let later = now + Duration::from_secs(11);
    let stale = cache.get_or_ask("k", later, |stale| async move { (stale.unwrap_or(99) + 100, Duration::ZERO) }).await;
    assert_eq!(stale, 100, "the stale answer is handed to the question");
    for i in 0..1000 {
        cache.get_or_ask(&format!("k{i}"), now, |_| ask(1000 + i)).await;
    }
    assert!(cache.len() <= 16);
    assert!(cache.get("k999", now).is_some());
}

#[test]
fn settings_are_refused_by_name() {
    assert!(matches!(FetchConfig::default().validate(), Err(FetchError::MissingContact)));
    assert!(quick().validate().is_ok());
    let key = |cfg: FetchConfig| match cfg.validate() {
        Err(FetchError::Setting { key, .. }) => key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key(FetchConfig { contact: "a\nb".into(), ..quick() }), "contact");
    assert_eq!(key(FetchConfig { user_agent_token: "bot 1".into(), ..quick() }), "user_agent_token");
    assert_eq!(key(FetchConfig { total_timeout: 0.0, ..quick() }), "total_timeout");
    assert_eq!(key(FetchConfig { total_timeout: f64::NAN, ..quick() }), "total_timeout");
    assert_eq!(key(FetchConfig { backoff_max: f64::INFINITY, ..quick() }), "backoff_max");
    assert_eq!(key(FetchConfig { concurrency: 0, ..quick() }), "concurrency");
    assert_eq!(key(FetchConfig { min_concurrency: 1000, ..quick() }), "min_concurrency");
    assert_eq!(key(FetchConfig { max_bytes_in_flight: 1, ..quick() }), "max_bytes_in_flight");
    assert_eq!(key(FetchConfig { robots_max_bytes: 1000, ..quick() }), "robots_max_bytes");
    assert_eq!(key(FetchConfig { nameservers: vec!["x".into()], ..quick() }), "nameservers");
    assert!(quick().user_agent().starts_with("trommel/"));
    assert!(quick().user_agent().ends_with(" (+https://example.org/bot)"));
    let text = serde_json::to_string(&quick()).unwrap();
    assert_eq!(serde_json::from_str::<FetchConfig>(&text).unwrap(), quick());
    assert!(serde_json::from_str::<FetchConfig>(r#"{"concurency": 3}"#).is_err(), "an unknown key is no setting");
}

#[test]
fn codes_are_sorted_and_statuses_know_what_passes() {
    assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
    for (status, transient) in [(404, false), (403, false), (408, true), (429, true), (500, true), (501, false), (503, true), (206, false)]
    {
        let failure = FetchFailure::status(status);
        assert_eq!(failure.code, format!("http_{status}"));
        assert_eq!(failure.transient, transient, "{status}");
    }
}
