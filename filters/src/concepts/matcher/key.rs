//! What stands for a word in the tables.

use xxhash_rust::xxh3::xxh3_64;

/// Bytes that [`Key::of`] reads at once.
pub(super) const WINDOW: usize = 16;
/// Longest word that is stored in the table itself.
const INLINE: usize = 15;

/// What stands for a word in the table: up to 15 bytes are the word itself with its length in the last byte; longer ones are
/// their hash, and the bytes are compared besides.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Key {
    low: u64,
    high: u64,
}

/// The bits of as many bytes, in the two halves of a key.
static MASKS: [(u64, u64); INLINE + 1] = {
    let mut masks = [(0, 0); INLINE + 1];
    let mut len = 0;
    while len <= INLINE {
        let mask = (1u128 << (8 * len)) - 1;
        masks[len] = (mask as u64, (mask >> 64) as u64);
        len += 1;
    }
    masks
};

impl Key {
    /// The key of an empty slot, which no word has: a word's last byte is a length of at most 15, or all of `high` is ones.
    pub(super) const EMPTY: Self = Self { low: 0, high: 0x80 << 56 };

    /// The key of `text[start..end]`; `text` goes on for [`WINDOW`] bytes from `start` at least.
    #[inline]
    pub(super) fn of(text: &[u8], start: usize, end: usize) -> Self {
        let len = end - start;
        if len > INLINE {
            return Self::long(&text[start..end]);
        }
        let mut window = [0; WINDOW];
        window.copy_from_slice(&text[start..start + WINDOW]);
        let word = u128::from_le_bytes(window);
        let (low, high) = MASKS[len & INLINE];
        Self { low: word as u64 & low, high: (word >> 64) as u64 & high | (len as u64) << 56 }
    }

    /// The key of a word that stands alone.
    pub(super) fn alone(word: &[u8]) -> Self {
        if word.len() > INLINE {
            return Self::long(word);
        }
        let mut window = [0; WINDOW];
        window[..word.len()].copy_from_slice(word);
        Self::of(&window, 0, word.len())
    }

    #[cold]
    fn long(word: &[u8]) -> Self {
        Self { low: xxh3_64(word), high: u64::MAX }
    }

    /// Whether the key is the word itself, so that equal keys are equal words.
    #[inline]
    pub(super) fn is_inline(self) -> bool {
        self.high != u64::MAX
    }

    /// Whether two keys are equal, in one comparison.
    #[inline]
    pub(super) fn same(self, other: Self) -> bool {
        (self.low ^ other.low) | (self.high ^ other.high) == 0
    }

    #[inline]
    pub(super) fn hash(self) -> u64 {
        fold(self.low ^ 0x9e37_79b9_7f4a_7c15, self.high ^ 0xd1b5_4a32_d192_ed03)
    }
}

/// Both halves of a 128-bit product: each bit of either factor reaches the upper bits of the result.
#[inline]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
