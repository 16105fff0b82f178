//! Names: fixed answers, the cache, what the guard does to answers, and what failures are called. The name
//! server is a small one on loopback.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;

use super::super::dns::{Dns, DnsError};
use super::super::guard::Guard;
use super::super::metrics::Metrics;
use super::super::{FetchConfig, Fetcher};
use super::server::{IMAGE, Server, code, fetch, quick, reply};

/// What the name server says to an A question; AAAA questions get an empty answer.
#[derive(Clone)]
enum Says {
    A(Vec<[u8; 4]>),
    Code(u8),
    Nothing,
    Garbage,
}

struct NameServer {
    addr: String,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

async fn name_server(says: impl Fn(&str, usize) -> Says + Send + Sync + 'static) -> NameServer {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((len, peer)) = socket.recv_from(&mut packet).await {
            let question = &packet[12..len];
            let (mut name, mut at) = (String::new(), 0);
            while question[at] > 0 {
                let label = &question[at + 1..at + 1 + question[at] as usize];
                name.push_str(&String::from_utf8_lossy(label).to_ascii_lowercase());
                name.push('.');
                at += 1 + question[at] as usize;
            }
            let is_a = question[at + 2] == 1;
            let end = 12 + at + 5;
            let times = {
                let mut count = count.lock();
                let times = count.entry(name.clone()).or_default();
                *times += usize::from(is_a);
                *times
            };
            let (code, answers) = match says(name.trim_end_matches('.'), times) {
                Says::A(_) if !is_a => (0, vec![]),
                Says::A(list) => (0, list),
                Says::Code(code) => (code, vec![]),
                Says::Nothing => continue,
                Says::Garbage => {
                    let _ = socket.send_to(b"\x00\x01nonsense", peer).await;
                    continue;
                }
            };
            let mut out = packet[..2].to_vec();
            out.extend([0x81, 0x80 | code, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
            out.extend(&packet[12..end]);
            for ip in answers {
                // A pointer to the question's name, type A, class IN, a TTL of 0, four octets.
                out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                out.extend(ip);
            }
            let _ = socket.send_to(&out, peer).await;
        }
    });
    NameServer { addr, asked }
}

fn dns(cfg: &FetchConfig) -> Dns {
    let guard = Arc::new(Guard::new(cfg.allow_net.clone(), cfg.allow_hosts.clone(), cfg.resolve.clone(), vec![]));
    Dns::new(cfg, guard, Arc::new(Metrics::default()))
}

fn cfg(server: &NameServer) -> FetchConfig {
    FetchConfig { nameservers: vec![server.addr.clone()], allow_net: vec![], dns_timeout: 0.5, ..quick() }
}

#[tokio::test]
async fn fixed_answers_come_first_and_are_judged_too() {
    let cfg = quick();
    let open = dns(&cfg);
    let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
    for name in ["a.web.test", "a.b.web.test.", "web.test", "localhost", "x.localhost"] {
        assert_eq!(open.lookup(name).await.unwrap().as_ref(), [loopback], "{name}");
    }
    let closed = dns(&FetchConfig { allow_net: vec![], ..cfg });
    for name in ["a.web.test", "localhost"] {
        assert!(matches!(closed.lookup(name).await, Err(DnsError::Blocked(..))), "{name}");
    }
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_public_addresses_are_used() {
    let server = name_server(|name, _| match name {
        "mixed.example.com" => Says::A(vec![[10, 0, 0, 1], [93, 184, 216, 34], [127, 0, 0, 1]]),
        "inside.example.com" => Says::A(vec![[169, 254, 169, 254]]),
        _ => Says::A(vec![[1, 1, 1, 1]; 40]),
    })
    .await;
    let dns = dns(&cfg(&server));
    let public: IpAddr = "93.184.216.34".parse().unwrap();
    assert_eq!(dns.lookup("mixed.example.com").await.unwrap().as_ref(), [public]);
    assert!(matches!(dns.lookup("inside.example.com").await, Err(DnsError::Blocked(..))));
    assert!(dns.lookup("many.example.com").await.unwrap().len() <= 16);
}

#[tokio::test]
async fn a_name_is_asked_for_once_and_a_second_answer_changes_nothing() {
    // Public first, private afterwards, with a TTL of 0: rebinding.
    let server = name_server(|_, times| Says::A(vec![if times == 1 { [1, 1, 1, 1] } else { [127, 0, 0, 1] }])).await;
    let dns = dns(&cfg(&server));
    let public: IpAddr = "1.1.1.1".parse().unwrap();
    let all = futures::future::join_all((0..1000).map(|_| dns.lookup("r.example.com"))).await;
    assert!(all.iter().all(|a| a.as_ref().unwrap().as_ref() == [public]));
    for _ in 0..1000 {
        assert_eq!(dns.lookup("r.example.com").await.unwrap().as_ref(), [public]);
    }
    assert_eq!(server.asked.lock()["r.example.com."], 1);
}

#[tokio::test]
async fn missing_names_and_failing_servers_are_told_apart() {
    let server = name_server(|name, _| match name.split('.').next().unwrap() {
        "missing" => Says::Code(3),
        "empty" => Says::A(vec![]),
        "broken" => Says::Code(2),
        "refused" => Says::Code(5),
        "garbage" => Says::Garbage,
        _ => Says::Nothing,
    })
    .await;
    let dns = dns(&cfg(&server));
    for name in ["missing.example.com", "empty.example.com"] {
        assert!(matches!(dns.lookup(name).await, Err(DnsError::NotFound(_))), "{name} {:?}", dns.lookup(name).await);
    }
    for name in ["broken.example.com", "refused.example.com", "garbage.example.com", "silent.example.com"] {
        assert!(matches!(dns.lookup(name).await, Err(DnsError::Transient(..))), "{name} {:?}", dns.lookup(name).await);
    }
    let before = server.asked.lock()["missing.example.com."];
    assert!(dns.lookup("missing.example.com").await.is_err());
    assert_eq!(server.asked.lock()["missing.example.com."], before, "a missing name is remembered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_uses_the_judged_answer_and_names_the_failure() {
    let names = name_server(|name, _| match name {
        "there.example.com" => Says::A(vec![[127, 0, 0, 1]]),
        "missing.example.com" => Says::Code(3),
        "broken.example.com" => Says::Code(2),
        _ => Says::A(vec![[10, 0, 0, 1]]),
    })
    .await;
    let server = Server::start(|_| reply(200, "", IMAGE)).await;
    let port = server.addr.port();
    let fetcher = Fetcher::new(FetchConfig {
        nameservers: vec![names.addr.clone()],
        header_timeout: 2.0,
        total_timeout: 5.0,
        dns_timeout: 0.5,
        ..quick()
    })
    .unwrap();
    let urls: Vec<String> = ["there", "missing", "broken", "inside"].iter().map(|h| format!("http://{h}.example.com:{port}/")).collect();
    let outcomes = fetch(&fetcher, &urls).await;
    let codes: Vec<_> = outcomes.iter().map(code).collect();
    assert_eq!(codes, ["ok", "dns_not_found", "dns_transient", "blocked_address"]);
    assert_eq!(server.log.connections.load(std::sync::atomic::Ordering::Relaxed), 1);
}
