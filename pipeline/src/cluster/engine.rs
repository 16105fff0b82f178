//! The engine that hands plans to a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use trommel_shards::marker::Marker;
use trommel_shards::storage::Storage;

use super::Standalone;
use super::client::{Client, ClusterError, Ended, Job};
use super::codec::REFUSED;
use super::placement::UNTAKEN;
use super::registry;
use super::settle::{Settle, SettleExec, regroup, units};
use super::tls::Tls;
use crate::engine::{Engine, Outcome, Spread, TlsFiles, UnitFailure, Units, markers_of, planned};
use crate::ledger::{Failure, StopSign};
use crate::op::{external, services_of};
use crate::report::Progress;

/// Times that a job is handed over again although nothing of it was finished in the last one.
const FRUITLESS: usize = 3;
/// How long a run that is given up waits for those who have to know.
const FAREWELL: Duration = Duration::from_secs(15);
/// Markers that are read at a time.
const READS_AT_ONCE: usize = 32;
/// Between two looks at the markers, for the progress line.
const LOOK: Duration = Duration::from_secs(2);

/// Runs plans on a cluster.
///
/// Of a plan over units nothing comes back but markers and failures, which lie in the job's output; so a lost executor,
/// or a job that the cluster gives up, costs what was in hand. What is left is handed over again as long as that gets
/// anything done. Of a shuffle the last rows are read from the executor that wrote them.
pub struct BallistaEngine {
    client: Client,
    cancel: CancellationToken,
    progress: Arc<Progress>,
    // Ends with the engine.
    _own: Option<Standalone>,
}

impl BallistaEngine {
    /// Connects to a scheduler at `ballista://host:port`.
    ///
    /// # Errors
    /// When the address is none, nobody answers there, or `tls` names files that are no certificates.
    pub async fn connect(
        address: &str,
        tls: Option<&TlsFiles>,
        cancel: CancellationToken,
        progress: Arc<Progress>,
    ) -> std::result::Result<Self, ClusterError> {
        let tls = tls.map(Tls::open).transpose()?;
        Ok(Self { client: Client::connect(address, tls).await?, cancel, progress, _own: None })
    }

