//! Runs the stages: row by row where a stage looks at one row, and with a scan of its own where it needs to see all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionContext;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trommel_filters::balance::Draw;
use trommel_shards::columns::NEAR_SIGNATURE;
use trommel_shards::storage::Storage;
use trommel_shards::subset::Subset;

use super::DUP_GROUP;
use super::diversity::Groups;
use super::error::{Result, SelectError};
use super::exclusions::Exclusions;
use super::expression::Expression;
use super::grouped::Buckets;
use super::inputs::Inputs;
use super::output::{Output, SubsetFormat};
use super::report::{Finding, Selected, funnel, warnings};
use super::scan::{Label, Scanner, Step};
use super::spec::{
    Cap, ClusterRule, Clusters, Decontaminate, Kind, Languages, M4, Near, Repeat, Retrieve, Sample, SelectStage, Selection, Top,
};
use super::steps::cap::{DropsStep, GroupFit, Grouping, cap, top_in_groups};
use super::steps::clusters::ClusterStep;
use super::steps::decontaminate::{DecontaminateStep, Means};
use super::steps::gathered::{GatherFit, VectorPayload};
use super::steps::keep::KeepStep;
use super::steps::language::{LanguageFit, LanguageStep, LidStep};
use super::steps::m4::Balance;
use super::steps::metaclip::{CountFit, Counted, Tables, count};
use super::steps::near::{NearMeans, NearPlan, SignaturePayload};
use super::steps::repeat::{RepeatStep, ScoreFit};
use super::steps::retrieve::RetrieveStep;
use super::steps::sample::{CountStep, DrawFit, FractionStep};
use super::steps::top::{Share, TopFit, TopStep};
use super::vectors::VectorsOfRows;
use crate::plan::Keep;

/// Stages that a selection may have: their numbers are bytes.
const MOST_STAGES: usize = 250;

/// How a selection runs and what it writes.
#[derive(Debug, Clone)]
pub struct SelectOptions {
    /// Where everything goes.
    pub storage: Storage,
    /// Name of the subset in it.
    pub subset: String,
    /// How the subset is written.
    pub format: SubsetFormat,
    /// Folder of the exclusion table; none without it.
    pub exclusions: Option<String>,
    /// Folder of the tables of groups of near-duplicates; none without it.
    pub groups: Option<String>,
    /// Count pass rates by group.
    pub diversity: bool,
    /// A group is named in a warning when it passes at less than the average rate over this.
    pub warn_factor: f64,
    /// Nothing left is an answer.
    pub allow_empty: bool,
    /// SQL: the rows that are there at all; others are not part of the input. All of them without it.
    pub present: Option<String>,
    /// Threads.
    pub threads: usize,
    /// Folder for spill files; the system's temporary folder by default.
    pub spill_folder: Option<PathBuf>,
    /// Stops the scans.
    pub cancel: CancellationToken,
}

/// Chooses from metadata. Blocks a thread of the runtime that it is called in; see [`select`].
struct Run<'a> {
    selection: &'a Selection,
    context: &'a SessionContext,
    inputs: &'a Inputs,
    scanner: Scanner<'a>,
    spill: PathBuf,
    /// Where tables of groups go.
    groups: Option<(&'a Storage, &'a str)>,
    /// Steps that wait for the next scan.
    steps: Vec<(u8, Arc<dyn Step>)>,
    weights: Vec<String>,
    labels: Vec<(String, Arc<dyn Label>)>,
    findings: Vec<Finding>,
    /// What the last MetaCLIP stage has counted.
    metaclip: Option<Counted>,
}

/// Checks every stage against the columns, without reading a row.
///
/// # Errors
/// [`SelectError::Stage`] naming what does not fit.
pub fn check(selection: &Selection, context: &SessionContext, schema: &SchemaRef) -> Result<()> {
    if selection.stages.len() > MOST_STAGES {
        let count = selection.stages.len();
        return Err(SelectError::stage("selection", format!("{count} stages; {MOST_STAGES} are taken")));
    }
    for stage in &selection.stages {
        check_stage(stage, context, schema)?;
    }
    Ok(())
}

