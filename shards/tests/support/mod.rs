//! A small object store on loopback that fails when it is told to.
//!
//! It speaks as much of S3 as `trommel_shards::storage` uses, keeps everything in memory, lives on a thread and a runtime
//! of its own, and writes down what it was asked. Objects can also be read as plain files of a web server.

#![allow(dead_code)] // Each test file uses its own part.

pub(crate) mod conformance;
mod http;
mod s3;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use trommel_shards::storage::{Limits, Settings, Storage, StorageError, settle};

pub(crate) use http::{Answer, Request};

/// What happens to a request that a fault applies to.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// This answer instead of the real one; nothing is done.
    Answer(Answer),
    /// No answer, ever.
    Silence,
    /// The connection ends before an answer; nothing is done.
    Hang,
    /// It is done, and the connection ends before the answer.
    DoAndHang,
    /// The real answer, cut after so many bytes of its body.
    Cut(usize),
}

/// A fault: for the next `times` requests of this method whose target contains `part`.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) method: &'static str,
    pub(crate) part: &'static str,
    pub(crate) times: usize,
    pub(crate) act: Act,
}

/// One object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) e_tag: String,
    /// `x-amz-meta-…` headers.
    pub(crate) metadata: Vec<(String, String)>,
}

/// A multipart upload that is not yet completed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<u32, Vec<u8>>,
    pub(crate) metadata: Vec<(String, String)>,
}

/// Everything that the server knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) faults: Vec<Fault>,
    /// Method, target and time of every request.
    pub(crate) log: Vec<(String, String, Instant)>,
    /// Requests that were begun and not yet answered, now and at most.
    pub(crate) busy: usize,
    pub(crate) busiest: usize,
    /// Access keys that are known; all when empty.
    pub(crate) keys: Vec<String>,
    /// Whether ranges are given. Web servers may not.
    pub(crate) no_ranges: bool,
    /// Pause before each answer, so that requests overlap.
    pub(crate) pause: Duration,
    next: u64,
}

/// The server. Ends with the process.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
}

pub(crate) const BUCKET: &str = "bucket";

impl Server {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(http::serve(listener, shared));
        });
        Self { address, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn fault(&self, method: &'static str, part: &'static str, times: usize, act: Act) {
        self.state().faults.push(Fault { method, part, times, act });
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::of([
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ])
        .with_limits(limits())
    }

    pub(crate) fn storage(&self) -> Storage {
        self.storage_with(limits())
    }

    pub(crate) fn storage_with(&self, limits: Limits) -> Storage {
        Storage::open_with(&format!("s3://{BUCKET}/out"), &self.settings().with_limits(limits)).unwrap()
    }

    /// Requests of this method whose target contains `part`.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.state().log.iter().filter(|(m, target, _)| m == method && target.contains(part)).count()
    }
}

/// Limits under which a test is over soon: pauses of milliseconds, small parts, little patience.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.retries = 5;
    limits.first_pause = Duration::from_millis(1);
    limits.longest_pause = Duration::from_millis(20);
    limits.retry_time = Duration::from_secs(60);
    limits.timeout = Duration::from_millis(400);
    limits.part_bytes = 64 << 10;
    limits
}

/// Waits until what was given up is aborted; returns what could not be.
pub(crate) async fn settled() -> Vec<StorageError> {
    tokio::task::spawn_blocking(|| settle(Duration::from_secs(30))).await.unwrap()
}

/// Bytes that look like nothing and are the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
