//! A subset that can be asked.

use std::fs::File;
use std::io::{BufWriter, Read, Write};

use memmap2::Mmap;

use super::header::{self, MAGIC};
use super::spill::Sorter;
use super::{SubsetError, Uid128, rows};
use crate::source::Input;
use crate::storage::remote_url;

/// Bytes that are held while uids of a table or a list are sorted.
const SORT_BYTES: usize = 64 << 20;

/// Which uids, and how often each: sorted, and mapped into memory, not copied.
///
/// A file must not be cut short by others while it is open: the system ends a process that reads a mapped page that is
/// gone.
#[derive(Debug)]
pub struct Subset {
    bytes: Bytes,
    start: usize,
    length: u64,
    distinct: u64,
    uri: String,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

fn map(uri: &str, file: &File) -> Result<Bytes, SubsetError> {
    let length = file.metadata().map_err(|e| SubsetError::io(uri, e))?.len();
    if length == 0 {
        return Ok(Bytes::Owned(Vec::new()));
    }
    // SAFETY: the map is only read, as plain bytes. What another process writes into the file meanwhile gives other
    // uids, not other types; that the file must not be cut is written on the type.
    let map = unsafe { Mmap::map(file) }.map_err(|e| SubsetError::io(uri, e))?;
    Ok(Bytes::Mapped(map))
}

impl Subset {
    /// Opens a subset by path or url, whatever its format:
    ///
    /// - npy as DataComp writes it (`u8,u8`) or as a plain `(n, 2)` array of `<u8`, sorted;
    /// - the same pairs without a header, as `numpy.memmap` leaves them, sorted;
    /// - parquet with `uid` and, if it is there, `copies` (any integer type; null counts as one), in any order;
    /// - text with a uid per line, in any order; a uid on several lines is wanted as often.
    ///
    /// What is not sorted by its format is sorted into an unnamed temporary file, and so is what comes from a url, which
    /// must be opened inside a tokio runtime and outside its async threads (see [`Input`]).
    ///
    /// # Errors
    /// [`SubsetError`] names the file and the first row that is wrong: a uid that is none, or one that is out of order.
    pub fn open(uri: &str) -> Result<Self, SubsetError> {
        let input = Input::open(uri)?;
        let file = match input {
            Input::Local(file) => file,
            Input::Remote(_) => {
                let mut local = tempfile::tempfile().map_err(|e| SubsetError::io(uri, e))?;
                std::io::copy(&mut input.into_read(), &mut local).map_err(|e| SubsetError::io(uri, e))?;
                local
            }
        };
        let bytes = map(uri, &file)?;
        if bytes.starts_with(MAGIC) {
            let (start, _) = header::read(&bytes).map_err(|message| SubsetError::content(uri, message))?;
            return Self::checked(bytes, start, uri);
        }
        let is_table = bytes.starts_with(b"PAR1");
        if !is_table && !rows::is_text(&bytes, path_of(uri)) {
            if bytes.len() % Uid128::BYTES != 0 {
                let message = format!("is no subset: neither npy, parquet nor uids as text, and {} bytes are no pairs of u8", bytes.len());
                return Err(SubsetError::content(uri, message));
            }
            return Self::checked(bytes, 0, uri);
        }
        drop(bytes);
        let mut sorter = Sorter::new(SORT_BYTES);
        let mut take = |uid: Uid128, copies: u32| {
            for _ in 0..copies {
                sorter.push(uid.0.to_be_bytes()).map_err(|e| SubsetError::io(uri, e))?;
            }
            Ok(())
        };
        if is_table {
            rows::read_table(uri, &file, &mut take)?;
        } else {
            let mut file = &file;
            std::io::Seek::rewind(&mut file).map_err(|e| SubsetError::io(uri, e))?;
            rows::read_text(uri, &mut file as &mut dyn Read, &mut take)?;
        }
        Self::of_sorter(sorter, uri)
    }

    /// From uids and how often each is wanted, in any order.
    ///
    /// # Errors
    /// When a temporary file is needed and cannot be written.
    pub fn of_uids(uids: impl IntoIterator<Item = (Uid128, u32)>) -> Result<Self, SubsetError> {
        let mut sorter = Sorter::new(SORT_BYTES);
        for (uid, copies) in uids {
            for _ in 0..copies {
                sorter.push(uid.0.to_be_bytes()).map_err(|e| SubsetError::io("temporary file", e))?;
            }
        }
        Self::of_sorter(sorter, "uids in memory")
    }

