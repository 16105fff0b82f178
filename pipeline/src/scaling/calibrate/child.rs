//! The program as a child process, and what it has used up.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a run has used up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    /// CPU time, its own and the system's for it, in seconds.
    pub(super) seconds: f64,
    /// The most memory that was resident, in bytes.
    pub(super) peak_bytes: f64,
    /// Bytes that were given to the system for writing; only Linux tells.
    pub(super) written: Option<f64>,
}

/// Starts the program in a folder of its own for what it leaves.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
}

impl Program {
    /// Runs to the end. Whatever the environment says of the program's settings is left out.
    ///
    /// # Errors
    /// The last that the program said, when it does not end well.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Spent, String> {
        let said = self.folder.join("said");
        let log = File::create(&said).map_err(|e| format!("`{}`: {e}", said.display()))?;
        let mut command = Command::new(&self.path);
        command.args(arguments).arg("--quiet").arg("--spill").arg(&self.folder);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TROMMEL_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|e| format!("`{}` does not start: {e}", self.path.display()))?;
        let (status, spent) = wait(child.id()).map_err(|e| format!("waiting for a run: {e}"))?;
        if status == 0 {
            return Ok(spent);
        }
        let call: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
        Err(format!("`trommel {}` failed: {}", call.join(" "), last_line(&said)))
    }
}

fn last_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

/// Between two looks at a child's memory.
const LOOK: Duration = Duration::from_millis(10);

/// Waits for a child, twice: its counters are gone once the system has handed out its status.
#[allow(clippy::useless_conversion, reason = "the widths of these fields differ between systems")]
fn wait(pid: u32) -> std::io::Result<(i32, Spent)> {
    let pid = libc::pid_t::try_from(pid).map_err(std::io::Error::other)?;
    let mut peak = None;
    loop {
        // What `wait4` says counts the memory of the process that started it, which may be far more than its own.
        peak = high_water(pid).or(peak);
        // SAFETY: all bits zero are a valid `siginfo_t`, which the call fills in.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a variable that outlives the call.
        again(|| unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG) })?;
        if info.si_signo == libc::SIGCHLD {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let written = std::fs::read_to_string(format!("/proc/{pid}/io")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("wchar:").map(str::trim).map(str::to_owned));
        line?.parse::<f64>().ok()
    });
    let mut status = 0;
    // SAFETY: all bits zero are a valid `rusage`: numbers alone.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to variables that outlive the call.
    again(|| unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) })?;
    let seconds = |time: libc::timeval| i64::from(time.tv_sec) as f64 + i64::from(time.tv_usec) as f64 * 1e-6;
    // Kilobytes, but on Apple's systems bytes.
    let unit = if cfg!(target_vendor = "apple") { 1.0 } else { 1024.0 };
    let peak_bytes = peak.unwrap_or(i64::from(usage.ru_maxrss) as f64 * unit);
    Ok((status, Spent { seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime), peak_bytes, written }))
}

/// The most memory that a running process has held; only Linux tells.
fn high_water(pid: libc::pid_t) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

/// Calls until no signal comes between.
fn again(mut call: impl FnMut() -> libc::c_int) -> std::io::Result<()> {
    loop {
        if call() >= 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whose CPU time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// This thread's.
    Thread,
    /// All threads of this process.
    Process,
}

impl Clock {
    /// CPU seconds so far.
    pub(super) fn seconds(self) -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let clock = match self {
            Self::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
            Self::Process => libc::CLOCK_PROCESS_CPUTIME_ID,
        };
        // SAFETY: the pointer is to a variable that outlives the call. Both clocks are there on every system that this is built for.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_what_it_used_and_a_failed_one_why() {
        let folder = tempfile::tempdir().unwrap();
        // A shell in the program's place: what stands behind `-c` and its script are its parameters.
        let program = Program { path: "/bin/sh".into(), folder: folder.path().to_owned() };
        let spent = program.run(&["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]).unwrap();
        assert!(spent.seconds > 0.0 && spent.peak_bytes > 1e5, "{spent:?}");
        // What this process holds is not the child's.
        let held = vec![1_u8; 200 << 20];
        let spent = program.run(&["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]).unwrap();
        assert!(!cfg!(target_os = "linux") || spent.peak_bytes < 100e6, "{spent:?} beside {}", std::hint::black_box(held).len());
        let error = program.run(&["-c", "echo no such thing >&2; exit 3"]).unwrap_err();
        assert!(error.ends_with("failed: no such thing"), "{error}");
    }

    #[test]
    fn clocks_go_forward() {
        for clock in [Clock::Thread, Clock::Process] {
            let before = clock.seconds();
            let sum: u64 = (0..2_000_000_u64).map(std::hint::black_box).sum();
            assert!(clock.seconds() > before, "{sum}");
        }
    }
}
