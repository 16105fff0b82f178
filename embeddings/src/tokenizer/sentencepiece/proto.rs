//! The parts of `sentencepiece_model.proto` that decide token ids, read by hand with limits.

use std::path::Path;

use crate::error::ModelError;

/// Kinds of pieces that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// One piece of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// A model file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proto {
    pub(super) pieces: Vec<Piece>,
    /// 1 unigram, 2 BPE, 3 words, 4 characters.
    pub(super) model_type: u64,
    pub(super) byte_fallback: bool,
    pub(super) space_as_suffix: bool,
    pub(super) charsmap: Vec<u8>,
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_spaces: bool,
    pub(super) escape_spaces: bool,
}

/// The largest vocabulary that is known has 256 000 pieces.
const MOST_PIECES: usize = 4_000_000;
const LARGEST_FILE: u64 = 256 << 20;
const LONGEST_PIECE: usize = 4096;

/// One field of a message.
enum Value<'a> {
    Number(u64),
    Bits(u32),
    Bytes(&'a [u8]),
}

/// Reads fields until the message ends; `None` in the iterator's item marks damage.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Number(0)
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Bits(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl Proto {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let io = |source| ModelError::Io { path: path.to_path_buf(), source };
        let wrong = |message: &str| ModelError::Config { path: path.to_path_buf(), message: message.to_owned() };
        if std::fs::metadata(path).map_err(io)?.len() > LARGEST_FILE {
            return Err(wrong("too large for a SentencePiece model"));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        Self::parse(&bytes).map_err(wrong)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        const DAMAGED: &str = "damaged or truncated SentencePiece model";
        let mut proto = Self {
            pieces: Vec::new(),
            model_type: 1,
            byte_fallback: false,
            space_as_suffix: false,
            charsmap: Vec::new(),
            add_dummy_prefix: true,
            remove_extra_spaces: true,
            escape_spaces: true,
        };
        for field in Fields(bytes) {
            match field.ok_or(DAMAGED)? {
                (1, Value::Bytes(message)) => {
                    if proto.pieces.len() == MOST_PIECES {
                        return Err("more pieces than any vocabulary has");
                    }
                    proto.pieces.push(piece(message)?);
                }
                (2, Value::Bytes(message)) => {
                    for field in Fields(message) {
                        match field.ok_or(DAMAGED)? {
                            (3, Value::Number(kind)) => proto.model_type = kind,
                            (24, Value::Number(flag)) => proto.space_as_suffix = flag != 0,
                            (35, Value::Number(flag)) => proto.byte_fallback = flag != 0,
                            _ => {}
                        }
                    }
                }
                (3, Value::Bytes(message)) => {
                    for field in Fields(message) {
                        match field.ok_or(DAMAGED)? {
                            (2, Value::Bytes(map)) => proto.charsmap = map.to_vec(),
                            (3, Value::Number(flag)) => proto.add_dummy_prefix = flag != 0,
                            (4, Value::Number(flag)) => proto.remove_extra_spaces = flag != 0,
                            (5, Value::Number(flag)) => proto.escape_spaces = flag != 0,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if proto.pieces.is_empty() {
            return Err("a SentencePiece model without pieces");
        }
        Ok(proto)
    }
}

fn piece(message: &[u8]) -> Result<Piece, &'static str> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in Fields(message) {
        match field.ok_or("a damaged piece")? {
            (1, Value::Bytes(text)) if text.len() > LONGEST_PIECE => return Err("a piece of more than 4096 bytes"),
            (1, Value::Bytes(text)) => {
                piece.text = std::str::from_utf8(text).map_err(|_| "a piece that is not UTF-8")?.to_owned();
            }
            (2, Value::Bits(bits)) => piece.score = f32::from_bits(bits),
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    _ => return Err("a piece of a kind that is not known"),
                };
            }
            _ => {}
        }
    }
    if !piece.score.is_finite() {
        return Err("a piece whose score is not a number");
    }
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_model_is_refused_at_every_length() {
        // pieces { piece: "ab" score: -1 }, trainer_spec { model_type: 1 }, normalizer_spec { add_dummy_prefix: 0 }.
        let bytes = [0x0A, 9, 0x0A, 2, b'a', b'b', 0x15, 0, 0, 0x80, 0xBF, 0x12, 2, 0x18, 1, 0x1A, 2, 0x18, 0];
        let proto = Proto::parse(&bytes).unwrap();
        assert_eq!(proto.pieces, [Piece { text: "ab".to_owned(), score: -1.0, kind: Kind::Normal }]);
        assert!(!proto.add_dummy_prefix && proto.model_type == 1);
        for length in 0..bytes.len() {
            // Cut between messages, what is left is a message; cut inside one, it is damaged.
            assert_eq!(Proto::parse(&bytes[..length]).is_ok(), [11, 15].contains(&length), "{length}");
        }
    }
}
