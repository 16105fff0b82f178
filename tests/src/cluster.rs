//! A cluster of real processes on loopback.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Child;

use crate::Trommel;

/// A scheduler and executors; they are killed when this is dropped.
pub struct Cluster {
    address: String,
    scheduler: Child,
    executors: Vec<Child>,
    started: usize,
    folder: tempfile::TempDir,
    flags: Vec<String>,
}

impl Cluster {
    /// Starts a scheduler and so many executors with two slots each. An executor that is silent for two seconds counts as lost.
    pub fn launch(executors: usize) -> Self {
        Self::launch_with(executors, 2, &[])
    }

    /// As [`Cluster::launch`], with so many seconds of silence.
    pub fn launch_patient(executors: usize, seconds: u64) -> Self {
        Self::launch_with(executors, seconds, &[])
    }

    /// As [`Cluster::launch`], with so many seconds of silence, and flags for every process.
    pub fn launch_with(executors: usize, seconds: u64, flags: &[String]) -> Self {
        let seconds = seconds.to_string();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut scheduler =
            Trommel::new(["scheduler", "--bind", "127.0.0.1:0", "--external-host", "127.0.0.1", "--executor-timeout", seconds.as_str()])
                .args(flags)
                .env("TROMMEL_LOG", "warn")
                .start();
        let said = first_line(&mut scheduler);
        let address = said.split_whitespace().last().filter(|word| word.starts_with("ballista://"));
        let address = address.unwrap_or_else(|| panic!("the scheduler said `{said}`")).to_owned();
        let mut cluster = Self { address, scheduler, executors: Vec::new(), started: 0, folder, flags: flags.to_vec() };
        for _ in 0..executors {
            cluster.add_executor();
        }
        cluster
    }

    /// Address for `--engine`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Starts one more executor.
    pub fn add_executor(&mut self) {
        self.add_executor_with(&[]);
    }

    /// Starts one more executor with flags of its own.
    pub fn add_executor_with(&mut self, own: &[&str]) {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback has a free port").port();
        let work: PathBuf = self.folder.path().join(format!("executor-{}", self.started));
        self.started += 1;
        let mut executor = Trommel::new(["executor", "--scheduler", &self.address, "--slots", "2", "--threads", "2"])
            .arg("--port")
            .arg(port.to_string())
            .arg("--work-dir")
            .arg(&work)
            .args(&self.flags)
            .args(own)
            .env("TROMMEL_LOG", "warn")
            .start();
        first_line(&mut executor);
        self.executors.push(executor);
    }

    /// Kills an executor, as a power cut would.
    pub fn kill_executor(&mut self, number: usize) {
        let number = number % self.executors.len();
        let mut executor = self.executors.remove(number);
        executor.kill().expect("a child can be killed");
        executor.wait().expect("a killed child ends");
    }

    /// Asks an executor to stop, and waits for it; how it ended.
    pub fn stop_executor(&mut self, number: usize) -> Option<i32> {
        let number = number % self.executors.len();
        let mut executor = self.executors.remove(number);
        signal(&executor, "-TERM");
        executor.wait().expect("a child that was asked to stop ends").code()
    }

    /// Stops an executor in its tracks, as a cut network or a swapping machine would: it is silent, and not dead.
    pub fn freeze_executor(&mut self, number: usize) {
        signal(&self.executors[number % self.executors.len()], "-STOP");
    }

    /// Lets a frozen executor go on with what it had in hand.
    pub fn thaw_executor(&mut self, number: usize) {
        signal(&self.executors[number % self.executors.len()], "-CONT");
    }

    /// Kills the scheduler.
    pub fn kill_scheduler(&mut self) {
        self.scheduler.kill().expect("a child can be killed");
        self.scheduler.wait().expect("a killed child ends");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.executors.iter_mut().chain([&mut self.scheduler]) {
            // One that has ended already cannot be killed, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a process a signal, `-TERM` or another that `kill` knows.
pub fn signal(child: &Child, signal: &str) {
    let sent = std::process::Command::new("kill").arg(signal).arg(child.id().to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "the signal {signal} could not be sent");
}

/// What a child says first; the rest is read on a thread, so that the child never waits for a reader.
fn first_line(child: &mut Child) -> String {
    let mut err = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
    let mut line = String::new();
    err.read_line(&mut line).expect("the child says something");
    std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
    line.trim_end().to_owned()
}
