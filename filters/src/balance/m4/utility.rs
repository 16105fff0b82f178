//! How the utility of a row enters: not at all, in levels, or as it is.

use serde::{Deserialize, Serialize};

use super::problem::M4Error;

/// The most levels that [`Utility::Levels`] takes.
const MAX_LEVELS: u32 = 1 << 16;

/// How utilities `u ≥ 0` are read.
///
/// A pattern of the histogram is (attributes, labels, utility), so levels keep the table small. The weight of a row is
/// the weight of its level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Utility {
    /// u = 1 for every row; utilities that are given are not looked at.
    #[default]
    One,
    /// The nearest of `count` equally spaced levels from `low` to `high` (between two, the higher); beyond them, the end.
    Levels {
        /// The first level, at least 0.
        low: f32,
        /// The last level, above `low`.
        high: f32,
        /// Levels, 2 to 65 536.
        count: u32,
    },
    /// As it is: each distinct `f32` is a level. For utilities of few values, and for the streaming form.
    Exact,
}

impl Utility {
    pub(super) fn check(&self) -> Result<(), M4Error> {
        if let Self::Levels { low, high, count } = *self {
            let wrong = |name: &str, value: f64, range| M4Error::OutOfRange { name: name.into(), value, range };
            if !(low >= 0.0 && low.is_finite()) {
                return Err(wrong("utility.low", low.into(), "a finite number of at least 0"));
            }
            if !(high > low && high.is_finite()) {
                return Err(wrong("utility.high", high.into(), "a finite number above `low`"));
            }
            if !(2..=MAX_LEVELS).contains(&count) {
                return Err(wrong("utility.count", count.into(), "between 2 and 65536"));
            }
        }
        Ok(())
    }

    /// Whether the rows must bring a utility.
    pub fn is_used(&self) -> bool {
        *self != Self::One
    }

    /// The level of a utility; none if it is negative or not finite.
    pub(super) fn key(&self, u: f32) -> Option<u32> {
        match *self {
            Self::One => Some(0),
            _ if !(u >= 0.0 && u.is_finite()) => None,
            Self::Levels { low, high, count } => {
                let steps = f64::from(count - 1);
                let at = (f64::from(u) - f64::from(low)) / (f64::from(high) - f64::from(low)) * steps;
                // The cast keeps what is below 0 at 0.
                Some(((at + 0.5) as u32).min(count - 1))
            }
            // Adding 0 makes one zero of the two.
            Self::Exact => Some((u + 0.0).to_bits()),
        }
    }

    /// The utility of a level.
    pub(super) fn value(&self, key: u32) -> f64 {
        match *self {
            Self::One => 1.0,
            Self::Levels { low, high, count } => {
                let (low, high) = (f64::from(low), f64::from(high));
                low + (high - low) * (f64::from(key) / f64::from(count - 1))
            }
            Self::Exact => f64::from(f32::from_bits(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_the_nearest_and_end_at_the_ends() {
        let levels = Utility::Levels { low: 0.0, high: 1.0, count: 11 };
        let value = |u: f32| levels.key(u).map(|key| levels.value(key));
        assert_eq!(value(0.0), Some(0.0));
        assert_eq!(value(1.0), Some(1.0));
        assert_eq!(value(7.0), Some(1.0));
        assert_eq!(value(0.26), Some(0.3));
        assert_eq!(value(0.04), Some(0.0));
        assert_eq!(value(-0.1), None);
        assert_eq!(value(f32::NAN), None);
        assert_eq!(Utility::Levels { low: 0.5, high: 1.0, count: 2 }.key(0.1), Some(0));
    }

    #[test]
    fn exact_utilities_come_back_and_the_two_zeros_are_one() {
        assert_eq!(Utility::Exact.key(0.3).map(|key| Utility::Exact.value(key)), Some(f64::from(0.3f32)));
        assert_eq!(Utility::Exact.key(-0.0), Utility::Exact.key(0.0));
    }

    #[test]
    fn levels_that_make_no_sense_are_errors() {
        for bad in [
            Utility::Levels { low: -1.0, high: 1.0, count: 3 },
            Utility::Levels { low: 1.0, high: 1.0, count: 3 },
            Utility::Levels { low: 0.0, high: f32::NAN, count: 3 },
            Utility::Levels { low: 0.0, high: 1.0, count: 1 },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
