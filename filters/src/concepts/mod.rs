//! Concepts in captions: MetaCLIP's matching, counting and balancing, concept frequencies, and the WordNet rule of DataComp.
//!
//! A list of [`Entries`] (MetaCLIP's *metadata*) is matched against captions by a [`Matcher`]; [`EntryCounts`] say how often each
//! entry is met in the whole pool; a threshold `t` makes them a [`KeepRule`], which thins out what is frequent and keeps what is
//! rare:
//!
//! ```
//! use trommel_filters::concepts::{Borders, Draw, Entries, EntryCounts, KeepRule, Matcher, Scratch};
//!
//! let entries: Entries = ["dog", "photo", "okapi"].into_iter().collect();
//! let captions = ["a photo", "photo of a dog", "photo: an okapi", "nothing here"];
//! let matcher = Matcher::new(&entries, Borders::Spaced)?;
//!
//! // First pass: count. Tables of shards add up.
//! let mut counts = EntryCounts::new(entries.len());
//! matcher.find_each(captions, &mut Scratch::default(), |_, ids| counts.add(ids));
//! assert_eq!(counts.as_slice(), [1, 3, 1]);
//!
//! // Second pass: keep. What matches a rare entry stays, what matches nothing goes.
//! let rule = KeepRule::new(&counts, 1)?;
//! let mut kept = Vec::new();
//! matcher.find_each(captions, &mut Scratch::default(), |text, ids| {
//!     if rule.keeps(&Draw::new(0, captions[text].as_bytes()), 0, ids) {
//!         kept.push(captions[text]);
//!     }
//! });
//! assert!(kept.ends_with(&["photo of a dog", "photo: an okapi"]));
//! # Ok::<(), trommel_filters::concepts::Error>(())
//! ```
//!
//! - MetaCLIP 2: [`LanguageMatchers`], [`LanguageCounts`], [`language_thresholds`], [`keep_one`].
//! - Building a list: [`metadata`].
//! - Frequencies of given concepts and the length of their tail: [`ConceptMatcher`], [`ConceptTable`].
//! - DataComp's `text_based`: [`wordnet`].
//!
//! Written from the published descriptions (arXiv 2309.16671, 2507.22062, 2404.04125, 2304.14108). Every draw is a hash, so that
//! order, sharding and threads change nothing.

mod counts;
mod draw;
mod entries;
mod error;
mod frequency;
mod languages;
mod matcher;
pub mod metadata;
mod spacing;
mod tail;
pub mod wordnet;

pub use counts::{EntryCounts, LanguageCounts};
pub use draw::{Draw, KeepRule, keep_one};
pub use entries::Entries;
pub use error::Error;
pub use frequency::{ConceptMatcher, ConceptRow, ConceptScratch, ConceptTable, Frequency, LongTail, Side, cap_keeps};
pub use languages::{LanguageMatchers, LanguageTable, OTHER};
pub use matcher::{Borders, Matcher, Scratch, needs_no_space};
pub use spacing::{spacing, spacing_into};
pub use tail::{T_2_5B, T_400M, language_thresholds, tail_share, threshold_for_share};

/// The place of an entry in its list, from 0.
pub type EntryId = u32;
