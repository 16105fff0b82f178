//! Numbers for machines: the text format of Prometheus, over HTTP.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Progress;

/// A request head may be this long; nobody who scrapes sends more.
const HEAD_BYTES: usize = 8 << 10;
/// A client has this long to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that are answered at a time.
const CONNECTIONS: usize = 16;

/// What a process is, for the labels of its build.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// A run, or a part of one.
    Run,
    /// An executor of a cluster.
    Executor,
    /// The scheduler of a cluster.
    Scheduler,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Executor => "executor",
            Self::Scheduler => "scheduler",
        }
    }
}

/// Serves `/metrics` and `/healthz` as long as it lives.
pub struct Metrics {
    task: tokio::task::JoinHandle<()>,
    address: SocketAddr,
}

impl Metrics {
    /// Listens at an address.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub async fn serve(address: &str, role: Role, progress: Arc<Progress>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let room = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
        let task = tokio::spawn(async move {
            loop {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let Ok((stream, _)) = listener.accept().await else { continue };
                let progress = Arc::clone(&progress);
                tokio::spawn(async move {
                    // A scraper that went away is its own concern.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, role, &progress)).await;
                    drop(permit);
                });
            }
        });
        Ok(Self { task, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, role: Role, progress: &Progress) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await?;
        if read == 0 || head.len() + read > HEAD_BYTES {
            return Ok(());
        }
        head.extend_from_slice(&piece[..read]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    let (status, body) = match (words.next(), words.next()) {
        (Some("GET"), Some("/metrics")) => ("200 OK", text(role, progress)),
        (Some("GET"), Some("/healthz")) => ("200 OK", "ok\n".to_owned()),
        (Some("GET"), _) => ("404 Not Found", "/metrics or /healthz\n".to_owned()),
        _ => ("405 Method Not Allowed", String::new()),
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let answer = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// All numbers of a process.
fn text(role: Role, progress: &Progress) -> String {
    let mut out = String::new();
    let mut put = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| vec![(String::new(), value)];
    let build = format!("{{version=\"{}\",role=\"{}\"}}", env!("CARGO_PKG_VERSION"), role.name());
    put("trommel_build_info", "gauge", "The program.", &[(build, 1.0)]);
    if !matches!(role, Role::Scheduler) {
        let totals = progress.totals();
        put("trommel_rows_total", "counter", "Rows that came through, over all passes.", &one(totals.rows as f64));
        put("trommel_rows_lost_total", "counter", "Rows excluded or failed, over all passes.", &one(totals.lost as f64));
        put("trommel_units_done_total", "counter", "Units finished, over all passes.", &one(totals.units_done as f64));
        let failures: Vec<(String, f64)> =
            totals.failures.iter().map(|(code, &count)| (format!("{{code=\"{}\"}}", escaped(code)), count as f64)).collect();
        put("trommel_row_failures_total", "counter", "Rows that failed, by code.", &failures);
    }
    if matches!(role, Role::Run) {
        let seen = progress.seen();
        put("trommel_pass_units", "gauge", "Units of the pass in hand.", &one(seen.units_total as f64));
        put("trommel_pass_units_done", "gauge", "Units of the pass in hand that are done.", &one(seen.units_done as f64));
    }
    let process = process();
    for (name, kind, help) in [
        ("process_cpu_seconds_total", "counter", "CPU time, user and system."),
        ("process_resident_memory_bytes", "gauge", "Resident memory."),
        ("process_open_fds", "gauge", "Open file descriptors."),
    ] {
        if let Some(&value) = process.get(name) {
            put(name, kind, help, &one(value));
        }
    }
    out
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What the system knows of this process; what it does not say is left out.
fn process() -> BTreeMap<&'static str, f64> {
    let mut known = BTreeMap::new();
    if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
        && let Some((_, rest)) = stat.rsplit_once(')')
    {
        // After the name: state is field 3 of proc(5), utime 14, stime 15, rss 24.
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<f64>().ok());
        // SAFETY: sysconf reads a constant of the system.
        let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
        if let (Some(user), Some(system), true) = (field(14), field(15), ticks > 0) {
            known.insert("process_cpu_seconds_total", (user + system) / ticks as f64);
        }
        if let (Some(pages), true) = (field(24), page > 0) {
            known.insert("process_resident_memory_bytes", pages * page as f64);
        }
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        known.insert("process_open_fds", files.count() as f64);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    #[tokio::test]
    async fn the_numbers_of_a_run_are_served() {
        let progress = Arc::new(Progress::default());
        progress.start(3);
        progress.rows(10);
        progress.failed("http_404");
        progress.unit_done();
        // A pass later, what came before still counts.
        progress.start(5);
        progress.rows(1);
        let metrics = Metrics::serve("127.0.0.1:0", Role::Run, progress).await.expect("a free port");
        let answer = get(metrics.address(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        for line in [
            "trommel_rows_total 11",
            "trommel_rows_lost_total 1",
            "trommel_units_done_total 1",
            "trommel_row_failures_total{code=\"http_404\"} 1",
            "trommel_pass_units 5",
            "trommel_pass_units_done 0",
        ] {
            assert!(answer.lines().any(|found| found == line), "`{line}` is not in\n{answer}");
        }
        assert!(answer.contains("process_resident_memory_bytes"), "{answer}");
        assert!(get(metrics.address(), "GET /healthz HTTP/1.1\r\n\r\n").await.ends_with("ok\n"));
        assert!(get(metrics.address(), "GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(get(metrics.address(), "POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_not_read_for_ever() {
        let metrics = Metrics::serve("127.0.0.1:0", Role::Scheduler, Arc::default()).await.expect("a free port");
        let mut stream = TcpStream::connect(metrics.address()).await.expect("it listens");
        // The other side may close in the middle of this.
        let _ = stream.write_all(&vec![b'x'; 64 << 10]).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
}
