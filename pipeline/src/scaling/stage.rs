//! The stages of a job, as far as a plan needs to know them.

use serde::Serialize;

use super::error::{PlanError, check};
use super::machines::Role;

/// A stage with the name that reports give it (`4.fetch`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// Share of its rows that it keeps, 0 to 1, where that is known: from the recipe (`top = 0.3`) or from the user. A fetching
    /// stage's share is the success rate.
    pub kept: Option<f64>,
}

/// What a stage does, with the parameters that its cost depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum StageKind {
    /// Candidates from WAT files. Its rows are candidates.
    ExtractWat,
    /// Candidates from WARC files. Its rows are candidates.
    ExtractWarc,
    /// Url lists.
    ReadList,
    /// Finished shards.
    ReadShards,
    /// Languages of captions.
    Language,
    /// A predicate over single rows.
    Keep,
    /// Exact duplicates.
    Dedupe,
    /// Downloads and picture work.
    Fetch(FetchStage),
    /// A model.
    Score(ScoreStage),
    /// Hashes of pictures.
    Hash,
    /// Near-copies.
    Near,
    /// A threshold, cap, sample or list over all rows.
    Select,
    /// A draw over all rows.
    Balance,
    /// Final shards from those that were chosen from.
    Reshard,
}

/// Parameters of fetching.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FetchStage {
    /// Target side in pixels.
    pub image_size: u32,
    /// Requests in flight in a process.
    pub concurrency: u32,
    /// Rows of a unit, and so of a shard.
    pub unit_rows: u32,
    /// Rows of a host that stay together.
    pub host_rows: u32,
    /// Lanes of units; 0 for as many as there are by the number of urls.
    pub lanes: u32,
    /// Seconds after which a unit starts no request.
    pub unit_seconds: f64,
    /// Rounds.
    pub rounds: u32,
    /// Units that a process works on at a time.
    pub units_at_once: u32,
    /// Seconds between two requests to a host.
    pub host_delay: f64,
    /// Requests that a host may have open.
    pub host_concurrency: u32,
    /// Requests for rules that a process makes of each host: robots.txt, tdmrep.json, ai.txt.
    pub policy_requests: u32,
}

impl Default for FetchStage {
    /// The defaults of the recipe's settings.
    fn default() -> Self {
        Self {
            image_size: 256,
            concurrency: 256,
            unit_rows: 10_000,
            host_rows: 50,
            lanes: 0,
            unit_seconds: 1800.0,
            rounds: 5,
            units_at_once: 16,
            host_delay: 0.1,
            host_concurrency: 2,
            policy_requests: 2,
        }
    }
}

/// Parameters of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreStage {
    /// Operations for one picture, in FLOP (a multiplication and an addition are two).
    pub picture_flops: f64,
    /// Operations for one caption, in FLOP; 0 where only pictures are embedded.
    pub caption_flops: f64,
    /// Numbers of 16 bits that are stored beside the shard for each row, both vectors together; 0 where none are stored.
    pub stored_numbers: u32,
}

impl Stage {
    /// A stage without a known share.
    pub fn new(name: impl Into<String>, kind: StageKind) -> Self {
        Self { name: name.into(), kind, kept: None }
    }

    /// The same with a known share.
    #[must_use]
    pub fn keeping(mut self, share: f64) -> Self {
        self.kept = Some(share);
        self
    }

    /// What machines it runs on.
    pub const fn role(&self) -> Role {
        match self.kind {
            StageKind::ExtractWat | StageKind::ExtractWarc | StageKind::ReadList | StageKind::ReadShards => Role::Extract,
            StageKind::Language => Role::Language,
            StageKind::Keep => Role::Keep,
            StageKind::Dedupe => Role::Dedupe,
            StageKind::Fetch(_) => Role::Fetch,
            StageKind::Score(_) => Role::Score,
            StageKind::Hash => Role::Hash,
            StageKind::Near => Role::Near,
            StageKind::Select => Role::Select,
            StageKind::Balance => Role::Balance,
            StageKind::Reshard => Role::Reshard,
        }
    }

    /// Whether it is where rows come from.
    pub(crate) const fn is_source(&self) -> bool {
        matches!(self.kind, StageKind::ExtractWat | StageKind::ExtractWarc | StageKind::ReadList | StageKind::ReadShards)
    }

    /// Whether a pass begins with it: sources, and what has to see all rows, and fetching.
    pub(crate) const fn begins_pass(&self) -> bool {
        self.is_source()
            || matches!(
                self.kind,
                StageKind::Dedupe | StageKind::Fetch(_) | StageKind::Near | StageKind::Select | StageKind::Balance | StageKind::Reshard
            )
    }

    /// Whether it runs on one machine, however many there are.
    pub(crate) const fn on_one_machine(&self) -> bool {
        matches!(self.kind, StageKind::Near | StageKind::Select | StageKind::Balance)
    }

    fn validate(&self) -> Result<(), PlanError> {
        let name = |part: &str| format!("{}.{part}", self.name);
        if let Some(kept) = self.kept {
            check(&name("kept"), kept, kept > 0.0 && kept <= 1.0, "a share over 0, up to 1")?;
        }
        match &self.kind {
            StageKind::Fetch(fetch) => {
                check(&name("image_size"), f64::from(fetch.image_size), fetch.image_size > 0, "at least 1 pixel")?;
                check(&name("concurrency"), f64::from(fetch.concurrency), fetch.concurrency > 0, "at least 1")
            }
            StageKind::Score(score) => {
                check(&name("picture_flops"), score.picture_flops, score.picture_flops >= 0.0, "not negative")?;
                check(&name("caption_flops"), score.caption_flops, score.caption_flops >= 0.0, "not negative")
            }
            _ => Ok(()),
        }
    }
}

/// Checks that stages make a job: one source, first; at most one fetching stage.
pub(crate) fn validate(stages: &[Stage]) -> Result<(), PlanError> {
    let Some(first) = stages.first() else {
        return Err(PlanError::Stages("there are no stages to plan".to_owned()));
    };
    if !first.is_source() {
        return Err(PlanError::Stages(format!("the first stage, `{}`, is no source", first.name)));
    }
    if let Some(second) = stages[1..].iter().find(|stage| stage.is_source()) {
        return Err(PlanError::Stages(format!("`{}` is a second source", second.name)));
    }
    let fetches = stages.iter().filter(|stage| matches!(stage.kind, StageKind::Fetch(_))).count();
    if fetches > 1 {
        return Err(PlanError::Stages("a job fetches once".to_owned()));
    }
    stages.iter().try_for_each(Stage::validate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_without_a_source_with_two_or_with_two_fetches_are_refused() {
        let source = || Stage::new("source", StageKind::ReadList);
        let fetch = || Stage::new("1.fetch", StageKind::Fetch(FetchStage::default()));
        validate(&[source(), fetch()]).unwrap();
        for bad in [vec![], vec![fetch()], vec![source(), source()], vec![source(), fetch(), fetch()]] {
            assert!(validate(&bad).is_err());
        }
        assert!(validate(&[source().keeping(0.0)]).is_err());
    }
}
