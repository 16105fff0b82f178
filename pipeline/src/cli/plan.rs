//! `plan`: what a recipe would cost on given machines, and the rates that it is worked out from.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use super::Exit;
use super::args::Common;
use super::output::{print, say};
use crate::recipe::{Recipe, nearest};
use crate::scaling::calibrate::{Calibrator, Settings};
use crate::scaling::politeness::{CrawlDelay, HostDistribution, LimitScope};
use crate::scaling::{Assumptions, Item, Machines, ModelFlops, PairsAt, Rates, Said, plan, stages_of};

/// Flags of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The recipe. What it reads need not be there.
    #[arg(required_unless_present = "calibrate")]
    pub recipe: Option<PathBuf>,
    /// Measure the rates of this machine, and print them as JSON: the file that `--rates` reads.
    #[arg(long, conflicts_with_all = ["recipe", "rates", "pairs", "machines"])]
    pub calibrate: bool,
    /// With `--calibrate`: measure these rates only, as `fetch_small,fetch_large`.
    #[arg(long, value_name = "RATE", value_delimiter = ',', requires = "calibrate")]
    pub only: Vec<String>,
    /// With `--calibrate`: what a reader should know of the conditions, for the file.
    #[arg(long, value_name = "TEXT", requires = "calibrate", default_value = "")]
    pub note: String,
    /// Pairs that are planned for, as `12.8e9`.
    #[arg(long, value_parser = number, required_unless_present = "calibrate", help_heading = "Job")]
    pub pairs: Option<f64>,
    /// Which rows these are: of the source, fetched, or written in the end.
    #[arg(long, value_parser = word::<PairsAt>, value_name = "source|fetched|written", default_value = "written", help_heading = "Job")]
    pub pairs_at: PairsAt,
    /// Share of its rows that a stage keeps, as `2.keep=0.4`. May be given more than once.
    #[arg(long, value_name = "STAGE=SHARE", value_parser = share, help_heading = "Job")]
    pub keep: Vec<(String, f64)>,
    /// FLOP of a stage's model for a picture and a caption, and components of its vectors, where its config is not on this machine: as
    /// `5.score=162e9+13.3e9/768`. May be given more than once.
    #[arg(long, value_name = "STAGE=PICTURE+CAPTION/DIM", value_parser = flops, help_heading = "Job")]
    pub model_flops: Vec<(String, ModelFlops)>,
    /// The machines: `ROLE=COUNTxPARTS` separated by commas, as `fetch=100x16c/10gbps/0.68,score=8x8H100/96c,all=20x16c`.
    #[arg(long, required_unless_present = "calibrate", help_heading = "Job")]
    pub machines: Option<String>,
    /// Rates that `--calibrate` has measured.
    #[arg(long, value_name = "FILE", required_unless_present = "calibrate", help_heading = "Job")]
    pub rates: Option<PathBuf>,
    /// What is assumed.
    #[command(flatten)]
    pub assumed: Assumed,
}

