//! Measuring the rates of a machine with the program's own operations on generated data.
//!
//! What the program does with files runs as the program itself, in a child process: its CPU time and its memory are then those of
//! nothing else, and what serves the pictures stays outside. From each run's CPU time that of the same verb on nearly nothing is
//! taken off, so that starting does not count. What is a loop without files (languages, encoding, a model) runs here. Everything
//! is repeated three times, and the median counts.

mod archives;
mod child;
mod data;
mod loops;
mod tables;
mod web;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::runtime::Handle;

use self::child::{Program, Spent};
use super::error::PlanError;
use super::rates::{Calibration, Item, MeasuredOn, Source};

/// How a calibration runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program.
    pub program: PathBuf,
    /// What is measured; everything when it is empty.
    pub only: Vec<Item>,
    /// Where the temporary folder is made; the system's place otherwise.
    pub folder: Option<PathBuf>,
    /// What a reader should know of the conditions.
    pub note: String,
}

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// A value is no rate.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file of a measurement.
    #[error("measuring `{item}`: {message}")]
    Item {
        /// What was being measured.
        item: Item,
        /// What went wrong.
        message: String,
    },
    /// The temporary folder, or the like.
    #[error("calibrating: {0}")]
    Start(String),
}

/// How often everything is measured.
const TIMES: usize = 3;

/// Measures. Files lie in a temporary folder that goes with it.
pub struct Calibrator {
    settings: Settings,
    runtime: Handle,
    say: Box<dyn FnMut(&str) + Send>,
    folder: TempDir,
    program: Program,
    captions: Vec<String>,
    server: Option<crate::miniweb::server::Server>,
    /// CPU seconds of verbs on nearly nothing.
    starting: BTreeMap<&'static str, f64>,
    /// Outputs that several items look at.
    kept: BTreeMap<&'static str, PathBuf>,
    /// Grouping of fewer signatures, and of more, which two items look at.
    grouped: Option<(Vec<Spent>, Vec<Spent>)>,
    runs: usize,
}

impl std::fmt::Debug for Calibrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calibrator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A value and what it was measured by; `None` where this machine cannot.
type Measured = Result<Option<(f64, String)>, String>;

impl Calibrator {
    /// Makes the temporary folder. `runtime` serves the pictures of the fetching items; `say` is told how far the calibration is.
    ///
    /// # Errors
    /// [`CalibrationError::Start`] when no folder can be made.
    pub fn new(settings: Settings, runtime: Handle, say: Box<dyn FnMut(&str) + Send>) -> Result<Self, CalibrationError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("trommel-calibrate-");
        let made = match &settings.folder {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        let folder = made.map_err(|e| CalibrationError::Start(format!("no temporary folder: {e}")))?;
        let spill = folder.path().join("spill");
        std::fs::create_dir(&spill).map_err(|e| CalibrationError::Start(format!("`{}`: {e}", spill.display())))?;
        let program = Program { path: settings.program.clone(), folder: spill };
        Ok(Self {
            settings,
            runtime,
            say,
            folder,
            program,
            captions: Vec::new(),
            server: None,
            starting: BTreeMap::new(),
            kept: BTreeMap::new(),
            grouped: None,
            runs: 0,
        })
    }

    /// A path in the temporary folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder in the temporary folder, made.
    fn make(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.path(name);
        std::fs::create_dir_all(&path).map_err(|e| format!("`{}`: {e}", path.display()))?;
        Ok(path)
    }

    /// Captions of a miniature web, made once.
    fn captions(&mut self) -> &[String] {
        if self.captions.is_empty() {
            self.captions = data::captions(20_000);
        }
        &self.captions
    }

    /// Runs the program three times, each into an output of its own (`call` is given its path), and gives what each has used up. The
    /// last output stays under `keep`, if that is asked for; the others are removed.
    fn spend(&mut self, keep: Option<&'static str>, call: &dyn Fn(&Path) -> Vec<String>) -> Result<Vec<Spent>, String> {
        let mut spent = Vec::with_capacity(TIMES);
        for time in 0..TIMES {
            self.runs += 1;
            let folder = self.make(&format!("run-{}", self.runs))?;
            spent.push(self.program.run(&call(&folder.join("out")))?);
            match keep.filter(|_| time + 1 == TIMES) {
                Some(name) => drop(self.kept.insert(name, folder)),
                // What is left behind goes with the temporary folder.
                None => drop(std::fs::remove_dir_all(folder)),
            }
        }
        Ok(spent)
    }