    fn of_sorter(sorter: Sorter<{ Uid128::BYTES }>, uri: &str) -> Result<Self, SubsetError> {
        let fail = |e| SubsetError::io(uri, e);
        let mut file = BufWriter::with_capacity(1 << 20, tempfile::tempfile().map_err(fail)?);
        let mut sorted = sorter.finish().map_err(fail)?;
        while let Some(bytes) = sorted.next().map_err(fail)? {
            file.write_all(&Uid128(u128::from_be_bytes(bytes)).to_subset_bytes()).map_err(fail)?;
        }
        let file = file.into_inner().map_err(|e| fail(e.into_error()))?;
        Self::checked(map(uri, &file)?, 0, uri)
    }

    /// Looks at every row once: are they in order, and how many are different?
    fn checked(bytes: Bytes, start: usize, uri: &str) -> Result<Self, SubsetError> {
        let length = ((bytes.len() - start) / Uid128::BYTES) as u64;
        let mut subset = Self { bytes, start, length, distinct: 0, uri: uri.to_owned() };
        let mut before: Option<Uid128> = None;
        let mut distinct = 0;
        for (row, uid) in subset.uids().enumerate() {
            match before {
                Some(before) if before > uid => {
                    return Err(SubsetError::NotSorted {
                        file: uri.to_owned(),
                        row: row as u64,
                        uid: uid.to_string(),
                        before: before.to_string(),
                    });
                }
                Some(before) => distinct += u64::from(before != uid),
                None => distinct = 1,
            }
            before = Some(uid);
        }
        subset.distinct = distinct;
        Ok(subset)
    }

    /// Uids, copies counted.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is no uid.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Different uids.
    pub fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Where it was read from.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// All uids in order, each as often as it is wanted.
    pub fn uids(&self) -> impl Iterator<Item = Uid128> + '_ {
        let (pairs, _) = self.bytes[self.start..].as_chunks::<{ Uid128::BYTES }>();
        pairs.iter().map(|bytes| Uid128::from_subset_bytes(*bytes))
    }

    /// The different uids in order, with how often each is wanted.
    pub fn counted(&self) -> Counted<'_> {
        Counted { pairs: self.pairs() }
    }

    fn pairs(&self) -> &[[u8; Uid128::BYTES]] {
        self.bytes[self.start..].as_chunks::<{ Uid128::BYTES }>().0
    }

    /// How often a uid is wanted: zero when it is not in the subset.
    pub fn multiplicity(&self, uid: Uid128) -> u32 {
        self.find(uid).map_or(0, |(_, copies)| copies)
    }

    /// First row of a uid, and how often it is wanted.
    pub(crate) fn find(&self, uid: Uid128) -> Option<(usize, u32)> {
        let pairs = self.pairs();
        let first = pairs.partition_point(|bytes| Uid128::from_subset_bytes(*bytes) < uid);
        let copies = run_length(&pairs[first..], uid);
        (copies > 0).then_some((first, copies))
    }
}

/// How often a uid stands at the start: twice as far each time, then halving, since most stand there once.
fn run_length(pairs: &[[u8; Uid128::BYTES]], uid: Uid128) -> u32 {
    let is = |at: usize| pairs.get(at).is_some_and(|bytes| Uid128::from_subset_bytes(*bytes) == uid);
    if !is(0) {
        return 0;
    }
    let mut reach = 1;
    while is(reach) {
        reach *= 2;
    }
    let end = reach.min(pairs.len());
    let length = pairs[..end].partition_point(|bytes| Uid128::from_subset_bytes(*bytes) <= uid);
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The different uids of a subset with how often each is wanted, in order.
#[derive(Debug, Clone)]
pub struct Counted<'a> {
    pairs: &'a [[u8; Uid128::BYTES]],
}

impl Iterator for Counted<'_> {
    type Item = (Uid128, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let uid = Uid128::from_subset_bytes(*self.pairs.first()?);
        let copies = run_length(self.pairs, uid);
        self.pairs = &self.pairs[copies as usize..];
        Some((uid, copies))
    }
}

fn path_of(uri: &str) -> &str {
    uri.split(['?', '#']).next().filter(|_| remote_url(uri).is_some()).unwrap_or(uri)
}
