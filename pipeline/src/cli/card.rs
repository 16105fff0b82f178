//! `card`: what a dataset is, for people and for machines.

use anyhow::Context;
use trommel_shards::card::{CROISSANT_FILE, CardOptions, Facts, MANIFEST_FILE, MARKDOWN_FILE, Party, cards};
use trommel_shards::storage::Storage;

use super::Exit;
use super::args::CardArgs;
use super::output::say;
use crate::report::facts_of;

pub(super) async fn run(args: CardArgs, quiet: bool) -> anyhow::Result<Exit> {
    let storage = Storage::open(&args.dir)?;
    let mut facts: Facts = facts_of(&storage).await?;
    facts.name = args.name;
    facts.description = args.description;
    facts.license = args.license;
    facts.url = args.url;
    facts.creators = args.creators.iter().map(|name| Party::organization(name)).collect();
    facts.date_published = args.date;
    facts.version = Some(args.dataset_version);
    if let Some(file) = &args.notes {
        let text = std::fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
        facts.notes = toml::from_str(&text).with_context(|| format!("`{}`", file.display()))?;
    }
    write(&storage, &facts).await?;
    if !quiet {
        say(&format!("{CROISSANT_FILE} and {MARKDOWN_FILE} are in {}", args.dir));
    }
    Ok(Exit::Done)
}

/// Writes the cards beside the dataset.
pub(super) async fn write(storage: &Storage, facts: &Facts) -> anyhow::Result<()> {
    let made = cards(facts, &CardOptions::default()).context("the card")?;
    storage.put(CROISSANT_FILE, made.croissant).await?;
    storage.put(MARKDOWN_FILE, made.markdown).await?;
    if let Some(manifest) = made.manifest {
        storage.put(MANIFEST_FILE, manifest).await?;
    }
    Ok(())
}
