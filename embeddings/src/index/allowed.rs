//! A set of rows that may be found.

/// Rows of an index that a search may find: what a predicate over the metadata lets through. A bit for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    bits: Vec<u8>,
    rows: u64,
}

impl Allowed {
    /// None of `rows` rows.
    pub fn none(rows: u64) -> Self {
        Self { bits: vec![0; rows.div_ceil(8) as usize], rows }
    }

    /// These of `rows` rows; what is not below it is passed over.
    pub fn of(rows: u64, which: impl IntoIterator<Item = u64>) -> Self {
        let mut made = Self::none(rows);
        which.into_iter().for_each(|row| made.allow(row));
        made
    }

    /// Allows a row; one that does not exist is passed over.
    pub fn allow(&mut self, row: u64) {
        if row < self.rows {
            self.bits[(row / 8) as usize] |= 1 << (row % 8);
        }
    }

    /// Whether a row is allowed.
    pub fn contains(&self, row: u64) -> bool {
        row < self.rows && self.bits[(row / 8) as usize] >> (row % 8) & 1 == 1
    }

    /// Rows that the set is over.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that are allowed.
    pub fn count(&self) -> u64 {
        self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// The allowed rows in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let set = |(at, &byte): (usize, &u8)| (0..8).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at as u64 * 8 + bit);
        self.bits.iter().enumerate().filter(|(_, byte)| **byte != 0).flat_map(set)
    }

    pub(super) fn bits(&self) -> &[u8] {
        &self.bits
    }
}
