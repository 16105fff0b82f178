//! What one input shard holds: its samples that are wanted, found by headers and tables alone.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::DataType;
use serde_json::{Map, Value};

use super::input::{InputShard, Source};
use super::pictures::{self, ParquetShard};
use super::store::{Content, Part, Sample};
use super::{GroupBy, ReshardError};
use crate::columns::UID;
use crate::samples::split_key;
use crate::subset::{Subset, Uid128};
use crate::tar::{TarReadError, TarScanner};

/// Endings that a shard may have: each becomes a column in parquet output.
const MAX_ENDINGS: usize = 64;
/// First bytes of gzip, zstd and bzip2.
const COMPRESSED: [&[u8]; 3] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh"];

/// What is asked of every shard.
pub(super) struct Question<'a> {
    pub subset: Option<&'a Subset>,
    pub group: Option<&'a GroupBy>,
    /// Whether samples without a uid are left out although there is no subset.
    pub needs_uid: bool,
    /// Whether the lengths of pictures in parquet files are needed.
    pub needs_bytes: bool,
    pub caption: Option<&'a str>,
}

/// The wanted samples of a shard.
#[derive(Default)]
pub(super) struct Scanned {
    pub samples: Vec<Found>,
    pub table: Option<RecordBatch>,
    pub endings: BTreeSet<String>,
    pub counts: ScanCounts,
    pub parquet: Option<ParquetShard>,
}

/// What became of a shard's samples.
#[derive(Default)]
pub(super) struct ScanCounts {
    pub samples: u64,
    pub not_in_subset: u64,
    pub no_uid: u64,
    pub without_picture: u64,
    pub other_members: u64,
    pub first_no_uid: Option<String>,
}

/// A wanted sample.
pub(super) struct Found {
    pub sample: Sample,
    /// Row of the subset where its uid stands first.
    pub subset_row: Option<usize>,
    pub copies: u32,
    pub group: u128,
    pub bytes: u64,
}

/// Scans one shard.
pub(super) fn scan(number: u32, input: &InputShard, question: &Question<'_>) -> Result<Scanned, ReshardError> {
    let mut scanned = Scanned::default();
    if input.is_parquet { scan_parquet(number, input, question, &mut scanned) } else { scan_tar(number, input, question, &mut scanned) }?;
    Ok(scanned)
}

/// The columns of a table that say which row is which, as texts, and all others.
struct Rows {
    table: RecordBatch,
    uids: Option<ArrayRef>,
    keys: Option<ArrayRef>,
    groups: Option<Vec<u128>>,
}

impl Rows {
    fn new(place: &str, table: RecordBatch, question: &Question<'_>) -> Result<Self, ReshardError> {
        let texts = |name: &str| {
            let column = table.column_by_name(name)?;
            Some(cast(column, &DataType::Utf8).map_err(|e| ReshardError::shard(place, format!("column `{name}` is no text: {e}"))))
        };
        let (uids, keys) = (texts(UID).transpose()?, texts("key").transpose()?);
        let groups = question.group.map(|group| group.of_table(place, &table)).transpose()?;
        Ok(Self { table, uids, keys, groups })
    }

    fn text(column: Option<&ArrayRef>, row: usize) -> Option<&str> {
        column.map(|column| column.as_string::<i32>()).filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
    }

    fn group(&self, row: usize) -> u128 {
        self.groups.as_ref().map_or(0, |groups| groups[row])
    }

    /// Only the rows of the samples that were found, which get their numbers in what is left.
    fn keep(self, place: &str, rows: &[u32]) -> Result<RecordBatch, ReshardError> {
        take_record_batch(&self.table, &UInt32Array::from(rows.to_vec())).map_err(|e| ReshardError::shard(place, e))
    }
}