fn check_stage(stage: &SelectStage, context: &SessionContext, schema: &SchemaRef) -> Result<()> {
    let fail = |message: String| Err(SelectError::stage(&stage.name, message));
    let compile = |sql: &str| Expression::compile(context, &stage.name, sql, schema).map(drop);
    let number = |sql: &str| Expression::number(context, &stage.name, sql, schema).map(drop);
    let fraction = |fraction: Option<f64>| match fraction {
        Some(value) if !(0.0..=1.0).contains(&value) => fail(format!("a fraction is between 0 and 1, not {value}")),
        _ => Ok(()),
    };
    let one_of = |fraction: Option<f64>, count: Option<u64>| match (fraction, count) {
        (Some(_), Some(_)) => fail("it has a fraction and a count: one of them".to_owned()),
        (None, None) => fail("it needs a fraction or a count".to_owned()),
        _ => Ok(()),
    };
    let column = |name: &str| match schema.field_with_name(name).is_ok() {
        true => Ok(()),
        false => compile(&format!("\"{name}\"")),
    };
    let there = |path: &str| match path.contains("://") || std::path::Path::new(path).exists() {
        true => Ok(()),
        false => fail(format!("`{path}` is not there")),
    };
    match &stage.kind {
        Kind::Where { conditions } => {
            let keep = Keep { stage: stage.name.clone(), conditions: conditions.clone() };
            KeepStep::compile(context, &keep, schema).map(drop)
        }
        Kind::Lid { text, .. } | Kind::Tokens { text, .. } => column(text),
        Kind::Top(top) => {
            one_of(top.fraction, top.count)?;
            fraction(top.fraction)?;
            if top.of_pool && (!top.per.is_empty() || top.count.is_some()) {
                return fail("a share of the pool is a fraction, and not inside groups".to_owned());
            }
            number(&top.by)?;
            top.per.iter().try_for_each(|sql| compile(sql))
        }
        Kind::Cap(cap) => {
            if cap.by.is_empty() || cap.most == 0 {
                return fail("`cap` needs `by` and `count`, at least 1".to_owned());
            }
            cap.order.iter().try_for_each(|sql| number(sql))?;
            cap.by.iter().try_for_each(|sql| compile(sql))
        }
        Kind::Sample(sample) => {
            one_of(sample.fraction, sample.count)?;
            fraction(sample.fraction)?;
            if sample.fraction.is_some() && sample.weight.is_some() {
                return fail("a draw by weight takes a `count`, no `fraction`".to_owned());
            }
            if sample.repeat.is_some() && (sample.weight.is_none() || sample.count.is_none()) {
                return fail("a draw with repetition needs `count` and `weight`, the score".to_owned());
            }
            sample.weight.iter().try_for_each(|sql| number(sql))
        }
        Kind::M4(m4) => Balance::compile(context, &stage.name, m4, schema).map(drop),
        Kind::Languages(languages) => column(&languages.column),
        Kind::MetaclipMatch(spec) => {
            spec.language.iter().chain([&spec.text]).try_for_each(|name| column(name))?;
            match spec.counts.iter().chain([&spec.metadata]).find(|path| !std::path::Path::new(path).exists()) {
                Some(missing) => fail(format!("`{missing}` is not there")),
                None => Ok(()),
            }
        }
        Kind::MetaclipDraw => Ok(()),
        Kind::Near(near) => super::steps::near::check(&stage.name, near, context, schema),
        Kind::Decontaminate(spec) => {
            if !spec.pictures.is_empty() {
                column(NEAR_SIGNATURE)?;
            }
            if !spec.captions.is_empty() {
                column(&spec.text)?;
            }
            let files = spec.pictures.iter().chain(&spec.captions).chain(&spec.vectors);
            files.map(String::as_str).try_for_each(there)
        }
        Kind::Retrieve(spec) => spec.queries.iter().map(String::as_str).try_for_each(there),
        Kind::Clusters(clusters) => match clusters.levels.iter().all(|&level| level > 0) && !clusters.levels.is_empty() {
            true => Ok(()),
            false => fail("it needs a number of clusters, at least 1".to_owned()),
        },
        _ => super::assets::check(stage, schema),
    }
}

