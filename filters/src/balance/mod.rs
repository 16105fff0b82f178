//! Balancing: how often each row of a dataset is taken, decided from small columns alone.
//!
//! | module | takes | gives |
//! |---|---|---|
//! | [`m4`] | attributes and labels of each row, target rates | a weight per row, so that the kept rows meet the targets and attributes do not go with labels |
//! | [`lexicon`] | captions and a word list per language | the attributes and labels that [`m4`] asks for |
//! | [`language`] | rows per language | a weight per language, so that rare ones reach a share |
//! | [`alloc`] | sizes of clusters | how many rows to take from each, by water-filling |
//! | [`hierarchy`] | a tree of clusters | the same down the tree, and copies per row |
//! | [`soft_cap`] | a score per row | copies per row that grow with the score and are softly capped |
//! | [`hard_cap`] | a score per row | draws with replacement, at most so many of a row |
//! | [`draw`] | a row's uid | random numbers that do not depend on order, shards or threads |
//!
//! All of it works on slices; nothing here reads files or knows of Arrow. A fractional weight becomes copies through [`Draw::copies`].

pub mod alloc;
pub mod draw;
pub mod hard_cap;
pub mod hierarchy;
pub mod language;
pub mod lexicon;
pub mod m4;
mod race;
pub mod soft_cap;

pub use draw::{Draw, RowDraw};
