//! Signatures and band keys.

use super::normalise::normalise;
use super::options::{MinHashError, Options};
use super::params::{PRIME, permutations};
use super::shingles::shingles;
use super::xxh64::xxh64;

/// What a thread reuses from text to text.
#[derive(Debug, Default)]
pub struct Scratch {
    text: String,
    ends: Vec<u32>,
    hashes: Vec<u64>,
    signature: Vec<u64>,
    keys: Vec<u64>,
}

/// Makes signatures.
#[derive(Debug, Clone)]
pub struct MinHasher {
    options: Options,
    a: Vec<u64>,
    b: Vec<u64>,
}

impl MinHasher {
    /// Draws the permutations.
    ///
    /// # Errors
    /// [`MinHashError::Zero`] and [`MinHashError::TooMany`] for options that make no signature.
    pub fn new(options: Options) -> Result<Self, MinHashError> {
        options.check()?;
        let (a, b) = permutations(options.seed, options.permutations());
        Ok(Self { options, a, b })
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The hashed shingles of a text, sorted, each once: what [`super::jaccard`] compares.
    pub fn shingles<'s>(&self, text: &str, scratch: &'s mut Scratch) -> &'s [u64] {
        self.cut(text, scratch);
        scratch.hashes.sort_unstable();
        scratch.hashes.dedup();
        &scratch.hashes
    }

    fn cut(&self, text: &str, scratch: &mut Scratch) {
        normalise(text, self.options.normalise, &mut scratch.text);
        scratch.hashes.clear();
        shingles(&scratch.text, &self.options, &mut scratch.ends, &mut scratch.hashes);
    }

    /// The signature of a text, band after band; `None` if it has no shingle.
    pub fn signature<'s>(&self, text: &str, scratch: &'s mut Scratch) -> Option<&'s [u64]> {
        self.cut(text, scratch);
        self.sign(scratch)
    }

    /// The signature of a text that was cut into words already (and simplified), for [`super::Shingle::Words`].
    pub fn words<'s>(&self, words: &[&str], scratch: &'s mut Scratch) -> Option<&'s [u64]> {
        scratch.text.clear();
        scratch.text.push_str(&words.join(" "));
        scratch.hashes.clear();
        shingles(&scratch.text, &self.options, &mut scratch.ends, &mut scratch.hashes);
        self.sign(scratch)
    }

    fn sign<'s>(&self, scratch: &'s mut Scratch) -> Option<&'s [u64]> {
        if scratch.hashes.is_empty() {
            return None;
        }
        scratch.signature.clear();
        scratch.signature.resize(self.a.len(), u64::MAX);
        minima(&scratch.hashes, &self.a, &self.b, &mut scratch.signature);
        Some(&scratch.signature)
    }

    /// One key for each band; texts that agree in a key are candidates. `None` if the text has no shingle.
    pub fn band_keys<'s>(&self, text: &str, scratch: &'s mut Scratch) -> Option<&'s [u64]> {
        self.cut(text, scratch);
        self.sign(scratch)?;
        let Scratch { signature, keys, .. } = scratch;
        self.keys_of(signature, keys);
        Some(keys)
    }

    /// The band keys of a signature, into `keys`: XXH64 of the band's numbers in little-endian bytes, seeded with the band's number.
    ///
    /// # Panics
    /// If the signature is shorter than the options say.
    pub fn keys_of(&self, signature: &[u64], keys: &mut Vec<u64>) {
        keys.clear();
        keys.extend(signature[..self.a.len()].chunks_exact(self.options.rows).enumerate().map(|(band, rows)| {
            // As bytes of the machine; all that is supported is little-endian, and keys are never stored.
            let mut hash = band as u64;
            for rows in rows.chunks(8) {
                let mut bytes = [0_u8; 64];
                for (bytes, row) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(rows) {
                    *bytes = row.to_le_bytes();
                }
                hash = xxh64(&bytes[..8 * rows.len()], hash);
            }
            hash
        }));
    }
}

/// The smallest value of each permutation, `((x a + b) mod 2^64) mod (2^61 - 1)`: the wrap at 2^64 is numpy's, and part of the definition.
fn minima(hashes: &[u64], a: &[u64], b: &[u64], minima: &mut [u64]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the CPU has the features.
            unsafe { minima_avx512(hashes, a, b, minima) };
            return;
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the feature.
            unsafe { minima_avx2(hashes, a, b, minima) };
            return;
        }
    }
    minima_portable(hashes, a, b, minima);
}

/// Permutations whose minima stay in registers while the hashes go by.
const LANES: usize = 16;

#[inline(always)]
fn minima_portable(hashes: &[u64], a: &[u64], b: &[u64], minima: &mut [u64]) {
    let (blocks, rest) = minima.as_chunks_mut::<LANES>();
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for ((block, a), b) in blocks.iter_mut().zip(a_blocks).zip(b_blocks) {
        let mut least = *block;
        for hash in hashes {
            for lane in 0..LANES {
                least[lane] = least[lane].min(permute(*hash, a[lane], b[lane]));
            }
        }
        *block = least;
    }
    for ((least, a), b) in rest.iter_mut().zip(a_rest).zip(b_rest) {
        for hash in hashes {
            *least = (*least).min(permute(*hash, *a, *b));
        }
    }
}