/// What no machine can measure. A default is said where the plan is printed, and its source in the documentation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Assumptions")]
pub struct Assumed {
    /// Bytes of a WAT file as it is stored.
    #[arg(long, value_parser = number)]
    pub wat_bytes: Option<f64>,
    /// Inflated over stored bytes of a WAT file.
    #[arg(long, value_parser = number)]
    pub wat_inflates: Option<f64>,
    /// Candidates with a caption in a WAT file.
    #[arg(long, value_parser = number)]
    pub wat_candidates: Option<f64>,
    /// Bytes of a WARC file as it is stored.
    #[arg(long, value_parser = number)]
    pub warc_bytes: Option<f64>,
    /// Inflated over stored bytes of a WARC file.
    #[arg(long, value_parser = number)]
    pub warc_inflates: Option<f64>,
    /// Share of rows that exact deduplication keeps.
    #[arg(long, value_parser = number)]
    pub dedupe_kept: Option<f64>,
    /// Share of a crawl's urls that give a picture.
    #[arg(long, value_parser = number)]
    pub success_from_crawl: Option<f64>,
    /// Share of a url list's urls that give a picture.
    #[arg(long, value_parser = number)]
    pub success_from_list: Option<f64>,
    /// Requests for a url beyond the first: redirects and retries.
    #[arg(long, value_parser = number)]
    pub extra_requests: Option<f64>,
    /// Bytes of a picture as it is downloaded.
    #[arg(long, value_parser = number)]
    pub picture_bytes: Option<f64>,
    /// Pixels of a picture as it is downloaded.
    #[arg(long, value_parser = number)]
    pub picture_pixels: Option<f64>,
    /// Bytes of a stored picture; from its size otherwise.
    #[arg(long, value_parser = number)]
    pub stored_bytes: Option<f64>,
    /// Seconds that a request holds its connection.
    #[arg(long, value_parser = number)]
    pub answer_seconds: Option<f64>,
    /// Share of a card's data-sheet rate that models reach.
    #[arg(long, value_parser = number)]
    pub gpu_utilisation: Option<f64>,
    /// Network of machines that do not say it, each way, in Gbit/s.
    #[arg(long, value_parser = number)]
    pub network_gbps: Option<f64>,
    /// Hosts that the urls lie on.
    #[arg(long, value_parser = number, help_heading = "Hosts")]
    pub hosts: Option<f64>,
    /// Exponent of the hosts' sizes; 0: all alike.
    #[arg(long, value_parser = number, help_heading = "Hosts")]
    pub host_exponent: Option<f64>,
    /// Shift of the hosts' ranks.
    #[arg(long, value_parser = number, help_heading = "Hosts")]
    pub host_shift: Option<f64>,
    /// Share of the hosts that ask for a pause, and its seconds, as `0.1=10`; may be given more than once. `none`: no host asks.
    #[arg(long, value_name = "SHARE=SECONDS", help_heading = "Hosts")]
    pub crawl_delay: Vec<String>,
    /// Where the limits of a host hold: over the whole run, or in each process.
    #[arg(long, value_parser = word::<LimitScope>, value_name = "run|process", help_heading = "Hosts")]
    pub limit_scope: Option<LimitScope>,
    /// Seed of the simulated crawl.
    #[arg(long, default_value_t = 0, help_heading = "Hosts")]
    pub crawl_seed: u64,
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| "a number expected, as 12.8e9".to_owned())
}

fn share(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("STAGE=SHARE expected, as `2.keep=0.4`")?;
    let value = number(value)?;
    // As the plan would say it, but with the option's name.
    if !(value > 0.0 && value <= 1.0) {
        return Err(format!("a share is over 0, up to 1, not {value}"));
    }
    Ok((name.trim().to_owned(), value))
}

fn flops(text: &str) -> Result<(String, ModelFlops), String> {
    let (name, value) = text.split_once('=').ok_or("STAGE=PICTURE+CAPTION/DIM expected, as `5.score=162e9+13.3e9/768`")?;
    Ok((name.trim().to_owned(), value.parse()?))
}

/// One of the words that serde knows; dashes are underscores.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.replace('-', "_"))).map_err(|e| e.to_string())
}

impl Assumed {
    fn over(self, base: Assumptions) -> anyhow::Result<Assumptions> {
        let delays = self.delays()?;
        let hosts = HostDistribution {
            hosts: self.hosts.map_or(base.hosts.hosts, |hosts| hosts.round().max(0.0) as u64),
            exponent: self.host_exponent.unwrap_or(base.hosts.exponent),
            shift: self.host_shift.unwrap_or(base.hosts.shift),
        };
        Ok(Assumptions {
            wat_bytes: self.wat_bytes.unwrap_or(base.wat_bytes),
            wat_inflates: self.wat_inflates.unwrap_or(base.wat_inflates),
            wat_candidates: self.wat_candidates.unwrap_or(base.wat_candidates),
            warc_bytes: self.warc_bytes.unwrap_or(base.warc_bytes),
            warc_inflates: self.warc_inflates.unwrap_or(base.warc_inflates),
            dedupe_kept: self.dedupe_kept.unwrap_or(base.dedupe_kept),
            success_from_crawl: self.success_from_crawl.unwrap_or(base.success_from_crawl),
            success_from_list: self.success_from_list.unwrap_or(base.success_from_list),
            extra_requests: self.extra_requests.unwrap_or(base.extra_requests),
            picture_bytes: self.picture_bytes.unwrap_or(base.picture_bytes),
            picture_pixels: self.picture_pixels.unwrap_or(base.picture_pixels),
            stored_bytes: self.stored_bytes.or(base.stored_bytes),
            answer_seconds: self.answer_seconds.unwrap_or(base.answer_seconds),
            gpu_utilisation: self.gpu_utilisation.unwrap_or(base.gpu_utilisation),
            network_bps: self.network_gbps.map_or(base.network_bps, |gbps| gbps * 1e9),
            hosts,
            crawl_delays: delays.unwrap_or(base.crawl_delays),
            limit_scope: self.limit_scope.unwrap_or(base.limit_scope),
            seed: self.crawl_seed,
            pairs: base.pairs,
            pairs_at: base.pairs_at,
        })
    }

