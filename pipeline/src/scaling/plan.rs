//! The plan: rows through the stages, the crawl, passes, and what the machines cost.

use serde::Serialize;

use super::assumptions::{Assumptions, PairsAt};
use super::cost::{Limits, Metadata, StageCost};
use super::error::PlanError;
use super::machines::Machines;
use super::model::{Here, Model};
use super::politeness::{Crawl, simulate};
use super::rates::{MeasuredOn, Rates};
use super::stage::{self, Stage, StageKind};

/// Units of a pass that a scheduler and its client are known to hold in a gigabyte.
const KNOWN_UNITS: f64 = 100_000.0;

/// Sums over the stages.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Bytes from the store.
    pub bytes_read: f64,
    /// Bytes to the store.
    pub bytes_written: f64,
    /// Bytes from the web.
    pub bytes_downloaded: f64,
    /// Requests to the web.
    pub requests: f64,
    /// Core hours.
    pub cpu_hours: f64,
    /// Card hours.
    pub gpu_hours: f64,
    /// Bytes shuffled.
    pub shuffle_bytes: f64,
    /// What is stored beside samples.
    pub metadata: Metadata,
    /// Units of work.
    pub units: f64,
    /// Objects in the store.
    pub objects: f64,
    /// Hours from the first pass to the last; stages of one pass overlap.
    pub wall_hours: f64,
    /// What the machines cost, of those that have a price.
    pub cost: Option<f64>,
}

/// A plan on paper.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Pairs that it was made for, and where they are counted.
    pub pairs: f64,
    /// Where these pairs are counted.
    pub pairs_at: PairsAt,
    /// The stages.
    pub stages: Vec<StageCost>,
    /// Hours of each pass.
    pub pass_hours: Vec<f64>,
    /// Sums.
    pub totals: Totals,
    /// The simulated crawl, where the job fetches.
    pub crawl: Option<Crawl>,
    /// The machines.
    pub machines: Machines,
    /// The machine that the rates were measured on.
    pub measured_on: MeasuredOn,
    /// The rates, with their sources.
    pub rates: Rates,
    /// What was assumed.
    pub assumptions: Assumptions,
    /// What a reader should look at.
    pub warnings: Vec<String>,
}

/// Makes a plan.
///
/// # Errors
/// [`PlanError`]: a rate that was not measured, machines that are missing, a stage whose share of rows nobody knows, or numbers that
/// make no sense.
pub fn plan(stages: &[Stage], assumptions: &Assumptions, rates: &Rates, machines: &Machines) -> Result<Plan, PlanError> {
    stage::validate(stages)?;
    assumptions.validate()?;
    let model = Model { stages, assumptions, rates, machines };
    let shares = stages.iter().map(|stage| share(stage, stages, assumptions)).collect::<Result<Vec<f64>, _>>()?;
    let (rows, crawl) = rows(&model, &shares)?;
    let passes = passes(stages);
    let held_rows = model.fetch().map_or(rows[0].1, |(index, ..)| rows[index].1);
    let mut costs = Vec::with_capacity(stages.len());
    for (index, &(rows_in, rows_out)) in rows.iter().enumerate() {
        let last = passes.iter().rposition(|&pass| pass == passes[index]).unwrap_or(index);
        costs.push(model.cost(&Here {
            index,
            pass: passes[index],
            rows_in,
            rows_out,
            pass_rows_out: rows[last].1,
            source_rows: rows[0].0,
            held_rows,
            crawl: crawl.as_ref(),
        })?);
    }
    let pass_hours = price(stages, machines, &mut costs);
    let warnings = warnings(stages, machines, &costs, crawl.as_ref());
    Ok(Plan {
        pairs: assumptions.pairs,
        pairs_at: assumptions.pairs_at,
        totals: totals(&costs, &pass_hours),
        stages: costs,
        pass_hours,
        crawl,
        machines: machines.clone(),
        measured_on: rates.machine.clone(),
        rates: rates.clone(),
        assumptions: assumptions.clone(),
        warnings,
    })
}

/// Share of its rows that a stage keeps: what is known of it, else the assumption for its kind.
fn share(stage: &Stage, stages: &[Stage], assumptions: &Assumptions) -> Result<f64, PlanError> {
    if let Some(kept) = stage.kept {
        return Ok(kept);
    }
    let from_crawl = matches!(stages[0].kind, StageKind::ExtractWat | StageKind::ExtractWarc);
    match stage.kind {
        StageKind::Dedupe => Ok(assumptions.dedupe_kept),
        StageKind::Fetch(_) if from_crawl => Ok(assumptions.success_from_crawl),
        StageKind::Fetch(_) => Ok(assumptions.success_from_list),
        StageKind::Keep | StageKind::Near | StageKind::Select | StageKind::Balance => {
            Err(PlanError::UnknownShare { stage: stage.name.clone() })
        }
        _ => Ok(1.0),
    }
}

/// Rows in and out of every stage, and the crawl that goes with them.
type Flow = (Vec<(f64, f64)>, Option<Crawl>);