    /// Starts a cluster inside this process, for itself.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn standalone(
        executors: usize,
        slots: usize,
        memory_bytes: u64,
        cancel: CancellationToken,
        progress: Arc<Progress>,
    ) -> std::result::Result<Self, ClusterError> {
        let cluster = Standalone::start(executors, slots, memory_bytes).await?;
        let mut engine = Self::connect(cluster.address(), None, cancel, progress).await?;
        engine._own = Some(cluster);
        Ok(engine)
    }

    async fn submit(&self, context: &SessionContext, plan: Arc<dyn ExecutionPlan>, attempt: usize) -> Result<Job> {
        let config = registry::adapted(context.copied_config());
        let session = format!("{}-{attempt}", context.session_id());
        self.client.submit(plan, &session, &config).await.map_err(external)
    }

    /// Waits for a job, and ends it when the run is given up.
    async fn finish(&self, job: &Job) -> Result<Ended> {
        tokio::select! {
            ended = self.client.wait(job) => ended.map_err(external),
            () = self.cancel.cancelled() => {
                self.client.cancel(job).await;
                Err(cancelled())
            }
        }
    }

    /// Tells the scheduler and those who work that nobody waits any more, as far as they can be reached.
    async fn give_up(&self, job: &Job, sign: &StopSign<'_>) {
        let told = tokio::time::timeout(FAREWELL, async {
            let (sign, ()) = tokio::join!(sign.call(), self.client.cancel(job));
            if let Err(error) = sign {
                tracing::warn!(%error, "executors will not hear that the run is given up: they finish what they have in hand");
            }
        });
        if told.await.is_err() {
            tracing::warn!("scheduler or store did not answer when the run was given up");
        }
    }

    /// The error of a plan that no second try makes run. A scheduler keeps a job that its placement refuses until it is told.
    async fn refused(&self, job: &Job, message: String) -> DataFusionError {
        self.client.cancel(job).await;
        external(ClusterError::Job { message })
    }

    async fn shuffle(&self, context: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Result<Outcome> {
        let mut attempt = 0;
        loop {
            let job = self.submit(context, Arc::clone(&plan), attempt).await?;
            let rows = match self.finish(&job).await? {
                Ended::Done(places) => self.client.rows(places).await,
                Ended::Failed(message) => match refusal(&message) {
                    Some(message) => return Err(self.refused(&job, message).await),
                    None => Err(ClusterError::Job { message }),
                },
            };
            self.client.forget(&job).await;
            attempt += 1;
            match rows {
                Ok(rows) => return Ok(Outcome { done: markers_of(&rows)?, failed: Vec::new() }),
                // The executor that held the last rows may have been lost after the job: they are made again.
                Err(error) if attempt < FRUITLESS => tracing::warn!(%error, attempt, "a shuffle is handed over again"),
                Err(error) => return Err(external(error)),
            }
        }
    }

    async fn units(&self, context: &SessionContext, plan: Arc<dyn ExecutionPlan>, spread: Units) -> Result<Outcome> {
        let storage = services_of(&context.copied_config())?.storage.clone();
        let places = places(&plan, &spread)?;
        let mut watch = Watch { storage, spread: &spread, progress: &self.progress, done: BTreeMap::new() };
        let mut failed: BTreeMap<String, Failure> = BTreeMap::new();
        let mut fruitless = 0;
        for attempt in 0.. {
            let settled = |unit: &String| watch.done.contains_key(unit) || failed.contains_key(unit);
            let left: Vec<usize> = (0..spread.names.len()).filter(|&index| !settled(&spread.names[index])).collect();
            if left.is_empty() {
                break;
            }
            let before = spread.names.len() - left.len();
            let groups = groups(&left, &spread, &places);
            let stop = StopSign::name(&context.session_id(), attempt);
            let settle = Settle { pass: spread.pass.clone(), config: spread.config.clone(), stop: stop.clone() };
            let plan = Arc::new(SettleExec::new(regroup(&plan, &groups)?, settle));
            let job = self.submit(context, plan, attempt).await?;
            let ended = tokio::select! {
                ended = self.client.wait(&job) => ended.map_err(external),
                failed = watch.follow() => Err(failed),
                () = self.cancel.cancelled() => Err(cancelled()),
            };
            let ended = match ended {
                Ok(ended) => ended,
                Err(given_up) => {
                    self.give_up(&job, &StopSign::new(&watch.storage, &stop)).await;
                    return Err(given_up);
                }
            };
            self.client.forget(&job).await;
            watch.look().await?;
            failed = Failure::read_all(&watch.storage, &spread.pass).await.map_err(external)?;
            failed.retain(|unit, failure| failure.config == spread.config && spread.names.contains(unit));
            if let Some((unit, failure)) = failed.iter().find(|(_, failure)| failure.fatal) {
                return Err(DataFusionError::Execution(format!("unit `{unit}`: {}", failure.error)));
            }
            let settled = spread.names.iter().filter(|unit| watch.done.contains_key(*unit) || failed.contains_key(*unit)).count();
            if let Ended::Failed(message) = ended {
                if let Some(message) = refusal(&message) {
                    return Err(self.refused(&job, message).await);
                }
                fruitless = if settled > before { 0 } else { fruitless + 1 };
                tracing::warn!(pass = spread.pass, attempt, message, "the cluster gave a job up");
                if fruitless >= FRUITLESS {
                    return Err(external(ClusterError::Job { message }));
                }
            } else if settled == before {
                return Err(DataFusionError::Internal("the job ended well, and nothing of it was done".into()));
            }
        }
        let done = std::mem::take(&mut watch.done).into_iter().collect();
        let failure = |(unit, failure): (String, Failure)| UnitFailure { unit, error: DataFusionError::Execution(failure.error) };
        let failed = failed.into_iter().map(failure).collect();
        Ok(Outcome { done, failed })
    }
}

