//! Text to the form that pieces are looked up in: SentencePiece's `Normalizer::Normalize`.

use super::proto::{Kind, Proto};

/// U+2581, which stands for a space in pieces.
pub(super) const SPACE: &str = "\u{2581}";

/// A compiled map of strings: a double array (darts-clone) over UTF-8, and the replacements.
#[derive(Debug, Clone)]
struct CharsMap {
    units: Vec<u32>,
    replacements: Vec<u8>,
}

impl CharsMap {
    fn parse(blob: &[u8]) -> Result<Option<Self>, &'static str> {
        const DAMAGED: &str = "a damaged `precompiled_charsmap`";
        if blob.is_empty() {
            return Ok(None);
        }
        let (size, rest) = blob.split_at_checked(4).ok_or(DAMAGED)?;
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let (units, replacements) = rest.split_at_checked(size).ok_or(DAMAGED)?;
        if !size.is_multiple_of(4) || size == 0 || std::str::from_utf8(replacements).is_err() {
            return Err(DAMAGED);
        }
        let unit = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok(Some(Self { units: units.chunks_exact(4).map(unit).collect(), replacements: replacements.to_vec() }))
    }

    /// Bytes of the longest entry that `text` starts with, and its replacement.
    fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut node = offset(*self.units.first()?);
        let mut found = None;
        for (index, &byte) in text.iter().enumerate() {
            node ^= usize::from(byte);
            // A damaged map leads outside; then there is no entry.
            let Some(&unit) = self.units.get(node) else { break };
            if unit & (1 << 31 | 0xFF) != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            if unit >> 8 & 1 == 1 {
                let Some(&leaf) = self.units.get(node) else { break };
                found = Some((index + 1, (leaf & 0x7FFF_FFFF) as usize));
            }
        }
        let (length, start) = found?;
        let replacement = self.replacements.get(start..)?;
        let end = replacement.iter().position(|&byte| byte == 0).unwrap_or(replacement.len());
        std::str::from_utf8(&replacement[..end]).ok().map(|replacement| (length, replacement))
    }
}

/// The rules of one model.
#[derive(Debug, Clone)]
pub(super) struct Normalizer {
    map: Option<CharsMap>,
    /// Pieces that are never touched, longest first.
    user_defined: Vec<String>,
    dummy_prefix: bool,
    remove_extra: bool,
    escape: bool,
}

impl Normalizer {
    pub(super) fn new(proto: &Proto) -> Result<Self, &'static str> {
        if proto.space_as_suffix {
            return Err("`treat_whitespace_as_suffix` is not known here");
        }
        let own = |piece: &&super::proto::Piece| piece.kind == Kind::UserDefined && !piece.text.is_empty();
        let mut user_defined: Vec<String> = proto.pieces.iter().filter(own).map(|piece| piece.text.clone()).collect();
        user_defined.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Ok(Self {
            map: CharsMap::parse(&proto.charsmap)?,
            user_defined,
            dummy_prefix: proto.add_dummy_prefix,
            remove_extra: proto.remove_extra_spaces,
            escape: proto.escape_spaces,
        })
    }

    /// What the start of `text` becomes, and its length there.
    fn prefix<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        if let Some(own) = self.user_defined.iter().find(|own| text.starts_with(own.as_str())) {
            return (own, own.len());
        }
        if let Some((length, replacement)) = self.map.as_ref().and_then(|map| map.longest(text.as_bytes())) {
            // An entry ends where a character ends, unless the map is damaged.
            if text.is_char_boundary(length) {
                return (replacement, length);
            }
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (&text[..length], length)
    }

    pub(super) fn normalize(&self, text: &str) -> String {
        let mut rest = text;
        if self.remove_extra {
            while !rest.is_empty() {
                let (becomes, length) = self.prefix(rest);
                if becomes != " " {
                    break;
                }
                rest = &rest[length..];
            }
        }
        let mut out = String::with_capacity(rest.len() + 16);
        if rest.is_empty() {
            return out;
        }
        let space = if self.escape { SPACE } else { " " };
        if self.dummy_prefix {
            out.push_str(space);
        }
        let mut after_space = self.remove_extra;
        while !rest.is_empty() {
            let (mut becomes, length) = self.prefix(rest);
            if after_space {
                becomes = becomes.trim_start_matches(' ');
            }
            if !becomes.is_empty() {
                for c in becomes.chars() {
                    if c == ' ' { out.push_str(space) } else { out.push(c) }
                }
                after_space = becomes.ends_with(' ');
            }
            rest = &rest[length..];
            after_space &= self.remove_extra;
        }
        if self.remove_extra {
            let kept = out.trim_end_matches(space).len();
            out.truncate(kept);
        }
        out
    }
}
