//! Where a text is cut, 64 bytes at a time.

use super::super::spacing::{CLASSES, Class};

/// Bytes that [`separators`] looks at.
pub(super) const CHUNK: usize = 64;

/// What stands behind a text among other texts: no byte of UTF-8. It is cut off as a mark is, and no entry holds it.
pub(super) const END: u8 = 0xff;

/// One bit for each byte of `chunk` that is a space, a mark or [`END`], the first byte's lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn separators(chunk: &[u8; CHUNK]) -> u64 {
    // SAFETY: SSE2 is part of x86-64, every processor of it has it.
    unsafe { by_compares(chunk) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn by_compares(chunk: &[u8; CHUNK]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm_setzero_si128};
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&chunk[at..at + 8]);
        i64::from_le_bytes(bytes)
    };
    let mut mask = 0;
    for at in (0..CHUNK).step_by(16) {
        let bytes = _mm_set_epi64x(word(at + 8), word(at));
        let mut any = _mm_setzero_si128();
        for separator in *b" \t\n\r,.;:?!`\xff" {
            any = _mm_or_si128(any, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(separator as i8)));
        }
        mask |= u64::from(_mm_movemask_epi8(any) as u16) << at;
    }
    mask
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn separators(chunk: &[u8; CHUNK]) -> u64 {
    by_table(chunk)
}

/// The same from the table of classes.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn by_table(chunk: &[u8; CHUNK]) -> u64 {
    chunk.iter().rev().fold(0, |mask, byte| mask << 1 | u64::from(CLASSES[usize::from(*byte)] != Class::Word || *byte == END))
}

/// Whether a separator is a token itself: a mark or [`END`].
#[inline]
pub(super) fn is_mark(byte: u8) -> bool {
    MARKS[usize::from(byte)]
}

/// [`is_mark`] of each byte.
static MARKS: [bool; 256] = {
    let mut marks = [false; 256];
    let mut byte = 0;
    while byte < marks.len() {
        marks[byte] = matches!(CLASSES[byte], Class::Mark) || byte == END as usize;
        byte += 1;
    }
    marks
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_classed_as_the_table_says() {
        for first in 0..=255u8 {
            let mut chunk = [b'a'; CHUNK];
            for (i, byte) in chunk.iter_mut().enumerate() {
                *byte = first.wrapping_add((i * 7) as u8);
            }
            assert_eq!(separators(&chunk), by_table(&chunk));
        }
    }
}