#[inline(always)]
fn permute(x: u64, a: u64, b: u64) -> u64 {
    let sum = x.wrapping_mul(a).wrapping_add(b);
    // 2^61 = 1 modulo the prime; the folded sum is below the prime plus eight.
    let folded = (sum & PRIME) + (sum >> 61);
    folded.min(folded.wrapping_sub(PRIME))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn minima_avx512(hashes: &[u64], a: &[u64], b: &[u64], minima: &mut [u64]) {
    use std::arch::x86_64::{
        _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_min_epu64, _mm512_mullo_epi64, _mm512_set1_epi64, _mm512_srli_epi64,
        _mm512_storeu_si512, _mm512_sub_epi64,
    };
    let prime = _mm512_set1_epi64(PRIME as i64);
    let whole = minima.len() / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        // SAFETY: at + 16 <= the length of all three, which is the number of permutations.
        let (a0, a1, b0, b1, mut least0, mut least1) = unsafe {
            (
                _mm512_loadu_si512(a.as_ptr().add(at).cast()),
                _mm512_loadu_si512(a.as_ptr().add(at + 8).cast()),
                _mm512_loadu_si512(b.as_ptr().add(at).cast()),
                _mm512_loadu_si512(b.as_ptr().add(at + 8).cast()),
                _mm512_loadu_si512(minima.as_ptr().add(at).cast()),
                _mm512_loadu_si512(minima.as_ptr().add(at + 8).cast()),
            )
        };
        for hash in hashes {
            let x = _mm512_set1_epi64(*hash as i64);
            let sum0 = _mm512_add_epi64(_mm512_mullo_epi64(x, a0), b0);
            let sum1 = _mm512_add_epi64(_mm512_mullo_epi64(x, a1), b1);
            let folded0 = _mm512_add_epi64(_mm512_and_si512(sum0, prime), _mm512_srli_epi64::<61>(sum0));
            let folded1 = _mm512_add_epi64(_mm512_and_si512(sum1, prime), _mm512_srli_epi64::<61>(sum1));
            least0 = _mm512_min_epu64(least0, _mm512_min_epu64(folded0, _mm512_sub_epi64(folded0, prime)));
            least1 = _mm512_min_epu64(least1, _mm512_min_epu64(folded1, _mm512_sub_epi64(folded1, prime)));
        }
        // SAFETY: as above.
        unsafe {
            _mm512_storeu_si512(minima.as_mut_ptr().add(at).cast(), least0);
            _mm512_storeu_si512(minima.as_mut_ptr().add(at + 8).cast(), least1);
        }
    }
    minima_portable(hashes, &a[whole..], &b[whole..], &mut minima[whole..]);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn minima_avx2(hashes: &[u64], a: &[u64], b: &[u64], minima: &mut [u64]) {
    minima_portable(hashes, a, b, minima);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::random::mix;

    #[test]
    fn signatures_are_those_of_datatrove() {
        // datatrove 0.10 with a tokenizer that splits at spaces: get_signature of this text (13 shingles).
        let text = "The Quick brown-fox, no. 12.5 jumps over the lazy dóg's 3,000 friends & left “early” ﬁn";
        let hasher = MinHasher::new(Options::datatrove()).unwrap();
        let mut scratch = Scratch::default();
        let signature = hasher.signature(text, &mut scratch).unwrap().to_vec();
        assert_eq!(signature[..4], [85_098_828_362_315_271, 42_019_071_818_227_550, 13_284_541_306_116_862, 280_654_405_079_022_738]);
        assert_eq!(signature[111], 3_963_570_588_256_049);
        assert_eq!(signature.iter().fold(0, |all, row| all ^ row), 0x9f3_e0e8_fd2c_03c4);
        let words: Vec<&str> = "the quick brown fox no 0 jumps over the lazy dog s 0 friends left early ﬁn".split(' ').collect();
        assert_eq!(hasher.words(&words, &mut scratch).unwrap(), signature);
        assert!(hasher.signature("four words are few", &mut scratch).is_none());
    }

    #[test]
    fn every_instruction_set_makes_the_same_signature() {
        let hashes: Vec<u64> = (0..57).map(|i| mix(5, i)).collect();
        for count in [1, 15, 16, 112, 260] {
            let (a, b) = permutations(3, count);
            let direct: Vec<u64> =
                (0..count).map(|k| hashes.iter().map(|x| x.wrapping_mul(a[k]).wrapping_add(b[k]) % PRIME).min().unwrap()).collect();
            let mut got = vec![u64::MAX; count];
            minima(&hashes, &a, &b, &mut got);
            assert_eq!(got, direct);
            let mut got = vec![u64::MAX; count];
            minima_portable(&hashes, &a, &b, &mut got);
            assert_eq!(got, direct);
        }
    }

    #[test]
    fn signatures_agree_as_often_as_the_sets_are_similar() {
        let hasher = MinHasher::new(Options { bands: 256, rows: 8, ..Options::captions() }).unwrap();
        let (mut one, mut two) = (Scratch::default(), Scratch::default());
        let (a, b) = ("a red fox sleeps in the deep snow of the north", "a red fox sleeps in the deep snow of the south");
        let similarity = super::super::jaccard(hasher.shingles(a, &mut one), hasher.shingles(b, &mut two));
        let agree =
            hasher.signature(a, &mut one).unwrap().iter().zip(hasher.signature(b, &mut two).unwrap()).filter(|(a, b)| a == b).count();
        assert!((agree as f64 / 2048.0 - similarity).abs() < 0.04, "{agree} of 2048, {similarity}");
    }

    #[test]
    fn options_without_a_signature_are_refused() {
        assert!(matches!(MinHasher::new(Options { rows: 0, ..Options::captions() }), Err(MinHashError::Zero("rows"))));
        assert!(matches!(MinHasher::new(Options { rows: 1 << 20, ..Options::captions() }), Err(MinHashError::TooMany { .. })));
    }
}
