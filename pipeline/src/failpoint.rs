//! Crash points for tests: a name in `TROMMEL_FAILPOINT` aborts the process there, as a power cut would.
//!
//! `name` aborts at the first pass, `name:3` at the third. Without the variable a point costs one relaxed load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Point {
    name: String,
    left: AtomicU64,
}

/// Aborts if the environment names this point and its count is reached.
pub(crate) fn reach(name: &str) {
    static POINT: OnceLock<Option<Point>> = OnceLock::new();
    let point = POINT.get_or_init(|| {
        let text = std::env::var("TROMMEL_FAILPOINT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Point { name: name.to_owned(), left: AtomicU64::new(count.parse().unwrap_or(1)) })
    });
    if let Some(point) = point
        && point.name == name
        && point.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
