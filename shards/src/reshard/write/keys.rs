//! The names of samples in an output shard.

use std::collections::HashSet;

use super::super::options::Keys;
use super::super::store::Sample;

/// Gives the samples of one output shard their keys, in order.
pub(super) struct KeyMaker<'a> {
    keys: Keys,
    shard: &'a str,
    digits: usize,
    rows: usize,
    used: HashSet<String>,
}

impl<'a> KeyMaker<'a> {
    /// `most` is the number of samples in the largest shard.
    pub(super) fn new(keys: Keys, shard: &'a str, most: u64) -> Self {
        let mut digits = 0;
        while 10_u64.saturating_pow(digits) < most {
            digits += 1;
        }
        Self { keys, shard, digits: digits as usize, rows: 0, used: HashSet::new() }
    }

    /// The key of the next sample, which no sample before had.
    pub(super) fn next(&mut self, sample: &Sample, copy: u32) -> String {
        let row = self.rows;
        self.rows += 1;
        let (stem, first) = match (self.keys, sample.uid) {
            (Keys::Fresh, _) => return format!("{}{row:0width$}", self.shard, width = self.digits),
            (Keys::UidAndCopy, Some(uid)) => (uid.to_string(), format!("{uid}-{copy}")),
            (Keys::Kept, _) | (Keys::UidAndCopy, None) if copy == 0 => (sample.key.clone(), sample.key.clone()),
            (Keys::Kept | Keys::UidAndCopy, _) => (sample.key.clone(), format!("{}-{copy}", sample.key)),
        };
        let mut key = first;
        let mut next = copy;
        while !self.used.insert(key.clone()) {
            next += 1;
            key = format!("{stem}-{next}");
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::Content;
    use super::*;
    use crate::subset::Uid128;

    fn sample(key: &str) -> Sample {
        Sample { shard: 0, row: None, uid: Some(Uid128(0xab)), key: key.to_owned(), content: Content::Row(0) }
    }

    #[test]
    fn keys_of_one_shard_never_collide() {
        let mut keys = KeyMaker::new(Keys::Kept, "00000", 10_000);
        let made: Vec<String> =
            [("a", 0), ("a", 1), ("a", 0), ("a-1", 0), ("b", 3)].into_iter().map(|(key, copy)| keys.next(&sample(key), copy)).collect();
        assert_eq!(made, ["a", "a-1", "a-2", "a-1-1", "b-3"]);
        let mut keys = KeyMaker::new(Keys::UidAndCopy, "00000", 10_000);
        let uid = "000000000000000000000000000000ab";
        assert_eq!(keys.next(&sample("a"), 0), format!("{uid}-0"));
        assert_eq!(keys.next(&sample("a"), 1), format!("{uid}-1"));
        assert_eq!(keys.next(&sample("a"), 1), format!("{uid}-2"));
        let mut keys = KeyMaker::new(Keys::Fresh, "00007", 10_000);
        assert_eq!([keys.next(&sample("a"), 0), keys.next(&sample("a"), 1)], ["000070000", "000070001"]);
    }
}
