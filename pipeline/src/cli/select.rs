//! `select`: metadata in, a subset and a reason for everything else out.

use std::path::Path;

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;
use trommel_shards::storage::Storage;

use super::Exit;
use super::args::{Common, SelectArgs};
use super::output::{print, say};
use super::run::{checking_session, listen};
use crate::gallery::groups_page;
use crate::recipe::{Placed, StageSettings, parse_stages, selection_of};
use crate::select::{Inputs, SelectOptions, Selected, Selection, SubsetFormat, select};

/// Groups that a table of pass rates shows.
const GROUPS_SHOWN: usize = 12;

pub(super) async fn run(common: &Common, args: SelectArgs) -> anyhow::Result<Exit> {
    let (seed, stages) = match &args.recipe {
        Some(file) => {
            if !flag_stages(&args).is_empty() {
                bail!("`--recipe` names the stages: give them there, or as flags, not both");
            }
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).with_context(|| format!("`{name}` cannot be read"))?;
            parse_stages(&name, &text)?
        }
        None => (args.seed, flag_stages(&args).into_iter().map(Placed::of_flags).collect()),
    };
    if stages.is_empty() {
        bail!(
            "nothing is chosen: name a `--baseline`, a `--where`, `--top` and `--by`, `--near`, `--decontaminate`, `--retrieve`, `--cap`, `--sample`, `--balance`, or a `--recipe`"
        );
    }
    let selection: Selection = selection_of(seed, &stages)?;
    let Some(format) = SubsetFormat::of_name(&args.output) else {
        bail!("`{}`: a subset is a `.npy`, a `.parquet` or a `.txt` file", args.output);
    };
    if args.explain {
        print(&format!("{:#}\n", serde_json::to_value(&selection)?))?;
        return Ok(Exit::Done);
    }
    let (folder, name) = place(&args.output);
    let storage = Storage::open(&folder)?;
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).to_owned();
    let inputs = Inputs::find(&args.inputs).await?;
    let cancel = CancellationToken::new();
    listen(&cancel);
    let options = SelectOptions {
        storage: storage.clone(),
        subset: name,
        format,
        exclusions: (!args.no_exclusions).then(|| format!("{stem}.excluded")),
        groups: (!args.no_exclusions).then(|| format!("{stem}.groups")),
        diversity: !args.no_pass_rates,
        warn_factor: args.warn_factor,
        allow_empty: args.allow_empty,
        threads: common.threads(),
        spill_folder: common.spill.clone(),
        present: None,
        cancel,
    };
    let selected = select(&selection, &checking_session()?, &inputs, &options).await?;
    let mut text = serde_json::to_vec_pretty(&serde_json::json!({ "selection": selection, "result": selected }))?;
    text.push(b'\n');
    storage.put(&format!("{stem}.report.json"), text).await?;
    storage.delete(&format!("{stem}.groups.html")).await?;
    if !args.no_exclusions
        && let Some(page) = tokio::task::block_in_place(|| groups_page(&inputs, &selected))?
    {
        storage.put(&format!("{stem}.groups.html"), page.into_bytes()).await?;
    }
    report(common, &args.output, &selected)?;
    Ok(Exit::Done)
}

/// The stages that the flags name, in a fixed order.
fn flag_stages(args: &SelectArgs) -> Vec<StageSettings> {
    use crate::recipe::choosing::{BalanceSettings, BaselineSettings, CapSettings, SampleSettings};
    use crate::recipe::near::{DecontaminateSettings, NearSettings, RetrieveSettings};
    use crate::recipe::settings::KeepSettings;
    let mut stages = Vec::new();
    if args.baseline != BaselineSettings::default() {
        stages.push(StageSettings::Baseline(args.baseline.clone()));
    }
    if args.keep != KeepSettings::default() {
        stages.push(StageSettings::Keep(args.keep.clone()));
    }
    if args.decontaminate != DecontaminateSettings::default() {
        stages.push(StageSettings::Decontaminate(args.decontaminate.clone()));
    }
    if args.near != NearSettings::default() {
        stages.push(StageSettings::Near(args.near.clone()));
    }
    if args.retrieve != RetrieveSettings::default() {
        stages.push(StageSettings::Retrieve(args.retrieve.clone()));
    }
    if args.cap != CapSettings::default() {
        stages.push(StageSettings::Cap(args.cap.clone()));
    }
    if args.sample != SampleSettings::default() {
        stages.push(StageSettings::Sample(args.sample.clone()));
    }
    if args.balance != BalanceSettings::default() {
        stages.push(StageSettings::Balance(args.balance.clone()));
    }
    stages
}