/// Chooses from metadata, and writes the subset, the exclusion table and nothing else.
///
/// # Errors
/// [`SelectError`]; nothing is visible under the subset's name then.
pub async fn select(selection: &Selection, context: &SessionContext, inputs: &Inputs, options: &SelectOptions) -> Result<Selected> {
    let started = Instant::now();
    check(selection, context, &inputs.schema)?;
    let spill =
        tempfile::Builder::new().prefix("trommel-select-").tempdir_in(options.spill_folder.clone().unwrap_or_else(std::env::temp_dir))?;
    let names: Vec<String> = selection.stages.iter().map(|stage| stage.name.clone()).collect();
    if let Some(folder) = &options.exclusions {
        for entry in options.storage.list(&format!("{folder}/")).await? {
            options.storage.delete(&entry.name).await?;
        }
    }
    if let Some(folder) = &options.groups {
        for entry in options.storage.list(&format!("{folder}/")).await? {
            options.storage.delete(&entry.name).await?;
        }
    }
    let exclusions = options.exclusions.as_ref().map(|folder| Exclusions::new(&options.storage, folder, names.clone(), inputs));
    let groups = options.diversity.then(|| Groups::of_inputs(inputs));
    let mut scanner = Scanner::new(inputs, spill.path(), options.threads, exclusions, groups, options.cancel.clone())?;
    if let Some(sql) = &options.present {
        let present = Expression::compile(context, "input", sql, &inputs.schema)?;
        tokio::task::block_in_place(|| scanner.only(&present))?;
    }
    let rows = scanner.rows;
    let spill_path = spill.path().to_path_buf();
    let mut run = Run {
        selection,
        context,
        inputs,
        scanner,
        spill: spill_path,
        groups: options.groups.as_deref().map(|folder| (&options.storage, folder)),
        steps: Vec::new(),
        weights: Vec::new(),
        labels: Vec::new(),
        findings: Vec::new(),
        metaclip: None,
    };
    // The scans block; the runtime's other threads write what they give.
    let (output, findings, scanner) = tokio::task::block_in_place(|| -> Result<_> {
        for (at, stage) in selection.stages.iter().enumerate() {
            run.stage(at as u8, stage)?;
        }
        let runtime = tokio::runtime::Handle::current();
        let output = runtime.block_on(Output::create(
            &options.storage,
            &options.subset,
            options.format,
            &run.weights,
            std::mem::take(&mut run.labels),
        ))?;
        let fits = run.scanner.scan(&run.steps, &[], || Ok(output.gather()))?;
        drop(fits);
        Ok((output, run.findings, run.scanner))
    })?;
    let rates = scanner.rates.into_inner();
    let funnel = funnel(rows, &names, &scanner.lost.into_inner());
    if funnel.kept == 0 && !options.allow_empty {
        let lost = funnel.stages.iter().map(|stage| (stage.stage.clone(), stage.rows - stage.kept)).filter(|(_, lost)| *lost > 0);
        return Err(SelectError::Empty { rows: funnel.rows, lost: lost.collect() });
    }
    let written = output.finish().await?;
    let duplicate_uids = match options.format {
        SubsetFormat::Npy | SubsetFormat::Parquet if written.rows > 0 => {
            let uri = options.storage.uri_of(&options.subset);
            let opened = tokio::task::block_in_place(|| Subset::open(&uri)).map_err(|e| SelectError::file(&uri, e))?;
            written.rows.saturating_sub(opened.distinct())
        }
        _ => 0,
    };
    let pass_rates = rates.tables(&names);
    let mut warnings = warnings(&pass_rates, options.warn_factor);
    if duplicate_uids > 0 {
        let message = format!(
            "{duplicate_uids} kept rows have a uid that another kept row has too; resharding writes each of them as often as its uid stands in the subset"
        );
        warnings.insert(0, message);
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Selected { funnel, copies: written.copies, duplicate_uids, findings, pass_rates, warnings, seconds })
}

