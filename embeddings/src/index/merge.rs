//! One index of several.

use std::fs;
use std::path::{Path, PathBuf};

use super::build::{TRAINED, clear};
use super::description::DESCRIPTION;
use super::error::io;
use super::files::{concatenate, put, put_bytes, put_json, sha256};
use super::finish::{INDEX, append, defaults};
use super::raw::Raw;
use super::uids::{ROWS, Records, UIDS};
use super::{IndexDescription, IndexError, IndexOptions};

/// Merges indexes, their rows one after the other in the order given, into a new folder.
///
/// They must be of one kind, length, metric and model, and of one training (kinds with lists; build the others with
/// [`IndexOptions::trained_like`] the first). A graph (`HNSW`) is linked anew, by `graph_threads`; other kinds without lists
/// than `Flat` and `HNSW` cannot be merged. The inputs stay. Memory: the merged index and the largest input.
///
/// # Errors
/// [`IndexError::Merge`] names the index that does not fit, and why; else as [`build_index`](super::build_index).
pub fn merge_indexes<P: AsRef<Path>>(inputs: &[P], folder: &Path, options: &IndexOptions) -> Result<IndexDescription, IndexError> {
    let Some(first) = inputs.first().map(AsRef::as_ref) else { return Err(IndexError::Empty) };
    if inputs.iter().any(|input| same_place(input.as_ref(), folder)) {
        let message = "it is also where the result would go".into();
        return Err(IndexError::Merge { path: folder.to_path_buf(), message });
    }
    let mut merged = IndexDescription::read(first)?;
    let mut index = Raw::make(&merged.factory, merged.dim, merged.metric)?;
    let lists = index.can_take(&merged.factory);
    let whole = merged.factory == "Flat" || merged.factory.starts_with("HNSW") && !merged.factory.contains(',');
    if !lists && !whole {
        let message = format!("the kind `{}` has no lists that can be merged, and its vectors are not all there", merged.factory);
        return Err(IndexError::Merge { path: first.to_path_buf(), message });
    }
    let described: Vec<IndexDescription> = inputs.iter().map(|input| IndexDescription::read(input.as_ref())).collect::<Result<_, _>>()?;
    for (input, other) in inputs.iter().zip(&described).skip(1) {
        fits(input.as_ref(), &merged, other)?;
    }
    if folder.join(DESCRIPTION).exists() && !options.fresh {
        return Err(IndexError::Merge { path: folder.to_path_buf(), message: "an index is there already".into() });
    }
    fs::create_dir_all(folder).map_err(io(folder))?;
    clear(folder)?;
    if lists && !merged.trained_sha256.is_empty() {
        let from = first.join(TRAINED);
        put_bytes(&folder.join(TRAINED), &fs::read(&from).map_err(io(&from))?)?;
        index = Raw::read(&from, false)?;
    }
    for input in inputs {
        let from = Raw::read(&input.as_ref().join(INDEX), false)?;
        if lists {
            index.take(from)?;
        } else {
            append(&mut index, &from, &merged.factory, options)?;
        }
    }
    defaults(&mut index, &merged.factory)?;
    put(&folder.join(INDEX), |path| index.write(path))?;
    drop(index);
    let mut places = Vec::new();
    let all_rows: u64 = described.iter().map(|other| other.rows).sum();
    let all_vectors: u64 = described.iter().map(|other| other.vectors).sum();
    if all_vectors < all_rows {
        let mut start = 0;
        for (input, other) in inputs.iter().zip(&described) {
            if other.vectors < other.rows {
                let rows = Records::<8>::open(&input.as_ref().join(ROWS), "the file of rows", other.vectors)?;
                places.extend(rows.iter().flat_map(|row| (start + u64::from_le_bytes(row)).to_le_bytes()));
            } else {
                places.extend((0..other.rows).flat_map(|row| (start + row).to_le_bytes()));
            }
            start += other.rows;
        }
        put_bytes(&folder.join(ROWS), &places)?;
    }
    if merged.uids_sha256.is_some() {
        let files: Vec<PathBuf> = inputs.iter().map(|input| input.as_ref().join(UIDS)).collect();
        put(&folder.join(UIDS), |path| concatenate(&files, path))?;
        merged.uids_sha256 = Some(sha256(&folder.join(UIDS))?);
    }
    for other in &described[1..] {
        merged.rows += other.rows;
        merged.vectors += other.vectors;
        merged.left_out.add(&other.left_out);
        merged.sources.extend(other.sources.iter().cloned());
    }
    merged.reason = format!("merged of {} indexes; the first: {}", inputs.len(), merged.reason);
    put_json(&folder.join(DESCRIPTION), &merged)?;
    Ok(merged)
}

fn same_place(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn fits(path: &Path, first: &IndexDescription, other: &IndexDescription) -> Result<(), IndexError> {
    let pairs = [
        ("kind", first.factory.clone(), other.factory.clone()),
        ("length", first.dim.to_string(), other.dim.to_string()),
        ("metric", first.metric.name().into(), other.metric.name().into()),
        ("model", first.model.clone(), other.model.clone()),
        ("weights", first.weights_sha256.clone(), other.weights_sha256.clone()),
        ("training", first.trained_sha256.clone(), other.trained_sha256.clone()),
    ];
    for (what, first, other) in pairs {
        if first != other {
            let message = format!("its {what} is `{other}`, that of the first `{first}`");
            return Err(IndexError::Merge { path: path.to_path_buf(), message });
        }
    }
    if first.uids_sha256.is_some() != other.uids_sha256.is_some() {
        let (has, first_has) = if first.uids_sha256.is_some() { ("no uids", "some") } else { ("uids", "none") };
        return Err(IndexError::Merge { path: path.to_path_buf(), message: format!("it has {has}, the first {first_has}") });
    }
    Ok(())
}
