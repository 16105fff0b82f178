//! Samples of a webdataset shard: members of one key, adjacent, as one.
//!
//! The key of a member is its path up to the first dot of the file name, and what follows that dot is its ending, in
//! lower case: webdataset's rule.

use std::io::Read;

use crate::tar::{TarReadError, TarReader};

/// Endings of pictures, the most common first.
pub const IMAGE_ENDINGS: [&str; 10] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "ppm"];

/// One sample.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Its key: the members' path up to the first dot of the file name.
    pub key: String,
    /// Endings and contents, in the order of the shard.
    pub members: Vec<(String, Vec<u8>)>,
}

impl Sample {
    /// The content of an ending.
    pub fn member(&self, ending: &str) -> Option<&[u8]> {
        self.members.iter().find(|(name, _)| name == ending).map(|(_, content)| content.as_slice())
    }

    /// The picture: the first member with an ending of [`IMAGE_ENDINGS`]. Taken out of the sample.
    pub fn take_image(&mut self) -> Option<(String, Vec<u8>)> {
        let at = self.members.iter().position(|(ending, _)| IMAGE_ENDINGS.contains(&ending.as_str()))?;
        Some(self.members.remove(at))
    }
}

/// Splits a member's path into key and ending. A file without a dot has an empty ending.
pub fn split_key(path: &str) -> (&str, String) {
    let name_at = path.rfind('/').map_or(0, |at| at + 1);
    match path[name_at..].find('.') {
        Some(dot) => (&path[..name_at + dot], path[name_at + dot + 1..].to_ascii_lowercase()),
        None => (path, String::new()),
    }
}

/// The samples of a shard, in order. Memory holds one sample.
pub struct Samples<R> {
    members: TarReader<R>,
    open: Option<Sample>,
}

impl<R: Read> Samples<R> {
    /// Reads from the first byte on.
    pub fn new(source: R) -> Self {
        Self { members: TarReader::new(source), open: None }
    }
}

impl<R: Read> Iterator for Samples<R> {
    type Item = Result<Sample, TarReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.members.next() {
                Some(Ok(member)) => {
                    let (key, ending) = split_key(&member.name);
                    match &mut self.open {
                        Some(sample) if sample.key == key => sample.members.push((ending, member.content)),
                        open => {
                            let fresh = Sample { key: key.to_owned(), members: vec![(ending, member.content)] };
                            if let Some(done) = open.replace(fresh) {
                                return Some(Ok(done));
                            }
                        }
                    }
                }
                Some(Err(error)) => {
                    // The sample in hand may lack members: it goes with the error.
                    self.open = None;
                    return Some(Err(error));
                }
                None => return self.open.take().map(Ok),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::TarWriter;

    #[test]
    fn members_of_one_key_make_a_sample() {
        let mut tar = TarWriter::new();
        for (name, content) in [("0.jpg", "p"), ("0.json", "{}"), ("0.txt", "a"), ("d.x/1.PNG", "q"), ("d.x/1.seg.png", "m")] {
            tar.append(name, content.as_bytes()).unwrap();
        }
        let bytes = tar.finish();
        let mut samples: Vec<Sample> = Samples::new(&bytes[..]).map(Result::unwrap).collect();
        assert_eq!(samples.iter().map(|sample| sample.key.as_str()).collect::<Vec<_>>(), ["0", "d.x/1"]);
        assert_eq!(samples[0].member("txt"), Some(&b"a"[..]));
        assert_eq!(samples[1].take_image(), Some(("png".to_owned(), b"q".to_vec())));
        assert_eq!(samples[1].members[0].0, "seg.png");
    }

    #[test]
    fn a_sample_that_is_cut_is_not_given() {
        let mut tar = TarWriter::new();
        tar.append("0.jpg", &[1; 4000]).unwrap();
        tar.append("0.txt", b"a").unwrap();
        let bytes = tar.finish();
        let cut: Vec<_> = Samples::new(&bytes[..5000]).collect();
        assert_eq!(cut.len(), 1);
        assert!(cut[0].is_err());
    }
}