impl Question<'_> {
    /// How often a sample is wanted; books it when it is not.
    fn copies(&self, place: &str, key: &str, uid: Result<Uid128, String>, counts: &mut ScanCounts) -> Option<Wanted> {
        counts.samples += 1;
        match (self.subset, uid) {
            (_, Err(reason)) => {
                counts.no_uid += 1;
                counts.first_no_uid.get_or_insert_with(|| format!("`{place}`: sample `{key}`: {reason}"));
                (self.subset.is_none() && !self.needs_uid).then_some(Wanted { uid: None, subset_row: None, copies: 1 })
            }
            (None, Ok(uid)) => Some(Wanted { uid: Some(uid), subset_row: None, copies: 1 }),
            (Some(subset), Ok(uid)) => match subset.find(uid) {
                Some((row, copies)) => Some(Wanted { uid: Some(uid), subset_row: Some(row), copies }),
                None => {
                    counts.not_in_subset += 1;
                    None
                }
            },
        }
    }
}

struct Wanted {
    uid: Option<Uid128>,
    subset_row: Option<usize>,
    copies: u32,
}

fn uid_of(text: Option<&str>) -> Result<Uid128, String> {
    match text {
        Some(text) => text.parse().map_err(|e: crate::subset::SubsetError| e.to_string()),
        None => Err("it has no uid".to_owned()),
    }
}

fn scan_tar(number: u32, input: &InputShard, question: &Question<'_>, scanned: &mut Scanned) -> Result<(), ReshardError> {
    let place = &input.uri;
    let table = match &input.table {
        Some(table) => Some(Rows::new(table, pictures::read_table(table, &[])?, question)?),
        None => None,
    };
    let mut by_key = HashMap::new();
    if let Some(rows) = &table {
        let keys = rows.keys.as_ref().ok_or_else(|| {
            ReshardError::shard(input.table.as_deref().unwrap_or(place), "has no column `key`, by which its rows belong to samples")
        })?;
        by_key.extend((0..keys.len()).filter_map(|row| Some((Rows::text(Some(keys), row)?.to_owned(), row as u32))));
    }
    let (source, length) = Source::open(place)?;
    let mut first = [0; 4];
    let read = crate::tar::ReadAt::read_at(&source, 0, &mut first).map_err(|e| tar_error(place, TarReadError::Io(0, e)))?;
    if COMPRESSED.iter().any(|magic| first[..read].starts_with(magic)) {
        return Err(ReshardError::Compressed(place.clone()));
    }
    let mut scanner = TarScanner::new(&source, length, source.window());
    let mut seen: HashSet<String> = HashSet::new();
    let mut rows_kept = Vec::new();
    let mut open: Option<(String, Vec<Part>, Option<Vec<u8>>)> = None;
    let wants_json = question.group.is_some() && table.is_none() || table.as_ref().is_none_or(|rows| rows.uids.is_none());
    loop {
        let member = scanner.next().transpose().map_err(|e| tar_error(place, e))?;
        let next = match &member {
            Some(member) => {
                let (key, ending) = split_key(&member.name);
                // webdataset passes over files without an ending, and over its own `__name__` members.
                if ending.is_empty() || base(key).starts_with("__") && base(key).ends_with("__") {
                    scanned.counts.other_members += 1;
                    continue;
                }
                Some((key, ending))
            }
            None => None,
        };
        let same = matches!((&open, &next), (Some((key, ..)), Some((next, _))) if key == next);
        if !same && let Some((key, parts, json)) = open.take() {
            let at = rows_kept.len();
            close(number, input, question, table.as_ref(), &by_key, (key, parts, json), &mut rows_kept, scanned)?;
            debug_assert!(rows_kept.len() <= at + 1);
        }
        let (Some(member), Some((key, ending))) = (&member, next) else { break };
        if !same {
            if !seen.insert(key.to_owned()) {
                return Err(ReshardError::sample(place, key, "its members are not adjacent, or two samples have this key"));
            }
            open = Some((key.to_owned(), Vec::new(), None));
        }
        if let Some((key, parts, json)) = &mut open {
            if parts.iter().any(|part| part.ending == ending) {
                return Err(ReshardError::sample(place, key, format!("has two members `{ending}`")));
            }
            if ending == "json" && wants_json {
                *json = Some(scanner.content(member).map_err(|e| tar_error(place, e))?);
            }
            if !scanned.endings.contains(&ending) {
                scanned.endings.insert(ending.clone());
                if scanned.endings.len() > MAX_ENDINGS {
                    return Err(ReshardError::shard(place, format!("has members of more than {MAX_ENDINGS} endings")));
                }
            }
            parts.push(Part { ending, start: member.start, size: member.size });
        }
    }
    if let Some(rows) = table {
        scanned.table = Some(rows.keep(place, &rows_kept)?);
    }
    Ok(())
}

