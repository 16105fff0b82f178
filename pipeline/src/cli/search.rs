//! `search`: asks an index by text, picture, uid or vector.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use trommel_embeddings::index::{Access, Allowed, Hit, Index, SearchOptions, UidDigest};
use trommel_embeddings::neighbours::Vectors;
use trommel_embeddings::scores::{Rows, VectorSource};
use trommel_embeddings::{EmbedderOptions, describe};
use trommel_shards::image::Processor;
use trommel_shards::source::expand;
use trommel_shards::vectors::open_vectors;

use super::Exit;
use super::args::{Common, SearchArgs};
use super::output::{print, say};
use super::run::checking_session;
use crate::gallery::{Pictures, Shown, page};
use crate::scorers::{ScoreModel, Scorer};
use crate::search::{FileVectors, source_of};
use crate::select::{Inputs, Said, file_of, rows_at, rows_where, uids_of};

/// Columns that are shown where they are there.
const SHOWN: [&str; 5] = ["url", "text", "caption", "width", "height"];

/// What is asked, and what it is called.
struct Asked {
    names: Vec<String>,
    vectors: Vec<f32>,
    model: String,
}

pub(super) async fn run(common: &Common, args: SearchArgs) -> anyhow::Result<Exit> {
    let access = if args.mapped { Access::Mapped } else { Access::Memory };
    let folder = args.index.clone();
    let index = tokio::task::spawn_blocking(move || Index::open(Path::new(&folder), access)).await??;
    let description = index.description().clone();
    // The metadata that the index was made of, where nothing else is said.
    let inputs = match args.meta.is_empty() {
        false => Inputs::find(&args.meta).await,
        true => {
            // In the order of the index, which a merged one need not have from the files' names.
            let mut files = Vec::new();
            for source in &description.sources {
                files.extend(expand(source_of(&source.name).0).await?);
            }
            tokio::task::block_in_place(|| Inputs::open(files))
        }
    };
    let inputs = Arc::new(inputs.context("the index's metadata (name it with `--meta`)")?);
    tokio::task::block_in_place(|| belongs(&index, &inputs))?;
    let asked = ask(common, &args, &index, &inputs).await?;
    let rows = Rows::new(&asked.vectors, description.dim, None)?;
    let allowed = match &args.predicate {
        None => None,
        Some(sql) => {
            let mut allowed = Allowed::none(description.rows);
            let context = checking_session()?;
            tokio::task::block_in_place(|| rows_where(&inputs, &context, sql, |row| allowed.allow(row)))?;
            Some(allowed)
        }
    };
    let options = SearchOptions {
        probes: args.probes,
        ef_search: args.ef_search,
        allowed: allowed.as_ref(),
        threads: common.threads(),
        ..SearchOptions::new(args.k as usize)
    };
    let queries = Vectors::new(&rows, &asked.model);
    let answer = tokio::task::block_in_place(|| match args.at_least {
        Some(least) => index.search_range(&queries, least, &options),
        None => index.search(&queries, &options),
    })?;
    let mut hits = answer.hits;
    if args.at_least.is_some() {
        hits.iter_mut().for_each(|hits| hits.truncate(args.k as usize));
    }
    let columns: Vec<String> = match args.columns.is_empty() {
        true => SHOWN.iter().filter(|name| inputs.has(name)).map(|name| (*name).to_owned()).collect(),
        false => args.columns.clone(),
    };
    if let Some(missing) = columns.iter().find(|name| !inputs.has(name)) {
        bail!("no column `{missing}` in the metadata");
    }
    let wanted: Vec<u64> = hits.iter().flatten().map(|hit| hit.row).collect();
    let said = tokio::task::block_in_place(|| rows_at(&inputs, &wanted, &columns))?;
    if let Some(file) = &args.html {
        let html = tokio::task::block_in_place(|| as_page(&asked.names, &hits, &said, &inputs));
        std::fs::write(file, html).with_context(|| format!("`{}`", file.display()))?;
        say(&format!("{} results are in {}", wanted.len(), file.display()));
    }
    if common.json {
        print(&as_json(&asked.names, &hits, &said)?)?;
    } else if args.html.is_none() {
        print(&as_table(&asked.names, &hits, &said))?;
    }
    Ok(Exit::Done)
}

