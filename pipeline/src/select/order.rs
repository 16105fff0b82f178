//! The n-th largest of any number of keys, exact, in bounded memory: radix selection over spilled keys.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Result;

/// Bits of a key that one round decides.
const DIGIT: u32 = 16;
/// Keys that are sorted in memory at the end.
const IN_MEMORY: u64 = 1 << 22;
/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// A number as bits that compare as the numbers do. NaN has no place among them.
pub(super) fn key_of(value: f64) -> Option<u64> {
    if value.is_nan() {
        return None;
    }
    // Both zeros are one number.
    let bits = (value + 0.0).to_bits();
    Some(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
}

/// The number of a key.
pub(super) fn value_of(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// Keys that one thread holds before it spills them: 64 MiB.
const HELD: usize = 1 << 23;

/// Keys that one thread has seen: counted by their first digit, and kept, in a file as soon as they are many.
pub(super) struct Keys {
    held: Vec<u64>,
    most: usize,
    file: Option<File>,
    path: PathBuf,
    counts: Vec<u64>,
    seen: u64,
}

impl Keys {
    /// A fresh file in a folder for temporary ones.
    pub(super) fn new(spill: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self::holding(spill.join(format!("keys-{}", NEXT.fetch_add(1, Ordering::Relaxed))), HELD)
    }

    fn holding(path: PathBuf, most: usize) -> Result<Self> {
        Ok(Self { held: Vec::new(), most, file: None, path, counts: vec![0; 1 << DIGIT], seen: 0 })
    }

    /// Takes a key.
    pub(super) fn push(&mut self, key: u64) -> Result<()> {
        self.counts[(key >> (64 - DIGIT)) as usize] += 1;
        self.seen += 1;
        self.held.push(key);
        if self.held.len() < self.most {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create_new(&self.path)?),
        };
        for keys in self.held.chunks(PIECE / 8) {
            file.write_all(&keys.iter().flat_map(|key| key.to_le_bytes()).collect::<Vec<_>>())?;
        }
        self.held.clear();
        Ok(())
    }

    /// Calls for each key.
    fn each(&self, mut see: impl FnMut(u64)) -> Result<()> {
        if self.file.is_some() {
            each_of_file(&self.path, &mut see)?;
        }
        self.held.iter().for_each(|&key| see(key));
        Ok(())
    }
}

/// The key of rank `rank` in descending order, from 0. `None` when there are not so many.
pub(super) fn nth_largest(parts: Vec<Keys>, rank: u64) -> Result<Option<u64>> {
    let mut counts = vec![0_u64; 1 << DIGIT];
    let mut all = 0;
    for part in &parts {
        counts.iter_mut().zip(&part.counts).for_each(|(sum, count)| *sum += count);
        all += part.seen;
    }
    let found = if rank < all { select(&parts, counts, rank) } else { Ok(None) };
    for part in parts.iter().filter(|part| part.file.is_some()) {
        std::fs::remove_file(&part.path)?;
    }
    found
}

fn select(parts: &[Keys], mut counts: Vec<u64>, mut rank: u64) -> Result<Option<u64>> {
    let (mut prefix, mut known) = (0_u64, 0_u32);
    loop {
        let digit = counts.iter().rposition(|&count| {
            let here = rank < count;
            if !here {
                rank -= count;
            }
            here
        });
        let Some(digit) = digit else { return Ok(None) };
        let inside = counts[digit];
        prefix = prefix << DIGIT | digit as u64;
        known += DIGIT;
        if known == 64 {
            return Ok(Some(prefix));
        }
        let same = |key: u64| key >> (64 - known) == prefix;
        if inside <= IN_MEMORY {
            let mut keys = Vec::with_capacity(inside as usize);
            for part in parts {
                part.each(|key| {
                    if same(key) {
                        keys.push(key);
                    }
                })?;
            }
            let at = rank as usize;
            return Ok((at < keys.len()).then(|| *keys.select_nth_unstable_by(at, |a, b| b.cmp(a)).1));
        }
        counts.fill(0);
        for part in parts {
            part.each(|key| {
                if same(key) {
                    counts[(key >> (64 - known - DIGIT)) as usize & ((1 << DIGIT) - 1)] += 1;
                }
            })?;
        }
    }
}

fn each_of_file(path: &Path, see: &mut impl FnMut(u64)) -> Result<()> {
    let mut piece = vec![0_u8; PIECE];
    let mut file = File::open(path)?;
    loop {
        let mut filled = 0;
        while filled < PIECE {
            match file.read(&mut piece[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        piece[..filled].as_chunks().0.iter().for_each(|&eight| see(u64::from_le_bytes(eight)));
        if filled < PIECE {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_compare_as_numbers_do() {
        let numbers = [f64::NEG_INFINITY, -1e300, -1.5, -f64::MIN_POSITIVE, 0.0, 1e-300, 0.3, 0.300_000_1, 7.0, f64::INFINITY];
        assert!(numbers.windows(2).all(|pair| key_of(pair[0]) < key_of(pair[1])));
        assert_eq!(key_of(-0.0), key_of(0.0));
        assert_eq!(key_of(f64::NAN), None);
        assert!(numbers.iter().all(|&number| key_of(number).map(value_of) == Some(number)));
    }

    proptest! {
        #[test]
        fn the_nth_largest_is_that_of_a_sort(keys in prop::collection::vec(prop_oneof![any::<u64>(), 0_u64..5, Just(u64::MAX)], 0..300), rank in 0_usize..320, parts in 1_usize..4, most in prop_oneof![Just(HELD), 1_usize..40]) {
            let folder = tempfile::tempdir().unwrap();
            let path = |part: usize| folder.path().join(part.to_string());
            let mut spilled: Vec<Keys> = (0..parts).map(|part| Keys::holding(path(part), most).unwrap()).collect();
            for (at, &key) in keys.iter().enumerate() {
                spilled[at % parts].push(key).unwrap();
            }
            let mut sorted = keys.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(nth_largest(spilled, rank as u64).unwrap(), sorted.get(rank).copied());
        }
    }
}