#[async_trait]
impl Engine for BallistaEngine {
    fn name(&self) -> &str {
        "ballista"
    }

    async fn run(&self, context: &SessionContext, plan: LogicalPlan, spread: Spread) -> Result<Outcome> {
        let physical = planned(context, &plan, &spread).await?;
        match spread {
            Spread::Shuffle => self.shuffle(context, physical).await,
            Spread::Units(spread) => self.units(context, physical, spread).await,
        }
    }
}

fn cancelled() -> DataFusionError {
    DataFusionError::Execution("cancelled".into())
}

/// Follows the markers of a pass, for progress and for the result.
struct Watch<'a> {
    storage: Storage,
    spread: &'a Units,
    progress: &'a Progress,
    done: BTreeMap<String, Marker>,
}

impl Watch<'_> {
    /// Looks again and again, until that fails.
    async fn follow(&mut self) -> DataFusionError {
        loop {
            let started = tokio::time::Instant::now();
            if let Err(error) = self.look().await {
                return error;
            }
            // A pass of very many units takes long to list: looking must not become its own load.
            tokio::time::sleep(LOOK.max(started.elapsed() * 20)).await;
        }
    }

    /// Takes in the markers that are new.
    async fn look(&mut self) -> Result<()> {
        let wanted: BTreeSet<&str> = self.spread.names.iter().map(String::as_str).collect();
        let entries = self.storage.list(&format!("_trommel/done/{}", self.spread.pass)).await.map_err(external)?;
        let units: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.name.rsplit('/').next()?.strip_suffix(".json"))
            .filter(|unit| wanted.contains(unit) && !self.done.contains_key(*unit))
            .map(str::to_owned)
            .collect();
        let (storage, pass) = (&self.storage, &self.spread.pass);
        let read = |unit: String| async move { (Marker::read(storage, pass, &unit).await, unit) };
        let mut markers = stream::iter(units).map(read).buffered(READS_AT_ONCE);
        while let Some((marker, unit)) = markers.next().await {
            if let Some(marker) = marker.map_err(external)?.filter(|marker| marker.config == self.spread.config) {
                self.progress.rows(marker.counts.rows);
                self.progress.lost(marker.counts.lost_total());
                self.progress.unit_done();
                self.done.insert(unit, marker);
            }
        }
        Ok(())
    }
}

/// Where the file of each unit stands in the plan's scan.
fn places(plan: &Arc<dyn ExecutionPlan>, spread: &Units) -> Result<Vec<(usize, usize)>> {
    let mut known: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (partition, files) in units(plan)?.into_iter().enumerate() {
        known.extend(files.into_iter().enumerate().map(|(place, unit)| (unit, (partition, place))));
    }
    let place =
        |unit: &String| known.get(unit).copied().ok_or_else(|| DataFusionError::Internal(format!("no file is scanned for `{unit}`")));
    spread.names.iter().map(place).collect()
}

/// One partition per unit, or per lane where units share what must not be shared between machines.
fn groups(left: &[usize], spread: &Units, places: &[(usize, usize)]) -> Vec<Vec<(usize, usize)>> {
    let mut lanes: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for &index in left {
        let lane = spread.lanes.get(index).copied().unwrap_or(index);
        lanes.entry(lane).or_default().push(places[index]);
    }
    lanes.into_values().collect()
}

/// The sentence of a refusal, which no second try changes, out of all that the scheduler wraps around it.
fn refusal(message: &str) -> Option<String> {
    let from = [REFUSED, UNTAKEN].iter().find_map(|words| message.find(words))?;
    let sentence = &message[from..];
    Some(sentence[..sentence.find(['"', '\n']).unwrap_or(sentence.len())].trim_end_matches([')', '\\']).to_owned())
}