    fn delays(&self) -> anyhow::Result<Option<Vec<CrawlDelay>>> {
        match &self.crawl_delay[..] {
            [] => return Ok(None),
            [none] if none == "none" => return Ok(Some(Vec::new())),
            _ => {}
        }
        let read = |text: &String| {
            let pair = text.split_once('=').and_then(|(share, seconds)| Some((number(share).ok()?, number(seconds).ok()?)));
            let (share, seconds) =
                pair.ok_or_else(|| anyhow!("`--crawl-delay {text}`: SHARE=SECONDS expected, as `0.1=10`, or `none` alone"))?;
            Ok(CrawlDelay { share, seconds })
        };
        self.crawl_delay.iter().map(read).collect::<anyhow::Result<Vec<_>>>().map(Some)
    }
}

pub(super) async fn run(common: &Common, args: PlanArgs) -> anyhow::Result<Exit> {
    if args.calibrate {
        return calibrate(common, &args).await;
    }
    let (Some(recipe), Some(pairs), Some(machines), Some(rates)) = (&args.recipe, args.pairs, &args.machines, &args.rates) else {
        bail!("a plan needs a recipe, `--pairs`, `--machines` and `--rates`");
    };
    let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()));
    let machines = Machines::parse(machines)?;
    let rates = Rates::from_json(&read(rates)?).with_context(|| format!("`--rates {}`", rates.display()))?;
    let recipe = Recipe::parse(&recipe.display().to_string(), &read(recipe)?)?;
    let said = Said { keep: args.keep.into_iter().collect(), flops: args.model_flops.into_iter().collect() };
    let stages = stages_of(&recipe, &said)?;
    let assumptions = args.assumed.over(Assumptions { pairs, pairs_at: args.pairs_at, ..Assumptions::default() })?;
    // A crawl of billions is simulated in seconds, but they are seconds of a core.
    let made = tokio::task::spawn_blocking(move || plan(&stages, &assumptions, &rates, &machines)).await??;
    print(&if common.json { made.to_json() } else { made.to_text() })?;
    Ok(Exit::Done)
}

async fn calibrate(common: &Common, args: &PlanArgs) -> anyhow::Result<Exit> {
    let only = args.only.iter().map(|name| item(name)).collect::<anyhow::Result<Vec<Item>>>()?;
    let settings = Settings {
        program: std::env::current_exe().context("the program does not know where it lies")?,
        only,
        folder: common.spill.clone(),
        note: args.note.clone(),
    };
    let quiet = common.quiet;
    let runtime = tokio::runtime::Handle::current();
    let rates = tokio::task::spawn_blocking(move || {
        let mut calibrator = Calibrator::new(
            settings,
            runtime,
            Box::new(move |line| {
                if !quiet {
                    say(line)
                }
            }),
        )?;
        Rates::calibrate(&mut calibrator)
    })
    .await??;
    print(&rates.to_json())?;
    Ok(Exit::Done)
}

fn item(name: &str) -> anyhow::Result<Item> {
    let known = || Item::ALL.iter().map(|item| item.name());
    Item::ALL.into_iter().find(|item| item.name() == name).ok_or_else(|| {
        let hint = nearest(name, known()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        anyhow!("`--only {name}`: no such rate{hint}; there are {}", known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
    })
}
