//! Lists of pictures that must not be kept, by hash: digests of files, and PDQ hashes of what they show.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::{Hash256, MATCH_DISTANCE};

/// Longest line of a list, in bytes.
const MAX_LINE: u64 = 4096;
/// Chunks of a PDQ hash in the index, of 16 bits each: of two hashes at most 31 bits apart one chunk differs in one bit at most.
const CHUNKS: usize = 16;

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BlockListError {
    /// It cannot be read.
    #[error("`{path}`: {error}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A line says nothing that is known.
    #[error("`{path}`, line {line}: {message}")]
    Line {
        /// The file.
        path: String,
        /// From 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// The index does not find pairs so far apart.
    #[error("a distance of {0} is not searched: PDQ hashes match at {MATCH_DISTANCE} bits or fewer")]
    Distance(u32),
}

/// Known pictures by md5, sha256 and PDQ, each with a case id.
///
/// A line of a list is `md5:HEX`, `sha256:HEX` or `pdq:HEX`, then, behind a comma, a tab or blanks, a case id that may be missing. Without its
/// kind, 32 digits are an md5 and 64 a sha256. Empty lines and those that begin with `#` say nothing.
///
/// ```
/// use trommel_filters::hashes::BlockList;
///
/// let list = BlockList::parse("list.txt", "# known\nmd5:d41d8cd98f00b204e9800998ecf8427e, case 7\n".as_bytes(), 31)?;
/// assert_eq!(list.digest("D41D8CD98F00B204E9800998ECF8427E"), Some("case 7"));
/// assert_eq!(list.digest("00000000000000000000000000000000"), None);
/// # Ok::<(), trommel_filters::hashes::BlockListError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BlockList {
    md5: HashMap<[u8; 16], u32>,
    sha256: HashMap<[u8; 32], u32>,
    pdq: Vec<(Hash256, u32)>,
    /// Numbers of PDQ hashes by chunk and its value: where each value's begin, and the numbers.
    starts: Vec<Vec<u32>>,
    numbers: Vec<Vec<u32>>,
    cases: Vec<String>,
    distance: u32,
}

impl BlockList {
    /// Reads lists. `distance` is the largest of PDQ hashes that match, 31 at most.
    ///
    /// # Errors
    /// [`BlockListError`] with file and line: a list that is not understood whole is not used.
    pub fn load(paths: &[impl AsRef<Path>], distance: u32) -> Result<Self, BlockListError> {
        let mut list = Self { distance, ..Self::default() };
        for path in paths {
            let name = path.as_ref().display().to_string();
            let file = File::open(path).map_err(|error| BlockListError::Io { path: name.clone(), error })?;
            list.read(&name, file)?;
        }
        list.indexed()
    }

    /// Reads one list; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`BlockList::load`].
    pub fn parse(name: &str, text: impl Read, distance: u32) -> Result<Self, BlockListError> {
        let mut list = Self { distance, ..Self::default() };
        list.read(name, text)?;
        list.indexed()
    }

