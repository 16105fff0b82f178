//! Building an index shard by shard, in steps that survive being killed.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::description::{DESCRIPTION, INDEX_FORMAT};
use super::error::{io, setting};
use super::files::{put, put_bytes, put_json, sha256};
use super::finish::finish;
use super::raw::{Raw, Threads};
use super::read::read;
use super::shard::IndexShard;
use super::train::train;
use super::{IndexChoice, IndexDescription, IndexError, IndexMetric, IndexOptions, IndexSource, LeftOut, choose_index};

/// Name of the plan in a folder that is not finished.
pub(super) const PLAN: &str = "building.json";
/// Name of the trained, empty index.
pub(super) const TRAINED: &str = "trained.faiss";
/// Name of the folder of parts.
pub(super) const PARTS: &str = "parts";
/// Bytes of vectors of one part at most.
const PART_BYTES: usize = 1 << 30;
/// Rows that are read at a time.
const BLOCK: usize = 65_536;

/// A step that is done and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexProgress {
    /// The kind is chosen.
    Chosen(IndexChoice),
    /// The index is trained.
    Trained {
        /// Vectors that it was trained on.
        vectors: u64,
    },
    /// A part is added.
    Added {
        /// Parts that are done.
        parts: usize,
        /// Parts of the whole.
        of: usize,
        /// Rows that are done.
        rows: u64,
    },
    /// The index is whole.
    Finished,
}

/// What is to be built. Anything else in the folder is not resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) format_version: u32,
    pub(super) factory: String,
    pub(super) reason: String,
    bytes: u64,
    pub(super) metric: IndexMetric,
    pub(super) dim: usize,
    pub(super) model: String,
    pub(super) weights_sha256: String,
    pub(super) seed: u64,
    training: Option<usize>,
    trained_like: Option<String>,
    part_rows: usize,
    pub(super) has_uids: bool,
    pub(super) sources: Vec<IndexSource>,
}

/// What is known of a trained index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Training {
    pub(super) vectors: u64,
    pub(super) sha256: String,
}

/// The marker of a part: it is done when this is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    shard: usize,
    start: usize,
    rows: usize,
    pub(super) vectors: u64,
    pub(super) left_out: LeftOut,
    trained_sha256: String,
}

