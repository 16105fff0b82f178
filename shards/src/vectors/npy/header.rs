//! The header of an npy file, as `numpy.lib.format` defines it.

use std::io::Read;

use super::super::{MAX_DIM, Precision};

/// The first bytes of every npy file.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header that is read. numpy itself stops at 10 000 characters unless told otherwise.
const MAX_HEADER: usize = 64 << 10;
/// Digits that numpy leaves room for, so that an array can grow in place.
const GROWTH_DIGITS: usize = 21;

/// What the header of a two-dimensional array says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub precision: Precision,
    pub rows: u64,
    pub dim: usize,
    /// Bytes from the start of the file to the first component.
    pub length: u64,
}

impl Header {
    /// Bytes of the components.
    pub(crate) fn body(&self) -> Option<u64> {
        self.rows.checked_mul((self.dim * self.precision.bytes()) as u64)
    }

    /// Reads and checks a header. `total` is the length of the whole file, which the shape must account for exactly.
    pub(crate) fn read(input: &mut impl Read, total: u64) -> Result<Self, String> {
        let mut start = [0_u8; 8];
        input.read_exact(&mut start).map_err(short)?;
        if &start[..6] != MAGIC {
            return Err("is no npy file: the first bytes are not `\\x93NUMPY`".into());
        }
        let length = match start[6] {
            1 => {
                let mut two = [0; 2];
                input.read_exact(&mut two).map_err(short)?;
                usize::from(u16::from_le_bytes(two))
            }
            2 | 3 => {
                let mut four = [0; 4];
                input.read_exact(&mut four).map_err(short)?;
                u32::from_le_bytes(four) as usize
            }
            other => return Err(format!("npy version {other}.{} is unknown", start[7])),
        };
        if length > MAX_HEADER {
            return Err(format!("npy header of {length} bytes is longer than {MAX_HEADER}"));
        }
        let mut text = vec![0; length];
        input.read_exact(&mut text).map_err(short)?;
        // Version 3 is UTF-8, 1 and 2 are Latin-1; everything that is accepted below is ASCII.
        let (precision, rows, dim) = parse(&String::from_utf8_lossy(&text))?;
        let prefix = if start[6] == 1 { 10 } else { 12 };
        let header = Self { precision, rows, dim, length: prefix + length as u64 };
        let expected = header.body().and_then(|body| body.checked_add(header.length));
        match expected {
            Some(expected) if expected == total => Ok(header),
            Some(expected) => Err(format!("shape ({rows}, {dim}) of {} makes {expected} bytes, there are {total}", precision.name())),
            None => Err(format!("shape ({rows}, {dim}) is impossible")),
        }
    }
}

fn short(error: std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "ends inside its npy header".into(),
        _ => error.to_string(),
    }
}

/// The header that numpy writes for a C-ordered array, byte for byte (version 1.0, 64-byte aligned).
pub(crate) fn render(precision: Precision, rows: u64, dim: usize) -> Vec<u8> {
    let descr = match precision {
        Precision::F16 => "<f2",
        Precision::F32 => "<f4",
        Precision::F64 => "<f8",
    };
    frame(&format!("'{descr}'"), rows, &format!(" {dim}"))
}

