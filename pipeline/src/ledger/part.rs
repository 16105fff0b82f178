//! One of several runs that share a job's units.

use std::fmt;
use std::str::FromStr;

/// A share of a job: of `of` runs this is number `index`, counted from 0, as job arrays count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The number, below `of`.
    pub index: usize,
    /// Runs in all.
    pub of: usize,
}

/// More runs than this on one output are a mistake in a script.
const MOST: usize = 100_000;

impl Part {
    /// Whether something that is number `place` among its equals is this run's to do.
    pub fn takes(&self, place: usize) -> bool {
        place % self.of == self.index
    }

    /// The name in file names: `3-of-8`.
    pub fn name(&self) -> String {
        format!("{}-of-{}", self.index, self.of)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}`: written INDEX/COUNT, counted from 0: 0/8 to 7/8");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let (index, of) = (index.trim().parse().map_err(|_| wrong())?, of.trim().parse().map_err(|_| wrong())?);
        if of == 0 || of > MOST || index >= of {
            return Err(wrong());
        }
        Ok(Self { index, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_zero() {
        assert_eq!("0/1".parse(), Ok(Part { index: 0, of: 1 }));
        assert_eq!("7/8".parse::<Part>().map(|part| part.to_string()), Ok("7/8".to_owned()));
        for wrong in ["8/8", "1", "a/b", "0/0", "-1/2", "1/2/3", ""] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_place_is_taken_by_one_part() {
        for place in 0..100 {
            assert_eq!((0..7).filter(|&index| Part { index, of: 7 }.takes(place)).count(), 1);
        }
    }
}
