//! A random order that belongs to the rows, not to where they stand.

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// The rows in a random order: sorted by `hash(seed, stage, uid, k)`, ties by uid.
///
/// The order of the uids is the same however the rows are sorted or spread over files. Rows of the same uid keep the
/// order that they have here. XXH3: 64 bits of `stage` under `seed`, then of `k` under that, then 128 bits of the uid
/// under that.
pub fn permutation<U: AsRef<str>>(seed: u64, stage: &str, uids: &[U], k: u64, rows: &[usize]) -> Vec<usize> {
    let seed = xxh3_64_with_seed(&k.to_le_bytes(), xxh3_64_with_seed(stage.as_bytes(), seed));
    let mut order: Vec<(u128, usize)> = rows.iter().map(|&row| (xxh3_128_with_seed(uids[row].as_ref().as_bytes(), seed), row)).collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| uids[a.1].as_ref().cmp(uids[b.1].as_ref())));
    order.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_uids_does_not_depend_on_where_they_stand() {
        let uids: Vec<String> = (0..100).map(|n| format!("{n:032x}")).collect();
        let turned: Vec<String> = uids.iter().rev().cloned().collect();
        let rows: Vec<usize> = (0..100).collect();
        let names =
            |uids: &[String], k| permutation(7, "score", uids, k, &rows).into_iter().map(|row| uids[row].clone()).collect::<Vec<_>>();
        assert_eq!(names(&uids, 3), names(&turned, 3));
        assert_ne!(names(&uids, 3), names(&uids, 4));
        assert_ne!(names(&uids, 3), uids);
        // A golden order: a change of the rule changes published scores.
        assert_eq!(permutation(0, "neg_clip_loss", &["a", "b", "c", "d", "e"], 0, &[0, 1, 2, 3, 4]), GOLDEN);
    }

    const GOLDEN: [usize; 5] = [1, 3, 2, 0, 4];
}