    /// CPU seconds of a verb on nearly nothing, measured once.
    fn starting(&mut self, verb: &'static str, call: &dyn Fn(&Path) -> Vec<String>) -> Result<f64, String> {
        if let Some(&seconds) = self.starting.get(verb) {
            return Ok(seconds);
        }
        let seconds = seconds(&self.spend(None, call)?);
        self.starting.insert(verb, seconds);
        Ok(seconds)
    }

    /// Bytes of a row in the tables of a folder of an output that was kept; not in those of folders below it, unless it is `deep`.
    fn row_bytes(&self, kept: &str, below: &str, deep: bool) -> Result<f64, String> {
        let folder = self.kept.get(kept).ok_or_else(|| format!("the output `{kept}` was not kept"))?.join(below);
        let mut tables = data::files(&folder, ".parquet");
        tables.retain(|table| deep || table.parent() == Some(folder.as_path()));
        let rows = data::rows(&tables)?;
        if rows < 1.0 {
            return Err(format!("no rows in the tables of `{}`", folder.display()));
        }
        Ok(data::bytes(&tables) / rows)
    }

    fn item(&mut self, item: Item) -> Measured {
        match item {
            Item::ExtractWat | Item::ExtractWarc | Item::TableRowBytes => self.archives(item),
            Item::LanguageCaptions => self.language(),
            Item::EncodePixels => self.encode(),
            Item::ScoreFlops => self.model(),
            Item::FetchUrls | Item::FetchSmall | Item::FetchLarge | Item::HashPictures | Item::ShardRowBytes | Item::MarkerBytes => {
                self.web(item)
            }
            Item::DedupeRows | Item::DedupeShuffleBytes | Item::ListRowBytes => self.duplicates(item),
            Item::KeepRows | Item::SelectRows | Item::BalanceRows | Item::ExclusionRowBytes => self.choosing(item),
            Item::NearRows | Item::NearMemoryBytes => self.near(item),
            Item::ReshardBytes => self.reshard(),
        }
    }
}

impl Calibration for Calibrator {
    type Error = CalibrationError;

    fn machine(&self) -> MeasuredOn {
        MeasuredOn {
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
            memory_bytes: memory(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: self.settings.note.clone(),
        }
    }

    fn measure(&mut self, item: Item) -> Result<Option<(f64, Source)>, CalibrationError> {
        if !self.settings.only.is_empty() && !self.settings.only.contains(&item) {
            return Ok(None);
        }
        (self.say)(&format!("measuring {item}: {}", item.how()));
        let started = std::time::Instant::now();
        let usable = |found: Option<(f64, String)>| match found {
            Some((value, _)) if !(value.is_finite() && value > 0.0) => Err(format!("it came out as {value} {}", item.unit())),
            found => Ok(found),
        };
        let found = match self.item(item).and_then(usable) {
            Ok(found) => found,
            // The minutes that the others took are not lost for it; what was asked for by name is an error.
            Err(message) if self.settings.only.is_empty() => {
                (self.say)(&format!("  warning: {item} is left out: {message}"));
                return Ok(None);
            }
            Err(message) => return Err(CalibrationError::Item { item, message }),
        };
        match &found {
            Some((value, _)) => {
                let value = super::table::short(*value);
                (self.say)(&format!("  {value} {}, in {:.0} s", item.unit(), started.elapsed().as_secs_f64()));
            }
            None => (self.say)(&format!("  {item} cannot be measured on this machine and is left out")),
        }
        Ok(found.map(|(value, by)| (value, Source::Measured(by))))
    }
}

/// The middle one, by size.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Median of the CPU seconds of some runs.
fn seconds(spent: &[Spent]) -> f64 {
    median(spent.iter().map(|spent| spent.seconds).collect())
}

/// So much of something in so many seconds more than at the start.
fn rate(amount: f64, seconds: f64, starting: f64) -> Result<f64, String> {
    let difference = seconds - starting;
    // The clock of the system counts hundredths on some.
    if difference < 0.01 {
        return Err(format!("it took {seconds:.3} CPU seconds, and {starting:.3} without any work: too little to tell a rate from"));
    }
    Ok(amount / difference)
}

/// The words of a call.
fn words(call: &[&str]) -> Vec<String> {
    call.iter().map(|&word| word.to_owned()).collect()
}

/// A path as an argument.
fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The processor, as it names itself; what it is called for where it does not.
fn processor() -> String {
    let named = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':').map(|(_, name)| name.trim().to_owned())
    });
    named.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// Memory in bytes; 0 where it is not known.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_three_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_rate_is_what_came_on_top_of_the_start_and_too_little_is_none() {
        assert_eq!(rate(100.0, 2.5, 0.5).unwrap(), 50.0);
        assert!(rate(100.0, 0.5, 0.5).unwrap_err().contains("too little"));
    }
}
