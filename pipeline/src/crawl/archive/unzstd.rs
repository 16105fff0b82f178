//! Zstandard: one frame per record, or one for the whole file; with the dictionary that some archives carry in front.

use std::io;

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::feed::{CHUNK_BYTES, Feed, FeedCounts};
use super::raw::{MarkKind, Raw};
use super::window::Window;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The skippable frame that holds a dictionary at the front of a `.warc.zst`
/// (IIPC, *WARC Zstandard compression*, 0.1).
const DICTIONARY_MAGIC: u32 = 0x184D_2A5D;
/// Most bytes of a dictionary.
const DICTIONARY_BYTES: usize = 16 << 20;

pub(crate) struct Unzstd {
    decoder: Option<Decoder<'static>>,
    dictionary: Vec<u8>,
    started: bool,
    skip: u64,
}

impl Unzstd {
    pub(crate) fn new() -> Self {
        Self { decoder: None, dictionary: Vec::new(), started: false, skip: 0 }
    }

    fn decoder(&self) -> io::Result<Decoder<'static>> {
        Decoder::with_dictionary(&self.dictionary)
    }

    fn read_dictionary(&mut self, frame: &[u8]) -> bool {
        if frame.starts_with(&MAGIC) {
            let mut out = Vec::new();
            let Ok(decoder) = zstd::stream::read::Decoder::new(frame) else {
                return false;
            };
            let read = io::Read::read_to_end(&mut io::Read::take(decoder, DICTIONARY_BYTES as u64 + 1), &mut out);
            if read.is_err() || out.len() > DICTIONARY_BYTES {
                return false;
            }
            self.dictionary = out;
        } else {
            self.dictionary = frame.to_vec();
        }
        self.decoder = None;
        true
    }

    /// Handles a skippable frame at the front of the window.
    fn skippable(&mut self, window: &mut Window, magic: u32, length: usize) -> io::Result<()> {
        if magic == DICTIONARY_MAGIC && !self.started && length <= DICTIONARY_BYTES.min(4 << 20) {
            window.want(8 + length)?;
            if window.len() >= 8 + length {
                let frame = window.data()[8..8 + length].to_vec();
                self.read_dictionary(&frame);
            }
        }
        self.skip = 8 + length as u64;
        Ok(())
    }

    fn lost(window: &mut Window, counts: &mut FeedCounts) {
        let from = 1.min(window.len());
        let gone = match memchr::memmem::find(&window.data()[from..], &MAGIC) {
            Some(at) => from + at,
            None if window.eof() => window.len(),
            None => window.len().saturating_sub(3).max(from),
        };
        counts.skipped += gone as u64;
        window.consume(gone);
    }
}

impl Feed for Unzstd {
    fn feed(&mut self, window: &mut Window, raw: &mut Raw, counts: &mut FeedCounts) -> io::Result<()> {
        window.want(CHUNK_BYTES)?;
        if window.len() == 0 {
            raw.eof = true;
            return Ok(());
        }
        if self.skip > 0 {
            let n = self.skip.min(window.len() as u64);
            window.consume(n as usize);
            self.skip -= n;
            return Ok(());
        }
        let mut decoder = match self.decoder.take() {
            Some(decoder) if self.started => decoder,
            spare => {
                let data = window.data();
                if data.len() >= 8 {
                    let magic = u32::from_le_bytes([data[0], data[1], data[2], data[3]]);
                    if magic & 0xffff_fff0 == 0x184D_2A50 {
                        let length = u32::from_le_bytes([data[4], data[5], data[6], data[7]]) as usize;
                        return self.skippable(window, magic, length);
                    }
                }
                if !data.starts_with(&MAGIC) {
                    Self::lost(window, counts);
                    return Ok(());
                }
                raw.mark(MarkKind::Member, window.offset());
                self.started = true;
                match spare {
                    Some(decoder) => decoder,
                    None => self.decoder()?,
                }
            }
        };
        let out = raw.free(CHUNK_BYTES);
        let mut input = InBuffer::around(window.data());
        let mut output = OutBuffer::around(&mut out[..CHUNK_BYTES]);
        let result = decoder.run(&mut input, &mut output);
        let (used, made) = (input.pos(), output.pos());
        raw.wrote(made);
        match result {
            Ok(0) => {
                window.consume(used);
                self.started = false;
                raw.mark(MarkKind::End, window.offset());
                decoder.reinit()?;
                self.decoder = Some(decoder);
            }
            Ok(_) if used > 0 || made > 0 => {
                window.consume(used);
                self.decoder = Some(decoder);
            }
            Ok(_) => {
                // The file ends inside the frame.
                window.consume(window.len());
                raw.eof = true;
            }
            Err(_) => {
                raw.mark(MarkKind::Damage, window.offset());
                self.started = false;
                Self::lost(window, counts);
            }
        }
        Ok(())
    }

    fn seekable(&self) -> bool {
        self.dictionary.is_empty()
    }
}
