//! Hashes of 64 and 256 bits: distance, hexadecimal form, bits.

use std::fmt;
use std::str::FromStr;

/// Why text is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseHashError {
    /// Another number of characters than the hash has hexadecimal digits.
    #[error("a hash of {expected} hexadecimal digits was expected, not {found} characters")]
    Length {
        /// Digits of such a hash.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// Something other than 0 to 9, a to f or A to F.
    #[error("the character at {at} is not a hexadecimal digit")]
    Digit {
        /// Its place, from 0.
        at: usize,
    },
}

/// A hash of 64 bits, 8 rows of 8, the first bit of the first row being the most significant: `imagehash`'s order.
///
/// ```
/// use trommel_filters::hashes::Hash64;
///
/// let hash: Hash64 = "d1c48f3b0e67a95c".parse()?;
/// assert_eq!(hash.to_string(), "d1c48f3b0e67a95c");
/// assert_eq!(hash.distance(Hash64(hash.0 ^ 0b101)), 2);
/// # Ok::<(), trommel_filters::hashes::ParseHashError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash64(pub u64);

impl Hash64 {
    /// Bits that differ, 0 to 64.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// The hash as words for a join of codes.
    pub fn words(self) -> [u64; 1] {
        [self.0]
    }

    /// The bits of 64 answers, the first answer first.
    pub(crate) fn from_bits(bits: impl IntoIterator<Item = bool>) -> Self {
        Self(bits.into_iter().fold(0, |hash, bit| hash << 1 | u64::from(bit)))
    }
}

/// A hash of 256 bits, 16 rows of 16. Bit `16 * row + column` is bit `k % 64` of word `k / 64`; the hexadecimal form
/// begins with the last bit, as PDQ prints it.
///
/// ```
/// use trommel_filters::hashes::Hash256;
///
/// let hex = "f8f8f0cce0f4e84d0e370a22028f67f0b36e2ed596623e1d33e6339c4e9c9b22";
/// let hash: Hash256 = hex.parse()?;
/// assert_eq!(hash.to_string(), hex);
/// assert_eq!(hash.distance(hash), 0);
/// # Ok::<(), trommel_filters::hashes::ParseHashError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash256(pub [u64; 4]);

impl Hash256 {
    /// Bits that differ, 0 to 256.
    pub fn distance(self, other: Self) -> u32 {
        self.0.iter().zip(other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// The hash as words for a join of codes.
    pub fn words(self) -> [u64; 4] {
        self.0
    }

    /// The 32 bytes that the hexadecimal form spells.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// The hash that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0u64; 4];
        for (word, bytes) in words.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }

    /// The bits of 256 answers, the first answer first.
    pub(crate) fn from_bits(bits: impl IntoIterator<Item = bool>) -> Self {
        let mut words = [0u64; 4];
        for (k, bit) in bits.into_iter().take(256).enumerate() {
            words[k / 64] |= u64::from(bit) << (k % 64);
        }
        Self(words)
    }
}

impl fmt::Display for Hash64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

impl FromStr for Hash64 {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        Ok(Self(u64::from_be_bytes(parse(text)?)))
    }
}

impl FromStr for Hash256 {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        Ok(Self::from_bytes(parse(text)?))
    }
}

/// `N` bytes of `2 N` hexadecimal digits of either case.
fn parse<const N: usize>(text: &str) -> Result<[u8; N], ParseHashError> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return Err(ParseHashError::Length { expected: 2 * N, found: text.len() });
    }
    let mut bytes = [0; N];
    for (at, digit) in text.iter().enumerate() {
        let value = char::from(*digit).to_digit(16).ok_or(ParseHashError::Digit { at })?;
        bytes[at / 2] = bytes[at / 2] << 4 | value as u8;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hexadecimal_forms_are_read_back(a: u64, b: [u64; 4]) {
            prop_assert_eq!(Hash64(a).to_string().parse(), Ok(Hash64(a)));
            prop_assert_eq!(Hash256(b).to_string().parse(), Ok(Hash256(b)));
            prop_assert_eq!(Hash256(b).to_string().to_uppercase().parse(), Ok(Hash256(b)));
            prop_assert_eq!(Hash256::from_bytes(Hash256(b).to_bytes()), Hash256(b));
        }

        #[test]
        fn any_text_is_a_hash_or_an_error(text in "\\PC{0,70}") {
            let _ = text.parse::<Hash64>();
            let _ = text.parse::<Hash256>();
        }
    }

    #[test]
    fn text_that_is_no_hash_says_where() {
        assert_eq!("00ff".parse::<Hash64>(), Err(ParseHashError::Length { expected: 16, found: 4 }));
        assert_eq!("00000000000000g0".parse::<Hash64>(), Err(ParseHashError::Digit { at: 14 }));
        assert_eq!("+000000000000000".parse::<Hash64>(), Err(ParseHashError::Digit { at: 0 }));
    }

    #[test]
    fn the_first_bit_is_where_the_peers_have_it() {
        // `imagehash` prints the first bit first, PDQ last.
        assert_eq!(Hash64::from_bits((0..64).map(|k| k == 0)).to_string(), "8000000000000000");
        assert!(Hash256::from_bits((0..256).map(|k| k == 0)).to_string().ends_with("0001"));
        assert!(Hash256::from_bits((0..256).map(|k| k == 255)).to_string().starts_with("8000"));
    }
}
