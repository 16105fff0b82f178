//! The best neighbours of one vector so far.

/// A neighbour as one number: larger is better, of equally similar ones the smaller row is.
pub(super) fn key(similarity: f32, row: u32) -> u64 {
    let bits = similarity.to_bits();
    // Turns the order of floats into that of integers.
    let ordered = if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits };
    u64::from(ordered) << 32 | u64::from(!row)
}

/// The similarity and the row of a key.
pub(super) fn of_key(key: u64) -> (f32, u32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & 0x7fff_ffff } else { !ordered };
    (f32::from_bits(bits), !(key as u32))
}

/// The `k` best of any number of keys, in any order of arrival.
#[derive(Debug, Default)]
pub(super) struct Best(Vec<u64>);

impl Best {
    /// Takes a key. Gives the similarity below which nothing can enter any more, when it has become known.
    pub(super) fn push(&mut self, key: u64, k: usize) -> Option<f32> {
        self.0.push(key);
        // Cutting at twice the number costs a constant per key, a heap its logarithm.
        if self.0.len() < 2 * k {
            return None;
        }
        self.cut(k);
        self.0.last().map(|&key| of_key(key).0)
    }

    /// Leaves the `k` best, the last of them at the end.
    fn cut(&mut self, k: usize) {
        if self.0.len() > k {
            self.0.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
            self.0.truncate(k);
        }
    }

    /// The best `k`, best first. Leaves nothing, but keeps the memory.
    pub(super) fn take(&mut self, k: usize, mut each: impl FnMut(f32, u32)) {
        self.cut(k);
        self.0.sort_unstable_by(|a, b| b.cmp(a));
        self.0.drain(..).for_each(|key| {
            let (similarity, row) = of_key(key);
            each(similarity, row);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_similarity_and_then_row() {
        let ordered = [(1.0, 0), (0.5, 3), (0.5, 4), (0.0, 9), (-0.25, 1), (-1.0, 0), (f32::NEG_INFINITY, 0)];
        assert!(ordered.windows(2).all(|pair| key(pair[0].0, pair[0].1) > key(pair[1].0, pair[1].1)));
        assert!(ordered.iter().all(|&(similarity, row)| of_key(key(similarity, row)) == (similarity, row)));
    }

    #[test]
    fn the_best_do_not_depend_on_the_order_of_arrival() {
        let keys: Vec<u64> = (0..1000_u32).map(|row| key((row * 7919 % 101) as f32, row)).collect();
        let of = |keys: &mut dyn Iterator<Item = &u64>| {
            let (mut best, mut found) = (Best::default(), Vec::new());
            keys.for_each(|&key| {
                best.push(key, 10);
            });
            best.take(10, |similarity, row| found.push((similarity, row)));
            found
        };
        let found = of(&mut keys.iter());
        assert_eq!(found, of(&mut keys.iter().rev()));
        assert_eq!(found.len(), 10);
        assert_eq!(found[0].0, 100.0);
    }
}
