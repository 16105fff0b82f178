//! What is asked for: attributes, labels, targets, limits; checked once.

use serde::{Deserialize, Serialize};

use super::utility::Utility;

/// Attributes and labels together, at most: a pattern is a `u128`.
pub(super) const MAX_BITS: usize = 128;

/// What can be wrong with a problem or its rows.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum M4Error {
    /// No attribute is given.
    #[error("m4 needs at least one attribute")]
    NoAttributes,
    /// More attributes and labels than a pattern holds.
    #[error("{attributes} attributes and {labels} labels: m4 takes at most 128 together")]
    TooMany {
        /// Attributes given.
        attributes: usize,
        /// Labels given.
        labels: usize,
    },
    /// Two attributes or labels have one name.
    #[error("the name `{0}` is given twice")]
    SameName(String),
    /// A setting is out of its range.
    #[error("`{name}` is {value}: it must be {range}")]
    OutOfRange {
        /// The setting, with the attribute or the label where there is one.
        name: String,
        /// What was given.
        value: f64,
        /// What would be right.
        range: &'static str,
    },
    /// The limits are given one by one, and their number is wrong.
    #[error("`{name}` has {given} values: it takes one, or {wanted}")]
    LimitCount {
        /// `epsilon_r` or `epsilon_d`.
        name: &'static str,
        /// Values given.
        given: usize,
        /// Values that would be right.
        wanted: usize,
    },
    /// All rows, or none, have the attribute, so no weight can change its rate.
    #[error("the attribute `{name}` is constant: {with} of {rows} rows have it")]
    ConstantAttribute {
        /// The attribute's name.
        name: String,
        /// Rows that have it.
        with: u64,
        /// Rows in all.
        rows: u64,
    },
    /// There is no row.
    #[error("m4 has no rows to balance")]
    NoRows,
    /// A row sets a bit that is neither an attribute's nor a label's.
    #[error("row {row}: bit {bit} is set, but there are {known} attributes and labels")]
    UnknownBit {
        /// Index in the slice that was given.
        row: usize,
        /// The highest bit that is set.
        bit: u32,
        /// Attributes and labels.
        known: usize,
    },
    /// A utility is negative or not a finite number.
    #[error("row {row}: the utility is {value}, it must be a finite number of at least 0")]
    BadUtility {
        /// Index in the slice that was given.
        row: usize,
        /// What was given.
        value: f64,
    },
    /// The problem uses utilities, and none are given.
    #[error("the problem weighs rows by utility, but no utilities are given")]
    MissingUtility,
    /// Two slices that describe the same rows differ in length.
    #[error("{rows} rows and {utilities} utilities")]
    Lengths {
        /// Patterns given.
        rows: usize,
        /// Utilities given.
        utilities: usize,
    },
    /// More distinct patterns than the table may hold.
    #[error("more than {0} distinct patterns: raise the limit, bin the utility more coarsely, or use the streaming form")]
    TooManyPatterns(usize),
    /// Two tables of counts, or a table and a problem, do not belong together.
    #[error("the pattern counts belong to another problem: attributes, labels or utility levels differ")]
    OtherProblem,
    /// The solver did not get to its tolerance.
    #[error("m4 did not converge in {iterations} iterations: the residual is {residual:.1e}, the tolerance {tolerance:.1e}")]
    NotConverged {
        /// Iterations done.
        iterations: u64,
        /// Largest scaled entry of the projected gradient.
        residual: f64,
        /// What it should have come down to.
        tolerance: f64,
    },
}

/// A sensitive attribute and the rate that it is to have among the kept rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The name, as reports show it.
    pub name: String,
    /// The target rate π, 0 to 1.
    pub target: f64,
}

impl Attribute {
    /// An attribute with its target rate, 0 to 1.
    pub fn new(name: impl Into<String>, target: f64) -> Self {
        Self { name: name.into(), target }
    }
}

/// One limit for all, or one for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Limit {
    /// The same for all.
    All(f64),
    /// For `epsilon_r` one per attribute; for `epsilon_d` one per attribute and label, row-major: attribute 0 with each label first.
    Each(Vec<f64>),
}

impl Limit {
    fn expand(&self, name: &'static str, wanted: usize) -> Result<Vec<f64>, M4Error> {
        let values = match self {
            Self::All(value) => vec![*value; wanted],
            Self::Each(values) if values.len() == wanted => values.clone(),
            Self::Each(values) => return Err(M4Error::LimitCount { name, given: values.len(), wanted }),
        };
        let checked = match self {
            Self::All(value) => std::slice::from_ref(value),
            Self::Each(values) => values.as_slice(),
        };
        for value in checked {
            in_range(name, *value, (0.0..=1.0).contains(value), "between 0 and 1")?;
        }
        Ok(values)
    }
}

/// `epsilon_d` for an association gap of at most `gap` (a difference of two probabilities) for each attribute and label.
///
/// If the rate of attribute `k` is met, the gap of label `r` is `E_q[(s_k − π_k)·y_r] / (π_k·(1 − π_k))`, so the limit
/// is `gap · π_k · (1 − π_k)`. With `epsilon_r` above 0 the gap can be larger by as much as the rate may be off.
pub fn gap_limit(attributes: &[Attribute], labels: usize, gap: f64) -> Limit {
    Limit::Each(attributes.iter().flat_map(|a| std::iter::repeat_n(gap * a.target * (1.0 - a.target), labels)).collect())
}

