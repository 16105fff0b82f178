//! Random draws that belong to the rows.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::scores::ScoreError;

/// What the rows' random draws hang on.
#[derive(Debug, Clone, Copy, Default)]
pub enum Keys<'a> {
    /// The numbers of the rows: the draws follow the place, and change when rows are sorted otherwise.
    #[default]
    RowNumbers,
    /// One key per row, from [`uid_keys`] for one: the draws follow the row wherever it stands.
    Given(&'a [u64]),
}

impl Keys<'_> {
    pub(crate) fn of(&self, row: usize) -> u64 {
        match self {
            Self::RowNumbers => row as u64,
            Self::Given(keys) => keys[row],
        }
    }

    pub(crate) fn check(&self, rows: usize) -> Result<(), ScoreError> {
        match self {
            Self::Given(keys) if keys.len() != rows => Err(ScoreError::Lengths { what: "keys", expected: rows, found: keys.len() }),
            _ => Ok(()),
        }
    }
}

/// Keys of rows from their uids: 64 bits of XXH3.
pub fn uid_keys<U: AsRef<str>>(uids: &[U]) -> Vec<u64> {
    uids.iter().map(|uid| xxh3_64_with_seed(uid.as_ref().as_bytes(), 0)).collect()
}

/// The draws of one stage and one step: `hash(seed, stage, step, key)`, XXH3 over each under the hash of the ones before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64, stage: &str, step: u64) -> Self {
        Self(xxh3_64_with_seed(&step.to_le_bytes(), xxh3_64_with_seed(stage.as_bytes(), seed)))
    }

    pub(crate) fn bits(self, key: u64) -> u64 {
        xxh3_64_with_seed(&key.to_le_bytes(), self.0)
    }

    /// Between 0 and 1, never one of them.
    pub(crate) fn unit(self, key: u64) -> f64 {
        ((self.bits(key) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// `count` of the rows, drawn without replacement: those of the smallest draws, in the order of the rows.
    pub(crate) fn sample(self, rows: Vec<usize>, keys: Keys<'_>, count: usize) -> Vec<usize> {
        if count >= rows.len() {
            return rows;
        }
        if count == 0 {
            return Vec::new();
        }
        let mut drawn: Vec<(u64, usize)> = rows.into_iter().map(|row| (self.bits(keys.of(row)), row)).collect();
        drawn.select_nth_unstable(count - 1);
        drawn.truncate(count);
        let mut rows: Vec<usize> = drawn.into_iter().map(|(_, row)| row).collect();
        rows.sort_unstable();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_follows_the_keys_and_not_the_order() {
        let keys: Vec<u64> = uid_keys(&(0..500).map(|row| format!("uid {row}")).collect::<Vec<_>>());
        let turned: Vec<u64> = keys.iter().rev().copied().collect();
        let rows: Vec<usize> = (0..500).collect();
        let of = |keys: &[u64]| {
            let sample = Draws::new(3, "test", 1).sample(rows.clone(), Keys::Given(keys), 40);
            let mut sampled: Vec<u64> = sample.into_iter().map(|row| keys[row]).collect();
            sampled.sort_unstable();
            sampled
        };
        assert_eq!(of(&keys), of(&turned));
        assert_eq!(of(&keys).len(), 40);
    }

    #[test]
    fn draws_are_even_and_never_zero_or_one() {
        let draws = Draws::new(0, "test", 0);
        let mean = (0..100_000).map(|key| draws.unit(key)).sum::<f64>() / 100_000.0;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        // A golden value: a change of the rule changes published selections.
        assert_eq!(draws.bits(1), GOLDEN);
    }

    const GOLDEN: u64 = 17_083_683_518_609_865_422;
}
