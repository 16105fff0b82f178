//! The join key as a number.

use std::fmt;
use std::str::FromStr;

use super::SubsetError;

/// A uid: 32 hexadecimal characters, 128 bits. Ordered as its text is.
///
/// ```
/// use trommel_shards::subset::Uid128;
///
/// let uid: Uid128 = "139e4a9b22a614771f06c700a8ebe150".parse()?;
/// assert_eq!(uid.pair(), (0x139e_4a9b_22a6_1477, 0x1f06_c700_a8eb_e150));
/// assert_eq!(uid.to_string(), "139e4a9b22a614771f06c700a8ebe150");
/// # Ok::<(), trommel_shards::subset::SubsetError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid128(pub u128);

impl Uid128 {
    /// Bytes of a uid in a subset file.
    pub const BYTES: usize = 16;

    /// From the two numbers of a subset file: the first 16 characters, and the others.
    pub fn from_pair(high: u64, low: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }

    /// The two numbers of a subset file.
    pub fn pair(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    /// As it lies in a subset file: both numbers, little-endian.
    pub fn to_subset_bytes(self) -> [u8; Self::BYTES] {
        let (high, low) = self.pair();
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&high.to_le_bytes());
        bytes[8..].copy_from_slice(&low.to_le_bytes());
        bytes
    }

    /// From the bytes of a subset file.
    pub fn from_subset_bytes(bytes: [u8; Self::BYTES]) -> Self {
        // Both halves are little-endian, the first one being the higher: turned by half, the whole is.
        Self(u128::from_le_bytes(bytes).rotate_left(64))
    }

    /// Reads 32 hexadecimal characters of either case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 32] = text.as_bytes().try_into().ok()?;
        // Without branches and tables, so that the loops become vector instructions: a selection reads these by the million.
        let mut digits = [0_u8; 32];
        let mut wrong = 0_u8;
        for (digit, &byte) in digits.iter_mut().zip(bytes) {
            let number = byte.wrapping_sub(b'0');
            let letter = (byte | 0x20).wrapping_sub(b'a');
            *digit = if number < 10 { number } else { letter.wrapping_add(10) };
            wrong |= u8::from(number >= 10) & u8::from(letter >= 6);
        }
        let mut packed = [0_u8; 16];
        for (byte, pair) in packed.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = pair[0] << 4 | (pair[1] & 15);
        }
        (wrong == 0).then_some(Self(u128::from_be_bytes(packed)))
    }
}

impl FromStr for Uid128 {
    type Err = SubsetError;

    /// # Errors
    /// [`SubsetError::Uid`] names the text.
    fn from_str(text: &str) -> Result<Self, SubsetError> {
        // A hostile text is not repeated at any length.
        Self::parse(text).ok_or_else(|| SubsetError::Uid(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Uid128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Golden bytes: `numpy.array([(int(uid[:16], 16), int(uid[16:32], 16))], numpy.dtype("u8,u8")).tobytes()`.
    #[test]
    fn the_bytes_are_those_of_numpys_pair_of_u8() {
        let uid: Uid128 = "139e4a9b22a614771f06c700a8ebe150".parse().unwrap();
        let bytes: Vec<String> = uid.to_subset_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(bytes.concat(), "7714a6229b4a9e1350e1eba800c7061f");
    }

    #[test]
    fn a_bad_uid_is_named() {
        for text in
            ["", "139e", "139e4a9b22a614771f06c700a8ebe15g", "+39e4a9b22a614771f06c700a8ebe150", "139e4a9b22a614771f06c700a8ebe1500"]
        {
            let error = text.parse::<Uid128>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is no uid: 32 hexadecimal characters are needed"));
        }
    }

    proptest! {
        #[test]
        fn text_pair_and_bytes_are_the_same_number(number: u128) {
            let uid = Uid128(number);
            prop_assert_eq!(uid.to_string().parse::<Uid128>().unwrap(), uid);
            prop_assert_eq!(uid.to_string().to_uppercase().parse::<Uid128>().unwrap(), uid);
            prop_assert_eq!(Uid128::from_pair(uid.pair().0, uid.pair().1), uid);
            prop_assert_eq!(Uid128::from_subset_bytes(uid.to_subset_bytes()), uid);
        }

        #[test]
        fn the_order_is_that_of_the_text(a: u128, b: u128) {
            prop_assert_eq!(Uid128(a).cmp(&Uid128(b)), Uid128(a).to_string().cmp(&Uid128(b).to_string()));
            prop_assert_eq!(Uid128(a).cmp(&Uid128(b)), Uid128(a).pair().cmp(&Uid128(b).pair()));
        }
    }
}
