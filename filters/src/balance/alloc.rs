//! How many rows to take from each cluster, and which rows of it.

use super::draw::{Draw, RowDraw};

/// Shares `target` out over groups as evenly as their sizes allow (water-filling).
///
/// With `a_i = sizes_i · mult`, the most that group i can give: all of it if Σa ≤ target. Else `min(x, a_i)` with the largest
/// whole `x` for which the sum is at most the target, and one more from as many groups with `a_i > x` as are then missing: those for which
/// `tie(i)` is smallest, and the lower index of two that are equal. `tie` is a hash of the group's identity, so that the order of
/// groups does not matter.
///
/// `mult` is how often a row may be taken: 1 for no repeats.
///
/// ```
/// use trommel_filters::balance::alloc::water_fill;
///
/// assert_eq!(water_fill(&[5, 2, 9], 10, 1, |i| i as u64), [4, 2, 4]);
/// ```
pub fn water_fill(sizes: &[u64], target: u64, mult: u32, mut tie: impl FnMut(usize) -> u64) -> Vec<u64> {
    let most: Vec<u64> = sizes.iter().map(|size| size.saturating_mul(u64::from(mult))).collect();
    let filled = |x: u64| most.iter().map(|a| u128::from(x.min(*a))).sum::<u128>();
    if filled(u64::MAX) <= u128::from(target) {
        return most;
    }
    // Largest x in [0, target] that fits: x = 0 does, and target + 1 from one group would not.
    let (mut fits, mut over) = (0, target.saturating_add(1));
    while over - fits > 1 {
        let x = fits + (over - fits) / 2;
        if filled(x) <= u128::from(target) { fits = x } else { over = x }
    }
    // At most the target, by the search.
    let missing = (u128::from(target) - filled(fits)) as usize;
    let mut out: Vec<u64> = most.iter().map(|a| fits.min(*a)).collect();
    if missing > 0 {
        let mut open: Vec<(u64, usize)> = (0..most.len()).filter(|i| most[*i] > fits).map(|i| (tie(i), i)).collect();
        open.sort_unstable();
        // There are more open groups than are missing, or x would be larger.
        open.iter().take(missing).for_each(|(_, i)| out[*i] += 1);
    }
    out
}

/// Which rows of a cluster come first when not all are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Those with the smallest draw.
    Random,
    /// Those closest to the centroid.
    Closest,
}

impl Pick {
    /// What rows of one cluster are ordered by, smallest first. `distance` is to the centroid; for [`Pick::Random`] it is not looked at.
    ///
    /// A distance that is not a number comes last.
    pub fn key(self, row: RowDraw, distance: f32) -> u64 {
        match self {
            Self::Random => row.bits(0),
            // Equal distances are told apart by a draw, not by the order of rows.
            Self::Closest => u64::from(ordered(distance)) << 32 | row.bits(0) >> 32,
        }
    }
}

/// The bits of a float in the order of its value; NaN last.
fn ordered(value: f32) -> u32 {
    if value.is_nan() {
        return u32::MAX;
    }
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// How a cluster gives `target` rows: each row `each` times, and `more` rows once more.
///
/// The whole cluster `mult` times if that is not above the target; else `target / size` times each, and once more for `target mod size` of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Take {
    /// Copies of every row.
    pub each: u64,
    /// Rows that get one more.
    pub more: u64,
}

impl Take {
    /// What a cluster of this size gives.
    pub fn of(size: u64, target: u64, mult: u32) -> Self {
        if size.saturating_mul(u64::from(mult)) <= target {
            Self { each: u64::from(mult), more: 0 }
        } else {
            // The size is above 0 here, as 0 · mult is not above any target.
            Self { each: target / size, more: target % size }
        }
    }
}

