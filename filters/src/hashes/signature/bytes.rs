//! The stored form of a signature.

use super::super::bits::Hash64;
use super::{CROPS, FULL_CODES, SIDE, Signature};

/// The first byte of a stored signature.
const VERSION: u8 = 1;
const HEAD: usize = 4;
const CODES: usize = 8 * (FULL_CODES + CROPS);

/// Why bytes are not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Another number of bytes than [`Signature::BYTES`].
    #[error("a signature has {expected} bytes, not {found}", expected = Signature::BYTES)]
    Length {
        /// Bytes that were given.
        found: usize,
    },
    /// Written by a version that this one does not read.
    #[error("signatures of version {found} are not known, only of version 1")]
    Version {
        /// The first byte.
        found: u8,
    },
    /// A quality above 100, or something where zeros are written.
    #[error("the head of the signature is damaged")]
    Head,
}

impl Signature {
    /// Bytes of a stored signature: 1172.
    pub const BYTES: usize = HEAD + CODES + SIDE * SIDE;

    /// The signature as bytes of a fixed number, for a column of binary values: the version (1), the quality, two zeros;
    /// the full codes (whole, upper, lower, left, right) and the crops (nine of nine tenths, four of
    /// nineteen twentieths, row by row), each as a little-endian 64-bit
    /// number; the thumbnail. The code of the mirror image follows from that of the whole.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.quality;
        for (bytes, code) in bytes[HEAD..].chunks_exact_mut(8).zip(self.full.iter().chain(&self.crops)) {
            bytes.copy_from_slice(&code.0.to_le_bytes());
        }
        bytes[HEAD + CODES..].copy_from_slice(&self.thumbnail[..]);
        bytes
    }

    /// The signature that [`to_bytes`](Self::to_bytes) wrote. Any codes and any thumbnail are taken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| SignatureError::Length { found: bytes.len() })?;
        match bytes[..HEAD] {
            [VERSION, 0..=100, 0, 0] => {}
            [VERSION, ..] => return Err(SignatureError::Head),
            _ => return Err(SignatureError::Version { found: bytes[0] }),
        }
        let code = |at: usize| {
            let bytes = bytes[HEAD + 8 * at..].first_chunk().copied().unwrap_or_default();
            Hash64(u64::from_le_bytes(bytes))
        };
        let mut thumbnail = Box::new([0; SIDE * SIDE]);
        thumbnail.copy_from_slice(&bytes[HEAD + CODES..]);
        Ok(Self { quality: bytes[1], full: std::array::from_fn(code), crops: std::array::from_fn(|at| code(FULL_CODES + at)), thumbnail })
    }
}