/// Rows through the stages.
///
/// The source is made as large as the shares of the stages ask for. What the simulated crawl cannot reach politely is missing at
/// the end, and a warning says so: making the source larger would not bring it, because it lies on the same hosts.
fn rows(model: &Model<'_>, shares: &[f64]) -> Result<Flow, PlanError> {
    let assumptions = model.assumptions;
    let fetch = model.fetch().map(|(index, ..)| index);
    let upto = match (assumptions.pairs_at, fetch) {
        (PairsAt::Source, _) => 0,
        (PairsAt::Fetched, Some(index)) => index + 1,
        (PairsAt::Fetched, None) => {
            return Err(PlanError::Stages("pairs are counted where they are fetched, and no stage fetches".to_owned()));
        }
        (PairsAt::Written, _) => shares.len(),
    };
    let source = assumptions.pairs / shares[..upto].iter().product::<f64>();
    let crawl = match fetch {
        Some(index) => {
            let urls = source * shares[..index].iter().product::<f64>();
            model.crawl_settings(urls, shares[index])?.map(|settings| simulate(&settings)).transpose()?
        }
        None => None,
    };
    let asked = crawl.as_ref().map_or(1.0, |crawl| crawl.done as f64 / crawl.urls as f64);
    let mut rows = source;
    let flow = shares.iter().enumerate().map(|(index, &share)| {
        let before = rows;
        rows *= share * if fetch == Some(index) { asked } else { 1.0 };
        (before, rows)
    });
    Ok((flow.collect(), crawl))
}

/// The pass of each stage.
fn passes(stages: &[Stage]) -> Vec<usize> {
    let mut pass = 0;
    let number = |(index, stage): (usize, &Stage)| {
        pass += usize::from(index > 0 && stage.begins_pass());
        pass
    };
    stages.iter().enumerate().map(number).collect()
}

/// Hours of each pass, and every stage's part of the price.
///
/// Stages of a pass that share machines add up; groups of machines work at the same time, and all of them are paid for until the
/// slowest is done.
fn price(stages: &[Stage], machines: &Machines, costs: &mut [StageCost]) -> Vec<f64> {
    let passes = costs.last().map_or(0, |cost| cost.pass + 1);
    let group_of = |index: usize| machines.index_of(stages[index].role());
    let mut hours = vec![0.0_f64; passes];
    for (pass, hours) in hours.iter_mut().enumerate() {
        for group in 0..machines.groups().len() {
            let mut limits = Limits::default();
            let mine = |index: &usize| costs[*index].pass == pass && group_of(*index) == Some(group);
            (0..costs.len()).filter(mine).for_each(|index| limits.add(&costs[index].limits));
            *hours = hours.max(limits.largest().1);
        }
    }
    for (number, group) in machines.groups().iter().enumerate() {
        let Some(price) = group.price else { continue };
        for (pass, &pass_hours) in hours.iter().enumerate() {
            let mine: Vec<usize> = (0..costs.len()).filter(|&i| costs[i].pass == pass && group_of(i) == Some(number)).collect();
            let all: f64 = mine.iter().map(|&index| costs[index].wall_hours).sum();
            let alone = mine.iter().all(|&index| stages[index].on_one_machine());
            let count = if alone { 1.0 } else { f64::from(group.count) };
            for index in mine {
                let part = if all > 0.0 { costs[index].wall_hours / all } else { 0.0 };
                costs[index].cost = Some(pass_hours * count * price * part);
            }
        }
    }
    hours
}

fn totals(costs: &[StageCost], pass_hours: &[f64]) -> Totals {
    let mut totals = Totals { wall_hours: pass_hours.iter().sum(), ..Totals::default() };
    for cost in costs {
        totals.bytes_read += cost.bytes_read;
        totals.bytes_written += cost.bytes_written;
        totals.bytes_downloaded += cost.bytes_downloaded;
        totals.requests += cost.requests;
        totals.cpu_hours += cost.cpu_hours;
        totals.gpu_hours += cost.gpu_hours;
        totals.shuffle_bytes += cost.shuffle_bytes;
        totals.metadata.add(&cost.metadata);
        totals.units += cost.units;
        totals.objects += cost.objects;
        if let Some(part) = cost.cost {
            *totals.cost.get_or_insert(0.0) += part;
        }
    }
    totals
}

fn warnings(stages: &[Stage], machines: &Machines, costs: &[StageCost], crawl: Option<&Crawl>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (stage, cost) in stages.iter().zip(costs) {
        let group = machines.index_of(stage.role()).map(|index| &machines.groups()[index]);
        let memory = group.and_then(|group| group.memory_bytes);
        if memory.is_some_and(|memory| cost.memory_bytes > memory) {
            let (needs, text) = (cost.memory_bytes / 1e9, group.map_or("", |group| group.text.as_str()));
            warnings.push(format!("`{}` runs on one machine and needs {needs:.0} GB of memory, more than one of `{text}` has", cost.name));
        }
        if cost.units > KNOWN_UNITS {
            let jobs = (cost.units / KNOWN_UNITS).ceil();
            let units = cost.units;
            warnings.push(format!(
                "`{}` has {units:.0} units; passes of 100,000 are known to be held well: cut the job into {jobs:.0}",
                cost.name
            ));
        }
    }
    if let Some(crawl) = crawl.filter(|crawl| crawl.left_out > 0) {
        let share = 100.0 * crawl.left_out as f64 / crawl.urls as f64;
        warnings.push(format!(
            "{share:.1} % of the urls are left out: their hosts cannot be asked for all of them politely in {} rounds",
            crawl.rounds.len()
        ));
    }
    if costs.iter().any(|cost| cost.cost.is_none() && cost.wall_hours > 0.0) {
        warnings.push("machines without a price are not in the cost".to_owned());
    }
    warnings
}