/// Books a complete sample.
#[allow(clippy::too_many_arguments, reason = "the state of one scan, which has no life of its own")]
fn close(
    number: u32,
    input: &InputShard,
    question: &Question<'_>,
    table: Option<&Rows>,
    by_key: &HashMap<String, u32>,
    (key, parts, json): (String, Vec<Part>, Option<Vec<u8>>),
    rows_kept: &mut Vec<u32>,
    scanned: &mut Scanned,
) -> Result<(), ReshardError> {
    let place = &input.uri;
    let row =
        match table {
            Some(_) => Some(*by_key.get(base(&key)).or_else(|| by_key.get(&key)).ok_or_else(|| {
                ReshardError::sample(place, &key, format!("has no row in `{}`", input.table.as_deref().unwrap_or_default()))
            })?),
            None => None,
        };
    let in_table = table.zip(row).filter(|(rows, _)| rows.uids.is_some());
    let uid = match (in_table, &json) {
        (Some((rows, row)), _) => uid_of(Rows::text(rows.uids.as_ref(), row as usize)),
        (None, Some(json)) => match serde_json::from_slice::<Named<'_>>(json) {
            Ok(named) => uid_of(named.uid.as_deref()),
            Err(e) => Err(format!("its json says no uid: {e}")),
        },
        (None, None) => Err("it has neither a row of a table nor a json member with a uid".to_owned()),
    };
    let Some(wanted) = question.copies(place, &key, uid, &mut scanned.counts) else { return Ok(()) };
    let group = match (question.group, table.zip(row)) {
        (None, _) => 0,
        (Some(_), Some((rows, row))) => rows.group(row as usize),
        (Some(group), None) => {
            let json: Map<String, Value> = json.as_deref().and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
            group.of_json(&json)
        }
    };
    let kept = row.map(|row| {
        rows_kept.push(row);
        rows_kept.len() as u32 - 1
    });
    let bytes = parts.iter().map(|part| part.size.next_multiple_of(512) + 512).sum();
    let sample = Sample { shard: number, row: kept, uid: wanted.uid, key, content: Content::Members(parts) };
    scanned.samples.push(Found { sample, subset_row: wanted.subset_row, copies: wanted.copies, group, bytes });
    Ok(())
}

/// The only member of a JSON that the scan reads.
#[derive(serde::Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    uid: Option<std::borrow::Cow<'a, str>>,
}

fn scan_parquet(number: u32, input: &InputShard, question: &Question<'_>, scanned: &mut Scanned) -> Result<(), ReshardError> {
    let place = &input.uri;
    let shard = ParquetShard::open(place, question.caption)?;
    let table = pictures::read_table(place, &shard.binary_columns())?;
    let lengths = shard.picture_lengths(&table, question.needs_bytes)?;
    let rows = Rows::new(place, table, question)?;
    let mut rows_kept = Vec::new();
    for (row, length) in lengths.iter().enumerate() {
        let Some(length) = length else {
            scanned.counts.without_picture += 1;
            continue;
        };
        let key = Rows::text(rows.keys.as_ref(), row).map_or_else(|| row.to_string(), str::to_owned);
        let uid = uid_of(Rows::text(rows.uids.as_ref(), row));
        let Some(wanted) = question.copies(place, &key, uid, &mut scanned.counts) else { continue };
        rows_kept.push(row as u32);
        let sample =
            Sample { shard: number, row: Some(rows_kept.len() as u32 - 1), uid: wanted.uid, key, content: Content::Row(row as u64) };
        let found = Found { sample, subset_row: wanted.subset_row, copies: wanted.copies, group: rows.group(row), bytes: *length };
        scanned.samples.push(found);
    }
    scanned.table = Some(rows.keep(place, &rows_kept)?);
    scanned.endings = shard.binary_columns().into_iter().map(str::to_owned).collect();
    scanned.parquet = Some(shard);
    Ok(())
}

fn tar_error(place: &str, source: TarReadError) -> ReshardError {
    ReshardError::Tar { shard: place.to_owned(), source }
}

/// The last part of a key's path: what tables call the key.
pub(super) fn base(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}
