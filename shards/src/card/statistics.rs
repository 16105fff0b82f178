//! Counts, histograms and tables that a card shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Rows through all stages. Reads the `funnel.json` of a run's output as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardFunnel {
    /// Rows of the source.
    pub rows: u64,
    /// The stages that lost rows, in order.
    pub stages: Vec<CardStage>,
    /// Rows of the dataset.
    pub kept: u64,
    /// Rows that wait for a later round, or for units that failed.
    pub pending: u64,
}

/// Rows through one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CardStage {
    /// The stage, `3.dedupe` for the third of a recipe.
    pub stage: String,
    /// What the stage does, as the recipe says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Rows that came in.
    pub rows: u64,
    /// Rows that went on.
    pub kept: u64,
    /// Rows lost, by reason.
    pub lost: BTreeMap<String, u64>,
}

/// The largest domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Domains {
    /// Rows over which shares are taken.
    pub rows: u64,
    /// Number of different domains.
    pub distinct: Option<u64>,
    /// Rows of the largest.
    pub top: BTreeMap<String, u64>,
}

/// Counts by range of a number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// The unit of the edges: `px`, `characters`.
    pub unit: String,
    /// The ranges, in order.
    pub bins: Vec<Bin>,
}

/// One range of a histogram: `from` is in it, `to` is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower edge.
    pub from: f64,
    /// Upper edge; `None` for no bound.
    #[serde(default)]
    pub to: Option<f64>,
    /// Rows in it.
    pub rows: u64,
}

/// Rows left out because the owner asked for it, by the way of asking. `None`: not looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OptOuts {
    /// `robots.txt`.
    pub robots: Option<u64>,
    /// `noai`, `noimageai` and their like, in headers or pages.
    pub noai: Option<u64>,
    /// The TDM reservation protocol.
    pub tdm: Option<u64>,
}

/// Rows removed because they are in evaluation sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvalOverlap {
    /// The sets that were compared with.
    pub sets: Vec<String>,
    /// Rows removed.
    pub rows: u64,
}

/// How a cut fell on groups of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PassRates {
    /// The stage that cut.
    pub stage: String,
    /// What the groups are: `language`, `script`, `top-level domain`.
    pub by: String,
    /// The groups.
    pub groups: Vec<Group>,
    /// Warnings that the report gave, one sentence each.
    pub warnings: Vec<String>,
}

/// One group of rows at a cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Rows that came in.
    pub rows: u64,
    /// Rows that went on.
    pub kept: u64,
}

/// What one way of balancing did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Balancing {
    /// The stage.
    pub stage: Option<String>,
    /// The method: `m4`, `metaclip`, `language`, `clusters`.
    pub method: String,
    /// Its parameters: the rate η, the limits ε, the level V, the threshold t.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Tables of the data before and after.
    pub tables: Vec<Comparison>,
    /// How far each limit is missed after balancing; 0 where it is met.
    pub residuals: BTreeMap<String, f64>,
    /// Targets that cannot be met, with the bound that they break, one sentence each.
    pub infeasible: Vec<String>,
}

/// A table of values before and after.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// What is compared: `share of rows`, `association`.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Compared>,
}

/// One value before and after.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compared {
    /// What it is the value of.
    pub name: String,
    /// What was aimed at.
    pub target: Option<f64>,
    /// Before.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
}
