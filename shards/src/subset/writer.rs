//! Writing a subset file from uids in any order.

use bytes::Bytes;

use super::header::render;
use super::spill::Sorter;
use super::{SubsetError, Uid128};
use crate::storage::{Storage, Written};

/// Bytes of uids that are held before they are spilled: 4 million uids.
const MEMORY_BYTES: usize = 64 << 20;
/// Bytes that are handed to storage at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Writes a DataComp subset file: numpy's `u8,u8`, sorted, a uid as often as it is wanted.
///
/// Uids come in any order and any number. Memory is bounded: what passes 64 MiB waits in an unnamed temporary file.
///
/// ```
/// # use trommel_shards::{storage::Storage, subset::{Subset, SubsetWriter}};
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// let storage = Storage::open(dir.path().to_str().unwrap_or_default())?;
/// let mut writer = SubsetWriter::create(&storage, "subset.npy");
/// writer.push("ffffffffffffffff0000000000000000".parse()?, 1)?;
/// writer.push("139e4a9b22a614771f06c700a8ebe150".parse()?, 2)?;
/// writer.finish().await?;
/// let subset = Subset::open(&storage.uri_of("subset.npy"))?;
/// assert_eq!((subset.len(), subset.distinct()), (3, 2));
/// assert_eq!(subset.multiplicity("139e4a9b22a614771f06c700a8ebe150".parse()?), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SubsetWriter {
    storage: Storage,
    name: String,
    sorter: Sorter<{ Uid128::BYTES }>,
}

impl SubsetWriter {
    /// Begins a file. Nothing is visible before [`SubsetWriter::finish`].
    pub fn create(storage: &Storage, name: &str) -> Self {
        Self::with_memory(storage, name, MEMORY_BYTES)
    }

    pub(crate) fn with_memory(storage: &Storage, name: &str, memory: usize) -> Self {
        Self { storage: storage.clone(), name: name.to_owned(), sorter: Sorter::new(memory) }
    }

    /// Adds a uid so many times; zero adds nothing.
    ///
    /// # Errors
    /// [`SubsetError::Storage`] when the temporary file cannot be written.
    pub fn push(&mut self, uid: Uid128, copies: u32) -> Result<(), SubsetError> {
        for _ in 0..copies {
            self.sorter.push(uid.0.to_be_bytes()).map_err(|e| SubsetError::io(&self.name, e))?;
        }
        Ok(())
    }

    /// Uids so far, copies counted.
    pub fn len(&self) -> u64 {
        self.sorter.count()
    }

    /// Whether there is no uid.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sorts, writes the file and moves it into place.
    ///
    /// # Errors
    /// When a temporary file or the store refuses; nothing is visible then.
    pub async fn finish(self) -> Result<Written, SubsetError> {
        let Self { storage, name, sorter } = self;
        let rows = sorter.count();
        let mut sorted = sorter.finish().map_err(|e| SubsetError::io(&name, e))?;
        write_sorted(&storage, &name, rows, || {
            let next = sorted.next().map_err(|e| SubsetError::io(&name, e))?;
            Ok(next.map(|bytes| Uid128(u128::from_be_bytes(bytes))))
        })
        .await
    }
}

/// Writes uids that come in order. `rows` is how many there will be.
pub(crate) async fn write_sorted(
    storage: &Storage,
    name: &str,
    rows: u64,
    mut next: impl FnMut() -> Result<Option<Uid128>, SubsetError>,
) -> Result<Written, SubsetError> {
    let mut writer = storage.create(name).await?;
    let mut piece = render(rows);
    while let Some(uid) = next()? {
        piece.extend_from_slice(&uid.to_subset_bytes());
        if piece.len() >= PIECE_BYTES {
            writer.write(Bytes::from(std::mem::replace(&mut piece, Vec::with_capacity(PIECE_BYTES + Uid128::BYTES)))).await?;
        }
    }
    writer.write(Bytes::from(piece)).await?;
    Ok(writer.finish().await?)
}
