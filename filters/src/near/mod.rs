//! Near-duplicates: who is alike whom, and which rows form one group.
//!
//! Four parts that do not know each other's data:
//!
//! - [`hamming`]: all pairs of 64- or 256-bit codes (pHash, dHash, PDQ) within a Hamming distance;
//! - [`minhash`]: MinHash-LSH over captions;
//! - [`components`]: the disjoint set that turns pairs into groups, groups whose ends are not alike, and the splitting of such groups;
//! - [`best`]: the row of each group that stays.
//!
//! Rows are numbers from 0. A group's id is its smallest row, so it does not depend on the order in which pairs were found.
//!
//! ```
//! use trommel_filters::near::components::DisjointSet;
//! use trommel_filters::near::hamming::{Codes, Options, group};
//!
//! let codes: Vec<[u64; 4]> = vec![[1, 2, 3, 4], [!0, 0, !0, 0], [1, 2, 3, 5]];
//! let groups = DisjointSet::<u32>::new(codes.len())?;
//! // Every pair within the distance is an edge here; the closure is where pixels are compared.
//! let report = group(&Codes::of(&codes), &Options::new(31), &groups, |_pair| true)?;
//! assert_eq!(groups.labels(), [0, 1, 0]);
//! assert_eq!(report.recall.last().map(|at| at.recall), Some(1.0), "so few codes are searched exactly");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod best;
pub mod components;
pub mod hamming;
pub mod minhash;
mod random;
mod spill;
