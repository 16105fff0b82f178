//! One index of all parts.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use super::build::{PARTS, Part, Plan, TRAINED, Training, part_paths, tidy};
use super::description::{DESCRIPTION, INDEX_FORMAT};
use super::error::io;
use super::files::{concatenate, put, put_json, sha256};
use super::raw::{Raw, Threads};
use super::uids::{ROWS, UIDS};
use super::{IndexDescription, IndexError, IndexOptions, LeftOut};

/// Name of the index itself.
pub(super) const INDEX: &str = "index.faiss";
/// Vectors that are moved at a time.
const BLOCK: usize = 16_384;

pub(super) fn finish(
    folder: &Path,
    plan: &Plan,
    training: &Training,
    parts: &[Part],
    starts: &[u64],
    options: &IndexOptions,
) -> Result<IndexDescription, IndexError> {
    let rows = plan.sources.iter().map(|source| source.rows).sum();
    let vectors: u64 = parts.iter().map(|part| part.vectors).sum();
    let mut left_out = LeftOut::default();
    parts.iter().for_each(|part| left_out.add(&part.left_out));
    if vectors == 0 {
        return Err(IndexError::Empty);
    }
    let uids_sha256 = if plan.has_uids {
        let files: Vec<_> = (0..parts.len()).map(|part| part_paths(folder, part)[1].clone()).collect();
        put(&folder.join(UIDS), |path| concatenate(&files, path))?;
        Some(sha256(&folder.join(UIDS))?)
    } else {
        None
    };
    if vectors < rows {
        put(&folder.join(ROWS), |path| {
            let mut out = BufWriter::new(File::create(path).map_err(io(path))?);
            for (part, &start) in starts.iter().enumerate() {
                let from = &part_paths(folder, part)[2];
                for row in fs::read(from).map_err(io(from))?.as_chunks::<8>().0 {
                    out.write_all(&(start + u64::from_le_bytes(*row)).to_le_bytes()).map_err(io(path))?;
                }
            }
            out.flush().map_err(io(path))
        })?;
    }
    let mut index = if training.sha256.is_empty() {
        Raw::make(&plan.factory, plan.dim, plan.metric)?
    } else {
        Raw::read(&folder.join(TRAINED), false)?
    };
    for part in 0..parts.len() {
        let from = Raw::read(&part_paths(folder, part)[0], false)?;
        if index.can_take(&plan.factory) {
            index.take(from)?;
        } else {
            append(&mut index, &from, &plan.factory, options)?;
        }
    }
    if index.count() as u64 != vectors {
        let (expected, found) = (vectors.to_string(), index.count().to_string());
        return Err(IndexError::Damaged { path: folder.join(PARTS), what: "the number of vectors", expected, found });
    }
    defaults(&mut index, &plan.factory)?;
    put(&folder.join(INDEX), |path| index.write(path))?;
    let description = IndexDescription {
        format_version: INDEX_FORMAT,
        factory: plan.factory.clone(),
        reason: plan.reason.clone(),
        metric: plan.metric,
        dim: plan.dim,
        rows,
        vectors,
        left_out,
        model: plan.model.clone(),
        weights_sha256: plan.weights_sha256.clone(),
        uids_sha256,
        seed: plan.seed,
        training_vectors: training.vectors,
        trained_sha256: training.sha256.clone(),
        sources: plan.sources.clone(),
    };
    put_json(&folder.join(DESCRIPTION), &description)?;
    tidy(folder)?;
    Ok(description)
}

/// Adds the vectors of a flat index behind those of another.
pub(super) fn append(index: &mut Raw, from: &Raw, factory: &str, options: &IndexOptions) -> Result<(), IndexError> {
    // Threads that link a graph see each other's nodes by chance; one thread sees those before.
    let _threads = Threads::set(if factory.contains("HNSW") { options.graph_threads } else { options.threads });
    let dim = index.dim();
    let mut data = vec![0.0; BLOCK.min(from.count()) * dim];
    for start in (0..from.count()).step_by(BLOCK) {
        let some = &mut data[..BLOCK.min(from.count() - start) * dim];
        from.reconstruct(start, some)?;
        index.add(some)?;
    }
    Ok(())
}

/// How thorough a search is when nothing is said, in other programs too: faiss's own defaults look into one list, and
/// follow 16 nodes.
pub(super) fn defaults(index: &mut Raw, factory: &str) -> Result<(), IndexError> {
    if let Some((lists, _)) = index.list_counts() {
        let probes = (lists / 64).clamp(16, 256).min(lists);
        index.set_parameter(c"nprobe", probes)?;
        if factory.contains("_HNSW") {
            index.set_parameter(c"quantizer_efSearch", 2 * probes)?;
        }
    } else if factory.contains("HNSW") {
        index.set_parameter(c"efSearch", 64)?;
    }
    Ok(())
}
