//! MinHash-LSH over captions.
//!
//! A text becomes a set of shingles (n-grams of words or characters), each hashed; the signature is, for each of many permutations, the smallest
//! hash; two signatures agree in a place with the probability of the Jaccard similarity of the sets (Broder 1997). Signatures are cut into
//! bands of a few places, and texts that agree in a whole band are candidates: a pair of similarity s is one with probability
//! `1 - (1 - s^rows)^bands`.
//!
//! Captions of 5 to 20 words have few shingles: with datatrove's 5-word shingles one changed word in the middle of ten words destroys five of six. The default is
//! therefore 5-grams of characters; [`Options::words`] takes 3-word shingles. [`Options::datatrove`] gives datatrove's signatures, number
//! for number.
//!
//! ```
//! use trommel_filters::near::components::DisjointSet;
//! use trommel_filters::near::minhash::{GroupOptions, MinHasher, Options, group_texts};
//!
//! let texts = ["a red fox sleeps in the deep snow", "A red fox sleeps in deep snow!", "two boats in the harbour at night"];
//! let groups = DisjointSet::<u32>::new(texts.len())?;
//! let hasher = MinHasher::new(Options::captions())?;
//! group_texts(&hasher, texts.len(), |row| texts[row].into(), &GroupOptions { min_jaccard: Some(0.6), ..GroupOptions::default() }, &groups)?;
//! assert_eq!(groups.labels(), [0, 0, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buckets;
mod group;
mod normalise;
mod options;
mod params;
mod shingles;
mod signature;
mod xxh64;

pub use buckets::{BandKey, Buckets, BucketsReport};
pub use group::{GroupOptions, GroupReport, group_texts};
pub use options::{MinHashError, Normalise, Options, Shingle, ShortTexts, bands_for, candidate_probability};
pub use shingles::jaccard;
pub use signature::{MinHasher, Scratch};
