//! From stages, rates and machines to costs: one formula for each kind of stage.
//!
//! `R` is the number of rows that come in, `K` the number that leaves, `b(x)` the bytes of a row of kind *x*, and `r(x)` a rate.

use super::assumptions::Assumptions;
use super::cost::{Bound, Limits, Metadata, StageCost};
use super::error::PlanError;
use super::machines::{Group, Machines};
use super::politeness::{Crawl, CrawlSettings};
use super::rates::{Item, Rates};
use super::stage::{FetchStage, ScoreStage, Stage, StageKind};

/// Pixels of the two sizes of pictures that fetching is measured with.
const SMALL_PIXELS: f64 = 640.0 * 480.0;
const LARGE_PIXELS: f64 = 1024.0 * 768.0;
/// Pixels that they are shrunk to, borders included.
const MEASURED_TARGET: f64 = 256.0 * 256.0;
/// Bytes of a tar beside what is in the files of a sample: three headers of 512 bytes, and half a block of padding after each.
const TAR_BYTES: f64 = 3.0 * (512.0 + 256.0);
/// Rows of a file of a url list: DataComp's metadata files have about 492,000.
const LIST_ROWS: f64 = 492_000.0;
/// Samples of a final shard.
const SHARD_ROWS: f64 = 10_000.0;

/// What formulas are evaluated with.
pub(crate) struct Model<'a> {
    pub(crate) stages: &'a [Stage],
    pub(crate) assumptions: &'a Assumptions,
    pub(crate) rates: &'a Rates,
    pub(crate) machines: &'a Machines,
}

/// Where a stage stands.
pub(crate) struct Here<'a> {
    pub(crate) index: usize,
    pub(crate) pass: usize,
    pub(crate) rows_in: f64,
    pub(crate) rows_out: f64,
    /// Rows that the last stage of this pass leaves.
    pub(crate) pass_rows_out: f64,
    /// Rows that the source makes; they set the number of its files.
    pub(crate) source_rows: f64,
    /// Samples in the shards that are chosen from.
    pub(crate) held_rows: f64,
    pub(crate) crawl: Option<&'a Crawl>,
}