impl Run<'_> {
    fn draw(&self, stage: &str) -> Draw {
        Draw::new(self.selection.seed, stage)
    }

    fn push(&mut self, at: u8, step: impl Step + 'static) {
        self.steps.push((at, Arc::new(step)));
    }

    fn find(&mut self, stage: &str, found: Value) {
        self.findings.push(Finding { stage: stage.to_owned(), found });
    }

    fn compile(&self, stage: &str, sql: &str) -> Result<Expression> {
        Expression::compile(self.context, stage, sql, &self.inputs.schema)
    }

    fn number(&self, stage: &str, sql: &str) -> Result<Expression> {
        Expression::number(self.context, stage, sql, &self.inputs.schema)
    }

    /// Scans with the steps that wait; afterwards none does.
    fn scan<F: super::scan::Fit>(&mut self, columns: &[String], fit: impl Fn() -> Result<F> + Sync) -> Result<Vec<F>> {
        let steps = std::mem::take(&mut self.steps);
        self.scanner.scan(&steps, columns, fit)
    }

    fn stage(&mut self, at: u8, stage: &SelectStage) -> Result<()> {
        let name = stage.name.as_str();
        match &stage.kind {
            Kind::Where { conditions } => {
                let keep = Keep { stage: name.to_owned(), conditions: conditions.clone() };
                let step = KeepStep::compile(self.context, &keep, &self.inputs.schema)?;
                self.push(at, step);
            }
            Kind::Lid { model, text, languages } => {
                let step = LidStep::new(name, model.as_deref(), text, languages)?;
                self.push(at, step);
            }
            Kind::Top(top) => self.top(at, name, top)?,
            Kind::Cap(spec) => self.cap(at, name, spec)?,
            Kind::Sample(sample) => self.sample(at, name, sample)?,
            Kind::M4(m4) => self.m4(at, name, m4)?,
            Kind::Languages(languages) => self.languages(at, name, languages)?,
            Kind::Clusters(spec) => self.clusters(at, name, spec)?,
            Kind::Near(spec) => self.near(at, name, spec)?,
            Kind::Decontaminate(spec) => self.decontaminate(at, name, spec)?,
            Kind::Retrieve(spec) => self.retrieve(at, name, spec)?,
            Kind::MetaclipMatch(spec) => {
                let tables = Arc::new(Tables::load(name, spec)?);
                let fits = self.scan(&tables.columns(), || Ok(CountFit::new(&tables)))?;
                let (step, counted, report) = count(name, spec, &tables, fits)?;
                self.find(name, report);
                self.push(at, step);
                self.metaclip = Some(counted);
            }
            Kind::MetaclipDraw => {
                let Some(counted) = &self.metaclip else { return Err(SelectError::stage(name, "nothing was counted before")) };
                let step = counted.draw(self.selection.seed);
                self.push(at, step);
            }
            other => {
                let (step, found) = super::assets::step(name, other, self.inputs)?;
                self.steps.push((at, step));
                if let Some(found) = found {
                    self.find(name, found);
                }
            }
        }
        Ok(())
    }

    /// Rows that are in before this stage: the input less what the scans so far have lost. Those of waiting steps are not known.
    fn rows_in(&self) -> u64 {
        let lost: u64 = self.scanner.lost.lock().values().flat_map(|reasons| reasons.values()).sum();
        self.scanner.rows - lost
    }

    fn top(&mut self, at: u8, name: &str, top: &Top) -> Result<()> {
        let by = self.number(name, &top.by)?;
        let share = match (top.fraction, top.count) {
            (Some(fraction), _) => Share::Fraction(fraction),
            (None, count) => Share::Count(count.unwrap_or(0)),
        };
        if !top.per.is_empty() {
            let groups = top.per.iter().map(|sql| self.compile(name, sql)).collect::<Result<Vec<_>>>()?;
            let grouping = Grouping { by: groups, order: Some((by, top.lowest)), draw: self.draw(name) };
            let spilled = Buckets::new(&self.spill)?;
            let fits = self.scan(&grouping.columns(), || Ok(GroupFit::new(&grouping, &spilled)))?;
            fits.into_iter().try_for_each(GroupFit::finish)?;
            let drops = top_in_groups(spilled, self.scanner.threads, share, top.keep_nulls)?;
            let what = top.fraction.map_or_else(|| format!("{} rows", top.count.unwrap_or(0)), |fraction| format!("{fraction}"));
            self.push(at, DropsStep::new(drops, &format!("not in the top {what} by {} of its {}", top.by, top.per.join(", "))));
            return Ok(());
        }
        let by = Arc::new(by);
        let spill = self.spill.clone();
        let fits = self.scan(by.columns(), || TopFit::new(&by, top.lowest, &spill))?;
        let rows = if top.of_pool { self.scanner.rows } else { self.rows_in() };
        let (with, without) = fits.iter().fold((0, 0), |(with, without), fit| (with + fit.with, without + fit.without));
        let (step, threshold) = TopStep::of_fits(name, fits, share, rows, top.keep_nulls, &top.by)?;
        self.find(
            name,
            json!({ "by": top.by, "of_rows": rows, "threshold": threshold, "rows_with_a_value": with, "rows_without": without }),
        );
        self.push(at, step);
        Ok(())
    }

    fn cap(&mut self, at: u8, name: &str, spec: &Cap) -> Result<()> {
        let by = spec.by.iter().map(|sql| self.compile(name, sql)).collect::<Result<Vec<_>>>()?;
        let order = spec.order.as_ref().map(|sql| self.number(name, sql)).transpose()?.map(|order| (order, spec.lowest));
        let grouping = Grouping { by, order, draw: self.draw(name) };
        let spilled = Buckets::new(&self.spill)?;
        let fits = self.scan(&grouping.columns(), || Ok(GroupFit::new(&grouping, &spilled)))?;
        fits.into_iter().try_for_each(GroupFit::finish)?;
        let drops = cap(spilled, self.scanner.threads, spec.most)?;
        self.push(at, DropsStep::new(drops, &format!("more than {} of one {}", spec.most, spec.by.join(", "))));
        Ok(())
    }

    fn sample(&mut self, at: u8, name: &str, sample: &Sample) -> Result<()> {
        let draw = self.draw(name);
        if let Some(fraction) = sample.fraction {
            let reason = format!("not among the {fraction} that are drawn").into();
            self.push(at, FractionStep { draw, fraction, reason });
            return Ok(());
        }
        let count = sample.count.unwrap_or(0);
        let weight = sample.weight.as_ref().map(|sql| self.number(name, sql)).transpose()?.map(Arc::new);
        let columns = weight.as_ref().map(|weight| weight.columns().to_vec()).unwrap_or_default();
        match (sample.repeat, &weight) {
            (Some(repeat), Some(score)) => {
                let repeat = match repeat {
                    // The published setting is 1,280 rounds.
                    Repeat::SoftCap { alpha, round: 0 } => Repeat::SoftCap { alpha, round: count.div_ceil(1280).max(1) },
                    other => other,
                };
                let fits = self.scan(&columns, || Ok(ScoreFit::new(score)))?;
                let step = RepeatStep::of_fits(name, fits, count, repeat, &draw, self.scanner.threads)?;
                self.push(at, step);
            }
            _ => {
                let spill = self.spill.clone();
                let fits = self.scan(&columns, || DrawFit::new(draw, weight.as_ref(), &spill))?;
                let step = CountStep::of_fits(name, fits, count)?;
                self.push(at, step);
            }
        }
        Ok(())
    }

    fn m4(&mut self, at: u8, name: &str, spec: &M4) -> Result<()> {
        let balance = Balance::compile(self.context, name, spec, &self.inputs.schema)?;
        let fits = self.scan(&balance.columns(), || Ok(balance.fit()))?;
        let weight = self.weight("m4_weight");
        let (step, report) = balance.solve(fits, self.draw(name), weight, self.scanner.threads)?;
        self.find(name, report);
        self.push(at, step);
        Ok(())
    }

    fn languages(&mut self, at: u8, name: &str, spec: &Languages) -> Result<()> {
        let fits = self.scan(std::slice::from_ref(&spec.column), || Ok(LanguageFit::new(name, &spec.column)))?;
        let weight = self.weight("language_weight");
        let (step, report) = LanguageStep::of_fits(name, spec, fits, self.draw(name), weight)?;
        self.find(name, report);
        self.push(at, step);
        Ok(())
    }

    fn clusters(&mut self, at: u8, name: &str, spec: &Clusters) -> Result<()> {
        let vectors = VectorsOfRows::open(name, &spec.vectors, self.inputs)?;
        let (dim, spill) = (vectors.dim, self.spill.clone());
        let payload = VectorPayload(vectors);
        let fits = self.scan(&[], || GatherFit::new(&payload, &[], &spill))?;
        let weight = matches!(spec.rule, ClusterRule::Semdedup { .. }).then(|| self.weight("semdedup_similarity"));
        let (draw, seed, threads) = (self.draw(name), self.selection.seed, self.scanner.threads);
        let (step, report) = ClusterStep::of_fits(name, spec, fits, dim, &spill, &draw, seed, threads, weight)?;
        self.find(name, report);
        self.push(at, step);
        Ok(())
    }

    fn near(&mut self, at: u8, name: &str, spec: &Near) -> Result<()> {
        let plan = NearPlan::new(name, spec, self.context, self.inputs)?;
        let spill = self.spill.clone();
        let fits = self.scan(&plan.columns(), || plan.fit(&spill))?;
        let table = self.groups.map(|(storage, folder)| (storage, format!("{folder}/{name}.parquet")));
        let means = NearMeans { seed: self.selection.seed, threads: self.scanner.threads, spill: &spill, table };
        let (step, report) = plan.decide(fits, means)?;
        self.find(name, report);
        let step = Arc::new(step);
        let before = self.labels.len();
        let column = if before == 0 { DUP_GROUP.to_owned() } else { format!("{DUP_GROUP}_{}", before + 1) };
        self.labels.push((column, Arc::clone(&step) as Arc<dyn Label>));
        self.steps.push((at, step));
        Ok(())
    }

    fn decontaminate(&mut self, at: u8, name: &str, spec: &Decontaminate) -> Result<()> {
        let (mut step, mut report) = DecontaminateStep::load(name, spec, self.inputs)?;
        let (spill, threads, seed) = (self.spill.clone(), self.scanner.threads, self.selection.seed);
        let means = Means { spill: &spill, seed, threads };
        if !spec.pictures.is_empty() {
            let payload = SignaturePayload { stage: name.to_owned(), flat: step.flat_references() };
            let fits = self.scan(&[NEAR_SIGNATURE.to_owned()], || GatherFit::new(&payload, &[], &spill))?;
            report["pictures"] = step.look_at_pictures(fits, &means)?;
        }
        if !spec.vectors.is_empty() {
            let vectors = VectorsOfRows::open(name, &spec.key, self.inputs)?;
            let of = (vectors.dim, vectors.model.clone());
            let payload = VectorPayload(vectors);
            let fits = self.scan(&[], || GatherFit::new(&payload, &[], &spill))?;
            report["vectors"] = step.look_at_vectors(fits, of, spec, &means)?;
        }
        self.find(name, serde_json::json!({ "decontaminate": report }));
        self.push(at, step.ready());
        Ok(())
    }

    fn retrieve(&mut self, at: u8, name: &str, spec: &Retrieve) -> Result<()> {
        let vectors = VectorsOfRows::open(name, &spec.key, self.inputs)?;
        let (of, spill) = ((vectors.dim, vectors.model.clone()), self.spill.clone());
        let payload = VectorPayload(vectors);
        let fits = self.scan(&[], || GatherFit::new(&payload, &[], &spill))?;
        let (draw, seed, threads) = (self.draw(name), self.selection.seed, self.scanner.threads);
        let (step, report) = RetrieveStep::of_fits(name, spec, fits, of, (&spill, &draw, seed, threads))?;
        self.find(name, report);
        self.push(at, step);
        Ok(())
    }

    /// The number of a weight's column; a second stage of one kind gets a number behind its name.
    fn weight(&mut self, name: &str) -> usize {
        let before = self.weights.iter().filter(|known| known.starts_with(name)).count();
        self.weights.push(if before == 0 { name.to_owned() } else { format!("{name}_{}", before + 1) });
        self.weights.len() - 1
    }
}
