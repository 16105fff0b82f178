//! Before a run: what no pass of this job and no marker names is taken away.

use std::collections::BTreeSet;

use trommel_shards::marker::Marker;
use trommel_shards::storage::Storage;

use super::error::JobError;
use super::passes::Pass;

/// Removes the outputs of passes that the recipe no longer has, and files that a killed run left without a marker.
///
/// Only files that have the names of ours are touched: what lies in our own folders, and at the root shards by number or
/// by unit. The lock must be held.
pub(super) async fn strangers(storage: &Storage, passes: &[Pass]) -> Result<(), JobError> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for entry in storage.list("_trommel/done").await? {
        let Some((pass, unit)) = entry.name.strip_prefix("_trommel/done/").and_then(|rest| rest.trim_end_matches(".json").split_once('/'))
        else {
            continue;
        };
        let marker = Marker::read(storage, pass, unit).await?;
        if passes.iter().any(|known| belongs(pass, &known.name)) {
            named.extend(marker.into_iter().flat_map(|marker| marker.outputs.into_keys()));
        } else {
            storage.delete(&entry.name).await?;
        }
    }
    // Signs of life of runs that are over: this one has the output for itself.
    for entry in storage.list("_trommel/runs").await? {
        storage.delete(&entry.name).await?;
    }
    for entry in storage.list("").await? {
        if is_ours(&entry.name) && !named.contains(&entry.name) {
            storage.delete(&entry.name).await?;
        }
    }
    Ok(())
}

/// Whether a marker folder belongs to a pass: its own, that of its units, or one of its rounds.
fn belongs(folder: &str, pass: &str) -> bool {
    let base = folder.strip_suffix("-units").unwrap_or(folder);
    let base = match base.rsplit_once("-round-") {
        Some((base, round)) if round.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => base,
    };
    base == pass
}

/// Whether a name is one that a job of ours gives to an output.
fn is_ours(name: &str) -> bool {
    if let Some(rest) = name.strip_prefix("_trommel/") {
        return ["tables/", "lists/", "deferred/", "failed/"].iter().any(|folder| rest.starts_with(folder));
    }
    if ["excluded/", "raw/", "selection/"].iter().any(|folder| name.starts_with(folder)) {
        return true;
    }
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.split_once('/') {
        // The layout of plain files: a folder per shard, members by key.
        Some((shard, member)) => number(shard) && member.starts_with(shard) && member.split_once('.').is_some_and(|(key, _)| number(key)),
        None => {
            let stem = ["_stats.json", ".tar", ".parquet"].iter().find_map(|ending| name.strip_suffix(ending));
            let by_unit = |stem: &str| {
                stem.rsplit_once('-').is_some_and(|(_, hash)| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
            };
            stem.is_some_and(|stem| number(stem) || by_unit(stem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_taken_away() {
        for ours in [
            "00000.tar",
            "00012_stats.json",
            "a_wat_gz-0123456789abcdef.parquet",
            "excluded/0-extract/x.parquet",
            "00000/000000001.jpg",
            "_trommel/tables/a/b.parquet",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for others in ["notes.txt", "my.parquet", "a-b.tar", "funnel.json", "_trommel/job.json", "_trommel/lock", "2024/report.csv"] {
            assert!(!is_ours(others), "{others}");
        }
    }

    #[test]
    fn rounds_and_units_belong_to_their_pass() {
        assert!(belongs("4-fetch", "4-fetch") && belongs("4-fetch-units", "4-fetch") && belongs("4-fetch-round-2-units", "4-fetch"));
        assert!(!belongs("5-fetch", "4-fetch"));
    }
}