/// Copies of each row of one cluster, of which `target` are to be taken.
///
/// `uids` are the rows; `distances`, one per row, are needed for [`Pick::Closest`] and taken as equal where they are missing. Uids must be
/// distinct; the result then goes with the uid, in any order of rows.
pub fn sample_cluster(draw: &Draw, uids: &[u128], distances: Option<&[f32]>, target: u64, mult: u32, pick: Pick) -> Vec<u64> {
    let take = Take::of(uids.len() as u64, target, mult);
    let mut out = vec![take.each; uids.len()];
    let more = take.more as usize;
    if more > 0 {
        let distance = |i: usize| distances.and_then(|d| d.get(i)).copied().unwrap_or(0.0);
        let mut keys: Vec<(u64, u128, usize)> =
            uids.iter().enumerate().map(|(i, uid)| (pick.key(draw.row(*uid), distance(i)), *uid, i)).collect();
        keys.select_nth_unstable(more - 1);
        keys[..more].iter().for_each(|(_, _, i)| out[*i] += 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_golden_sizes_are_shared_out() {
        // Worked by hand: x = 4 fills 4 + 2 + 4; for 9 x = 3 fills 8, and one more goes to the first or the last.
        let sizes = [5, 2, 9];
        assert_eq!(water_fill(&sizes, 10, 1, |i| i as u64), [4, 2, 4]);
        assert_eq!(water_fill(&sizes, 9, 1, |i| i as u64), [4, 2, 3]);
        assert_eq!(water_fill(&sizes, 9, 1, |i| 10 - i as u64), [3, 2, 4]);
        assert_eq!(water_fill(&sizes, 16, 1, |_| 0), sizes);
        assert_eq!(water_fill(&sizes, 100, 3, |_| 0), [15, 6, 27]);
        assert_eq!(water_fill(&sizes, 0, 1, |_| 0), [0, 0, 0]);
        assert_eq!(water_fill(&[u64::MAX, u64::MAX], u64::MAX, 2, |i| i as u64), [1 << 63, (1 << 63) - 1]);
        assert!(water_fill(&[], 5, 1, |_| 0).is_empty());
    }

    #[test]
    fn a_small_cluster_repeats_and_a_large_one_gives_its_closest() {
        let draw = Draw::new(0, "sample");
        let uids = [10, 11, 12, 13];
        assert_eq!(sample_cluster(&draw, &uids, None, 9, 2, Pick::Random), [2; 4]);
        let distances = [0.3, 0.1, f32::NAN, 0.2];
        assert_eq!(sample_cluster(&draw, &uids, Some(&distances), 2, 1, Pick::Closest), [0, 1, 0, 1]);
        assert_eq!(sample_cluster(&draw, &uids, Some(&distances), 7, 2, Pick::Closest), [2, 2, 1, 2]);
        assert_eq!(sample_cluster(&draw, &uids, None, 5, 2, Pick::Random).iter().sum::<u64>(), 5);
        assert!(sample_cluster(&draw, &[], None, 5, 2, Pick::Random).is_empty());
    }

    #[test]
    fn distances_are_ordered_as_numbers() {
        let row = Draw::new(0, "").row(1);
        let sorted = [f32::NEG_INFINITY, -1.0, -1e-9, 0.0, 1e-9, 1.0, f32::INFINITY, f32::NAN];
        assert!(sorted.windows(2).all(|pair| Pick::Closest.key(row, pair[0]) < Pick::Closest.key(row, pair[1])));
        assert_eq!(Pick::Closest.key(row, 0.0), Pick::Closest.key(row, -0.0));
    }

    proptest! {
        #[test]
        fn shares_fill_the_target_and_are_as_even_as_can_be(sizes in prop::collection::vec(0u64..50, 0..20), target in 0u64..600, mult in 1u32..4) {
            let out = water_fill(&sizes, target, mult, |i| (i as u64).wrapping_mul(0x9e37_79b9));
            let most: Vec<u64> = sizes.iter().map(|s| s * u64::from(mult)).collect();
            prop_assert_eq!(out.iter().sum::<u64>(), target.min(most.iter().sum()));
            let highest = out.iter().copied().max().unwrap_or(0);
            for (out, most) in out.iter().zip(&most) {
                prop_assert!(out <= most);
                // Whoever is not emptied is within one of the highest.
                prop_assert!(out == most || out + 1 >= highest);
            }
        }

        #[test]
        fn a_larger_target_takes_a_superset(size in 1usize..40, low in 0u64..100, more in 0u64..50, mult in 1u32..4) {
            let draw = Draw::new(1, "sample");
            let uids: Vec<u128> = (0..size as u128).collect();
            let few = sample_cluster(&draw, &uids, None, low, mult, Pick::Random);
            let many = sample_cluster(&draw, &uids, None, low + more, mult, Pick::Random);
            prop_assert!(few.iter().zip(&many).all(|(a, b)| a <= b));
            prop_assert_eq!(few.iter().sum::<u64>(), low.min(size as u64 * u64::from(mult)));
            let reversed: Vec<u128> = uids.iter().rev().copied().collect();
            let mut turned = sample_cluster(&draw, &reversed, None, low, mult, Pick::Random);
            turned.reverse();
            prop_assert_eq!(few, turned);
        }
    }
}
