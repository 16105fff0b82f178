//! A loopback server that answers byte by byte as told, for ordinary and for hostile answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::{FetchConfig, FetchItem, FetchOutcome, Fetcher, UnitBudget};

/// One thing that the server does to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    Send(Vec<u8>),
    /// One byte at a time.
    Drip(Vec<u8>, Duration),
    /// The same bytes for ever.
    Endless(Vec<u8>),
    Wait(Duration),
    /// Neither answers nor closes.
    Stall,
    Close,
    Reset,
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) start: Instant,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) connections: AtomicUsize,
    /// Most requests at once, by host.
    pub(crate) most: Mutex<HashMap<String, (usize, usize)>>,
}

impl Log {
    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.lock().iter().map(|s| s.path.clone()).collect()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.seen.lock().iter().filter(|s| s.path == path).count()
    }
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) log: Arc<Log>,
}

type Handler = Arc<dyn Fn(&Seen) -> Vec<Do> + Send + Sync>;

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Vec<Do> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let handler: Handler = Arc::new(handler);
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&shared)));
            }
        });
        Self { addr, log }
    }

    pub(crate) fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}.web.test:{}{path}", self.addr.port())
    }
}

async fn serve(mut stream: TcpStream, handler: Handler, log: Arc<Log>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            let mut part = [0; 4096];
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => return None,
                Ok(n) => buffer.extend_from_slice(&part[..n]),
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or("").to_owned();
        let host = head
            .lines()
            .find_map(|l| l.split_once(':').filter(|(k, _)| k.eq_ignore_ascii_case("host")).map(|(_, v)| v.trim().to_owned()))
            .unwrap_or_default();
        let seen = Seen { host: host.clone(), path, head, start: Instant::now() };
        log.seen.lock().push(seen.clone());
        {
            let mut most = log.most.lock();
            let entry = most.entry(host.clone()).or_default();
            entry.0 += 1;
            entry.1 = entry.1.max(entry.0);
        }
        let done = act(&mut stream, handler(&seen)).await;
        if let Some(entry) = log.most.lock().get_mut(&host) {
            entry.0 -= 1;
        }
        done?;
    }
}

async fn act(stream: &mut TcpStream, todo: Vec<Do>) -> Option<()> {
    for step in todo {
        match step {
            Do::Send(bytes) => stream.write_all(&bytes).await.ok()?,
            Do::Drip(bytes, every) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await.ok()?;
                    tokio::time::sleep(every).await;
                }
            }
            Do::Endless(bytes) => loop {
                stream.write_all(&bytes).await.ok()?;
            },
            Do::Wait(time) => tokio::time::sleep(time).await,
            Do::Stall => {
                let mut part = [0; 64];
                while stream.read(&mut part).await.ok()? > 0 {}
                return None;
            }
            Do::Close => {
                let _ = stream.shutdown().await;
                return None;
            }
            Do::Reset => {
                #[allow(deprecated)]
                let _ = stream.set_linger(Some(Duration::ZERO));
                return None;
            }
        }
    }
    Some(())
}

/// A plain keep-alive answer.
pub(crate) fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<Do> {
    let mut out = format!("HTTP/1.1 {status} Some\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    out.extend_from_slice(body);
    vec![Do::Send(out)]
}

/// Raw bytes, then a close.
pub(crate) fn raw(bytes: &[u8]) -> Vec<Do> {
    vec![Do::Send(bytes.to_vec()), Do::Close]
}

pub(crate) const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\nnot really an image";

/// Settings for a loopback web: every `*.web.test` is 127.0.0.1, short deadlines, no spacing, no robots.txt.
pub(crate) fn quick() -> FetchConfig {
    FetchConfig {
        contact: "https://example.org/bot".into(),
        allow_net: vec!["127.0.0.0/8".parse().unwrap()],
        resolve: vec!["*.web.test=127.0.0.1".parse().unwrap()],
        connect_timeout: 0.2,
        header_timeout: 0.1,
        idle_timeout: 0.2,
        total_timeout: 0.6,
        min_rate_grace: 0.25,
        min_rate: 1000,
        per_host_delay: 0.0,
        retries: 0,
        backoff_base: 0.01,
        backoff_max: 0.02,
        host_failures: 1000,
        robots: false,
        tdmrep: false,
        max_body_bytes: 1 << 20,
        max_decoded_bytes: 2 << 20,
        max_bytes_in_flight: 64 << 20,
        nameservers: vec!["127.0.0.1:9".into()],
        dns_timeout: 0.2,
        ..FetchConfig::default()
    }
}

/// Fetches and gives the outcomes in the order of the URLs; fails where an answer is missing or double.
pub(crate) async fn fetch(fetcher: &Arc<Fetcher>, urls: &[String]) -> Vec<FetchOutcome> {
    fetch_within(fetcher, urls, UnitBudget { time: Duration::from_secs(20), ..UnitBudget::default() }).await
}

pub(crate) async fn fetch_within(fetcher: &Arc<Fetcher>, urls: &[String], budget: UnitBudget) -> Vec<FetchOutcome> {
    let items = (0..).zip(urls).map(|(index, url)| FetchItem { index, url: url.clone() }).collect();
    let (out, mut answers) = tokio::sync::mpsc::channel(16);
    let owner = Arc::clone(fetcher);
    let unit = tokio::spawn(async move { owner.run_unit(items, budget, out).await });
    let mut outcomes: Vec<Option<FetchOutcome>> = urls.iter().map(|_| None).collect();
    while let Some(done) = answers.recv().await {
        let place = &mut outcomes[done.index as usize];
        assert!(place.is_none(), "url {} was answered twice", done.index);
        *place = Some(done.outcome);
    }
    unit.await.unwrap();
    outcomes.into_iter().enumerate().map(|(i, o)| o.unwrap_or_else(|| panic!("url {i} was not answered"))).collect()
}

/// Code of an outcome: `ok`, `deferred`, a failure's code or an opt-out's signal.
pub(crate) fn code(outcome: &FetchOutcome) -> &'static str {
    match outcome {
        FetchOutcome::Success(_) => "ok",
        FetchOutcome::Failed(failure) => failure.code,
        FetchOutcome::Refused(opt_out) => opt_out.signal,
        FetchOutcome::Deferred => "deferred",
    }
}
