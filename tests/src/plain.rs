//! A server that answers exactly what a test wants, and a gate that holds its answers back.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use trommel::miniweb::format::Format;
use trommel::miniweb::{MiniWeb, MiniWebConfig};

/// An answer: status and body.
#[derive(Debug, Clone)]
pub struct Reply(pub u16, pub Vec<u8>);

/// Flags of `fetch` against a server on loopback.
pub const FETCH: [&str; 5] =
    ["--contact=https://example.org/bot", "--allow-net=127.0.0.0/8", "--per-host-delay=0", "--host-rows=0", "--image-size=64"];

type Answers = dyn Fn(&str, u64) -> Reply + Send + Sync;

/// A server on a free port of loopback. It knows no robots.txt (404) and counts what it is asked for.
pub struct Plain {
    addr: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Plain {
    /// Serves `answer(path with query, how often that was asked before)`. Threads end with the test's process.
    pub fn serve(answer: impl Fn(&str, u64) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listening socket has an address");
        let asked = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        let (answer, counts): (Arc<Answers>, _) = (Arc::new(answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counts) = (Arc::clone(&answer), Arc::clone(&counts));
                std::thread::spawn(move || {
                    // A client that goes away in the middle is no news.
                    let _ = converse(stream, answer.as_ref(), &counts);
                });
            }
        });
        Self { addr, asked }
    }

    /// The url of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> u64 {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or(0)
    }
}

fn converse(stream: TcpStream, answer: &Answers, counts: &Mutex<BTreeMap<String, u64>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while reader.read_line(&mut line)? > 2 {}
        let before = {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(path.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let Reply(status, body) = match path.as_str() {
            "/robots.txt" | "/.well-known/tdmrep.json" => Reply(404, Vec::new()),
            path => answer(path, before),
        };
        let head = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nContent-Type: image/jpeg\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
    }
}

/// A JPEG of at least 128 × 128 pixels; another one for another number.
pub fn picture(number: u64) -> Vec<u8> {
    let web = MiniWeb::new(MiniWebConfig { pages: 400, hostile: 0.0, ..MiniWebConfig::default() });
    let good = |n: &u64| {
        let look = web.slot(*n).look;
        look.format == Format::Jpeg && look.width.min(look.height) >= 128 && look.width.max(look.height) <= 2 * look.width.min(look.height)
    };
    let slot = (0..web.slots()).filter(good).nth(number as usize).expect("a web of 400 pages has enough pictures");
    web.picture(&web.slot(slot)).expect("the encoder takes every slot")
}

/// Holds threads back until it is opened.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<(Mutex<(bool, u64)>, Condvar)>);

impl Gate {
    /// Waits until the gate is open.
    pub fn pass(&self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        self.0.1.notify_all();
        while !state.0 {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
        self.0.1.notify_all();
    }

    /// Waits until so many have come to the gate. Gives up after a minute.
    pub fn reached(&self, count: u64) {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(state, Duration::from_secs(60), |state| state.1 < count);
        assert!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "nobody came to the gate");
    }
}
