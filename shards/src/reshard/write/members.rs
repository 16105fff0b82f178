//! The members of some samples: still in their shards where they are copied, in memory where they had to be read.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::super::extra::{ImageHook, ImageMember};
use super::super::input::{Read, Source};
use super::super::pictures::RowMembers;
use super::super::plan::Inner;
use super::super::store::{Content, Sample};
use super::super::{ReshardError, json};
use crate::samples::IMAGE_ENDINGS;
use crate::tar::{TarError, TarReadError};

/// Input shards that are open at a time.
const MAX_OPEN: usize = 128;

/// A sample on its way.
pub(super) struct Item {
    pub(super) sample: Sample,
    pub(super) key: String,
    pub(super) members: Vec<(String, Piece)>,
}

/// The content of a member.
#[derive(Clone)]
pub(super) enum Piece {
    /// A range of the sample's shard.
    At { start: u64, size: u64 },
    /// In memory.
    Bytes(Bytes),
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::At { size, .. } => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// Reads members from the input shards.
pub(super) struct Reader<'a> {
    inner: &'a Inner,
    open: HashMap<u32, Source>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self { inner, open: HashMap::new() }
    }

    pub(super) fn uri(&self, shard: u32) -> &'a str {
        self.inner.inputs.get(shard as usize).map_or("", |input| input.uri.as_str())
    }

    pub(super) fn source(&mut self, shard: u32) -> Result<&Source, ReshardError> {
        if !self.open.contains_key(&shard) {
            if self.open.len() >= MAX_OPEN {
                self.open.clear();
            }
            let (source, _) = Source::open(self.uri(shard))?;
            self.open.insert(shard, source);
        }
        self.open.get(&shard).ok_or_else(|| ReshardError::shard(self.inner.inputs[shard as usize].uri.as_str(), "is not open"))
    }

    /// The content of one member.
    fn read(&mut self, sample: &Sample, piece: &Piece) -> Result<Bytes, ReshardError> {
        match piece {
            Piece::Bytes(bytes) => Ok(bytes.clone()),
            Piece::At { start, size } => {
                let mut bytes = vec![0; *size as usize];
                let job = Read { from: *start, to: 0..bytes.len() };
                let read = self.source(sample.shard)?.read_all(&[job], &mut bytes);
                read.map_err(|(_, e)| read_error(self.uri(sample.shard), sample, *start, e))?;
                Ok(bytes.into())
            }
        }
    }

    /// The members of some samples, each with its key: pictures of parquet shards are read, those of tars only for a hook,
    /// and a JSON only where columns are added to it.
    pub(super) fn gather(&mut self, samples: Vec<(Sample, String)>, hook: &mut Option<ImageHook>) -> Result<Vec<Item>, ReshardError> {
        let mut rows: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (sample, _) in &samples {
            if let Content::Row(row) = sample.content {
                rows.entry(sample.shard).or_default().push(row);
            }
        }
        let mut fetched: HashMap<(u32, u64), RowMembers> = HashMap::new();
        for (shard, rows) in rows {
            let parquet = self.inner.parquet.get(shard as usize).and_then(Option::as_ref);
            let parquet = parquet.ok_or_else(|| ReshardError::shard(self.uri(shard), "is no parquet shard"))?;
            fetched.extend(parquet.fetch(&rows)?.into_iter().map(|(row, members)| ((shard, row), members)));
        }
        let mut items = Vec::with_capacity(samples.len());
        for (sample, key) in samples {
            let members = match &sample.content {
                Content::Members(parts) => {
                    parts.iter().map(|part| (part.ending.clone(), Piece::At { start: part.start, size: part.size })).collect()
                }
                Content::Row(row) => {
                    // Copies of one row share its bytes.
                    let members = fetched.get(&(sample.shard, *row)).filter(|members| !members.is_empty());
                    let members = members.ok_or_else(|| self.fail(&sample, "has no picture"))?;
                    members.iter().map(|(ending, bytes)| (ending.clone(), Piece::Bytes(bytes.clone()))).collect()
                }
            };
            let mut item = Item { sample, key, members };
            self.change_picture(&mut item, hook)?;
            items.push(item);
        }
        Ok(items)
    }

    pub(super) fn fail(&self, sample: &Sample, message: impl std::fmt::Display) -> ReshardError {
        ReshardError::sample(self.uri(sample.shard), &sample.key, message)
    }

    fn change_picture(&mut self, item: &mut Item, hook: &mut Option<ImageHook>) -> Result<(), ReshardError> {
        let Some(hook) = hook else { return Ok(()) };
        let picture = item.members.iter().position(|(ending, _)| IMAGE_ENDINGS.contains(&ending.as_str()));
        let Some(at) = picture else { return Ok(()) };
        let bytes = self.read(&item.sample, &item.members[at].1)?;
        let ending = item.members[at].0.clone();
        let given = ImageMember { uid: item.sample.uid, key: &item.sample.key, ending: &ending, bytes: &bytes };
        match hook(given).map_err(|e| self.fail(&item.sample, format!("picture: {e}")))? {
            Some(new) if item.members.iter().enumerate().any(|(other, (ending, _))| other != at && *ending == new.ending) => {
                Err(self.fail(&item.sample, format!("a new picture `{}` stands beside a member of that ending", new.ending)))
            }
            Some(new) => {
                item.members[at] = (new.ending, Piece::Bytes(new.bytes.into()));
                Ok(())
            }
            None => {
                item.members[at].1 = Piece::Bytes(bytes);
                Ok(())
            }
        }
    }

    /// For a tar: what a parquet row says becomes `json` and `txt`, and added columns go into the `json`.
    pub(super) fn describe(&mut self, item: &mut Item) -> Result<(), ReshardError> {
        let added = match (&self.inner.options.extra, item.sample.uid) {
            (Some(extra), Some(uid)) => extra.json(uid).map_err(|e| self.fail(&item.sample, format!("added columns: {e}")))?,
            _ => None,
        };
        let has = |item: &Item, ending: &str| item.members.iter().position(|(found, _)| found == ending);
        let table = self.inner.store.tables.get(item.sample.shard as usize).and_then(Option::as_ref);
        let row = table.zip(item.sample.row).filter(|_| matches!(item.sample.content, Content::Row(_)));
        if let Some((table, row)) = row {
            if has(item, "json").is_none() {
                let object = json::object(table, row as usize);
                item.members.push(("json".to_owned(), Piece::Bytes(encode(&object).into())));
            }
            let caption = self.inner.parquet[item.sample.shard as usize].as_ref().and_then(|parquet| parquet.caption.as_deref());
            let caption = caption.and_then(|name| table.column_by_name(name)).and_then(|column| column.as_string_opt::<i32>());
            if let (Some(captions), None) = (caption, has(item, "txt")) {
                let text = if captions.is_valid(row as usize) { captions.value(row as usize) } else { "" };
                item.members.push(("txt".to_owned(), Piece::Bytes(Bytes::copy_from_slice(text.as_bytes()))));
            }
            item.members.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let Some(added) = added else { return Ok(()) };
        let mut object: Map<String, Value> = match has(item, "json") {
            Some(at) => {
                let bytes = self.read(&item.sample, &item.members[at].1)?;
                serde_json::from_slice(&bytes).map_err(|e| self.fail(&item.sample, format!("its json takes no columns: {e}")))?
            }
            None => Map::new(),
        };
        object.extend(added);
        let piece = Piece::Bytes(encode(&object).into());
        match has(item, "json") {
            Some(at) => item.members[at].1 = piece,
            None => item.members.push(("json".to_owned(), piece)),
        }
        Ok(())
    }

    /// The contents of a member of some items, for a column of a table.
    pub(super) fn column(&mut self, items: &[Item], ending: &str) -> Result<Vec<Option<Bytes>>, ReshardError> {
        let find = |item: &Item| item.members.iter().find(|(found, _)| found == ending).map(|(_, piece)| piece.clone());
        items.iter().map(|item| find(item).map(|piece| self.read(&item.sample, &piece)).transpose()).collect()
    }
}

fn encode(object: &Map<String, Value>) -> Vec<u8> {
    // A map with text keys has no way to fail.
    serde_json::to_vec(object).unwrap_or_default()
}

/// A shard that ends before a member does, or that cannot be read.
pub(super) fn read_error(uri: &str, sample: &Sample, at: u64, error: std::io::Error) -> ReshardError {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return ReshardError::sample(uri, &sample.key, TarError::Truncated(at));
    }
    ReshardError::sample(uri, &sample.key, TarReadError::Io(at, error))
}
