//! What is done: the job's file, who may write, what failed, and who is at work.

mod failures;
mod job_file;
mod lock;
mod part;
mod presence;
mod stop;

use sha2::{Digest, Sha256};
use trommel_shards::marker::Marker;

pub use failures::Failure;
pub use job_file::{Intent, JobFile, LedgerError};
pub use lock::JobLock;
pub use part::Part;
pub use presence::{Presence, here, now};
pub use stop::{StopSign, clear_stop_signs};

/// Identity of a unit that another pass wrote: the digest of its table, joined by the short hash of its list of duplicates.
pub fn upstream_identity(marker: Option<&Marker>, list: Option<&str>) -> String {
    let table = marker.and_then(|marker| marker.outputs.iter().find(|(name, _)| name.starts_with("_trommel/tables/")));
    let digest = table.map_or("", |(_, output)| output.sha256.as_str());
    match list {
        Some(list) => format!("{digest}+{list}"),
        None => digest.to_owned(),
    }
}

/// The first 128 bits of SHA-256 as 32 hexadecimal characters.
pub fn short_hash(bytes: &[u8]) -> String {
    let mut text: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(32);
    text
}
