//! The funnel: for every stage, rows in, kept, and lost by reason. It sums to the input, or says that it does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trommel_shards::marker::Counts;

/// Rows through one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The stage, `3.dedupe` for the third of a recipe.
    pub stage: String,
    /// Rows that came in.
    pub rows: u64,
    /// Rows that went on.
    pub kept: u64,
    /// Rows lost, by reason.
    pub lost: BTreeMap<String, u64>,
}

/// The funnel of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Rows of the source.
    pub rows: u64,
    /// The stages that lost rows, in order.
    pub stages: Vec<Stage>,
    /// Rows in the final shards.
    pub kept: u64,
    /// Rows that wait for a later round or for units that failed.
    pub pending: u64,
}

impl Funnel {
    /// Adds the counts of a pass whose input is the output of the pass before. The stages come in recipe order.
    pub fn pass(&mut self, counts: &Counts, order: &[String]) {
        let position = |stage: &String| order.iter().position(|name| name == stage).unwrap_or(usize::MAX);
        let mut stages: Vec<_> = counts.lost.iter().collect();
        stages.sort_by_key(|(stage, _)| (position(stage), (*stage).clone()));
        let mut rows = counts.rows;
        for (stage, lost) in stages {
            let gone: u64 = lost.values().sum();
            match self.stages.iter_mut().find(|known| known.stage == *stage) {
                Some(known) => {
                    for (reason, count) in lost {
                        *known.lost.entry(reason.clone()).or_default() += count;
                    }
                    known.kept = known.kept.saturating_sub(gone);
                }
                None => self.stages.push(Stage { stage: stage.clone(), rows, kept: rows - gone, lost: lost.clone() }),
            }
            rows -= gone;
        }
        self.kept = counts.kept;
    }

    /// Whether kept, lost and pending sum to the input.
    pub fn balances(&self) -> bool {
        let lost: u64 = self.stages.iter().flat_map(|stage| stage.lost.values()).sum();
        self.kept + lost + self.pending == self.rows
    }

    /// The funnel as a table for people.
    pub fn table(&self) -> String {
        let mut text = format!("{:<24} {:>12} {:>12} {:>7}\n", "stage", "rows", "kept", "kept %");
        let percent = |kept: u64, rows: u64| if rows == 0 { 100.0 } else { kept as f64 * 100.0 / rows as f64 };
        text.push_str(&format!("{:<24} {:>12} {:>12} {:>7.2}\n", "source", self.rows, self.rows, 100.0));
        for stage in &self.stages {
            text.push_str(&format!("{:<24} {:>12} {:>12} {:>7.2}\n", stage.stage, stage.rows, stage.kept, percent(stage.kept, stage.rows)));
            let mut lost: Vec<_> = stage.lost.iter().collect();
            lost.sort_by_key(|&(reason, &count)| (std::cmp::Reverse(count), reason));
            for (reason, count) in lost {
                text.push_str(&format!("  {count:>10}  {reason}\n"));
            }
        }
        if self.pending > 0 {
            text.push_str(&format!("{:<24} {:>12}\n", "pending", self.pending));
        }
        text.push_str(&format!("{:<24} {:>12} {:>12} {:>7.2}\n", "kept in all", self.rows, self.kept, percent(self.kept, self.rows)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_funnel_sums_to_its_input() {
        let mut first = Counts { rows: 10, kept: 7, ..Counts::default() };
        for _ in 0..3 {
            first.lose("2.keep", "words(text) > 2");
        }
        let mut second = Counts { rows: 7, kept: 5, ..Counts::default() };
        second.lose("3.dedupe", "duplicate");
        second.lose("fetch", "http_404");
        let order: Vec<String> = ["2.keep", "3.dedupe", "fetch"].map(String::from).to_vec();
        let mut funnel = Funnel { rows: 10, ..Funnel::default() };
        funnel.pass(&first, &order);
        funnel.pass(&second, &order);
        assert!(funnel.balances());
        assert_eq!(funnel.stages.iter().map(|stage| (stage.rows, stage.kept)).collect::<Vec<_>>(), [(10, 7), (7, 6), (6, 5)]);
        funnel.kept = 4;
        assert!(!funnel.balances());
    }
}
