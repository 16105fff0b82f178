//! Perceptual hashes of pictures, from pixels in hand.
//!
//! Plain functions on views of 8-bit pixels, grey ([`Luma`]) or red, green and blue ([`Rgb`]):
//!
//! | function | bits | equal to |
//! |---|---|---|
//! | [`pdq`], [`pdq_orientations`] | 256 | Meta's PDQ, save for coefficients next to the median |
//! | [`phash`] | 64 | `imagehash.phash` |
//! | [`dhash`], [`dhash_vertical`] | 64 | `imagehash.dhash`, `imagehash.dhash_vertical` |
//! | [`ahash`] | 64 | `imagehash.average_hash` |
//!
//! ```
//! use trommel_filters::hashes::{MATCH_DISTANCE, Prescale, Rgb, dhash, pdq, phash};
//!
//! let pixels: Vec<u8> = (0..320 * 240 * 3).map(|at| (at % 251) as u8 ^ (at / 7001) as u8).collect();
//! let picture = Rgb::new(&pixels, 320, 240)?;
//! let hash = pdq(picture, Prescale::None).expect("no side is below five pixels").hash;
//! assert!(hash.distance(hash) <= MATCH_DISTANCE);
//! println!("{hash} {} {}", phash(picture).hash, dhash(picture));
//! # Ok::<(), trommel_filters::hashes::PlaneError>(())
//! ```
//!
//! The hashes of `imagehash` are those under Pillow 13, whose scaling begins with the columns in pictures more than twice
//! as tall as wide; older versions begin with the rows and may differ by a bit in such pictures. In pictures of one
//! colour every bit of pHash is a matter of rounding: see [`Phash::range`].
//!
//! [`Signature`] is what finds near-copies that one hash does not: short codes of the picture and of parts of it, and a
//! thumbnail on which [`verify`] has the last word.
//!
//! A hash is the same on every machine: vector instructions are chosen at run time, but the order of sums is not.

mod bits;
mod block_list;
mod lanczos;
mod lanes;
mod pdq;
mod plane;
mod signature;
mod simple;
#[cfg(test)]
mod tests;

pub use bits::{Hash64, Hash256, ParseHashError};
pub use block_list::{BlockList, BlockListError};
pub use pdq::{LOW_QUALITY, MATCH_DISTANCE, MIN_SIDE, Orientations, Pdq, Prescale, Samples, Spectrum, pdq, pdq_orientations};
pub use plane::{Luma, Plane, PlaneError, Rgb};
pub use signature::{
    CODE_DISTANCE, FULL_CODES, FlatPictures, MIN_FLAT_SIMILARITY, MIN_SIMILARITY, Signature, SignatureError, VIEW_CODES, verify,
};
pub use simple::{Phash, ahash, dhash, dhash_vertical, phash};
