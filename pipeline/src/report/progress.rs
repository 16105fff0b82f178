//! One line per pass: units, rows, rate, time left, losses.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Counters of the pass in hand. Shared by all partitions.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    lost: AtomicU64,
    units_done: AtomicU64,
    units_total: AtomicU64,
    failures: Mutex<BTreeMap<String, u64>>,
    // Of the passes before.
    before: Mutex<Seen>,
}

/// What [`Progress`] has counted, of the pass in hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Rows that came through.
    pub rows: u64,
    /// Rows excluded.
    pub lost: u64,
    /// Units done.
    pub units_done: u64,
    /// Units that there are to do; 0 where that is not known.
    pub units_total: u64,
    /// Rows that failed, by code.
    pub failures: BTreeMap<String, u64>,
}

impl Progress {
    /// Starts a pass with that many units to do.
    pub fn start(&self, units: u64) {
        let totals = self.totals();
        *self.before.lock() = totals;
        self.rows.store(0, Ordering::Relaxed);
        self.lost.store(0, Ordering::Relaxed);
        self.units_done.store(0, Ordering::Relaxed);
        self.units_total.store(units, Ordering::Relaxed);
        self.failures.lock().clear();
    }

    /// Counts rows that came through.
    pub fn rows(&self, count: u64) {
        self.rows.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts rows that were excluded.
    pub fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a row that failed, by its code.
    pub fn failed(&self, code: &str) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock();
        match failures.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                failures.insert(code.to_owned(), 1);
            }
        }
    }

    /// Counts a finished unit.
    pub fn unit_done(&self) {
        self.units_done.fetch_add(1, Ordering::Relaxed);
    }

    /// What all passes together have counted.
    pub fn totals(&self) -> Seen {
        let (seen, mut totals) = (self.seen(), self.before.lock().clone());
        totals.rows += seen.rows;
        totals.lost += seen.lost;
        totals.units_done += seen.units_done;
        totals.units_total += seen.units_total;
        for (code, count) in seen.failures {
            *totals.failures.entry(code).or_default() += count;
        }
        totals
    }

    /// All counters at one moment.
    pub fn seen(&self) -> Seen {
        Seen {
            rows: self.rows.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            units_done: self.units_done.load(Ordering::Relaxed),
            units_total: self.units_total.load(Ordering::Relaxed),
            failures: self.failures.lock().clone(),
        }
    }

    /// The line: `fetch  3/12 units  30000 rows  812/s  4210 lost (http_404 3021, too_slow 800, …)  eta 2m10s`.
    fn line(&self, name: &str, started: Instant) -> String {
        let (rows, lost) = (self.rows.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        let (done, total) = (self.units_done.load(Ordering::Relaxed), self.units_total.load(Ordering::Relaxed));
        let seconds = started.elapsed().as_secs_f64();
        // A pass that makes units does not know how many there will be.
        let units = if total == 0 { format!("{done} units") } else { format!("{done}/{total} units") };
        let mut line = format!("{name}  {units}  {rows} rows  {:.0}/s  {lost} lost", rows as f64 / seconds.max(1e-3));
        let failures = self.failures.lock();
        if !failures.is_empty() {
            let mut most: Vec<_> = failures.iter().collect();
            most.sort_by_key(|&(code, &count)| (std::cmp::Reverse(count), code));
            let named: Vec<String> = most.iter().take(3).map(|(code, count)| format!("{code} {count}")).collect();
            line.push_str(&format!(" ({}{})", named.join(", "), if most.len() > 3 { ", …" } else { "" }));
        }
        if (1..total).contains(&done) {
            line.push_str(&format!("  eta {}", human(seconds / done as f64 * (total - done) as f64)));
        } else if done >= total {
            line.push_str(&format!("  in {}", human(seconds)));
        }
        line
    }
}

/// A length of time for people: `2m10s`.
pub(crate) fn human(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

/// Shows the line of one pass on standard error: redrawn on a terminal, once at the end elsewhere.
pub struct ProgressLine {
    progress: Arc<Progress>,
    name: String,
    started: Instant,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    quiet: bool,
}

impl ProgressLine {
    /// Begins to show a pass. `quiet` shows nothing at all.
    pub fn start(progress: &Arc<Progress>, name: &str, units: u64, quiet: bool) -> Self {
        progress.start(units);
        let started = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let (progress, name, stop) = (Arc::clone(progress), name.to_owned(), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::park_timeout(Duration::from_millis(500));
                    let line = progress.line(&name, started);
                    // A terminal that has gone away is no reason to stop.
                    let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
                }
            })
        });
        Self { progress: Arc::clone(progress), name: name.to_owned(), started, stop, thread, quiet }
    }

    /// Ends the pass with its last line.
    pub fn finish(mut self) {
        self.end();
        if !self.quiet {
            let line = self.progress.line(&self.name, self.started);
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.end();
    }
}