impl Model<'_> {
    fn group(&self, stage: &Stage) -> Result<&Group, PlanError> {
        let role = stage.role();
        let index = self.machines.index_of(role);
        let missing = || PlanError::NoMachines { stage: stage.name.clone(), role: role.name() };
        index.map(|index| &self.machines.groups()[index]).ok_or_else(missing)
    }

    /// The fetching stage, if there is one.
    pub(crate) fn fetch(&self) -> Option<(usize, &Stage, &FetchStage)> {
        self.stages.iter().enumerate().find_map(|(index, stage)| match &stage.kind {
            StageKind::Fetch(fetch) => Some((index, stage, fetch)),
            _ => None,
        })
    }

    /// Bytes of a sample in a shard: the stored picture and the tar around it.
    fn sample_bytes(&self) -> Result<f64, PlanError> {
        let side = self.fetch().map_or(256, |(_, _, fetch)| fetch.image_size);
        Ok(self.assumptions.stored_bytes_at(side)? + TAR_BYTES)
    }

    /// CPU seconds of a downloaded picture: a line through the two measured sizes in pixels, and encoding of the pixels that the
    /// target has beyond the measured one. Pictures are not enlarged beyond 256 pixels.
    pub(crate) fn picture_seconds(&self, stage: &str, image_size: u32) -> Result<f64, PlanError> {
        let small = 1.0 / self.rates.need(stage, Item::FetchSmall)?;
        let large = 1.0 / self.rates.need(stage, Item::FetchLarge)?;
        let slope = ((large - small) / (LARGE_PIXELS - SMALL_PIXELS)).max(0.0);
        let pixels = self.assumptions.picture_pixels;
        let seconds = (small + slope * (pixels - SMALL_PIXELS)).max(slope * pixels);
        let target = f64::from(image_size).powi(2).min(pixels.max(MEASURED_TARGET));
        // The measured target needs no rate of encoding.
        if (target - MEASURED_TARGET).abs() < 1.0 {
            return Ok(seconds);
        }
        Ok((seconds + (target - MEASURED_TARGET) / self.rates.need(stage, Item::EncodePixels)?).max(0.1 * seconds))
    }

    /// Settings of the crawl for so many urls: each machine is one process, and its rate is the least of what its connections,
    /// its network and its cores allow.
    pub(crate) fn crawl_settings(&self, urls: f64, success: f64) -> Result<Option<CrawlSettings>, PlanError> {
        let Some((_, stage, fetch)) = self.fetch() else { return Ok(None) };
        let group = self.group(stage)?;
        let a = self.assumptions;
        let [connections, network, cpu] = self.fetch_rates(stage, fetch, group, success)?;
        Ok(Some(CrawlSettings {
            urls: urls.round().clamp(1.0, 1e12) as u64,
            distribution: a.hosts,
            seed: a.seed,
            machines: group.count,
            machine_rate: connections.min(network).min(cpu),
            units_at_once: fetch.units_at_once,
            unit_rows: fetch.unit_rows,
            host_rows: fetch.host_rows.max(1),
            lanes: fetch.lanes,
            unit_seconds: fetch.unit_seconds,
            rounds: fetch.rounds,
            host_delay: fetch.host_delay,
            host_concurrency: fetch.host_concurrency,
            answer_seconds: a.answer_seconds,
            policy_requests: fetch.policy_requests,
            crawl_delays: a.crawl_delays.clone(),
            scope: a.limit_scope,
            ..CrawlSettings::default()
        }))
    }

    /// Urls a second that connections, network and cores of one machine allow.
    fn fetch_rates(&self, stage: &Stage, fetch: &FetchStage, group: &Group, success: f64) -> Result<[f64; 3], PlanError> {
        let a = self.assumptions;
        let connections = f64::from(fetch.concurrency) / (a.answer_seconds * (1.0 + a.extra_requests));
        let network = self.network(group) / 8.0 / (success * a.picture_bytes);
        let seconds =
            1.0 / self.rates.need(&stage.name, Item::FetchUrls)? + success * self.picture_seconds(&stage.name, fetch.image_size)?;
        Ok([connections, network, cores(stage, group)? / seconds])
    }

    fn network(&self, group: &Group) -> f64 {
        group.network_bps.unwrap_or(self.assumptions.network_bps)
    }

    /// The cost of a stage, without its part of the price.
    pub(crate) fn cost(&self, here: &Here<'_>) -> Result<StageCost, PlanError> {
        let stage = &self.stages[here.index];
        let group = self.group(stage)?;
        let mut cost = StageCost {
            name: stage.name.clone(),
            role: stage.role(),
            machines: group.text.clone(),
            pass: here.pass,
            rows_in: here.rows_in,
            rows_out: here.rows_out,
            bytes_read: 0.0,
            bytes_written: 0.0,
            bytes_downloaded: 0.0,
            requests: 0.0,
            cpu_hours: 0.0,
            gpu_hours: 0.0,
            shuffle_bytes: 0.0,
            metadata: Metadata::default(),
            units: 0.0,
            objects: 0.0,
            memory_bytes: 0.0,
            limits: Limits::default(),
            wall_hours: 0.0,
            bound: Bound::Cpu,
            cost: None,
        };
        match &stage.kind {
            StageKind::ExtractWat => self.extract(here, &mut cost, Item::ExtractWat)?,
            StageKind::ExtractWarc => self.extract(here, &mut cost, Item::ExtractWarc)?,
            StageKind::ReadList => self.read_list(here, &mut cost)?,
            StageKind::ReadShards => self.read_shards(here, &mut cost)?,
            StageKind::Language => cost.cpu_hours = self.hours(stage, here.rows_in, Item::LanguageCaptions)?,
            StageKind::Keep => {
                cost.cpu_hours = self.hours(stage, here.rows_in, Item::KeepRows)?;
                self.exclude(stage, here, &mut cost)?;
            }
            StageKind::Dedupe => self.dedupe(here, &mut cost)?,
            StageKind::Fetch(fetch) => self.fetching(here, fetch, group, &mut cost)?,
            StageKind::Score(score) => self.score(here, score, group, &mut cost)?,
            StageKind::Hash => {
                cost.cpu_hours = self.hours(stage, here.rows_in, Item::HashPictures)?;
                self.again(here, &mut cost)?;
            }
            StageKind::Near => {
                cost.memory_bytes = here.rows_in * self.rates.need(&stage.name, Item::NearMemoryBytes)?;
                self.choose(here, &mut cost, Item::NearRows)?;
            }
            StageKind::Select => self.choose(here, &mut cost, Item::SelectRows)?,
            StageKind::Balance => self.choose(here, &mut cost, Item::BalanceRows)?,
            StageKind::Reshard => self.reshard(here, &mut cost)?,
        }
        cost.bytes_written += cost.metadata.total();
        let machines = if stage.on_one_machine() { 1.0 } else { f64::from(group.count) };
        if cost.cpu_hours > 0.0 {
            cost.limits.cpu = cost.cpu_hours / (machines * cores(stage, group)?);
        }
        if let Some(gpus) = &group.gpus {
            cost.limits.gpu = cost.gpu_hours / (machines * f64::from(gpus.count));
        }
        // Each way by itself; what is shuffled goes both ways.
        let most = (cost.bytes_read + cost.bytes_downloaded).max(cost.bytes_written) + cost.shuffle_bytes;
        cost.limits.network = most * 8.0 / (machines * self.network(group)) / 3600.0;
        (cost.bound, cost.wall_hours) = cost.limits.largest();
        Ok(cost)
    }

    /// `amount / r` in hours.
    fn hours(&self, stage: &Stage, amount: f64, item: Item) -> Result<f64, PlanError> {
        Ok(amount / self.rates.need(&stage.name, item)? / 3600.0)
    }

    /// `(R − K) · b(exclusion)`.
    fn exclude(&self, stage: &Stage, here: &Here<'_>, cost: &mut StageCost) -> Result<(), PlanError> {
        let lost = here.rows_in - here.rows_out;
        if lost > 0.0 {
            cost.metadata.tables += lost * self.rates.need(&stage.name, Item::ExclusionRowBytes)?;
        }
        Ok(())
    }

    /// Markers and objects of so many units.
    fn units(&self, stage: &Stage, units: f64, objects: f64, cost: &mut StageCost) -> Result<(), PlanError> {
        cost.units += units;
        cost.objects += units * objects;
        cost.metadata.markers += units * self.rates.need(&stage.name, Item::MarkerBytes)?;
        Ok(())
    }

    /// Files of the source: what its rows make at so many a file.
    fn source_units(&self, here: &Here<'_>) -> f64 {
        match self.stages[0].kind {
            StageKind::ExtractWat | StageKind::ExtractWarc => here.source_rows / self.assumptions.wat_candidates,
            StageKind::ReadList => here.source_rows / LIST_ROWS,
            _ => here.source_rows / SHARD_ROWS,
        }
        .ceil()
    }

    /// Archives: `R / candidates` files are read; CPU is their inflated bytes over `r(extract)`; what the pass leaves becomes tables.
    fn extract(&self, here: &Here<'_>, cost: &mut StageCost, item: Item) -> Result<(), PlanError> {
        let (stage, a) = (&self.stages[here.index], self.assumptions);
        let (bytes, inflates) = match item {
            Item::ExtractWarc => (a.warc_bytes, a.warc_inflates),
            _ => (a.wat_bytes, a.wat_inflates),
        };
        let files = self.source_units(here);
        cost.bytes_read = files * bytes;
        cost.requests = files;
        cost.cpu_hours = self.hours(stage, cost.bytes_read * inflates, item)?;
        cost.metadata.tables = here.pass_rows_out * self.rates.need(&stage.name, Item::TableRowBytes)?;
        self.units(stage, files, 3.0, cost)
    }

    /// Lists: `R · b(table)` are read, and what the pass leaves becomes tables. CPU is booked with fetching, which is measured from
    /// the list on.
    fn read_list(&self, here: &Here<'_>, cost: &mut StageCost) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        let row = self.rates.need(&stage.name, Item::TableRowBytes)?;
        cost.bytes_read = here.rows_in * row;
        cost.metadata.tables = here.pass_rows_out * row;
        self.units(stage, self.source_units(here), 3.0, cost)
    }

    /// Shards: `R` samples are read; CPU is booked with what decodes them.
    fn read_shards(&self, here: &Here<'_>, cost: &mut StageCost) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        cost.bytes_read = here.rows_in * (self.sample_bytes()? + self.rates.need(&stage.name, Item::ShardRowBytes)?);
        self.units(stage, self.source_units(here), 3.0, cost)
    }

    /// Exact duplicates: keys are read from the tables and shuffled, `R · b(shuffle)`; the losers are listed, `(R − K) · b(list)`; the
    /// tables are read again without them and written, by the units of the source.
    fn dedupe(&self, here: &Here<'_>, cost: &mut StageCost) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        let row = self.rates.need(&stage.name, Item::TableRowBytes)?;
        cost.bytes_read = 2.0 * here.rows_in * row;
        cost.shuffle_bytes = here.rows_in * self.rates.need(&stage.name, Item::DedupeShuffleBytes)?;
        cost.cpu_hours = self.hours(stage, here.rows_in, Item::DedupeRows)?;
        cost.metadata.lists = (here.rows_in - here.rows_out) * self.rates.need(&stage.name, Item::ListRowBytes)?;
        cost.metadata.tables = here.pass_rows_out * row;
        self.exclude(stage, here, cost)?;
        self.units(stage, self.source_units(here), 4.0, cost)
    }

    /// Fetching: rows are sorted by host and packed, `R · b(table)` read, shuffled twice, written, and read again; every url costs
    /// `1 / r(urls)`, every picture its CPU seconds besides; requests are `R · (1 + extra)` and those for rules; `K` pictures come and
    /// are stored. Wall time is the simulated crawl, in which a machine's rate is the least of what its connections, its network and
    /// its cores allow.
    fn fetching(&self, here: &Here<'_>, fetch: &FetchStage, group: &Group, cost: &mut StageCost) -> Result<(), PlanError> {
        let (stage, a) = (&self.stages[here.index], self.assumptions);
        let row = self.rates.need(&stage.name, Item::TableRowBytes)?;
        let pictures = here.rows_out;
        cost.bytes_read = 2.0 * here.rows_in * row;
        // To those who cut hosts into pieces, and to the one who packs them.
        cost.shuffle_bytes = 2.0 * here.rows_in * row;
        cost.bytes_downloaded = pictures * a.picture_bytes;
        cost.bytes_written = pictures * self.sample_bytes()?;
        cost.metadata.tables = here.rows_in * (row + self.rates.need(&stage.name, Item::ShardRowBytes)?);
        let urls_hours = self.hours(stage, here.rows_in, Item::FetchUrls)?;
        cost.cpu_hours = urls_hours + pictures * self.picture_seconds(&stage.name, fetch.image_size)? / 3600.0;
        cost.requests = here.rows_in * (1.0 + a.extra_requests);
        let mut units = here.rows_in / f64::from(fetch.unit_rows);
        if let Some(crawl) = here.crawl {
            let scale = here.rows_in / crawl.urls as f64;
            cost.requests += crawl.policy_requests as f64 * scale;
            units = crawl.rounds.iter().map(|round| round.units as f64).sum::<f64>() * scale;
            cost.limits.politeness = crawl.seconds / 3600.0;
        }
        let success = (pictures / here.rows_in).max(f64::MIN_POSITIVE);
        let [connections, ..] = self.fetch_rates(stage, fetch, group, success)?;
        cost.limits.connections = here.rows_in / (connections * f64::from(group.count)) / 3600.0;
        self.units(stage, units.ceil(), 6.0, cost)
    }

    /// Pictures that were not decoded in the same pass on the same machines are read again and decoded.
    fn again(&self, here: &Here<'_>, cost: &mut StageCost) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        let fetch = self.fetch();
        let together = fetch.is_some_and(|(_, other, _)| self.machines.index_of(other.role()) == self.machines.index_of(stage.role()));
        if together {
            return Ok(());
        }
        // The source has counted the bytes where it is the shards themselves.
        if fetch.is_some() {
            cost.bytes_read += here.rows_in * self.sample_bytes()?;
        }
        if !matches!(stage.kind, StageKind::Hash) {
            // Fetching's own CPU time is an upper bound of decoding and scaling.
            cost.cpu_hours += here.rows_in * self.picture_seconds(&stage.name, 256)? / 3600.0;
        }
        Ok(())
    }

    /// Models: `R · FLOP` over the cards' rate and its utilisation, or over `r(score)` on cores; vectors of 16 bits a number.
    fn score(&self, here: &Here<'_>, score: &ScoreStage, group: &Group, cost: &mut StageCost) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        let flops = here.rows_in * (score.picture_flops + score.caption_flops);
        match &group.gpus {
            Some(gpus) => cost.gpu_hours = flops / (gpus.flops * self.assumptions.gpu_utilisation) / 3600.0,
            None => cost.cpu_hours = self.hours(stage, flops, Item::ScoreFlops)?,
        }
        cost.metadata.vectors = here.rows_in * 2.0 * f64::from(score.stored_numbers);
        self.again(here, cost)
    }

    /// Choosing over all rows, on one machine: the tables beside the shards are read, exclusions are written.
    fn choose(&self, here: &Here<'_>, cost: &mut StageCost, item: Item) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        cost.bytes_read = here.rows_in * self.rates.need(&stage.name, Item::ShardRowBytes)?;
        cost.cpu_hours = self.hours(stage, here.rows_in, item)?;
        self.exclude(stage, here, cost)?;
        self.units(stage, 1.0, 3.0, cost)
    }

    /// Final shards: all samples that were fetched are read, those that are left are written; CPU is what is written over
    /// `r(reshard)`.
    fn reshard(&self, here: &Here<'_>, cost: &mut StageCost) -> Result<(), PlanError> {
        let stage = &self.stages[here.index];
        let sample = self.sample_bytes()? + self.rates.need(&stage.name, Item::ShardRowBytes)?;
        // Shards are read from end to end: what selections have refused lies between what they have kept.
        cost.bytes_read = here.held_rows * sample;
        cost.bytes_written = here.rows_out * self.sample_bytes()?;
        cost.cpu_hours = self.hours(stage, cost.bytes_written, Item::ReshardBytes)?;
        cost.metadata.tables = here.rows_out * self.rates.need(&stage.name, Item::ShardRowBytes)?;
        self.units(stage, (here.rows_out / SHARD_ROWS).ceil(), 3.0, cost)
    }
}

fn cores(stage: &Stage, group: &Group) -> Result<f64, PlanError> {
    if group.cores == 0 {
        let wanted = "say how many cores its machines have, as `8x8H100/96c`";
        return Err(PlanError::Range { name: stage.name.clone(), value: format!("planned on `{}`", group.text), wanted });
    }
    Ok(f64::from(group.cores))
}