/// Folder and name of a file, or of an object.
fn place(output: &str) -> (String, String) {
    match output.rsplit_once('/') {
        Some(("", name)) => ("/".to_owned(), name.to_owned()),
        Some((folder, name)) => (folder.to_owned(), name.to_owned()),
        None => (".".to_owned(), output.to_owned()),
    }
}

fn report(common: &Common, output: &str, selected: &Selected) -> anyhow::Result<()> {
    if common.json {
        let mut value = serde_json::to_value(selected)?;
        value["output"] = output.into();
        value["balances"] = selected.funnel.balances().into();
        print(&format!("{value:#}\n"))?;
        return Ok(());
    }
    if common.quiet {
        return Ok(());
    }
    say(&selected.funnel.table());
    for finding in &selected.findings {
        for line in described(&finding.found) {
            say(&format!("{}: {line}", finding.stage));
        }
    }
    for table in &selected.pass_rates {
        let lost: u64 = table.groups.iter().map(|group| group.rows - group.kept).sum();
        if lost == 0 {
            continue;
        }
        say(&format!("{} by {}", table.stage, table.dimension.name()));
        for group in table.groups.iter().take(GROUPS_SHOWN) {
            say(&format!("  {:<16} {:>12} {:>12} {:>7.2} %", group.group, group.rows, group.kept, (1.0 - group.loss()) * 100.0));
        }
        if table.groups.len() > GROUPS_SHOWN {
            say(&format!("  and {} more", table.groups.len() - GROUPS_SHOWN));
        }
    }
    for warning in &selected.warnings {
        say(&format!("warning: {warning}"));
    }
    let rows = selected.funnel.kept;
    let copies = if selected.copies == rows { String::new() } else { format!(", {} with copies", selected.copies) };
    say(&format!("{rows} rows{copies} of {} are in {}", selected.funnel.rows, Path::new(output).display()));
    Ok(())
}

/// What a stage found out, in lines.
pub(super) fn described(found: &serde_json::Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(threshold) = found.get("threshold") {
        lines.push(format!("threshold {threshold} of {} rows", found["of_rows"]));
    }
    if let Some(near) = found.get("near") {
        lines.push(format!("{} groups of near-duplicates, {} rows beside the best of each", near["groups"], near["duplicates"]));
        for size in near["sizes"].as_array().into_iter().flatten().rev().take(5) {
            lines.push(format!("  {} of {} rows", size["groups"], size["members"]));
        }
        if let Some(bridges) = near["bridges"].as_array().filter(|bridges| !bridges.is_empty()) {
            lines.push(format!("  {} groups hold rows that are not alike, joined by others: see `bridges` in the report", bridges.len()));
        }
    }
    if let Some(leaks) = found.get("decontaminate") {
        for by in ["pictures", "vectors"] {
            if let Some(leaked) = leaks[by].get("leaked") {
                lines.push(format!("{leaked} rows resemble {} by their {by}", leaks["references"].as_str().unwrap_or("references")));
            }
        }
    }
    if let Some(retrieved) = found.get("retrieve") {
        lines.push(format!("{} of {} rows for {} queries", retrieved["retrieved"], retrieved["rows"], retrieved["queries"]));
    }
    if let Some(fit) = found.get("fit") {
        let bias = |name: &str| {
            format!(
                "{:.4} before, {:.4} after",
                fit[format!("{name}_before")].as_f64().unwrap_or(0.0),
                fit[format!("{name}_after")].as_f64().unwrap_or(0.0)
            )
        };
        lines.push(format!(
            "{}; mean weight {:.4}",
            fit["status"].as_str().unwrap_or("unknown"),
            fit["mean_weight"].as_f64().unwrap_or(0.0)
        ));
        lines.push(format!("representation bias {}", bias("representation_bias")));
        lines.push(format!("association bias {}", bias("association_bias")));
        for attribute in fit["attributes"].as_array().into_iter().flatten() {
            let number = |key: &str| attribute[key].as_f64().unwrap_or(0.0);
            lines.push(format!(
                "  {:<20} target {:.4}, before {:.4}, after {:.4}",
                attribute["name"].as_str().unwrap_or_default(),
                number("target"),
                number("before"),
                number("after")
            ));
        }
        for broken in fit["broken"].as_array().into_iter().flatten() {
            lines.push(format!("  the limit of {} cannot be met: off by {}", broken["attribute"], broken["residual"]));
        }
    }
    for language in found["languages"].as_array().into_iter().flatten() {
        let number = |key: &str| language[key].as_f64().unwrap_or(0.0);
        lines.push(format!(
            "  {:<8} {:>12} rows, share {:.4} becomes {:.4}, weight {:.4}",
            language["language"].as_str().unwrap_or_default(),
            language["rows"],
            number("share_before"),
            number("share_after"),
            number("weight")
        ));
    }
    lines
}
