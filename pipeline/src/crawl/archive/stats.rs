//! What a reader read and what it lost.

/// Why a record, or the bytes between two records, could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordFault {
    /// Compressed data that does not inflate, or whose checksum differs.
    Damaged,
    /// A header block that is not one, or that is over the limit.
    Header,
    /// A record whose length is missing or not a number.
    Length,
    /// A record over `record_bytes`.
    TooLarge,
    /// Bytes where a record should start.
    Garbage,
    /// The file ends inside a record's header.
    Cut,
}

impl RecordFault {
    /// A short name for counters and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Header => "header",
            Self::Length => "length",
            Self::TooLarge => "too_large",
            Self::Garbage => "garbage",
            Self::Cut => "cut",
        }
    }
}

/// Counters of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Records handed out.
    pub records: u64,
    /// Of these, records that are shorter than their header says (end of file, or a wrong `Content-Length`).
    pub truncated: u64,
    /// Places where a record was lost.
    pub broken: u64,
    /// Bytes passed over, uncompressed where they could be inflated and compressed where not.
    pub bytes_skipped: u64,
    /// Bytes of the file read so far.
    pub bytes_read: u64,
    /// Bytes after decompression.
    pub bytes_inflated: u64,
    /// The first faults: offset in the file and what was wrong.
    pub first_faults: Vec<(u64, RecordFault)>,
}

impl ReadStats {
    pub(crate) fn fault(&mut self, offset: u64, fault: RecordFault, described: usize) {
        self.broken += 1;
        self.describe(offset, fault, described);
    }

    pub(crate) fn describe(&mut self, offset: u64, fault: RecordFault, described: usize) {
        if self.first_faults.len() < described {
            self.first_faults.push((offset, fault));
        }
    }

    /// Adds the counters of another file.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.truncated += other.truncated;
        self.broken += other.broken;
        self.bytes_skipped += other.bytes_skipped;
        self.bytes_read += other.bytes_read;
        self.bytes_inflated += other.bytes_inflated;
        for fault in &other.first_faults {
            if self.first_faults.len() < 16 {
                self.first_faults.push(*fault);
            }
        }
    }
}
