//! End-to-end tests over the `trommel` binary. The tests themselves are in `tests/tests`; what they share is here.
//!
//! Everything runs the real program as a child process: against a miniature web that the test serves ([`Web`]), or
//! against a server that answers exactly what the test wants ([`Plain`]). Whatever fails here panics with what the program
//! said, since that is what the reader of a failed test needs first.

mod binary;
#[cfg(feature = "cluster")]
mod certificates;
mod cluster;
mod outputs;
mod plain;
mod scene;
mod web;

pub use binary::{Done, Trommel, binary};
#[cfg(feature = "cluster")]
pub use certificates::certificates;
pub use cluster::{Cluster, signal};
pub use outputs::{Table, all_files, data_files, fingerprint, fingerprint_of, sample_keys, tables, tar_members};
pub use plain::{FETCH, Gate, Plain, Reply, picture};
pub use scene::Scene;
pub use web::{Web, calm, patient, recipe};

/// A seeded stream of numbers (SplitMix64, Steele, Lea and Flood 2014), so that "random" moments are the same each time.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number in 0..1.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
