//! The web on a loopback port.
//!
//! The server speaks just enough HTTP/1.1 for its purpose: GET and HEAD, kept-alive and pipelined connections, no request
//! bodies. It is written on bare TCP because half of its work is to *break* HTTP, which a proper server library rightly
//! does not allow: wrong lengths, endless bodies, hanging up in place of an answer.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Manner, Target};
use super::counters::{Counters, Kind};
use super::site::Policy;
use super::{MiniWeb, MiniWebConfig};

/// The longest request header that is read.
const MAX_REQUEST: usize = 16 * 1024;
/// How long a dripping answer waits between two bytes.
const DRIP: Duration = Duration::from_millis(100);
/// Where an endless answer ends after all, so that a forgotten client does not read for ever.
const ENDLESS: usize = 1 << 30;

/// A web that is being served. Dropping it stops the server without waiting for it.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    web: Arc<MiniWeb>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl MiniWeb {
    /// Serves this web at `addr`, which should have the port of [`MiniWebConfig::port`], or its links lead nowhere.
    /// Every host of the web is at this one address; a client resolves `*.miniweb.test` to it.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(self: Arc<Self>, addr: SocketAddr) -> io::Result<Server> {
        Server::start(self, TcpListener::bind(addr).await?)
    }

    /// Makes a web for a free port of loopback and serves it there; `config.port` is replaced by that port.
    ///
    /// # Errors
    /// When loopback has no free port.
    pub async fn launch(config: MiniWebConfig) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Server::start(Arc::new(Self::new(MiniWebConfig { port, ..config })), listener)
    }
}

impl Server {
    fn start(web: Arc<MiniWeb>, listener: TcpListener) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let counters = Arc::new(Counters::default());
        let stop = CancellationToken::new();
        let shared = Shared { web: web.clone(), counters: counters.clone(), attempts: Arc::default(), stop: stop.clone() };
        let task = tokio::spawn(shared.accept(listener));
        Ok(Self { addr, web, counters, stop, task })
    }

    /// Where the server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The web that is served.
    pub fn web(&self) -> &Arc<MiniWeb> {
        &self.web
    }

    /// What the server has seen so far.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Closes the port and all connections, and waits until the port is closed.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // It ends by itself once cancelled; that it was aborted meanwhile is no news.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What all connections share.
#[derive(Debug, Clone)]
struct Shared {
    web: Arc<MiniWeb>,
    counters: Arc<Counters>,
    /// How often each slot that changes its mind has been asked for.
    attempts: Arc<Mutex<HashMap<u64, u32>>>,
    stop: CancellationToken,
}

/// What is needed of a request.
struct Request {
    host: Option<u64>,
    path: String,
    is_head: bool,
    keep_alive: bool,
}

