//! What keeps a plan from being made.

use super::rates::Item;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A stage needs a rate that the rates file does not hold.
    #[error("stage `{stage}` needs the rate `{item}` ({unit}), which was not measured: run `trommel plan --calibrate` ({how})")]
    NotMeasured {
        /// The stage.
        stage: String,
        /// The missing rate.
        item: Item,
        /// Its unit.
        unit: &'static str,
        /// How it is measured.
        how: &'static str,
    },
    /// A rates file holds a value that no plan can be made of.
    #[error("rate `{item}`: {problem}")]
    Rate {
        /// The rate.
        item: Item,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A rates file cannot be read.
    #[error("the rates file is not what `trommel plan --calibrate` writes: {0}")]
    RatesFile(String),
    /// No machines are named for a stage.
    #[error("no machines for stage `{stage}`: add `{role}=…` or `all=…` to `--machines`")]
    NoMachines {
        /// The stage.
        stage: String,
        /// The role that would fit.
        role: &'static str,
    },
    /// The list of machines has a mistake.
    #[error("--machines, character {at}: {problem}\n  {text}\n  {caret:>width$}", caret = '^', width = at)]
    Machines {
        /// The whole list.
        text: String,
        /// Place of the mistake, in characters from 1.
        at: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A stage loses rows, and nothing says how many.
    #[error("stage `{stage}` keeps an unknown share of its rows: say it with `--keep {stage}=FRACTION`")]
    UnknownShare {
        /// The stage.
        stage: String,
    },
    /// A number lies outside of what it may be.
    #[error("`{name}` cannot be {value}: {wanted}")]
    Range {
        /// Name of the option or of the stage's parameter.
        name: String,
        /// What it was.
        value: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// The stages do not make a job.
    #[error("{0}")]
    Stages(String),
}

/// Refuses a number outside of its range.
pub(crate) fn check(name: &str, value: f64, holds: bool, wanted: &'static str) -> Result<(), PlanError> {
    if value.is_finite() && holds {
        return Ok(());
    }
    Err(PlanError::Range { name: name.to_owned(), value: value.to_string(), wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_machines_is_pointed_at() {
        let error = PlanError::Machines { text: "fetch=0x16c".into(), at: 7, problem: "at least one machine".into() };
        assert_eq!(error.to_string(), "--machines, character 7: at least one machine\n  fetch=0x16c\n        ^");
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert!(check("x", f64::NAN, true, "a number").is_err());
        assert!(check("x", 1.0, true, "a number").is_ok());
    }
}