/// Builds an index into a folder, or goes on where a killed build stopped; a finished index of the same shards and
/// settings is left as it is.
///
/// The folder then holds `index.faiss`, which opens in faiss itself; `index.json`
/// ([`IndexDescription`]), written last; `uids.bin`, 16 bytes for each row in the layout of a subset file, if the shards have uids;
/// `rows.u64`, the row of each vector, if rows were left out; and `trained.faiss`, if the kind needs training.
///
/// Every file is written under a temporary name, made durable and moved. A part ([`IndexOptions::part_rows`]) is the step
/// that is lost by being killed; `progress` is called after each step and may stop the build, which the next call then
/// resumes. The index depends on shards and settings alone, whether it was interrupted or not; only the training of a kind
/// that rotates vectors (`OPQ`) is left to faiss, whose sums depend on the number of threads, and whose links between
/// centroids (`_HNSW`) on chance, until it is done and written.
///
/// Memory: a part while parts are made, and in the end the whole index. Disk: the index twice.
///
/// # Errors
/// [`IndexError`] when shards or models do not fit together, the folder holds something else, faiss refuses the kind, or a
/// file cannot be written; [`IndexError::Stopped`] when `progress` asked for it.
pub fn build_index(
    folder: &Path,
    shards: &[IndexShard<'_>],
    options: &IndexOptions,
    progress: &mut dyn FnMut(IndexProgress) -> ControlFlow<()>,
) -> Result<IndexDescription, IndexError> {
    let mut step = |done| if progress(done).is_break() { Err(IndexError::Stopped) } else { Ok(()) };
    fs::create_dir_all(folder).map_err(io(folder))?;
    if options.fresh {
        clear(folder)?;
    }
    let plan = plan(folder, shards, options)?;
    if folder.join(DESCRIPTION).exists() {
        return finished(folder, &plan);
    }
    let path = folder.join(PLAN);
    if path.exists() {
        resume(&path, &plan)?;
    } else {
        // What else lies here belongs to no plan.
        clear(folder)?;
        put_json(&path, &plan)?;
    }
    step(IndexProgress::Chosen(IndexChoice { factory: plan.factory.clone(), reason: plan.reason.clone(), bytes: plan.bytes }))?;
    let training = trained(folder, &plan, shards, options)?;
    step(IndexProgress::Trained { vectors: training.vectors })?;
    let spans = spans(shards, plan.part_rows);
    let (mut parts, mut rows) = (Vec::with_capacity(spans.len()), 0);
    let mut uids = None;
    fs::create_dir_all(folder.join(PARTS)).map_err(io(folder))?;
    for (number, (shard, span)) in spans.iter().enumerate() {
        let expected = (*shard, span.start, span.len());
        let part = match done(folder, number)? {
            Some(part) if (part.shard, part.start, part.rows) == expected && part.trained_sha256 == training.sha256 => part,
            _ => add(folder, &plan, &training, number, *shard, &shards[*shard], span.clone(), options, &mut uids)?,
        };
        rows += span.len() as u64;
        parts.push(part);
        step(IndexProgress::Added { parts: parts.len(), of: spans.len(), rows })?;
    }
    let description = finish(folder, &plan, &training, &parts, &spans_start(&spans, shards), options)?;
    tracing::info!(vectors = description.vectors, factory = description.factory, "index built");
    step(IndexProgress::Finished)?;
    Ok(description)
}

/// The shards in pieces that are checkpoints.
fn spans(shards: &[IndexShard<'_>], part_rows: usize) -> Vec<(usize, Range<usize>)> {
    let of = |(shard, rows): (usize, usize)| (0..rows).step_by(part_rows).map(move |start| (shard, start..rows.min(start + part_rows)));
    shards.iter().map(|shard| shard.vectors.len()).enumerate().flat_map(of).collect()
}

/// The number of the first row of each part, over all shards.
fn spans_start(spans: &[(usize, Range<usize>)], shards: &[IndexShard<'_>]) -> Vec<u64> {
    let mut before = vec![0_u64; shards.len() + 1];
    for (at, shard) in shards.iter().enumerate() {
        before[at + 1] = before[at] + shard.vectors.len() as u64;
    }
    spans.iter().map(|(shard, span)| before[*shard] + span.start as u64).collect()
}

fn plan(folder: &Path, shards: &[IndexShard<'_>], options: &IndexOptions) -> Result<Plan, IndexError> {
    let Some(first) = shards.first() else { return Err(IndexError::Empty) };
    let dim = first.vectors.dim();
    let other = |shard: &&IndexShard<'_>| shard.vectors.dim() != dim && !shard.vectors.is_empty();
    if let Some(shard) = shards.iter().find(other) {
        return Err(IndexError::Dimensions {
            what: format!("`{}`", shard.name),
            expected: dim,
            found: shard.vectors.dim(),
            model: options.model.clone(),
            found_model: options.model.clone(),
        });
    }
    if options.part_rows == 0 {
        return Err(setting("part rows", 0, "1 or more are needed"));
    }
    let rows: u64 = shards.iter().map(|shard| shard.vectors.len() as u64).sum();
    if rows == 0 {
        return Err(IndexError::Empty);
    }
    let has_uids = first.uids.is_some();
    if let Some(shard) = shards.iter().find(|shard| shard.uids.is_some() != has_uids) {
        let uids = if has_uids { 0 } else { shard.vectors.len() };
        return Err(IndexError::Uids { name: shard.name.clone(), rows: if has_uids { shard.vectors.len() } else { 0 }, uids });
    }
    let choice = match (&options.trained_like, &options.factory) {
        (Some(like), factory) => {
            let like_description = IndexDescription::read(like)?;
            same(folder, "metric", options.metric.name(), like_description.metric.name())?;
            same(folder, "dim", dim, like_description.dim)?;
            if let Some(factory) = factory {
                same(folder, "kind", factory, &like_description.factory)?;
            }
            let reason = format!("as `{}`", like.display());
            IndexChoice { factory: like_description.factory, reason, bytes: 0 }
        }
        (None, Some(factory)) => IndexChoice { factory: factory.clone(), reason: "given".into(), bytes: 0 },
        (None, None) => choose_index(rows, dim, &options.limits)?,
    };
    Ok(Plan {
        format_version: INDEX_FORMAT,
        factory: choice.factory,
        reason: choice.reason,
        bytes: choice.bytes,
        metric: options.metric,
        dim,
        model: options.model.clone(),
        weights_sha256: options.weights_sha256.clone(),
        seed: options.seed,
        training: options.training,
        trained_like: options.trained_like.as_ref().map(|path| path.display().to_string()),
        part_rows: options.part_rows.min((PART_BYTES / (4 * dim.max(1))).max(1)),
        has_uids,
        sources: shards
            .iter()
            .map(|shard| IndexSource { name: shard.name.clone(), digest: shard.digest.clone(), rows: shard.vectors.len() as u64 })
            .collect(),
    })
}

fn same(path: &Path, what: &'static str, expected: impl ToString, found: impl ToString) -> Result<(), IndexError> {
    let (expected, found) = (expected.to_string(), found.to_string());
    if expected == found { Ok(()) } else { Err(IndexError::OtherBuild { path: path.to_path_buf(), what, expected, found }) }
}

/// Refuses to go on with another plan.
fn resume(path: &Path, plan: &Plan) -> Result<(), IndexError> {
    let bytes = fs::read(path).map_err(io(path))?;
    let begun: Plan =
        serde_json::from_slice(&bytes).map_err(|error| IndexError::Description { path: path.to_path_buf(), message: error.to_string() })?;
    same(path, "format version", plan.format_version, begun.format_version)?;
    same(path, "kind", &plan.factory, &begun.factory)?;
    same(path, "metric", plan.metric.name(), begun.metric.name())?;
    same(path, "dim", plan.dim, begun.dim)?;
    same(path, "model", &plan.model, &begun.model)?;
    same(path, "weights", &plan.weights_sha256, &begun.weights_sha256)?;
    same(path, "seed", plan.seed, begun.seed)?;
    same(path, "rows of a part", plan.part_rows, begun.part_rows)?;
    sources(path, &plan.sources, &begun.sources)?;
    same(path, "other settings", format!("{plan:?}"), format!("{begun:?}"))
}

fn sources(path: &Path, given: &[IndexSource], begun: &[IndexSource]) -> Result<(), IndexError> {
    same(path, "shards", given.len(), begun.len())?;
    for (given, begun) in given.iter().zip(begun) {
        let text = |source: &IndexSource| format!("`{}` ({} rows, digest `{}`)", source.name, source.rows, source.digest);
        same(path, "shard", text(given), text(begun))?;
    }
    Ok(())
}

/// The description of an index that is finished, if it is the one that is asked for.
fn finished(folder: &Path, plan: &Plan) -> Result<IndexDescription, IndexError> {
    let found = IndexDescription::read(folder)?;
    same(folder, "kind", &plan.factory, &found.factory)?;
    same(folder, "metric", plan.metric.name(), found.metric.name())?;
    same(folder, "dim", plan.dim, found.dim)?;
    same(folder, "model", &plan.model, &found.model)?;
    same(folder, "weights", &plan.weights_sha256, &found.weights_sha256)?;
    same(folder, "seed", plan.seed, found.seed)?;
    sources(folder, &plan.sources, &found.sources)?;
    tidy(folder)?;
    Ok(found)
}

/// Removes what only building needs.
pub(super) fn tidy(folder: &Path) -> Result<(), IndexError> {
    remove(&folder.join(PARTS))?;
    remove(&folder.join(PLAN))
}

pub(super) fn clear(folder: &Path) -> Result<(), IndexError> {
    // The description first: without it the folder is no index.
    for name in [DESCRIPTION, PLAN, PARTS, "index.faiss", TRAINED, "trained.json", super::uids::UIDS, super::uids::ROWS] {
        remove(&folder.join(name))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), IndexError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}

/// The trained index, made if it is not there.
fn trained(folder: &Path, plan: &Plan, shards: &[IndexShard<'_>], options: &IndexOptions) -> Result<Training, IndexError> {
    let (path, marker) = (folder.join(TRAINED), folder.join("trained.json"));
    if marker.exists() {
        let bytes = fs::read(&marker).map_err(io(&marker))?;
        return serde_json::from_slice(&bytes).map_err(|error| IndexError::Description { path: marker, message: error.to_string() });
    }
    let mut index = Raw::make(&plan.factory, plan.dim, plan.metric)?;
    let training = if index.is_trained() {
        Training { vectors: 0, sha256: String::new() }
    } else {
        let vectors = if let Some(like) = &options.trained_like {
            let from = like.join(TRAINED);
            put_bytes(&path, &fs::read(&from).map_err(io(&from))?)?;
            IndexDescription::read(like)?.training_vectors
        } else {
            let vectors = train(&mut index, shards, options)?;
            put(&path, |path| index.write(path))?;
            vectors as u64
        };
        Training { vectors, sha256: sha256(&path)? }
    };
    put_json(&marker, &training)?;
    Ok(training)
}

/// The paths of a part: index, uids, rows that are vectors, and the marker.
pub(super) fn part_paths(folder: &Path, number: usize) -> [PathBuf; 4] {
    ["faiss", "uids", "rows", "json"].map(|ending| folder.join(PARTS).join(format!("{number:06}.{ending}")))
}

fn done(folder: &Path, number: usize) -> Result<Option<Part>, IndexError> {
    let [.., marker] = part_paths(folder, number);
    match fs::read(&marker) {
        // A marker that cannot be read marks nothing.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(&marker)(error)),
    }
}

/// Uids of the shard that was asked last.
type Uids = Option<(usize, Vec<u8>)>;

#[expect(clippy::too_many_arguments, reason = "one step of one loop")]
fn add(
    folder: &Path,
    plan: &Plan,
    training: &Training,
    number: usize,
    at: usize,
    shard: &IndexShard<'_>,
    span: Range<usize>,
    options: &IndexOptions,
    uids: &mut Uids,
) -> Result<Part, IndexError> {
    let [index_path, uids_path, rows_path, marker] = part_paths(folder, number);
    let empty = Raw::make(&plan.factory, plan.dim, plan.metric)?;
    // Inverted files of one training are merged list by list; every other kind gets its vectors at the end, in order.
    let mut index = if !empty.can_take(&plan.factory) {
        Raw::make("Flat", plan.dim, plan.metric)?
    } else if training.sha256.is_empty() {
        empty
    } else {
        Raw::read(&folder.join(TRAINED), false)?
    };
    let _threads = Threads::set(options.threads);
    let (mut left_out, mut kept, mut data) = (LeftOut::default(), Vec::new(), Vec::new());
    for start in span.clone().step_by(BLOCK) {
        data.clear();
        let rows = start..span.end.min(start + BLOCK);
        let rows = read(shard.vectors, rows, plan.metric, &mut left_out, &mut data);
        index.add(&data)?;
        kept.extend(rows.into_iter().flat_map(|row| ((row - span.start) as u64).to_le_bytes()));
    }
    put(&index_path, |path| index.write(path))?;
    put_bytes(&rows_path, &kept)?;
    if let Some(source) = &shard.uids {
        if uids.as_ref().is_none_or(|(of, _)| *of != at) {
            let given = source().map_err(|source| IndexError::UidSource { name: shard.name.clone(), source })?;
            if given.len() != shard.vectors.len() {
                return Err(IndexError::Uids { name: shard.name.clone(), rows: shard.vectors.len(), uids: given.len() });
            }
            *uids = Some((at, given.into_iter().flat_map(|uid| uid.to_subset_bytes()).collect()));
        }
        let bytes = uids.as_ref().map_or(&[][..], |(_, bytes)| &bytes[span.start * 16..span.end * 16]);
        put_bytes(&uids_path, bytes)?;
    }
    let part = Part {
        shard: at,
        start: span.start,
        rows: span.len(),
        vectors: (kept.len() / 8) as u64,
        left_out,
        trained_sha256: training.sha256.clone(),
    };
    put_json(&marker, &part)?;
    Ok(part)
}
