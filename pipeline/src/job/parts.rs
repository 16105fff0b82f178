//! Runs that share a job: each does its share of the units, one of them what needs all rows, and all wait for each other
//! in between.
//!
//! Nothing passes between them but what lies in the output: markers, failures, signs of life, and locks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use trommel_shards::marker::Marker;

use super::error::JobError;
use super::here::Here;
use crate::ledger::{Failure, JobLock, Part, Presence, now};

/// Between two looks at what the others have done, at first and at last.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Whose turn a pass is that only one run may do.
pub(super) enum Turn {
    /// It is done already.
    Done,
    /// This run's; the lock is to be given back after it. A whole run needs none.
    Mine(Option<JobLock>),
}

impl Turn {
    /// Gives the lock back.
    pub(super) async fn over(self) {
        if let Self::Mine(Some(lock)) = self {
            lock.release().await;
        }
    }
}

/// The units that are a part's to do: those of its lanes, or every `of`-th in order of their names.
pub(super) fn share(part: Part, units: impl Iterator<Item = String>, lanes: &BTreeMap<String, usize>) -> BTreeSet<String> {
    let taken = units.enumerate().filter(|(place, unit)| part.takes(lanes.get(unit).copied().unwrap_or(*place)));
    taken.map(|(_, unit)| unit).collect()
}

impl Here<'_> {
    /// Whether a pass that only one run does is done.
    pub(super) async fn marked(&self, pass: &str, config: &str, identity: &str) -> Result<bool, JobError> {
        Ok(match Marker::read(self.storage(), pass, "all").await? {
            Some(marker) => marker.config == config && marker.input == identity && marker.outputs_present(self.storage()).await?,
            None => false,
        })
    }

    /// Waits until a pass is done, or is this run's to do.
    pub(super) async fn turn(&self, pass: &str, config: &str, identity: &str) -> Result<Turn, JobError> {
        let mut pause = LOOK.0;
        loop {
            if self.marked(pass, config, identity).await? {
                return Ok(Turn::Done);
            }
            if self.options.part.is_none() {
                return Ok(Turn::Mine(None));
            }
            if let Some(lock) = JobLock::try_pass(self.storage(), pass).await? {
                if self.marked(pass, config, identity).await? {
                    lock.release().await;
                    return Ok(Turn::Done);
                }
                return Ok(Turn::Mine(Some(lock)));
            }
            self.beat.doing(&format!("waiting for another part to finish `{pass}`"));
            self.pause(&mut pause).await?;
        }
    }

    /// Waits until nobody else works on a pass, and takes it.
    pub(super) async fn alone(&self, pass: &str) -> Result<Turn, JobError> {
        let mut pause = LOOK.0;
        while self.options.part.is_some() {
            if let Some(lock) = JobLock::try_pass(self.storage(), pass).await? {
                return Ok(Turn::Mine(Some(lock)));
            }
            self.beat.doing(&format!("waiting for another part to finish `{pass}`"));
            self.pause(&mut pause).await?;
        }
        Ok(Turn::Mine(None))
    }

    /// Waits until every unit of a pass is done or given up by the run whose it is. What others gave up joins what failed.
    pub(super) async fn others(
        &mut self,
        pass: &str,
        config: &str,
        units: impl Iterator<Item = &String> + Clone,
        lanes: &BTreeMap<String, usize>,
    ) -> Result<(), JobError> {
        let Some(part) = self.options.part else { return Ok(()) };
        let own = share(part, units.clone().cloned(), lanes);
        let mut open: BTreeMap<&String, usize> = BTreeMap::new();
        for (place, unit) in units.enumerate().filter(|(_, unit)| !own.contains(*unit)) {
            open.insert(unit, lanes.get(unit).copied().unwrap_or(place) % part.of);
        }
        let (started, mut pause) = (Instant::now(), LOOK.0);
        loop {
            let there: BTreeSet<String> = self.names(&format!("_trommel/done/{pass}")).await?;
            for unit in there {
                if open.contains_key(&unit)
                    && let Some(marker) = Marker::read(self.storage(), pass, &unit).await?
                    && marker.config == config
                {
                    open.remove(&unit);
                }
            }
            if !open.is_empty() {
                for (unit, failure) in Failure::read_all(self.storage(), pass).await? {
                    if failure.config == config && open.remove(&unit).is_some() {
                        self.failed.push((pass.to_owned(), unit, failure.error));
                    }
                }
            }
            let Some(&late) = open.values().next() else { return Ok(()) };
            self.beat.doing(&format!("waiting for {} units of other parts", open.len()));
            let runs = Presence::read_all(self.storage()).await?;
            let late = Part { index: late, ..part };
            let seen = runs.iter().find(|run| run.run == late.name()).map(|run| now().saturating_sub(run.seen));
            let silent = seen.map_or(started.elapsed(), Duration::from_secs).min(started.elapsed());
            if silent > self.options.part_patience {
                return Err(JobError::Parts { pass: pass.to_owned(), units: open.len(), part: late, seconds: silent.as_secs() });
            }
            self.pause(&mut pause).await?;
        }
    }

    async fn names(&self, folder: &str) -> Result<BTreeSet<String>, JobError> {
        let unit = |name: &str| Some(name.rsplit('/').next()?.strip_suffix(".json")?.to_owned());
        Ok(self.storage().list(folder).await?.iter().filter_map(|entry| unit(&entry.name)).collect())
    }

    async fn pause(&self, pause: &mut Duration) -> Result<(), JobError> {
        tokio::select! {
            () = self.services.cancel.cancelled() => Err(JobError::Interrupted),
            () = tokio::time::sleep(*pause) => {
                *pause = (*pause * 2).min(LOOK.1);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        text.parse().expect("a part")
    }

    #[test]
    fn shares_cover_all_units_once_and_keep_lanes_together() {
        let units: Vec<String> = (0..20).map(|unit| format!("{unit:03}")).collect();
        let lanes: BTreeMap<String, usize> = units.iter().enumerate().map(|(place, unit)| (unit.clone(), place / 4)).collect();
        for lanes in [BTreeMap::new(), lanes] {
            let shares: Vec<_> = (0..3).map(|index| share(Part { index, of: 3 }, units.iter().cloned(), &lanes)).collect();
            let mut all: Vec<String> = shares.iter().flatten().cloned().collect();
            all.sort();
            assert_eq!(all, units);
            for share in &shares {
                let own: BTreeSet<Option<&usize>> = share.iter().map(|unit| lanes.get(unit)).collect();
                let whole = units.iter().filter(|unit| lanes.contains_key(*unit) && own.contains(&lanes.get(*unit))).count();
                assert!(lanes.is_empty() || whole == share.len(), "a lane is in two shares");
            }
        }
        assert_eq!(share(part("0/1"), units.iter().cloned(), &BTreeMap::new()).len(), units.len());
    }
}