    fn read(&mut self, path: &str, input: impl Read) -> Result<(), BlockListError> {
        let mut input = BufReader::new(input);
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let read = (&mut input)
                .take(MAX_LINE)
                .read_until(b'\n', &mut bytes)
                .map_err(|error| BlockListError::Io { path: path.to_owned(), error })?;
            let wrong = |message: String| BlockListError::Line { path: path.to_owned(), line, message };
            if read as u64 == MAX_LINE {
                return Err(wrong(format!("it has {MAX_LINE} bytes or more")));
            }
            if read == 0 {
                break;
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() && !text.starts_with('#') {
                self.add(text).map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let (hash, case) = text.split_once([',', '\t', ' ']).map_or((text, ""), |(hash, case)| (hash, case.trim_matches([',', '\t', ' '])));
        let (kind, digits) = match hash.split_once(':') {
            Some((kind, digits)) => (kind.to_ascii_lowercase(), digits),
            None => (if hash.len() == 32 { "md5" } else { "sha256" }.to_owned(), hash),
        };
        let number = self.cases.len() as u32;
        let digits_wrong = |wanted: usize| format!("`{digits}` is not {wanted} hexadecimal digits");
        match kind.as_str() {
            "md5" => {
                let key = hex::<16>(digits).ok_or_else(|| digits_wrong(32))?;
                self.md5.entry(key).or_insert(number);
            }
            "sha256" => {
                let key = hex::<32>(digits).ok_or_else(|| digits_wrong(64))?;
                self.sha256.entry(key).or_insert(number);
            }
            "pdq" => {
                let hash: Hash256 = digits.parse().map_err(|_| digits_wrong(64))?;
                self.pdq.push((hash, number));
            }
            other => return Err(format!("`{other}` is no kind of hash: md5, sha256 or pdq")),
        }
        self.cases.push(case.to_owned());
        Ok(())
    }

    fn indexed(mut self) -> Result<Self, BlockListError> {
        if self.distance > MATCH_DISTANCE {
            return Err(BlockListError::Distance(self.distance));
        }
        for chunk in 0..CHUNKS {
            let mut starts = vec![0_u32; (1 << 16) + 1];
            for (hash, _) in &self.pdq {
                starts[usize::from(chunk_of(*hash, chunk)) + 1] += 1;
            }
            for value in 0..1 << 16 {
                starts[value + 1] += starts[value];
            }
            let mut next = starts.clone();
            let mut numbers = vec![0; self.pdq.len()];
            for (number, (hash, _)) in self.pdq.iter().enumerate() {
                let slot = &mut next[usize::from(chunk_of(*hash, chunk))];
                numbers[*slot as usize] = number as u32;
                *slot += 1;
            }
            self.starts.push(starts);
            self.numbers.push(numbers);
        }
        Ok(self)
    }

    /// Pictures in the list.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Whether it holds md5 digests.
    pub fn has_md5(&self) -> bool {
        !self.md5.is_empty()
    }

    /// Whether it holds sha256 digests.
    pub fn has_sha256(&self) -> bool {
        !self.sha256.is_empty()
    }

    /// Whether it holds PDQ hashes.
    pub fn has_pdq(&self) -> bool {
        !self.pdq.is_empty()
    }

    /// The case of a file by its digest in hexadecimal digits, md5 or sha256 by their number.
    pub fn digest(&self, digits: &str) -> Option<&str> {
        let number = match digits.len() {
            32 => self.md5.get(&hex::<16>(digits)?)?,
            _ => self.sha256.get(&hex::<32>(digits)?)?,
        };
        self.cases.get(*number as usize).map(String::as_str)
    }

    /// The case of a picture by its PDQ hashes, those of all orientations: the nearest in the list, if it is near enough.
    pub fn pdq(&self, hashes: &[Hash256]) -> Option<&str> {
        if self.pdq.is_empty() {
            return None;
        }
        let mut nearest: Option<(u32, u32)> = None;
        for &hash in hashes {
            for chunk in 0..CHUNKS {
                let value = chunk_of(hash, chunk);
                let near = std::iter::once(value).chain((0..16).map(|bit| value ^ 1 << bit));
                for value in near {
                    let (from, to) = (self.starts[chunk][usize::from(value)], self.starts[chunk][usize::from(value) + 1]);
                    for &number in &self.numbers[chunk][from as usize..to as usize] {
                        let distance = self.pdq[number as usize].0.distance(hash);
                        if distance <= self.distance && nearest.is_none_or(|nearest| (distance, number) < nearest) {
                            nearest = Some((distance, number));
                        }
                    }
                }
            }
        }
        let (_, number) = nearest?;
        self.cases.get(self.pdq[number as usize].1 as usize).map(String::as_str)
    }
}

fn chunk_of(hash: Hash256, chunk: usize) -> u16 {
    (hash.words()[chunk / 4] >> (chunk % 4 * 16)) as u16
}

fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = (value(pair[0])? << 4 | value(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> Result<BlockList, BlockListError> {
        BlockList::parse("list.txt", text.as_bytes(), 31)
    }

    #[test]
    fn lines_are_hashes_with_a_case_and_others_are_errors_with_their_place() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let read =
            list(&format!("\u{feff}# a comment\r\n\r\n{md5}\r\nSHA256:{} case-2\npdq:{sha},\tcase 3\n", sha.to_uppercase())).unwrap();
        assert_eq!((read.len(), read.has_md5(), read.has_sha256(), read.has_pdq()), (3, true, true, true));
        assert_eq!((read.digest(md5), read.digest(sha), read.digest("aa")), (Some(""), Some("case-2"), None));
        assert_eq!(read.pdq(&[sha.parse().unwrap()]), Some("case 3"));
        for (text, message) in [
            ("md5:12", "`list.txt`, line 1: `12` is not 32 hexadecimal digits"),
            ("\nphash:1234567890abcdef", "`list.txt`, line 2: `phash` is no kind of hash: md5, sha256 or pdq"),
            ("zz", "`list.txt`, line 1: `zz` is not 64 hexadecimal digits"),
        ] {
            assert_eq!(list(text).unwrap_err().to_string(), message);
        }
        assert!(list(&"a".repeat(5000)).unwrap_err().to_string().ends_with("it has 4096 bytes or more"));
        assert!(matches!(BlockList::parse("list.txt", &b""[..], 32), Err(BlockListError::Distance(32))));
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_walk_over_the_list_finds(
            known in prop::collection::vec(any::<[u64; 4]>(), 1..40),
            pick in any::<prop::sample::Index>(),
            flips in prop::collection::vec(0_usize..256, 0..40),
        ) {
            let text: String = known.iter().enumerate().map(|(at, words)| format!("pdq:{} {at}\n", Hash256(*words))).collect();
            let list = list(&text).unwrap();
            let mut asked = known[pick.index(known.len())];
            flips.iter().for_each(|bit| asked[bit / 64] ^= 1 << (bit % 64));
            let asked = Hash256(asked);
            let distances = known.iter().map(|words| Hash256(*words).distance(asked));
            let nearest = distances.enumerate().filter(|(_, distance)| *distance <= 31).min_by_key(|&(at, distance)| (distance, at));
            let expected = nearest.map(|(at, _)| at.to_string());
            prop_assert_eq!(list.pdq(&[asked]).map(str::to_owned), expected);
        }
    }
}