/// A problem as a user states it; [`M4Problem::new`] checks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct M4Options {
    /// The sensitive attributes: bits 0 to m − 1 of a pattern.
    pub attributes: Vec<Attribute>,
    /// Labels whose association with the attributes is removed, proxies among them: bits m to m + c − 1. May be empty.
    pub labels: Vec<String>,
    /// Limit on `|E_q[s_k] − π_k|` among the kept rows, 0 to 1.
    #[serde(default = "default_epsilon_r")]
    pub epsilon_r: Limit,
    /// Limit on `|E_q[(s_k − π_k)·y_r]|` among the kept rows, 0 to 1; [`gap_limit`] makes it from a gap.
    #[serde(default = "default_epsilon_d")]
    pub epsilon_d: Limit,
    /// Mean weight η, above 0, at most 1 and at most `cap`: the part of the rows that is kept.
    #[serde(default = "default_eta")]
    pub eta: f64,
    /// Largest weight Q: 1 for subsampling alone, above 1 for repeats.
    #[serde(default = "default_cap")]
    pub cap: f64,
    /// Enforcement level V, above 0: the price of breaking a limit by 1. Where the limits can be met a large one has no effect; where they cannot it decides how far the weights go.
    #[serde(default = "default_enforcement")]
    pub enforcement: f64,
    /// How the utility enters.
    #[serde(default)]
    pub utility: Utility,
}

const fn default_epsilon_r() -> Limit {
    Limit::All(0.01)
}

const fn default_epsilon_d() -> Limit {
    Limit::All(0.001)
}

const fn default_eta() -> f64 {
    0.9
}

const fn default_cap() -> f64 {
    1.0
}

const fn default_enforcement() -> f64 {
    100.0
}

impl M4Options {
    /// The defaults: ε_R 0.01, ε_D 0.001, η 0.9 (the paper's rate), Q 1, V 100, no utility.
    pub fn new(attributes: Vec<Attribute>, labels: Vec<String>) -> Self {
        Self {
            attributes,
            labels,
            epsilon_r: default_epsilon_r(),
            epsilon_d: default_epsilon_d(),
            eta: default_eta(),
            cap: default_cap(),
            enforcement: default_enforcement(),
            utility: Utility::default(),
        }
    }
}

/// A problem that has been checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "M4Options", into = "M4Options")]
pub struct M4Problem {
    options: M4Options,
    /// Per attribute.
    pub(super) epsilon_r: Vec<f64>,
    /// Per attribute and label, row-major.
    pub(super) epsilon_d: Vec<f64>,
}

impl TryFrom<M4Options> for M4Problem {
    type Error = M4Error;

    fn try_from(options: M4Options) -> Result<Self, M4Error> {
        Self::new(options)
    }
}

impl From<M4Problem> for M4Options {
    fn from(problem: M4Problem) -> Self {
        problem.options
    }
}

impl M4Problem {
    /// Checks ranges, numbers and names.
    pub fn new(options: M4Options) -> Result<Self, M4Error> {
        let (m, c) = (options.attributes.len(), options.labels.len());
        if m == 0 {
            return Err(M4Error::NoAttributes);
        }
        if m + c > MAX_BITS {
            return Err(M4Error::TooMany { attributes: m, labels: c });
        }
        let mut names: Vec<&String> = options.attributes.iter().map(|a| &a.name).chain(&options.labels).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(M4Error::SameName(pair[0].clone()));
        }
        for attribute in &options.attributes {
            let name = format!("the target of {}", attribute.name);
            in_range(&name, attribute.target, (0.0..=1.0).contains(&attribute.target), "between 0 and 1")?;
        }
        let epsilon_r = options.epsilon_r.expand("epsilon_r", m)?;
        let epsilon_d = options.epsilon_d.expand("epsilon_d", m * c)?;
        let (eta, cap, enforcement) = (options.eta, options.cap, options.enforcement);
        in_range("cap", cap, cap > 0.0 && cap.is_finite(), "a finite number above 0")?;
        in_range("eta", eta, eta > 0.0 && eta <= 1.0, "above 0 and at most 1")?;
        in_range("eta", eta, eta <= cap, "at most the cap")?;
        in_range("enforcement", enforcement, enforcement > 0.0 && enforcement.is_finite(), "a finite number above 0")?;
        options.utility.check()?;
        Ok(Self { options, epsilon_r, epsilon_d })
    }

    /// The settings as they were given.
    pub fn options(&self) -> &M4Options {
        &self.options
    }

    /// Number of attributes, m.
    pub fn attributes(&self) -> usize {
        self.options.attributes.len()
    }

    /// Number of labels, c.
    pub fn labels(&self) -> usize {
        self.options.labels.len()
    }

    /// Length of the multipliers v: 2m(c + 1).
    pub fn multipliers(&self) -> usize {
        2 * self.attributes() * (self.labels() + 1)
    }

    pub(super) fn target(&self, k: usize) -> f64 {
        self.options.attributes[k].target
    }

    /// The bits that may be set.
    pub(super) fn mask(&self) -> u128 {
        u128::MAX >> (MAX_BITS - self.attributes() - self.labels())
    }
}

fn in_range(name: &str, value: f64, right: bool, range: &'static str) -> Result<(), M4Error> {
    if right { Ok(()) } else { Err(M4Error::OutOfRange { name: name.into(), value, range }) }
}
