//! Which executor gets which partitions.
//!
//! Executors say in their names what they take and which build they are, because a name is all that Ballista's placement sees of
//! them. A stage of a plan goes to those that take all that it does; the oldest job comes first, a partition a slot.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
use ballista_core::serde::protobuf::{AvailableVcores, job_status};
use ballista_core::serde::scheduler::TaskKey;
use ballista_scheduler::cluster::{BoundTask, DistributionPolicy};
use ballista_scheduler::state::execution_graph::{TaskDescription, create_task_info};
use ballista_scheduler::state::execution_stage::RunningStage;
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use parking_lot::Mutex;

use super::registry::build_id;
use crate::engine::reason;
use crate::op::Op;
use crate::plan::StageExec;

/// First words of the refusal of a plan that no executor takes.
pub(super) const UNTAKEN: &str = "no executor of this cluster takes";

/// How often an executor that is refused is told so.
const AGAIN: Duration = Duration::from_secs(60);

/// Kinds of work, as `--takes` names them.
const KINDS: [&str; 3] = ["fetch", "score", "rest"];
const FETCH: u8 = 1;
const SCORE: u8 = 2;
const REST: u8 = 4;

/// Kinds of work that an executor takes, or that a stage of a plan consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Takes(u8);

impl Takes {
    /// Everything.
    pub const ALL: Self = Self(FETCH | SCORE | REST);

    /// Whether all of `work` is taken.
    fn covers(self, work: Self) -> bool {
        self.0 & work.0 == work.0
    }

    /// What a plan does: it fetches, it scores, or neither.
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut work = 0;
        plan.apply(|node| {
            work |= match node.downcast_ref::<StageExec>().map(StageExec::op) {
                Some(Op::Fetch(_)) => FETCH,
                Some(Op::Score(_)) => SCORE,
                _ => 0,
            };
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Self(if work == 0 { REST } else { work }))
    }
}

