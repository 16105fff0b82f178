//! `validate`: a recipe, a shard, or a whole output folder against its markers.

use std::path::Path;

use anyhow::{Context, bail};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use trommel_shards::marker::Marker;
use trommel_shards::storage::Storage;
use trommel_shards::tar::read_members;

use super::Exit;
use super::args::Common;
use super::output::{print, say};
use crate::ledger::JobFile;
use crate::recipe::{Recipe, compile};

pub(super) async fn validate(common: &Common, path: &str) -> anyhow::Result<Exit> {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
    let (what, problems) = match ending {
        Some("toml") => (recipe(path).await?, Vec::new()),
        Some("tar") => tar(path)?,
        Some("parquet") => (parquet(path)?, Vec::new()),
        _ => folder(path).await?,
    };
    if common.json {
        print(&format!("{:#}\n", serde_json::json!({ "path": path, "checked": what, "problems": problems })))?;
    } else {
        print(&format!("{what}\n"))?;
        for problem in &problems {
            say(&format!("problem: {problem}"));
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Partly })
}

async fn recipe(path: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("`{path}` cannot be read"))?;
    let recipe = Recipe::parse(path, &text)?;
    let compiled = compile(&recipe, &super::run::checking_session()?, false).await?;
    Ok(format!("the recipe is sound: {} stages in {} passes", compiled.job.stages.len(), compiled.job.passes.len()))
}

fn tar(path: &str) -> anyhow::Result<(String, Vec<String>)> {
    let bytes = std::fs::read(path).with_context(|| format!("`{path}` cannot be read"))?;
    let members = read_members(&bytes).with_context(|| format!("`{path}`"))?;
    let mut problems = Vec::new();
    let mut samples = 0;
    let mut last = String::new();
    let mut seen = std::collections::HashSet::new();
    let mut endings = std::collections::HashSet::new();
    for member in &members {
        let base = member.name.rfind('/').map_or(0, |at| at + 1);
        let (key, ending) = match member.name[base..].find('.') {
            Some(dot) => (&member.name[..base + dot], &member.name[base + dot + 1..]),
            None => {
                problems.push(format!("member `{}` has no ending", member.name));
                continue;
            }
        };
        if key != last {
            samples += 1;
            if !seen.insert(key.to_owned()) {
                problems.push(format!("the members of `{key}` are not adjacent"));
            }
            key.clone_into(&mut last);
            endings.clear();
        }
        if !endings.insert(ending.to_owned()) {
            problems.push(format!("`{key}` has two members with the ending `{ending}`"));
        }
        if ending == "json" && serde_json::from_slice::<serde_json::Value>(member.content).is_err() {
            problems.push(format!("`{}` is no JSON", member.name));
        }
    }
    Ok((format!("{} members, {samples} samples", members.len()), problems))
}

fn parquet(path: &str) -> anyhow::Result<String> {
    let file = std::fs::File::open(path).with_context(|| format!("`{path}` cannot be read"))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).with_context(|| format!("`{path}`"))?;
    let columns = builder.schema().fields().len();
    let groups = builder.metadata().num_row_groups();
    let mut rows = 0;
    for batch in builder.build()? {
        rows += batch.with_context(|| format!("`{path}`"))?.num_rows();
    }
    Ok(format!("{rows} rows, {columns} columns, {groups} row groups"))
}

/// Every output of every marker: there, of the length and the digest that were written.
async fn folder(path: &str) -> anyhow::Result<(String, Vec<String>)> {
    if !path.contains("://") && !Path::new(path).is_dir() {
        bail!("`{path}` is neither a recipe, a shard nor a folder");
    }
    let storage = Storage::open(path)?;
    if JobFile::read(&storage).await?.is_none() {
        bail!("`{path}` holds no output of ours");
    }
    let mut problems = Vec::new();
    let (mut units, mut files) = (0, 0);
    let mut passes: Vec<String> = storage
        .list("_trommel/done")
        .await?
        .iter()
        .filter_map(|entry| entry.name.strip_prefix("_trommel/done/")?.split('/').next().map(str::to_owned))
        .collect();
    passes.dedup();
    for pass in passes {
        for (unit, marker) in Marker::read_all(&storage, &pass).await? {
            units += 1;
            for (name, output) in &marker.outputs {
                files += 1;
                match storage.get(name).await? {
                    None => problems.push(format!("`{name}` of unit `{unit}` is missing")),
                    Some(bytes) => {
                        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                        if digest != output.sha256 {
                            problems.push(format!(
                                "`{name}` of unit `{unit}` has changed: {} bytes, {} were written",
                                bytes.len(),
                                output.bytes
                            ));
                        }
                    }
                }
            }
        }
    }
    Ok((format!("{files} files of {units} units checked"), problems))
}