/// Refuses metadata that the index was not made of.
fn belongs(index: &Index, inputs: &Inputs) -> anyhow::Result<()> {
    let description = index.description();
    let digest = match description.uids_sha256 {
        Some(_) if inputs.rows() == description.rows => {
            let mut digest = UidDigest::default();
            for file in 0..inputs.files.len() {
                uids_of(inputs, file)?.into_iter().for_each(|uid| digest.push(uid));
            }
            Some(digest.finish())
        }
        _ => None,
    };
    Ok(index.check_belongs(inputs.rows(), digest.as_deref())?)
}

async fn ask(common: &Common, args: &SearchArgs, index: &Index, inputs: &Arc<Inputs>) -> anyhow::Result<Asked> {
    let mut asked = Asked { names: Vec::new(), vectors: Vec::new(), model: String::new() };
    if !args.texts.is_empty() || !args.images.is_empty() {
        let Some(model) = &args.model else { bail!("texts and pictures are asked through a model: name it with `--model`") };
        let (named, device) = (model.clone(), args.device.clone());
        let threads = common.threads();
        let scorer = tokio::task::spawn_blocking(move || -> anyhow::Result<Scorer> {
            let options = EmbedderOptions { device: device.parse()?, threads, ..EmbedderOptions::default() };
            let card = describe(&named, &options)?;
            let model =
                ScoreModel { name: "query".into(), card, batch: None, max_num_patches: None, device, heads: Vec::new(), prompts: None };
            Ok(Scorer::open(&model, threads)?)
        });
        let scorer = scorer.await??;
        asked.model = scorer.embedder().card().model.clone();
        let mut processor = Processor::new()?;
        let mut pictures = Vec::new();
        for image in &args.images {
            let bytes = std::fs::read(image).with_context(|| format!("`{}`", image.display()))?;
            let prepared = scorer.of_encoded(&mut processor, &bytes);
            pictures.push(Some(prepared.ok_or_else(|| anyhow!("`{}` is no picture that can be decoded", image.display()))?));
        }
        let captions = args.texts.iter().cloned().map(Some).collect::<Vec<_>>();
        let of_pictures = scorer.embed(pictures, vec![None; args.images.len()]).await?;
        let of_texts = scorer.embed(args.texts.iter().map(|_| None).collect(), captions).await?;
        for (name, vector) in
            args.images.iter().map(|image| image.display().to_string()).zip(of_pictures.into_iter().map(|pair| pair.image))
        {
            asked.vectors.extend(vector.ok_or_else(|| anyhow!("the model gives no vector for `{name}`"))?);
            asked.names.push(name);
        }
        for (text, vector) in args.texts.iter().zip(of_texts.into_iter().map(|pair| pair.text)) {
            asked.vectors.extend(vector.ok_or_else(|| anyhow!("the model gives no vector for `{text}`"))?);
            asked.names.push(text.clone());
        }
    }
    let (index_dim, sources) = (index.description().dim, &index.description().sources);
    for uid in &args.uids {
        let row = index.row_of(uid.parse()?).ok_or_else(|| anyhow!("no row of the index has the uid {uid}"))?;
        let (file, at) = file_of(inputs, row).ok_or_else(|| anyhow!("the metadata has no row {row}"))?;
        let source = sources.get(file).ok_or_else(|| anyhow!("the index has no file {file}"))?;
        let (inputs, key) = (Arc::clone(inputs), source_of(&source.name).1.to_owned());
        let vector = tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<f32>> {
            let file = &inputs.files[file];
            let vectors = FileVectors::open(&file.uri, &key, file.rows, &Arc::default())?;
            let mut vector = vec![0.0; vectors.dim()];
            let valid = vectors.is_valid(at as usize);
            vectors.copy(at as usize, &mut vector);
            match (vectors.take_failure(), valid) {
                (Some(error), _) => Err(error.into()),
                (None, false) => bail!("this row has no vector"),
                (None, true) => Ok(vector),
            }
        });
        asked.vectors.extend(vector.await?.with_context(|| format!("uid {uid}"))?);
        asked.names.push(uid.clone());
    }
    for file in &args.vectors {
        let mut reader = open_vectors(file, None, 1024)?;
        if reader.dim() != index_dim {
            bail!("`{file}` has vectors of {} components, the index is of {index_dim}", reader.dim());
        }
        if let Some(made) = reader.provenance()
            && asked.model.is_empty()
        {
            asked.model.clone_from(&made.model);
        }
        let mut row = 0;
        while let Some(block) = reader.next_block()? {
            let rows = block.rows()?;
            asked.vectors.extend(rows.data());
            asked.names.extend((0..rows.len()).map(|at| format!("{file}#{}", row + at)));
            row += rows.len();
        }
    }
    match asked.names.is_empty() {
        true => bail!("nothing is asked: `--text`, `--image`, `--uid` or `--vectors`"),
        false => Ok(asked),
    }
}

