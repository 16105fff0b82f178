//! Which row of each group stays.
//!
//! Rows are compared by a list of numbers, each of which counts as higher or lower is better (pixels, a score, characters of the caption); a
//! number that is missing (NaN) comes after all others; where everything is equal the smallest uid stays, so the choice never depends on order.

use std::cmp::Ordering;
use std::collections::HashMap;

/// Which values of a number are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// The higher.
    Higher,
    /// The lower.
    Lower,
}

/// A row with what it is compared by. `keys` are as many as the order has; NaN stands for a missing number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The row.
    pub row: u64,
    /// The numbers, in the order's order.
    pub keys: &'a [f64],
    /// The row's uid, the last resort: the smaller is better.
    pub uid: u128,
}

/// The numbers are not as many as the order says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("row {row} has {got} keys where the order has {expected}")]
pub struct KeysError {
    /// The row.
    pub row: u64,
    /// Keys it has.
    pub got: usize,
    /// Keys of the order.
    pub expected: usize,
}

/// An order of rows, the best first.
///
/// ```
/// use trommel_filters::near::best::{Candidate, Order, Prefer};
///
/// let order = Order::new(vec![Prefer::Higher, Prefer::Lower]);
/// let large = Candidate { row: 7, keys: &[1.0e6, 0.3], uid: 2 };
/// let small = Candidate { row: 3, keys: &[2.0e5, f64::NAN], uid: 1 };
/// assert!(order.compare(&large, &small).is_lt());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order(Vec<Prefer>);

impl Order {
    /// Numbers in the order in which they count. An empty list leaves only the uid.
    pub fn new(keys: Vec<Prefer>) -> Self {
        Self(keys)
    }

    /// `Less` if `a` is better than `b`. Keys that one of them lacks are not compared.
    pub fn compare(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        for ((prefer, a), b) in self.0.iter().zip(a.keys).zip(b.keys) {
            let by_value = match (a.is_nan(), b.is_nan()) {
                (false, false) => match prefer {
                    Prefer::Higher => b.partial_cmp(a),
                    Prefer::Lower => a.partial_cmp(b),
                }
                .unwrap_or(Ordering::Equal),
                (a, b) => a.cmp(&b),
            };
            if by_value.is_ne() {
                return by_value;
            }
        }
        a.uid.cmp(&b.uid).then(a.row.cmp(&b.row))
    }

    fn check(&self, candidate: &Candidate<'_>) -> Result<(), KeysError> {
        if candidate.keys.len() == self.0.len() {
            return Ok(());
        }
        Err(KeysError { row: candidate.row, got: candidate.keys.len(), expected: self.0.len() })
    }
}

/// What is kept of the best row of a group so far.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    row: u64,
    uid: u128,
    members: u64,
}

/// The best row of each group, over rows in any order. Holds one entry for each group, so rows that are alone need not be shown to it.
#[derive(Debug, Clone)]
pub struct BestOfGroups {
    order: Order,
    /// Group to place.
    places: HashMap<u64, usize>,
    kept: Vec<Kept>,
    keys: Vec<f64>,
}

impl BestOfGroups {
    /// No rows yet.
    pub fn new(order: Order) -> Self {
        Self { order, places: HashMap::new(), kept: Vec::new(), keys: Vec::new() }
    }

    /// Shows one row of a group.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn push(&mut self, group: u64, candidate: &Candidate<'_>) -> Result<(), KeysError> {
        self.add(group, candidate, 1)
    }

    fn add(&mut self, group: u64, candidate: &Candidate<'_>, members: u64) -> Result<(), KeysError> {
        self.order.check(candidate)?;
        let width = self.order.0.len();
        let new = Kept { row: candidate.row, uid: candidate.uid, members };
        let place = *self.places.entry(group).or_insert(self.kept.len());
        let Some(kept) = self.kept.get_mut(place) else {
            self.kept.push(new);
            self.keys.extend(candidate.keys);
            return Ok(());
        };
        let keys = &mut self.keys[place * width..(place + 1) * width];
        let members = kept.members + members;
        if self.order.compare(candidate, &Candidate { row: kept.row, keys, uid: kept.uid }).is_lt() {
            keys.copy_from_slice(candidate.keys);
            *kept = new;
        }
        kept.members = members;
        Ok(())
    }

    /// Adds what another pass (over another shard, say) has seen.
    ///
    /// # Errors
    /// [`KeysError`] if the other has another number of keys.
    pub fn merge(&mut self, other: &Self) -> Result<(), KeysError> {
        let width = other.order.0.len();
        for (group, place) in &other.places {
            let kept = &other.kept[*place];
            let keys = &other.keys[place * width..(place + 1) * width];
            self.add(*group, &Candidate { row: kept.row, keys, uid: kept.uid }, kept.members)?;
        }
        Ok(())
    }

    /// The best row of a group and how many rows it was chosen from.
    pub fn get(&self, group: u64) -> Option<(u64, u64)> {
        self.places.get(&group).map(|place| (self.kept[*place].row, self.kept[*place].members))
    }

    /// Group, best row and number of rows, by group.
    pub fn finish(self) -> Vec<(u64, u64, u64)> {
        let mut all: Vec<_> = self.places.iter().map(|(group, place)| (*group, self.kept[*place].row, self.kept[*place].members)).collect();
        all.sort_unstable();
        all
    }
}

