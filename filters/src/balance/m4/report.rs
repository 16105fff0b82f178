//! Before and after, in tables.

use serde::Serialize;

use super::counts::{Key, PatternCounts};
use super::fit::M4Fit;
use super::problem::{M4Error, M4Options};
use super::status::M4Status;
use super::tilt::{high_bits, low_bits, ones};

/// The rate of one attribute.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttributeReport {
    /// Its name.
    pub name: String,
    /// The target π.
    pub target: f64,
    /// `E[s]` of all rows.
    pub before: f64,
    /// `E_q[s]` of the kept rows.
    pub after: f64,
    /// after − target.
    pub residual: f64,
    /// ε_R: the largest |residual| that is allowed.
    pub limit: f64,
}

/// An attribute with a label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AssociationReport {
    /// The attribute.
    pub attribute: String,
    /// The label.
    pub label: String,
    /// `E[y | s = 1] − E[y | s = 0]` of all rows; none where one of the groups is empty.
    pub gap_before: Option<f64>,
    /// The same of the kept rows.
    pub gap_after: Option<f64>,
    /// `E[(s − π)·y]` of all rows.
    pub moment_before: f64,
    /// The same of the kept rows.
    pub moment_after: f64,
    /// ε_D: the largest |moment_after| that is allowed.
    pub limit: f64,
}

/// What the weights do, in expectation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct M4Report {
    /// Rows fitted.
    pub rows: u64,
    /// Mean weight: the part of the rows that is written.
    pub mean_weight: f64,
    /// Whether the limits are met, and which are not.
    #[serde(flatten)]
    pub status: M4Status,
    /// RB of all rows: `max |π − E[s]|`.
    pub representation_bias_before: f64,
    /// RB of the kept rows.
    pub representation_bias_after: f64,
    /// AB of all rows: max |gap|.
    pub association_bias_before: f64,
    /// AB of the kept rows.
    pub association_bias_after: f64,
    /// One line per attribute.
    pub attributes: Vec<AttributeReport>,
    /// One line per attribute and label.
    pub associations: Vec<AssociationReport>,
}

/// What happens to one pattern.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatternChange {
    /// The attributes that it has.
    pub attributes: Vec<String>,
    /// The labels that it has.
    pub labels: Vec<String>,
    /// Its utility.
    pub utility: f64,
    /// Rows with it.
    pub rows: u64,
    /// The weight of each, 0 to Q.
    pub weight: f64,
    /// Rows gained (above 0) or lost, against the same weight η for all: rows · (weight − η).
    pub change: f64,
}

impl M4Fit {
    /// The tables of before and after.
    pub fn report(&self) -> M4Report {
        let problem = self.weights.problem();
        let options = problem.options();
        let (before, after) = (&self.before, &self.after);
        let attributes = (0..problem.attributes())
            .map(|k| AttributeReport {
                name: options.attributes[k].name.clone(),
                target: problem.target(k),
                before: before.mean(k),
                after: after.mean(k),
                residual: after.mean(k) - problem.target(k),
                limit: problem.epsilon_r[k],
            })
            .collect();
        let associations = (0..problem.attributes())
            .flat_map(|k| (0..problem.labels()).map(move |r| (k, r)))
            .map(|(k, r)| AssociationReport {
                attribute: options.attributes[k].name.clone(),
                label: options.labels[r].clone(),
                gap_before: before.gap(k, r),
                gap_after: after.gap(k, r),
                moment_before: before.moment(k, r, problem.target(k)),
                moment_after: after.moment(k, r, problem.target(k)),
                limit: problem.epsilon_d[k * problem.labels() + r],
            })
            .collect();
        M4Report {
            rows: self.rows,
            mean_weight: after.weight() / before.weight(),
            status: self.status.clone(),
            representation_bias_before: before.representation_bias(problem),
            representation_bias_after: after.representation_bias(problem),
            association_bias_before: before.association_bias(),
            association_bias_after: after.association_bias(),
            attributes,
            associations,
        }
    }

    /// The `most` patterns that gain most rows and the `most` that lose most, against the same weight for all; each list from the largest change down.
    pub fn explain(&self, counts: &PatternCounts, most: usize) -> Result<(Vec<PatternChange>, Vec<PatternChange>), M4Error> {
        let problem = self.weights.problem();
        counts.belongs_to(problem)?;
        let options = problem.options();
        let mut changes: Vec<(f64, f64, super::PatternCount)> = counts
            .sorted()
            .into_iter()
            .map(|line| {
                let weight = self.weights.of(Key { bits: line.bits, level: line.level });
                (line.count as f64 * (weight - options.eta), weight, line)
            })
            .collect();
        // Stable: equal changes stay in the order of the patterns.
        changes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let named = |(change, weight, line): &(f64, f64, super::PatternCount)| {
            let (attributes, labels) = names(options, line.bits);
            let utility = options.utility.value(line.level);
            PatternChange { attributes, labels, utility, rows: line.count, weight: *weight, change: *change }
        };
        let gain = changes.iter().take_while(|change| change.0 > 0.0).take(most).map(named).collect();
        let lose = changes.iter().rev().take_while(|change| change.0 < 0.0).take(most).map(named).collect();
        Ok((gain, lose))
    }
}

/// The names of the bits that are set.
fn names(options: &M4Options, bits: u128) -> (Vec<String>, Vec<String>) {
    let m = options.attributes.len();
    let (mut attributes, mut labels) = (Vec::new(), Vec::new());
    ones(bits & low_bits(m), |k| attributes.push(options.attributes[k].name.clone()));
    ones(high_bits(bits, m), |r| labels.push(options.labels[r].clone()));
    (attributes, labels)
}
