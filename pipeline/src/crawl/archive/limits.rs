//! Limits on what an archive may make the reader hold.

/// Limits of a reader. All of them end in a counted loss or an error, never in a shortened record that looks whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Largest record block held in memory, in bytes. A larger record is passed over and counted as broken.
    pub record_bytes: usize,
    /// Largest WARC or HTTP header block, in bytes.
    pub header_bytes: usize,
    /// Largest HTTP body after `Transfer-Encoding` and `Content-Encoding` are undone, in bytes.
    pub body_bytes: usize,
    /// Most compressed bytes kept while a damaged member is looked at, in bytes.
    pub window_bytes: usize,
    /// Largest file inside a WACZ that is unpacked to disk, in bytes, and the most for one WACZ together.
    pub wacz_bytes: u64,
    /// Most entries of a WACZ's zip directory.
    pub wacz_entries: usize,
    /// Most bytes that [`ArchiveImages`](super::ArchiveImages) may spill to its temporary file.
    pub spill_bytes: u64,
    /// Most faults described with their offset in [`ReadStats`](super::ReadStats); all are counted.
    pub described_faults: usize,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            record_bytes: 64 << 20,
            header_bytes: 64 << 10,
            body_bytes: 64 << 20,
            window_bytes: 8 << 20,
            wacz_bytes: 64 << 30,
            wacz_entries: 100_000,
            spill_bytes: 256 << 30,
            described_faults: 16,
        }
    }
}
