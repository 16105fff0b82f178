//! What a process shares among all partitions: storage, fetcher, decoder pool, archives, progress.
//!
//! Operations are plain data; they find the heavy things here. Each is made on first use from the operation's own
//! settings, so that an executor in another process builds the same ones.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use trommel_filters::hashes::{BlockList, BlockListError};
use trommel_shards::storage::{Storage, StorageError};

use crate::crawl::archive::{ArchiveImages, ArchiveLimits};
use crate::crawl::fetch::{FetchConfig, FetchError, Fetcher};
use crate::decoders::DecoderPool;
use crate::op::{Blocking, WaitingRows};
use crate::report::Progress;
use crate::scorers::{ScoreError, ScoreModel, Scorer};

/// Bytes of finished pictures that wait in memory for slower rows before them; beyond it they wait on disk.
const WAITING_BYTES: usize = 192 << 20;

/// Counts units that have not begun: an engine says how many there are, and a unit that is begun whether others wait for its place.
#[derive(Debug, Default)]
pub struct Behind(AtomicUsize);

/// A unit that has not begun; dropping it says that it has, or never will.
#[derive(Debug)]
pub struct NotBegun(Arc<Behind>, usize);

impl Behind {
    /// So many more units that have not begun.
    pub fn add(self: &Arc<Self>, units: usize) -> NotBegun {
        self.0.fetch_add(units, Ordering::Relaxed);
        NotBegun(Arc::clone(self), units)
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for NotBegun {
    fn drop(&mut self) {
        self.0.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// The shared services of a job in a process.
pub struct Services {
    /// The job's output.
    pub storage: Storage,
    /// Counters that the progress line shows.
    pub progress: Arc<Progress>,
    /// Folder for spill files on this machine.
    pub spill_folder: PathBuf,
    /// Cancelled by the first interrupt.
    pub cancel: CancellationToken,
    /// What units that fetch hold in memory until it is its turn.
    pub waiting: Arc<WaitingRows>,
    /// Units that are this process's to do, and have not begun.
    pub behind: Arc<Behind>,
    threads: usize,
    fetchers: Mutex<HashMap<String, Arc<Fetcher>>>,
    decoders: Mutex<Option<Arc<DecoderPool>>>,
    archives: Mutex<HashMap<Vec<String>, Arc<ArchiveImages>>>,
    scorers: Mutex<HashMap<String, Arc<Scorer>>>,
    block_lists: Mutex<HashMap<String, Arc<BlockList>>>,
}

impl Services {
    /// Services over an output, with nothing made yet. `threads` is the number of decoder threads.
    pub fn new(storage: Storage, progress: Arc<Progress>, spill_folder: PathBuf, threads: usize, cancel: CancellationToken) -> Self {
        Self {
            storage,
            progress,
            spill_folder,
            cancel,
            waiting: Arc::new(WaitingRows::new(WAITING_BYTES)),
            behind: Arc::default(),
            threads: threads.max(1),
            fetchers: Mutex::default(),
            decoders: Mutex::default(),
            archives: Mutex::default(),
            scorers: Mutex::default(),
            block_lists: Mutex::default(),
        }
    }

    /// The fetcher of a configuration: one per process, so that per-host limits hold across units.
    ///
    /// # Errors
    /// When the configuration is invalid.
    pub fn fetcher(&self, config: &FetchConfig) -> Result<Arc<Fetcher>, FetchError> {
        let key = serde_json::to_string(config).unwrap_or_default();
        let mut fetchers = self.fetchers.lock();
        if let Some(fetcher) = fetchers.get(&key) {
            return Ok(Arc::clone(fetcher));
        }
        let fetcher = Fetcher::new(config.clone())?;
        fetchers.insert(key, Arc::clone(&fetcher));
        Ok(fetcher)
    }

    /// The decoder threads.
    ///
    /// # Errors
    /// When a decoder cannot be made.
    pub fn decoders(&self) -> Result<Arc<DecoderPool>, trommel_shards::image::ImageError> {
        let mut decoders = self.decoders.lock();
        match decoders.as_ref() {
            Some(pool) => Ok(Arc::clone(pool)),
            None => Ok(Arc::clone(decoders.insert(Arc::new(DecoderPool::new(self.threads)?)))),
        }
    }

    /// A model, loaded on first use: one per process, shared by all units. Blocks: call it on a blocking thread.
    ///
    /// # Errors
    /// When it does not load.
    pub fn scorer(&self, model: &ScoreModel) -> Result<Arc<Scorer>, ScoreError> {
        let key = serde_json::to_string(model).unwrap_or_default();
        let mut scorers = self.scorers.lock();
        if let Some(scorer) = scorers.get(&key) {
            return Ok(Arc::clone(scorer));
        }
        let scorer = Arc::new(Scorer::open(model, self.threads)?);
        scorers.insert(key, Arc::clone(&scorer));
        Ok(scorer)
    }

    /// What the models of the process have done so far, by the name of their column.
    pub fn model_metrics(&self) -> BTreeMap<String, serde_json::Value> {
        let scorers = self.scorers.lock();
        let name = |key: &str| serde_json::from_str::<ScoreModel>(key).map(|model| model.name).unwrap_or_default();
        scorers.iter().map(|(key, scorer)| (name(key), scorer.metrics())).collect()
    }

    /// The lists of pictures that must not be kept, read on first use. Blocks: call it on a blocking thread.
    ///
    /// # Errors
    /// When a list cannot be read or has a line that is not understood.
    pub fn block_list(&self, blocking: &Blocking) -> Result<Arc<BlockList>, BlockListError> {
        let key = format!("{:?} {}", blocking.files, blocking.distance);
        let mut lists = self.block_lists.lock();
        if let Some(list) = lists.get(&key) {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(BlockList::load(&blocking.files, blocking.distance)?);
        lists.insert(key, Arc::clone(&list));
        Ok(list)
    }

    /// The image index over archive files, built on first use. Blocks: call it on a blocking thread.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn archives(&self, files: &[String]) -> Result<Arc<ArchiveImages>, crate::crawl::archive::ArchiveError> {
        let mut archives = self.archives.lock();
        if let Some(index) = archives.get(files) {
            return Ok(Arc::clone(index));
        }
        let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let index = Arc::new(ArchiveImages::open(&paths, ArchiveLimits::default())?);
        archives.insert(files.to_vec(), Arc::clone(&index));
        Ok(index)
    }
}

/// The services of a process that works for many jobs, one set per output.
pub struct ServicesPool {
    spill_folder: PathBuf,
    threads: usize,
    cancel: CancellationToken,
    progress: Arc<Progress>,
    jobs: Mutex<HashMap<String, Arc<Services>>>,
}

impl ServicesPool {
    /// A pool with nothing made yet. `progress` counts what all jobs do together.
    pub fn new(spill_folder: PathBuf, threads: usize, cancel: CancellationToken, progress: Arc<Progress>) -> Self {
        Self { spill_folder, threads, cancel, progress, jobs: Mutex::default() }
    }

    /// The services of the job that writes to this output.
    ///
    /// # Errors
    /// When the output cannot be opened from this machine.
    pub fn of(&self, output: &str) -> Result<Arc<Services>, StorageError> {
        let mut jobs = self.jobs.lock();
        if let Some(services) = jobs.get(output) {
            return Ok(Arc::clone(services));
        }
        let storage = Storage::open(output)?;
        let services =
            Services::new(storage, Arc::clone(&self.progress), self.spill_folder.clone(), self.threads, self.cancel.child_token());
        let services = Arc::new(services);
        jobs.insert(output.to_owned(), Arc::clone(&services));
        Ok(services)
    }
}

impl std::fmt::Debug for ServicesPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServicesPool").field("spill_folder", &self.spill_folder).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").field("storage", &self.storage).finish_non_exhaustive()
    }
}