impl Shared {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let shared = self.clone();
                    tokio::spawn(async move {
                        let stop = shared.stop.clone();
                        tokio::select! {
                            () = stop.cancelled() => {}
                            // A client may go at any time; that is its business.
                            _ = shared.talk(stream) => {}
                        }
                    });
                }
                // Out of file descriptors: let some connections end.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn talk(&self, mut stream: TcpStream) -> io::Result<()> {
        self.counters.connected();
        stream.set_nodelay(true)?;
        let mut buffer = BytesMut::with_capacity(4096);
        while let Some(head) = read_head(&mut stream, &mut buffer).await? {
            let Some(request) = self.parse(&head) else {
                drop(self.counters.started(None, Kind::Malformed));
                return self.send(&mut stream, Answer::text(400, "bad request\n"), false, false).await;
            };
            if !self.reply(&mut stream, request).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn parse(&self, head: &[u8]) -> Option<Request> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if !matches!(method, "GET" | "HEAD") || !version.starts_with("HTTP/1.") {
            return None;
        }
        let (mut host, mut keep_alive) = (None, version == "HTTP/1.1");
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("host") {
                host = self.web.host_index(value);
            } else if name.eq_ignore_ascii_case("connection") {
                keep_alive = if keep_alive { !value.eq_ignore_ascii_case("close") } else { value.eq_ignore_ascii_case("keep-alive") };
            }
        }
        Some(Request { host, path: target.to_owned(), is_head: method == "HEAD", keep_alive })
    }

    /// Answers one request; false where the connection must not be used again.
    async fn reply(&self, stream: &mut TcpStream, request: Request) -> io::Result<bool> {
        let Some(index) = request.host else {
            drop(self.counters.started(None, Kind::Unknown));
            let answer = Answer::text(421, "no such host\n");
            self.send(stream, answer, request.is_head, request.keep_alive).await?;
            return Ok(request.keep_alive);
        };
        let host = self.web.host(index);
        let target = self.web.target(index, &request.path);
        let visit = self.counters.started(Some(index), target.kind());
        if host.policy == Policy::Slow {
            tokio::time::sleep(self.web.config().slow_delay).await;
        }
        let answer = match self.web.ready(host, &target) {
            Some(answer) => answer,
            None => {
                let attempt = self.attempt(&target);
                let web = self.web.clone();
                let made = tokio::task::spawn_blocking(move || web.answer(host, &target, attempt)).await;
                made.map_err(io::Error::other)?
            }
        };
        let keep_alive = request.keep_alive && answer.manner == Manner::Plain;
        // Who has read the last byte may be back before the call that sends it returns: a plain answer ends the visit when it begins to go out.
        let _visit = (answer.manner != Manner::Plain).then_some(visit);
        self.send(stream, answer, request.is_head, keep_alive).await?;
        Ok(keep_alive)
    }

    fn attempt(&self, target: &Target) -> u32 {
        let Target::Slot(slot) = target else { return 0 };
        if slot.hostile.is_none() {
            return 0;
        }
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(slot.number).or_default();
        *count += 1;
        *count - 1
    }

    async fn send(&self, stream: &mut TcpStream, answer: Answer, is_head: bool, keep_alive: bool) -> io::Result<()> {
        let length = match answer.manner {
            Manner::Silence => return silence(stream).await,
            Manner::HangUp => return Ok(()),
            Manner::Endless => None,
            Manner::LengthOf(length) => Some(length),
            Manner::Plain | Manner::HalfThenSilence | Manner::Drip => Some(answer.body.len()),
        };
        // A lie about the length is only one when the client believes that the connection goes on.
        let head = head(&answer, length, keep_alive || matches!(answer.manner, Manner::LengthOf(_)));
        let body = if is_head { Bytes::new() } else { answer.body };
        self.counters.sent(head.len());
        match answer.manner {
            Manner::HalfThenSilence => {
                self.write(stream, head, body.slice(..body.len() / 2)).await?;
                silence(stream).await
            }
            Manner::Drip => {
                self.write(stream, head, Bytes::new()).await?;
                for byte in body {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(DRIP).await;
                }
                Ok(())
            }
            Manner::Endless => {
                self.write(stream, head, body.clone()).await?;
                let chunk = [0x5a; 1 << 16];
                for _ in 0..ENDLESS / chunk.len() {
                    stream.write_all(&chunk).await?;
                    self.counters.sent(chunk.len());
                }
                Ok(())
            }
            _ => self.write(stream, head, body).await,
        }
    }

    async fn write(&self, stream: &mut TcpStream, head: String, body: Bytes) -> io::Result<()> {
        self.counters.sent(body.len());
        // Header and body go out in one system call.
        stream.write_all_buf(&mut Bytes::from(head).chain(body)).await
    }
}

fn head(answer: &Answer, length: Option<usize>, keep_alive: bool) -> String {
    let mut head = String::with_capacity(256);
    // Writing into a string cannot fail. The reason phrase may be empty (RFC 9112, section 4).
    let _ = write!(head, "HTTP/1.1 {} {}\r\nServer: miniweb\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if let Some(length) = length {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    head += if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" };
    head
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

/// Reads up to the empty line that ends a request's header; none when the client has gone, or sends more than a header.
async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(buffer.split_to(end + 4)));
        }
        if buffer.len() > MAX_REQUEST || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Waits until the client has had enough.
async fn silence(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
