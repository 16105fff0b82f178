//! An index that can be searched.

use std::path::Path;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use trommel_shards::subset::Uid128;

use super::description::INDEX_FORMAT;
use super::finish::INDEX;
use super::raw::Raw;
use super::uids::{ROWS, Records, UIDS};
use super::{IndexDescription, IndexError, IndexMetric, LeftOut};

/// Where the vectors or codes of an index lie while it is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// In memory: reading it takes a while, searching is fast.
    #[default]
    Memory,
    /// In the file, which the system reads as it is searched. Meant for kinds with lists; a graph jumps about.
    Mapped,
}

/// An index. Searching takes `&self`, from any number of threads.
pub struct Index {
    pub(super) raw: RwLock<Tuned>,
    description: IndexDescription,
    pub(super) rows: Option<Records<8>>,
    uids: Option<Records<16>>,
}

/// Faiss's index with what was set in it last.
pub(super) struct Tuned {
    pub(super) raw: Raw,
    effort: Option<usize>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("description", &self.description).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the folder of an index. The files must not be changed while it is open; [`build_index`](super::build_index)
    /// never does. They are trusted: faiss checks what it reads for sense, but was not made for hostile files.
    ///
    /// # Errors
    /// [`IndexError`] when the index is not finished, a file is missing, or the files do not fit the description.
    pub fn open(folder: &Path, access: Access) -> Result<Self, IndexError> {
        let description = IndexDescription::read(folder)?;
        let path = folder.join(INDEX);
        let raw = Raw::read(&path, access == Access::Mapped)?;
        let same = |what, expected: String, found: String| match expected == found {
            true => Ok(()),
            false => Err(IndexError::Damaged { path: path.clone(), what, expected, found }),
        };
        same("the number of vectors", description.vectors.to_string(), raw.count().to_string())?;
        same("the length of vectors", description.dim.to_string(), raw.dim().to_string())?;
        let product = description.metric != IndexMetric::L2;
        same("comparing by inner product", product.to_string(), raw.is_inner_product().to_string())?;
        let rows = if description.vectors < description.rows {
            Some(Records::open(&folder.join(ROWS), "the file of rows", description.vectors)?)
        } else {
            None
        };
        let uids = match &description.uids_sha256 {
            Some(_) => Some(Records::open(&folder.join(UIDS), "the file of uids", description.rows)?),
            None => None,
        };
        Ok(Self { raw: RwLock::new(Tuned { raw, effort: None }), description, rows, uids })
    }

    /// Opens an index that faiss, or autofaiss, wrote as one file: faiss's ids are the rows, and there are no uids. The file
    /// does not say whether its vectors have length 1; with [`IndexMetric::Cosine`] the queries are brought to it.
    ///
    /// # Errors
    /// [`IndexError::Faiss`] when it is none; [`IndexError::Damaged`] when it compares by another metric.
    pub fn open_file(path: &Path, access: Access, metric: IndexMetric, model: &str) -> Result<Self, IndexError> {
        let mut raw = Raw::read(path, access == Access::Mapped)?;
        let product = metric != IndexMetric::L2;
        if raw.is_inner_product() != product {
            let (expected, found) = (product.to_string(), raw.is_inner_product().to_string());
            return Err(IndexError::Damaged { path: path.to_path_buf(), what: "comparing by inner product", expected, found });
        }
        let count = raw.count() as u64;
        // The family is all that the search asks for.
        let family = match raw.has_lists() {
            true => "IVF",
            false if raw.set_parameter(c"efSearch", 64).is_ok() => "HNSW",
            false => "",
        };
        let description = IndexDescription {
            format_version: INDEX_FORMAT,
            factory: family.to_owned(),
            reason: "made elsewhere".into(),
            metric,
            dim: raw.dim(),
            rows: count,
            vectors: count,
            left_out: LeftOut::default(),
            model: model.to_owned(),
            weights_sha256: String::new(),
            uids_sha256: None,
            seed: 0,
            training_vectors: 0,
            trained_sha256: String::new(),
            sources: Vec::new(),
        };
        Ok(Self { raw: RwLock::new(Tuned { raw, effort: None }), description, rows: None, uids: None })
    }

    /// What the index says about itself.
    pub fn description(&self) -> &IndexDescription {
        &self.description
    }

    /// Checks that the index was made of these rows: their number, and the digest of their uids
    /// ([`UidDigest`](super::UidDigest)) where both have uids.
    ///
    /// # Errors
    /// [`IndexError::OtherMetadata`] with what both say.
    pub fn check_belongs(&self, rows: u64, uids_sha256: Option<&str>) -> Result<(), IndexError> {
        let own = self.description.uids_sha256.as_deref();
        let uids_differ = matches!((own, uids_sha256), (Some(own), Some(other)) if own != other);
        if rows == self.description.rows && !uids_differ {
            return Ok(());
        }
        let text = |uids: Option<&str>| uids.unwrap_or("none").to_owned();
        Err(IndexError::OtherMetadata { index_rows: self.description.rows, index_uids: text(own), rows, uids: text(uids_sha256) })
    }

    /// The uid of a row; `None` without uids, or without the row.
    pub fn uid(&self, row: u64) -> Option<Uid128> {
        self.uids.as_ref()?.get(row).map(Uid128::from_subset_bytes)
    }

    /// The first row of a uid. Looks through all of them.
    pub fn row_of(&self, uid: Uid128) -> Option<u64> {
        let wanted = uid.to_subset_bytes();
        self.uids.as_ref()?.iter().position(|bytes| bytes == wanted).map(|row| row as u64)
    }

    /// The row of a vector, by faiss's id.
    pub(super) fn row(&self, id: u64) -> u64 {
        self.rows.as_ref().and_then(|rows| rows.get(id)).map_or(id, u64::from_le_bytes)
    }

    /// The index with a parameter set, which no one changes while it is used.
    pub(super) fn tuned(&self, effort: Option<(&std::ffi::CStr, usize)>) -> Result<RwLockReadGuard<'_, Tuned>, IndexError> {
        let Some((name, value)) = effort else { return Ok(self.raw.read()) };
        let guard = self.raw.read();
        if guard.effort == Some(value) {
            return Ok(guard);
        }
        drop(guard);
        let mut guard = self.raw.write();
        guard.raw.set_parameter(name, value)?;
        guard.effort = Some(value);
        Ok(RwLockWriteGuard::downgrade(guard))
    }
}
