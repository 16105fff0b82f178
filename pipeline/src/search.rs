//! A dataset that can be asked: where an index finds the vectors beside metadata.
//!
//! Rows are numbered over the files of the metadata in the order of their names, and so are the index's: what is found is shown from the
//! metadata, and a predicate over the metadata says which rows may be found.

use std::sync::Arc;

use half::f16;
use parking_lot::{Mutex, RwLock};
use trommel_embeddings::scores::VectorSource;

use crate::select::{SelectError, beside_identity, open_beside};

/// Files whose vectors are in memory at a time.
const HELD: usize = 2;

/// Vectors of a file, in half precision.
struct Loaded {
    data: Vec<f16>,
    valid: Vec<bool>,
}

/// Which files are in memory, the oldest first. Shared by all [`FileVectors`] of an index.
#[derive(Default)]
pub struct Held(Mutex<Vec<Arc<RwLock<Option<Loaded>>>>>);

/// The vectors of one file of metadata: npz, npy or parquet beside it, or a column of its own. They are in memory while they are read, and
/// make room for those of the next file.
pub struct FileVectors {
    uri: String,
    key: String,
    rows: usize,
    dim: usize,
    /// Model that the file names; empty where it names none.
    pub model: String,
    /// What changes when the file with the vectors does.
    pub identity: String,
    /// Digest of the model's weights that the file names.
    pub weights_sha256: String,
    loaded: Arc<RwLock<Option<Loaded>>>,
    held: Arc<Held>,
    /// Why the file could not be read. Rows are null from then on, and whoever reads looks here in the end.
    failed: Mutex<Option<SelectError>>,
}

/// What an index calls the vectors `key` of a file of metadata.
pub fn source_name(uri: &str, key: &str) -> String {
    format!("{uri}#{key}")
}

/// File and key of a source.
pub fn source_of(name: &str) -> (&str, &str) {
    name.rsplit_once('#').unwrap_or((name, ""))
}

impl FileVectors {
    /// Opens the vectors `key` of a file of `rows` rows.
    ///
    /// # Errors
    /// When there are none, or not as many as rows.
    pub fn open(uri: &str, key: &str, rows: u64, held: &Arc<Held>) -> Result<Self, SelectError> {
        let reader = open_beside("index", uri, key)?;
        let found = reader.rows();
        if found != rows {
            return Err(SelectError::File {
                place: uri.to_owned(),
                message: format!("{found} vectors `{key}` for {rows} rows of metadata"),
            });
        }
        let made = reader.provenance();
        Ok(Self {
            uri: uri.to_owned(),
            identity: beside_identity(uri, key),
            key: key.to_owned(),
            rows: rows as usize,
            dim: reader.dim(),
            model: made.map_or_else(String::new, |made| made.model.clone()),
            weights_sha256: made.map_or_else(String::new, |made| made.weights_sha256.clone()),
            loaded: Arc::default(),
            held: Arc::clone(held),
            failed: Mutex::default(),
        })
    }

    /// Whether the file could not be read.
    pub fn has_failed(&self) -> bool {
        self.failed.lock().is_some()
    }

    /// Why the file could not be read, if it could not.
    pub fn take_failure(&self) -> Option<SelectError> {
        self.failed.lock().take()
    }

    fn load(&self) {
        let mut slot = self.loaded.write();
        if slot.is_some() {
            return;
        }
        match self.read() {
            Ok(loaded) => *slot = Some(loaded),
            Err(error) => {
                *slot = Some(Loaded { data: vec![f16::NAN; self.rows * self.dim], valid: vec![false; self.rows] });
                *self.failed.lock() = Some(error);
            }
        }
        drop(slot);
        let mut held = self.held.0.lock();
        held.push(Arc::clone(&self.loaded));
        while held.len() > HELD {
            let oldest = held.remove(0);
            drop(held);
            *oldest.write() = None;
            held = self.held.0.lock();
        }
    }

    fn read(&self) -> Result<Loaded, SelectError> {
        let fail = |message: String| SelectError::File { place: self.uri.clone(), message };
        let mut reader = open_beside("index", &self.uri, &self.key)?;
        let (mut data, mut valid) = (Vec::with_capacity(self.rows * self.dim), Vec::with_capacity(self.rows));
        while let Some(block) = reader.next_block().map_err(|e| fail(e.to_string()))? {
            let rows = block.rows().map_err(|e| fail(e.to_string()))?;
            valid.extend((0..rows.len()).map(|row| rows.is_valid(row)));
            data.extend(rows.data().iter().map(|&value| f16::from_f32(value)));
        }
        match valid.len() == self.rows {
            true => Ok(Loaded { data, valid }),
            false => Err(fail(format!("{} vectors were read where {} are said", valid.len(), self.rows))),
        }
    }

    fn with<T>(&self, mut see: impl FnMut(&Loaded) -> T) -> T {
        loop {
            if let Some(loaded) = self.loaded.read().as_ref() {
                return see(loaded);
            }
            // Another file may push it out before it is seen: then it is read again.
            self.load();
        }
    }
}

impl VectorSource for FileVectors {
    fn len(&self) -> usize {
        self.rows
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn is_valid(&self, row: usize) -> bool {
        self.with(|loaded| loaded.valid[row])
    }

    fn copy(&self, row: usize, out: &mut [f32]) {
        let dim = self.dim;
        self.with(|loaded| {
            let from = &loaded.data[row * dim..(row + 1) * dim];
            out.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32());
        });
    }
}