impl Default for Takes {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = KINDS.iter().enumerate().filter(|(bit, _)| self.0 & 1 << bit != 0).map(|(_, name)| *name);
        f.write_str(&named.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Takes {
    type Err = String;

    /// Reads kinds separated by commas.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut takes = 0;
        for word in text.split(',').map(str::trim) {
            match KINDS.iter().position(|kind| *kind == word) {
                Some(bit) => takes |= 1 << bit,
                None => return Err(format!("`{word}` is no kind of work: fetch, score, or rest, separated by commas")),
            }
        }
        Ok(Self(takes))
    }
}

/// The name of an executor of this build: `TAKES@BUILD#` and something that no other has.
pub(super) fn executor_name(takes: Takes) -> String {
    format!("{takes}@{}#{:08x}{:016x}", build_id(), std::process::id(), RandomState::new().hash_one(takes))
}

/// What the executor of this name takes.
fn takes_of(executor: &str) -> Result<Takes> {
    let refused = |message: String| DataFusionError::Execution(message);
    let named = executor.split_once('#').and_then(|(known, _)| known.split_once('@'));
    let Some((takes, build)) = named else {
        return Err(refused(format!("executor `{executor}` is not one of trommel: start it with `trommel executor`")));
    };
    if build != build_id() {
        return Err(refused(format!(
            "this executor is of build {build}, the scheduler of {}: run the same program everywhere",
            build_id()
        )));
    }
    takes.parse().map_err(refused)
}

/// What is known of the cluster.
#[derive(Debug, Default)]
struct Known {
    /// What executors take that were here since the start. One that is gone may come back.
    seen: Vec<Takes>,
    /// Executors that were refused, and when they were told last.
    refused: BTreeMap<String, Instant>,
    /// Jobs of which a stage is taken by nobody, and since when.
    untaken: BTreeMap<String, Instant>,
}

/// Gives partitions to executors that take them.
#[derive(Debug)]
pub(super) struct Placement {
    /// How long a job waits for the first executor that takes it.
    patience: Duration,
    known: Mutex<Known>,
}

impl Placement {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, known: Mutex::default() }
    }

    /// What an executor takes; `None` where it is refused.
    ///
    /// # Errors
    /// For the executor's ears, now and then: it asks many times a second.
    fn meet(&self, executor: &str) -> Result<Option<Takes>> {
        let mut known = self.known.lock();
        match takes_of(executor) {
            Ok(takes) => {
                if !known.seen.contains(&takes) {
                    known.seen.push(takes);
                }
                Ok(Some(takes))
            }
            Err(error) => {
                if known.refused.get(executor).is_some_and(|told| told.elapsed() < AGAIN) {
                    return Ok(None);
                }
                tracing::error!(executor, %error, "an executor gets no work");
                known.refused.insert(executor.to_owned(), Instant::now());
                Err(error)
            }
        }
    }

    /// Why a job will not be done by anybody: it has waited too long for the first who takes this work.
    fn is_hopeless(&self, job: &str, work: Takes) -> Option<String> {
        let mut known = self.known.lock();
        if known.seen.iter().any(|takes| takes.covers(work)) {
            known.untaken.remove(job);
            return None;
        }
        let since = *known.untaken.entry(job.to_owned()).or_insert_with(Instant::now);
        if since.elapsed() < self.patience {
            return None;
        }
        let refused = match known.refused.keys().next().map(String::as_str).map(takes_of) {
            Some(Err(error)) => format!("; one was refused: {}", reason(&error)),
            _ => String::new(),
        };
        Some(format!("{UNTAKEN} `{work}`: start one with `--takes` of that, or without{refused}"))
    }

    /// Fails a job of which a stage waits for nobody.
    async fn fail_if_hopeless(&self, id: &JobId, job: &JobInfoCache) -> Result<()> {
        if self.known.lock().seen.contains(&Takes::ALL) {
            return Ok(());
        }
        let mut graph = job.execution_graph.write().await;
        let mut looked_at = Vec::new();
        while let Some(stage) = graph.fetch_running_stage(&looked_at) {
            looked_at.push(stage.stage_id);
            let work = Takes::of(&stage.plan)?;
            if let Some(why) = self.is_hopeless(id.as_ref(), work) {
                graph.fail_job(why);
                break;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DistributionPolicy for Placement {
    async fn bind_tasks(&self, budgets: Vec<&mut AvailableVcores>, jobs: Arc<HashMap<JobId, JobInfoCache>>) -> Result<Vec<BoundTask>> {
        let mut bound = Vec::new();
        let mut running = Vec::new();
        for (id, job) in jobs.iter().filter(|(_, job)| matches!(job.status, Some(job_status::Status::Running(_)))) {
            running.push((job.execution_graph.read().await.start_time(), id, job));
        }
        running.sort_by_key(|(since, id, _)| (*since, id.to_string()));
        self.known.lock().untaken.retain(|job, _| jobs.keys().any(|id| id.to_string() == *job));
        let takes = budgets.iter().map(|budget| self.meet(&budget.executor_id)).collect::<Vec<_>>();
        // Whoever asks, and whatever it takes: a busy cluster must not hide that nobody will ever do a job.
        for (_, id, job) in &running {
            self.fail_if_hopeless(id, job).await?;
        }
        for (budget, takes) in std::iter::zip(budgets, takes) {
            let Some(takes) = takes? else { continue };
            for (_, id, job) in &running {
                if budget.vcores == 0 {
                    break;
                }
                let mut graph = job.execution_graph.write().await;
                let session = graph.session_id().to_owned();
                let mut passed_over = Vec::new();
                while budget.vcores > 0
                    && let Some(stage) = graph.fetch_running_stage(&passed_over)
                {
                    if takes.covers(Takes::of(&stage.plan)?) && !stage.pending.is_empty() {
                        bound.push(bind(stage, &session, id, budget));
                    } else {
                        passed_over.push(stage.stage_id);
                    }
                }
            }
        }
        Ok(bound)
    }

    fn name(&self) -> &str {
        "trommel"
    }
}

/// Gives an executor the next partition of a stage, or all of them where they run into one.
fn bind(stage: &mut RunningStage, session: &str, job: &JobId, budget: &mut AvailableVcores) -> BoundTask {
    let most = if joins(&stage.plan) { usize::MAX } else { 1 };
    let partitions = stage.pending.next_slice(most);
    let attempts = partitions.iter().filter_map(|partition| stage.task_failure_numbers.get(*partition));
    let task_attempt = attempts.max().copied().unwrap_or(0);
    // Tasks are numbered as they are begun.
    let key = TaskKey { job_id: job.clone(), stage_id: stage.stage_id, task_id: stage.task_infos.len() };
    let mut info = create_task_info(budget.executor_id.clone(), key.task_id);
    info.global_input_partition_ids.clone_from(&partitions);
    info.vcores_consumed = 1;
    stage.task_infos.push(info);
    budget.vcores -= 1;
    let task = TaskDescription {
        session_id: session.to_owned(),
        key,
        stage_attempt_num: stage.stage_attempt_num,
        task_attempt,
        global_input_partition_ids: partitions,
        vcores_consumed: 1,
        plan: Arc::clone(&stage.plan),
        session_config: Arc::clone(&stage.session_config),
    };
    (budget.executor_id.clone(), task)
}

/// Whether a stage, below its writer, runs many partitions into one: a task that had only some of them would end with a part of the rows.
fn joins(stage: &Arc<dyn ExecutionPlan>) -> bool {
    let mut node = stage;
    loop {
        let children = node.children();
        let [child] = children.as_slice() else { return false };
        // What comes out of a shuffle is as many partitions as it is.
        if child.is::<ShuffleReaderExec>() || child.is::<RangeShuffleReaderExec>() {
            return false;
        }
        if child.output_partitioning().partition_count() == 1 {
            return true;
        }
        node = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_work_are_read_and_written() {
        assert_eq!("fetch, score,rest".parse(), Ok(Takes::ALL));
        let takes: Takes = "score".parse().unwrap();
        assert_eq!(takes.to_string(), "score");
        assert!(Takes::ALL.covers(takes) && takes.covers(takes));
        assert!(!takes.covers("fetch,score".parse().unwrap()) && !takes.covers("rest".parse().unwrap()));
        for wrong in ["", "gpu", "fetch;score", "fetch,"] {
            let error = wrong.parse::<Takes>().unwrap_err();
            assert!(error.contains("fetch, score, or rest"), "{error}");
        }
    }

    #[test]
    fn a_name_says_what_an_executor_takes_and_who_made_it() {
        let takes = "fetch,rest".parse().unwrap();
        assert_eq!(takes_of(&executor_name(takes)).unwrap(), takes);
        let other = executor_name(takes).replace(build_id(), "0.0.1+old");
        let error = takes_of(&other).unwrap_err().to_string();
        assert!(error.contains("0.0.1+old") && error.contains(build_id()), "{error}");
        assert!(takes_of("8a4fe2d2-11aa-44f4-b7ab-3b2ae0c1d5c1").unwrap_err().to_string().contains("trommel executor"));
    }

    #[test]
    fn a_job_is_hopeless_only_if_nobody_ever_took_its_work() {
        let placement = Placement::new(Duration::ZERO);
        placement.meet(&executor_name("rest".parse().unwrap())).unwrap();
        let score = "score".parse().unwrap();
        assert!(placement.is_hopeless("job", score).unwrap().contains("`score`"));
        assert_eq!(Placement::new(Duration::from_secs(3600)).is_hopeless("job", score), None);
        placement.meet(&executor_name(Takes::ALL)).unwrap();
        assert_eq!(placement.is_hopeless("job", score), None);
    }

    #[test]
    fn an_executor_of_another_build_is_told_once_in_a_while_and_named_to_the_client() {
        let placement = Placement::new(Duration::ZERO);
        let other = executor_name(Takes::ALL).replace(build_id(), "0.0.1+old");
        assert!(placement.meet(&other).unwrap_err().to_string().contains("0.0.1+old"));
        assert_eq!(placement.meet(&other).unwrap(), None);
        let why = placement.is_hopeless("job", Takes::ALL).unwrap();
        assert!(why.contains("0.0.1+old") && why.contains(build_id()) && !why.contains('\n'), "{why}");
    }
}
