//! Comparing one code with a run of codes: the inner loop of every plan.

use std::ops::Range;

/// Which instructions the CPU has; found once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    /// AVX-512 with VPOPCNTDQ: eight codes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The scalar population count of x86-64-v2, and pext where there is BMI2.
    #[cfg(target_arch = "x86_64")]
    Popcnt,
    /// What the compiler makes of it.
    Portable,
}

impl Isa {
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vpopcntdq")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("popcnt") {
                return Self::Popcnt;
            }
        }
        Self::Portable
    }

    /// All that this CPU can run, for tests.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("popcnt") {
                all.push(Self::Popcnt);
            }
            if Self::detect() == Self::Avx512 {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// Appends to `hits` the places `(q, i)` where the codes `queries[..][q]` and `columns[..][i]` differ in at most `limit` bits, for `q` in
    /// `of` and `i` from `from` (from `q + 1` where that is more and `after` is set) to `to`.
    pub(super) fn scan<const S: usize>(
        self,
        queries: [&[u64]; S],
        of: Range<usize>,
        columns: [&[u64]; S],
        with: &With,
        limit: u32,
        hits: &mut Hits,
    ) {
        // Checked once, so that the loops need not.
        let queries = queries.map(|column| &column[..of.end]);
        let columns = columns.map(|column| &column[..with.to]);
        match self {
            // SAFETY: `detect` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(queries, of, columns, with, limit, hits) },
            // SAFETY: `detect` found the feature.
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt => unsafe { popcnt(queries, of, columns, with, limit, hits) },
            Self::Portable => plain(queries, of, columns, with, limit, hits),
        }
    }
}

/// Pairs of places.
pub(super) type Hits = Vec<(u32, u32)>;

/// With which codes a query is compared.
#[derive(Debug, Clone)]
pub(super) struct With {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Only with those after itself.
    pub(super) after: bool,
}

impl With {
    #[inline(always)]
    fn start(&self, query: usize) -> usize {
        if self.after && query >= self.from { query + 1 } else { self.from }
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the place is part of the result, and it is the place in several columns")]
fn plain<const S: usize>(queries: [&[u64]; S], of: Range<usize>, columns: [&[u64]; S], with: &With, limit: u32, hits: &mut Hits) {
    for q in of {
        for i in with.start(q)..with.to {
            let mut distance = 0;
            for s in 0..S {
                distance += (columns[s][i] ^ queries[s][q]).count_ones();
            }
            if distance <= limit {
                hits.push((q as u32, i as u32));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn popcnt<const S: usize>(queries: [&[u64]; S], of: Range<usize>, columns: [&[u64]; S], with: &With, limit: u32, hits: &mut Hits) {
    plain(queries, of, columns, with, limit, hits);
}

/// Plain loops only: a closure given to a function without these features would not be inlined into it, and its vectors would go through memory.
///
/// The columns must be at least `with.to` long.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt,bmi1")]
fn avx512<const S: usize>(queries: [&[u64]; S], of: Range<usize>, columns: [&[u64]; S], with: &With, limit: u32, hits: &mut Hits) {
    use std::arch::x86_64::{
        _mm512_add_epi64, _mm512_cmple_epu64_mask, _mm512_loadu_si512, _mm512_maskz_loadu_epi64, _mm512_popcnt_epi64, _mm512_set1_epi64,
        _mm512_setzero_si512, _mm512_xor_si512,
    };
    let limit = _mm512_set1_epi64(i64::from(limit));
    for q in of {
        let mut query = [_mm512_setzero_si512(); S];
        for s in 0..S {
            query[s] = _mm512_set1_epi64(queries[s][q] as i64);
        }
        let mut i = with.start(q);
        while i < with.to {
            let left = with.to - i;
            let mut distance = _mm512_setzero_si512();
            let lanes = if left >= 8 {
                for s in 0..S {
                    // SAFETY: i + 8 <= with.to <= the column's length.
                    let codes = unsafe { _mm512_loadu_si512(columns[s].as_ptr().add(i).cast()) };
                    distance = _mm512_add_epi64(distance, _mm512_popcnt_epi64(_mm512_xor_si512(codes, query[s])));
                }
                u8::MAX
            } else {
                let lanes = (1_u8 << left) - 1;
                for s in 0..S {
                    // SAFETY: the mask keeps the load below with.to <= the column's length.
                    let codes = unsafe { _mm512_maskz_loadu_epi64(lanes, columns[s].as_ptr().add(i).cast()) };
                    distance = _mm512_add_epi64(distance, _mm512_popcnt_epi64(_mm512_xor_si512(codes, query[s])));
                }
                lanes
            };
            let mut near = _mm512_cmple_epu64_mask(distance, limit) & lanes;
            while near != 0 {
                hits.push((q as u32, i as u32 + near.trailing_zeros()));
                near &= near - 1;
            }
            i += 8;
        }
    }
}

/// The Hamming distance of two codes: how many of their `64 * W` bits differ.
pub fn distance<const W: usize>(a: &[u64; W], b: &[u64; W]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near::random::mix;

    #[test]
    fn every_instruction_set_finds_the_same_codes() {
        let column = |seed: u64, n: u64| (0..n).map(|i| mix(seed, i) & mix(seed + 1, i)).collect::<Vec<u64>>();
        let queries = (column(5, 6), column(7, 6));
        for n in [0, 1, 7, 8, 9, 31, 100] {
            let (a, b) = (column(1, n), column(3, n));
            for (from, after) in
                [(0, false), (1, false), (5, false), (0, true), (3, true)].into_iter().filter(|(from, _)| *from <= n as usize)
            {
                let mut expected = Vec::new();
                for q in 1..6_usize {
                    let first = if after { from.max(q + 1) } else { from };
                    expected.extend(
                        (first..n as usize)
                            .filter(|i| distance(&[a[*i], b[*i]], &[queries.0[q], queries.1[q]]) <= 47)
                            .map(|i| (q as u32, i as u32)),
                    );
                }
                for isa in Isa::all() {
                    let mut hits = Vec::new();
                    isa.scan([&queries.0, &queries.1], 1..6, [&a, &b], &With { from, to: n as usize, after }, 47, &mut hits);
                    assert_eq!(hits, expected, "{isa:?}, {n} codes from {from}, after {after}");
                }
            }
        }
    }
}
