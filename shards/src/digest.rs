//! Hashes of raw downloaded bytes, as written into the `md5`, `sha256` and `sha512` columns.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

/// A hash function that img2dataset knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashKind {
    /// 32 hexadecimal characters. Good for finding equal files, no proof against forgery.
    Md5,
    /// 64 hexadecimal characters, the default.
    #[default]
    Sha256,
    /// 128 hexadecimal characters.
    Sha512,
}

/// A hash that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DigestError {
    /// Not the name of a hash function.
    #[error("unknown hash `{name}`, use md5, sha256 or sha512")]
    UnknownKind {
        /// What was given.
        name: String,
    },
    /// Not a digest of this kind: wrong length or not hexadecimal.
    #[error("not a {kind} digest: `{given}`")]
    Malformed {
        /// The kind that was expected.
        kind: HashKind,
        /// What was given, shortened to 140 characters.
        given: String,
    },
    /// The bytes are others than promised. The text is img2dataset's.
    #[error("hash mismatch")]
    Mismatch,
}

impl HashKind {
    /// The name, which is also the name of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Characters of the hexadecimal form.
    pub fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The digest of `bytes` in lower case hexadecimal.
    ///
    /// ```
    /// # use trommel_shards::digest::HashKind;
    /// assert_eq!(HashKind::Md5.hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
    /// ```
    pub fn hex(self, bytes: &[u8]) -> String {
        match self {
            Self::Md5 => to_hex(&Md5::digest(bytes)),
            Self::Sha256 => to_hex(&Sha256::digest(bytes)),
            Self::Sha512 => to_hex(&Sha512::digest(bytes)),
        }
    }

    /// Brings a digest from outside into the form that [`HashKind::hex`] gives: trimmed, lower case.
    ///
    /// # Errors
    /// [`DigestError::Malformed`] when the length is wrong or a character is not hexadecimal.
    pub fn parse(self, given: &str) -> Result<String, DigestError> {
        let trimmed = given.trim();
        if trimmed.len() == self.hex_len() && trimmed.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(trimmed.to_ascii_lowercase());
        }
        Err(DigestError::Malformed { kind: self, given: trimmed.chars().take(140).collect() })
    }

    /// Checks `bytes` against a digest and gives the digest back in its normal form.
    ///
    /// # Errors
    /// [`DigestError::Malformed`] for an unusable digest, [`DigestError::Mismatch`] for other bytes.
    pub fn verify(self, bytes: &[u8], expected: &str) -> Result<String, DigestError> {
        let expected = self.parse(expected)?;
        let found = self.hex(bytes);
        if found == expected { Ok(found) } else { Err(DigestError::Mismatch) }
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashKind {
    type Err = DigestError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim().to_ascii_lowercase().as_str() {
            "md5" => Ok(Self::Md5),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::UnknownKind { name: name.chars().take(140).collect() }),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values: RFC 1321 and FIPS 180-4 example messages.
    #[test]
    fn digests_of_abc_are_those_of_the_standards() {
        assert_eq!(HashKind::Md5.hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(HashKind::Sha256.hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            HashKind::Sha512.hex(b"abc"),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn verification_accepts_upper_case_and_refuses_other_bytes() {
        let kind = HashKind::Md5;
        assert!(kind.verify(b"abc", " 900150983CD24FB0D6963F7D28E17F72 ").is_ok());
        let other = kind.verify(b"abd", "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(other, Err(DigestError::Mismatch));
        assert!(matches!(kind.verify(b"abc", "zz"), Err(DigestError::Malformed { .. })));
    }

    #[test]
    fn kinds_are_read_by_name() {
        assert_eq!("SHA512".parse(), Ok(HashKind::Sha512));
        assert!("crc32".parse::<HashKind>().is_err());
    }
}
