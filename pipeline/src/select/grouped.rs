//! The first rows of every group, for any number of groups: rows are spilled by the hash of their group, and each bucket is
//! sorted by itself.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::error::Result;

/// Buckets: at a billion rows one of them holds 190 MB.
const BUCKETS: usize = 256;
/// Bytes of a bucket that a thread gathers before it writes.
const GATHERED: usize = 64 << 10;
/// Bytes of a spilled row.
const RECORD: usize = 48;

/// A row on its way into its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// Hash of the group.
    pub(super) group: u128,
    /// The smallest comes first in its group.
    pub(super) order: u64,
    /// Among equals the smallest comes first; the row's name or a draw.
    pub(super) tie: u64,
    /// The piece.
    pub(super) piece: u32,
    /// The row in the piece.
    pub(super) row: u32,
    /// Something for the caller.
    pub(super) extra: u64,
}

impl Member {
    fn bytes(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..16].copy_from_slice(&self.group.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.order.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.tie.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.piece.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.row.to_le_bytes());
        bytes[40..].copy_from_slice(&self.extra.to_le_bytes());
        bytes
    }

    fn of(bytes: &[u8; RECORD]) -> Self {
        let eight = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let four = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self {
            group: u128::from(eight(8)) << 64 | u128::from(eight(0)),
            order: eight(16),
            tie: eight(24),
            piece: four(32),
            row: four(36),
            extra: eight(40),
        }
    }
}

/// The spilled rows of all threads.
pub(super) struct Buckets {
    folder: PathBuf,
    files: Vec<Mutex<File>>,
}

impl Buckets {
    /// Fresh files in a folder for temporary ones.
    pub(super) fn new(spill: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = spill.join(format!("groups-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&folder)?;
        let open = |bucket: usize| OpenOptions::new().create(true).append(true).open(folder.join(format!("{bucket}")));
        let files = (0..BUCKETS).map(|bucket| Ok(Mutex::new(open(bucket)?))).collect::<Result<_>>()?;
        Ok(Self { folder, files })
    }

    /// What one thread gathers.
    pub(super) fn gather(&self) -> Gather<'_> {
        Gather { buckets: self, pending: vec![Vec::new(); BUCKETS] }
    }

    /// Gives every group, in its order, to `choose`, which says which of its rows are out; lists them by piece.
    pub(super) fn choose(self, threads: usize, choose: impl Fn(&[Member], &mut Vec<Member>) + Sync) -> Result<Drops> {
        let next = AtomicUsize::new(0);
        let drops = Drops { folder: self.folder.join("drops") };
        std::fs::create_dir_all(&drops.folder)?;
        let writing = Mutex::new(());
        let work = || -> Result<()> {
            loop {
                let bucket = next.fetch_add(1, Ordering::Relaxed);
                if bucket >= BUCKETS {
                    return Ok(());
                }
                let path = self.folder.join(format!("{bucket}"));
                let mut bytes = Vec::new();
                File::open(&path)?.read_to_end(&mut bytes)?;
                std::fs::remove_file(&path)?;
                let mut members: Vec<Member> = bytes.as_chunks::<RECORD>().0.iter().map(Member::of).collect();
                drop(bytes);
                members.sort_unstable();
                let mut out = Vec::new();
                members.chunk_by(|a, b| a.group == b.group).for_each(|group| choose(group, &mut out));
                out.sort_unstable_by_key(|member| (member.piece, member.row));
                let _one = writing.lock();
                for piece in out.chunk_by(|a, b| a.piece == b.piece) {
                    let mut file = OpenOptions::new().create(true).append(true).open(drops.path(piece[0].piece))?;
                    let bytes: Vec<u8> = piece
                        .iter()
                        .flat_map(|member| {
                            let [a, b, c, d] = member.row.to_le_bytes();
                            let extra = member.extra.to_le_bytes();
                            [a, b, c, d, extra[0], extra[1], extra[2], extra[3], extra[4], extra[5], extra[6], extra[7]]
                        })
                        .collect();
                    file.write_all(&bytes)?;
                }
            }
        };
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            handles.into_iter().try_for_each(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        Ok(drops)
    }
}

/// What one thread gathers.
pub(super) struct Gather<'a> {
    buckets: &'a Buckets,
    pending: Vec<Vec<u8>>,
}

impl Gather<'_> {
    /// Takes a row.
    pub(super) fn push(&mut self, member: &Member) -> Result<()> {
        let bucket = (member.group >> 120) as usize % BUCKETS;
        let pending = &mut self.pending[bucket];
        pending.extend(member.bytes());
        if pending.len() >= GATHERED {
            self.buckets.files[bucket].lock().write_all(pending)?;
            pending.clear();
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> Result<()> {
        for (file, pending) in self.buckets.files.iter().zip(&self.pending) {
            file.lock().write_all(pending)?;
        }
        Ok(())
    }
}

/// Rows that are out, by piece.
#[derive(Debug)]
pub(super) struct Drops {
    folder: PathBuf,
}

impl Drops {
    fn path(&self, piece: u32) -> PathBuf {
        self.folder.join(format!("{piece}"))
    }

    /// The rows of a piece that are out, in order, each with its extra.
    pub(super) fn of(&self, piece: usize) -> Result<Vec<(u32, u64)>> {
        let bytes = match std::fs::read(self.folder.join(format!("{piece}"))) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let entry = |bytes: &[u8; 12]| {
            (u32::from_le_bytes(std::array::from_fn(|i| bytes[i])), u64::from_le_bytes(std::array::from_fn(|i| bytes[4 + i])))
        };
        let mut rows: Vec<(u32, u64)> = bytes.as_chunks::<12>().0.iter().map(entry).collect();
        rows.sort_unstable();
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_whole_and_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let buckets = Buckets::new(folder.path()).unwrap();
        let mut gather = buckets.gather();
        // 1,000 groups of 1 to 7 rows; the rows of a group lie in different pieces.
        let mut rows = 0_u32;
        for group in 0..1000_u32 {
            for place in 0..group % 7 + 1 {
                let hash = u128::from(group).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                let order = u64::from(7 - place);
                gather.push(&Member { group: hash, order, tie: 0, piece: place % 3, row: rows, extra: u64::from(group) }).unwrap();
                rows += 1;
            }
        }
        gather.finish().unwrap();
        let drops = buckets.choose(2, |group, out| {
            assert!(group.windows(2).all(|pair| pair[0].order < pair[1].order && pair[0].extra == pair[1].extra));
            assert_eq!(group.len() as u64, group[0].extra % 7 + 1, "the group is whole");
            out.extend(&group[2.min(group.len())..]);
        });
        let drops = drops.unwrap();
        let all: usize = (0..3).map(|piece| drops.of(piece).unwrap().len()).sum();
        assert_eq!(all as u32, (0..1000).map(|group| (group % 7 + 1_u32).saturating_sub(2)).sum::<u32>());
        assert!(drops.of(0).unwrap().windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(drops.of(9).unwrap().is_empty());
    }
}