fn as_json(names: &[String], hits: &[Vec<Hit>], said: &BTreeMap<u64, Said>) -> anyhow::Result<String> {
    let mut lines = String::new();
    for (name, hits) in names.iter().zip(hits) {
        for (rank, hit) in hits.iter().enumerate() {
            let mut line = json!({
                "query": name,
                "rank": rank + 1,
                "uid": hit.uid.map(|uid| uid.to_string()),
                "row": hit.row,
                "similarity": hit.similarity,
            });
            for (column, text) in said.get(&hit.row).into_iter().flatten() {
                line[column] = Value::from(text.clone());
            }
            lines.push_str(&serde_json::to_string(&line)?);
            lines.push('\n');
        }
    }
    Ok(lines)
}

fn as_table(names: &[String], hits: &[Vec<Hit>], said: &BTreeMap<u64, Said>) -> String {
    let mut text = String::new();
    for (name, hits) in names.iter().zip(hits) {
        if names.len() > 1 {
            text.push_str(&format!("{name}\n"));
        }
        for hit in hits {
            let uid = hit.uid.map_or_else(|| hit.row.to_string(), |uid| uid.to_string());
            let row = said.get(&hit.row);
            // Control characters of the web have no place on a terminal.
            let plain = |name: &str| {
                let text = row.and_then(|row| row.get(name)).map_or("", String::as_str);
                text.chars().filter(|c| !c.is_control()).take(80).collect::<String>()
            };
            let caption = ["text", "caption"].map(plain).into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            text.push_str(&format!("{:>8.4}  {uid}  {caption}  {}\n", hit.similarity, plain("url")));
        }
    }
    text
}

fn as_page(names: &[String], hits: &[Vec<Hit>], said: &BTreeMap<u64, Said>, inputs: &Inputs) -> String {
    let place = |row: u64| file_of(inputs, row).map(|(file, at)| (inputs.files[file].uri.clone(), at));
    let wanted: Vec<(String, u64)> = hits.iter().flatten().filter_map(|hit| place(hit.row)).collect();
    let pictures = Pictures::find(&wanted);
    let groups: Vec<(String, Vec<Shown>)> = names
        .iter()
        .zip(hits)
        .map(|(name, hits)| {
            let shown = hits.iter().map(|hit| {
                let picture = place(hit.row)
                    .and_then(|(file, at)| pictures.get(&file, at).map(|(ending, bytes)| (ending.to_owned(), bytes.to_vec())));
                let row = said.get(&hit.row);
                let mut lines = vec![format!("{:.4}", hit.similarity)];
                lines.extend(hit.uid.map(|uid| uid.to_string()));
                lines.extend(
                    row.into_iter().flatten().filter(|(name, _)| *name == "text" || *name == "caption").map(|(_, text)| text.clone()),
                );
                Shown { picture, url: row.and_then(|row| row.get("url").cloned()), lines, marked: false }
            });
            (name.clone(), shown.collect())
        })
        .collect();
    page("Search", "The nearest first; the number is the similarity.", &groups)
}
