//! The tokens that are looked at together, and what is known of them so far.

use super::key::Key;
use super::words::Word;
use super::{EntryId, NONE};

/// A word of the text, `text[start..end]`.
#[derive(Clone, Copy, Default)]
pub(super) struct Cut {
    pub(super) key: Key,
    /// The key's.
    pub(super) hash: u64,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The token's place in the block.
    pub(super) at: u32,
}

/// Some hundred tokens. The lists are as long as they can become; the counts say how much of each is in use, so that a pass can
/// write first and count then, without a branch.
#[derive(Default)]
pub(super) struct Block {
    /// What is known of each token.
    pub(super) known: Vec<Word>,
    pub(super) tokens: usize,
    /// The tokens that are words, as they were cut from the text.
    pub(super) cuts: Vec<Cut>,
    pub(super) cut: usize,
    /// How many of the cuts have been looked up among the words that went by lately.
    pub(super) recalled: usize,
    /// The cuts that were not found there.
    pub(super) missed: Vec<u32>,
    pub(super) misses: usize,
    /// Places that are the end of a text.
    pub(super) ends: Vec<u32>,
    pub(super) texts: usize,
    /// Entries that begin at this place or later are the next block's.
    pub(super) stop: usize,
    /// Places where an entry of several words may begin by its first two words, with the hash of the two.
    pub(super) pairs: Vec<(u32, u64)>,
    pub(super) asked: usize,
}

impl Block {
    /// Makes room for as many tokens.
    pub(super) fn reserve(&mut self, tokens: usize) {
        if self.known.len() < tokens {
            self.known.resize(tokens, Word::UNKNOWN);
            self.cuts.resize(tokens, Cut::default());
            self.missed.resize(tokens, 0);
            self.ends.resize(tokens, 0);
            self.pairs.resize(tokens, (0, 0));
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        (self.tokens, self.cut, self.recalled, self.misses, self.texts, self.stop, self.asked) = (0, 0, 0, 0, 0, 0, 0);
    }

    /// Starts with the tokens of `last` from its `stop` on, of which all is known.
    pub(super) fn follow(&mut self, last: &Self) {
        self.clear();
        self.tokens = last.tokens - last.stop;
        self.known[..self.tokens].copy_from_slice(&last.known[last.stop..last.tokens]);
        let ends = &last.ends[..last.texts];
        let open = &ends[ends.partition_point(|end| (*end as usize) < last.stop)..];
        self.texts = open.len();
        for (to, end) in self.ends.iter_mut().zip(open) {
            *to = end - last.stop as u32;
        }
    }
}

/// What the passes that follow entries through a block hand on to each other.
#[derive(Default)]
pub(super) struct Lists {
    /// Places where an entry of several words begins, and the entry of the two words or [`NONE`].
    pub(super) twos: Vec<(u32, EntryId)>,
    /// Places where one begins that may be longer, the node behind its first two words, and the hash of the step behind that.
    pub(super) longer: Vec<(u32, u32, u64)>,
    /// Places where one of three and more words begins, and the entry.
    pub(super) mores: Vec<(u32, EntryId)>,
}

impl Lists {
    /// Makes room for as many tokens.
    pub(super) fn reserve(&mut self, tokens: usize) {
        if self.twos.len() < tokens {
            self.twos.resize(tokens, (0, NONE));
            self.longer.resize(tokens, (0, 0, 0));
        }
    }
}