/// The best row of each run of one group: rows that are sorted by group, in constant memory. `found(group, row, members)` is called at the
/// end of each run.
#[derive(Debug, Clone)]
pub struct BestOfRuns<F> {
    order: Order,
    group: Option<u64>,
    kept: Kept,
    keys: Vec<f64>,
    found: F,
}

impl<F: FnMut(u64, u64, u64)> BestOfRuns<F> {
    /// No rows yet.
    pub fn new(order: Order, found: F) -> Self {
        Self { order, group: None, kept: Kept { row: 0, uid: 0, members: 0 }, keys: Vec::new(), found }
    }

    /// Shows the next row.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn push(&mut self, group: u64, candidate: &Candidate<'_>) -> Result<(), KeysError> {
        self.order.check(candidate)?;
        let fresh = self.group != Some(group);
        if fresh {
            self.flush();
            self.group = Some(group);
            self.kept.members = 0;
        }
        self.kept.members += 1;
        let so_far = Candidate { row: self.kept.row, keys: &self.keys, uid: self.kept.uid };
        if fresh || self.order.compare(candidate, &so_far).is_lt() {
            self.kept = Kept { row: candidate.row, uid: candidate.uid, members: self.kept.members };
            self.keys.clear();
            self.keys.extend(candidate.keys);
        }
        Ok(())
    }

    fn flush(&mut self) {
        if let Some(group) = self.group.take() {
            (self.found)(group, self.kept.row, self.kept.members);
        }
    }

    /// Ends the last run.
    pub fn finish(mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [(u64, [f64; 2], u128); 6] = [
        (1, [5.0, 2.0], 9),
        (1, [5.0, 1.0], 8),
        (1, [f64::NAN, 0.0], 1),
        (4, [3.0, f64::NAN], 7),
        (4, [3.0, f64::NAN], 6),
        (4, [f64::NAN, f64::NAN], 1),
    ];

    fn order() -> Order {
        Order::new(vec![Prefer::Higher, Prefer::Lower])
    }

    #[test]
    fn the_best_is_chosen_by_keys_then_by_uid_with_missing_numbers_last() {
        for rotate in 0..6 {
            let mut rows: Vec<_> = ROWS.iter().enumerate().collect();
            rows.rotate_left(rotate);
            let (mut a, mut b) = (BestOfGroups::new(order()), BestOfGroups::new(order()));
            for (at, (row, (group, keys, uid))) in rows.into_iter().enumerate() {
                let half = if at % 2 == 0 { &mut a } else { &mut b };
                half.push(*group, &Candidate { row: row as u64, keys, uid: *uid }).unwrap();
            }
            a.merge(&b).unwrap();
            assert_eq!(a.get(1), Some((1, 3)));
            assert_eq!(a.finish(), [(1, 1, 3), (4, 4, 3)]);
        }
    }

    #[test]
    fn runs_of_a_group_need_no_memory_of_other_groups() {
        let mut found = Vec::new();
        let mut runs = BestOfRuns::new(order(), |group, row, members| found.push((group, row, members)));
        for (row, (group, keys, uid)) in ROWS.iter().enumerate() {
            runs.push(*group, &Candidate { row: row as u64, keys, uid: *uid }).unwrap();
        }
        runs.finish();
        assert_eq!(found, [(1, 1, 3), (4, 4, 3)]);
    }

    #[test]
    fn a_row_with_other_keys_is_refused() {
        let candidate = Candidate { row: 3, keys: &[1.0], uid: 0 };
        assert_eq!(BestOfGroups::new(order()).push(0, &candidate), Err(KeysError { row: 3, got: 1, expected: 2 }));
    }
}
