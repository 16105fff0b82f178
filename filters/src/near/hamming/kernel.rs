//! Comparing one code with a run of codes: the inner loop of every plan.

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
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") && is_x86_feature_detected!("popcnt") {
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

    /// Appends to `hits` the places `i` in `from..to` where `query` and `columns[..][i]` differ in at most `limit` bits.
    ///
    /// The columns have the same length, at least `to`.
    #[inline]
    pub(super) fn scan<const S: usize>(
        self,
        query: &[u64; S],
        columns: [&[u64]; S],
        from: usize,
        to: usize,
        limit: u32,
        hits: &mut Vec<u32>,
    ) {
        let columns = columns.map(|column| &column[..to]);
        match self {
            // SAFETY: `detect` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512(query, columns, from, to, limit, hits) },
            // SAFETY: `detect` found the feature.
            #[cfg(target_arch = "x86_64")]
            Self::Popcnt => unsafe { popcnt(query, columns, from, to, limit, hits) },
            Self::Portable => plain(query, columns, from, to, limit, hits),
        }
    }
}

#[inline(always)]
fn plain<const S: usize>(query: &[u64; S], columns: [&[u64]; S], from: usize, to: usize, limit: u32, hits: &mut Vec<u32>) {
    for i in from..to {
        let mut distance = 0;
        for (column, word) in columns.iter().zip(query) {
            distance += (column[i] ^ word).count_ones();
        }
        if distance <= limit {
            hits.push(i as u32);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn popcnt<const S: usize>(query: &[u64; S], columns: [&[u64]; S], from: usize, to: usize, limit: u32, hits: &mut Vec<u32>) {
    plain(query, columns, from, to, limit, hits);
}

/// The columns must be at least `to` long.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
fn avx512<const S: usize>(query: &[u64; S], columns: [&[u64]; S], from: usize, to: usize, limit: u32, hits: &mut Vec<u32>) {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_cmple_epu64_mask, _mm512_loadu_si512, _mm512_maskz_loadu_epi64, _mm512_popcnt_epi64,
        _mm512_set1_epi64, _mm512_setzero_si512, _mm512_xor_si512,
    };
    let limit = _mm512_set1_epi64(i64::from(limit));
    let queries: [__m512i; S] = query.map(|word| _mm512_set1_epi64(word as i64));
    let mut i = from;
    while i + 8 <= to {
        let mut distance = _mm512_setzero_si512();
        for (column, word) in columns.iter().zip(&queries) {
            // SAFETY: i + 8 <= to <= the column's length.
            let codes = unsafe { _mm512_loadu_si512(column.as_ptr().add(i).cast()) };
            distance = _mm512_add_epi64(distance, _mm512_popcnt_epi64(_mm512_xor_si512(codes, *word)));
        }
        let mut near = _mm512_cmple_epu64_mask(distance, limit);
        while near != 0 {
            hits.push(i as u32 + near.trailing_zeros());
            near &= near - 1;
        }
        i += 8;
    }
    if i < to {
        let tail = (1_u8 << (to - i)) - 1;
        let mut distance = _mm512_setzero_si512();
        for (column, word) in columns.iter().zip(&queries) {
            // SAFETY: the mask keeps the load within to <= the column's length.
            let codes = unsafe { _mm512_maskz_loadu_epi64(tail, column.as_ptr().add(i).cast()) };
            distance = _mm512_add_epi64(distance, _mm512_popcnt_epi64(_mm512_xor_si512(codes, *word)));
        }
        let mut near = _mm512_cmple_epu64_mask(distance, limit) & tail;
        while near != 0 {
            hits.push(i as u32 + near.trailing_zeros());
            near &= near - 1;
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
        for n in [0, 1, 7, 8, 9, 31, 100] {
            let (a, b) = (column(1, n), column(3, n));
            let query = [mix(9, 9) & mix(8, 8), mix(7, 7) & mix(6, 6)];
            for from in [0, 1, 5].into_iter().filter(|from| *from <= n as usize) {
                let expected: Vec<u32> =
                    (from as u32..n as u32).filter(|i| distance(&[a[*i as usize], b[*i as usize]], &query) <= 47).collect();
                for isa in Isa::all() {
                    let mut hits = Vec::new();
                    isa.scan(&query, [&a, &b], from, n as usize, 47, &mut hits);
                    assert_eq!(hits, expected, "{isa:?}, {n} codes from {from}");
                }
            }
        }
    }
}
