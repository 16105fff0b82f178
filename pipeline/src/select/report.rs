//! What a selection says of itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diversity::PassTable;
use crate::report::{Funnel, Stage};

/// Groups smaller than this say little.
const SMALL_GROUP: u64 = 100;

/// A finished selection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Selected {
    /// Rows in, kept, and lost by stage and reason.
    pub funnel: Funnel,
    /// Rows of the subset, copies counted.
    pub copies: u64,
    /// Uids that more than one kept row has.
    pub duplicate_uids: u64,
    /// What stages found out: thresholds, tables of before and after, by stage.
    pub findings: Vec<Finding>,
    /// Pass rates by group.
    pub pass_rates: Vec<PassTable>,
    /// Groups that a stage keeps at less than the average rate over a factor.
    pub warnings: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// What a stage found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The stage.
    pub stage: String,
    /// Its own words.
    pub found: Value,
}

/// Sentences about groups that are hit harder than others.
pub(super) fn warnings(tables: &[PassTable], factor: f64) -> Vec<String> {
    let mut all = Vec::new();
    for table in tables {
        for (group, share) in table.hit_hard(factor, SMALL_GROUP).into_iter().take(5) {
            all.push(format!(
                "`{}` keeps {:.1} % of {} {} `{}`, {:.2} times the average rate",
                table.stage,
                (1.0 - group.loss()) * 100.0,
                group.rows,
                if group.rows == 1 { "row of" } else { "rows of" },
                format_args!("{} {}", table.dimension.name(), group.group),
                share
            ));
        }
    }
    all
}

/// The funnel of stages by number.
pub(super) fn funnel(rows: u64, names: &[String], lost: &super::scan::Lost) -> Funnel {
    let mut funnel = Funnel { rows, kept: rows, ..Funnel::default() };
    for (at, name) in names.iter().enumerate() {
        let lost = lost.get(&(at as u8)).map(|reasons| reasons.iter().map(|(reason, count)| (reason.to_string(), *count)).collect());
        let lost: std::collections::BTreeMap<String, u64> = lost.unwrap_or_default();
        let gone: u64 = lost.values().sum();
        funnel.stages.push(Stage { stage: name.clone(), rows: funnel.kept, kept: funnel.kept - gone, lost });
        funnel.kept -= gone;
    }
    funnel
}