/// A header of version 1.0 for an array of `rows` rows: `descr` as Python writes it, and what the shape says behind the rows and a comma.
pub(crate) fn frame(descr: &str, rows: u64, behind: &str) -> Vec<u8> {
    let rows = rows.to_string();
    let mut text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({rows},{behind}), }}");
    text.push_str(&" ".repeat(GROWTH_DIGITS.saturating_sub(rows.len())));
    let length = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(MAGIC.len() + 4 + length - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// Reads the Python dictionary: `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order.
fn parse(text: &str) -> Result<(Precision, u64, usize), String> {
    let mut at = Scan(text.trim_end());
    let (mut precision, mut shape, mut ordered) = (None, None, false);
    at.expect('{')?;
    while !at.eat('}') {
        let key = at.string()?;
        at.expect(':')?;
        match key {
            "descr" if precision.is_none() => precision = Some(dtype(&mut at)?),
            "fortran_order" if !ordered => {
                ordered = true;
                if at.word() != "False" {
                    return Err("Fortran order is not taken; write it with `numpy.ascontiguousarray`".into());
                }
            }
            "shape" if shape.is_none() => shape = Some(at.tuple()?),
            other => return Err(format!("npy header has an unexpected key `{}`", other.chars().take(60).collect::<String>())),
        }
        if !at.eat(',') {
            at.expect('}')?;
            break;
        }
    }
    if !at.0.is_empty() {
        return Err("npy header has text after its dictionary".into());
    }
    let precision = precision.ok_or("npy header has no `descr`")?;
    let shape = shape.ok_or("npy header has no `shape`")?;
    if !ordered {
        return Err("npy header has no `fortran_order`".into());
    }
    let [rows, dim] = shape[..] else {
        return Err(format!("array has {} dimensions, two are needed: rows and components", shape.len()));
    };
    match usize::try_from(dim) {
        Ok(dim) if (1..=MAX_DIM).contains(&dim) => Ok((precision, rows, dim)),
        _ => Err(format!("vectors of {dim} components; 1 to {MAX_DIM} are taken")),
    }
}

fn dtype(at: &mut Scan<'_>) -> Result<Precision, String> {
    if at.0.trim_start().starts_with('[') {
        return Err("structured dtype; `<f2`, `<f4` and `<f8` are taken".into());
    }
    match at.string()? {
        "<f2" => Ok(Precision::F16),
        "<f4" => Ok(Precision::F32),
        "<f8" => Ok(Precision::F64),
        big if big.starts_with('>') => Err(format!("big-endian dtype `{big}` is not taken")),
        object if object.contains('O') => Err("dtype object is not taken: it holds pickled Python objects".into()),
        other => Err(format!("dtype `{}` holds no vectors; `<f2`, `<f4` and `<f8` are taken", other.chars().take(60).collect::<String>())),
    }
}

/// A cursor over a Python literal.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    fn eat(&mut self, token: char) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: char) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("npy header is no Python dictionary: `{token}` is missing")) }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.eat('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let (text, rest) = self.0.split_once(quote).ok_or("npy header has an open string")?;
        self.0 = rest.trim_start();
        Ok(text)
    }

    fn word(&mut self) -> &'a str {
        let end = self.0.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        word
    }

    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        self.expect('(')?;
        let mut values = Vec::new();
        while !self.eat(')') {
            // Python 2 wrote long integers with an `L`.
            let word = self.word();
            values.push(word.trim_end_matches('L').parse().map_err(|_| "npy header has a shape that is no tuple of sizes".to_owned())?);
            if values.len() > 32 {
                return Err("array has more than 32 dimensions".into());
            }
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden bytes: `numpy.save` of `numpy.zeros((3, 4), "<f4")`, numpy 2.
    #[test]
    fn the_header_is_the_one_that_numpy_writes() {
        let bytes = render(Precision::F32, 3, 4);
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = String::from_utf8(bytes[10..].to_vec()).unwrap();
        assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn odd_but_right_headers_are_read() {
        let text = "{\"shape\" : (3L,4), 'fortran_order':False,'descr':'<f2'}  \n";
        assert_eq!(parse(text), Ok((Precision::F16, 3, 4)));
    }

    #[test]
    fn what_is_not_taken_is_named() {
        let with = |descr: &str, order: &str, shape: &str| {
            parse(&format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")).unwrap_err()
        };
        assert!(with("'>f4'", "False", "(1, 2)").contains("big-endian"));
        assert!(with("'|O'", "False", "(1, 2)").contains("object"));
        assert!(with("[('a', '<f4')]", "False", "(1, 2)").contains("structured"));
        assert!(with("'<i8'", "False", "(1, 2)").contains("`<i8`"));
        assert!(with("'<f4'", "True", "(1, 2)").contains("Fortran"));
        assert!(with("'<f4'", "False", "(3,)").contains("1 dimensions"));
        assert!(with("'<f4'", "False", "(3, 0)").contains("0 components"));
        assert!(with("'<f4'", "False", "(3, 99999999999)").contains("99999999999 components"));
        assert!(with("'<f4'", "False", "(-3, 4)").contains("no tuple of sizes"));
    }
}
