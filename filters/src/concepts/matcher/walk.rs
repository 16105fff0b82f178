//! Texts going by, token by token.
//!
//! Nothing here is hard but to wait for memory: the tables are larger than the caches. So texts are laid behind each other, and
//! the work is done in passes over a block of tokens, none of which branches on what it has just read from a table, so that the
//! accesses of a pass overlap: cut, look the words up, ask the filter for pairs; only then follow the few pairs that are left.

use super::separators::{CHUNK, END, is_mark, separators};
use super::steps::Steps;
use super::words::{Key, WINDOW, Word};
use super::{EntryId, Matcher, NONE, Scratch};

/// Tokens that are looked at together, at least.
const BLOCK: usize = 256;
/// Bytes of text that are laid behind each other, at least, where there are so many.
const RUN: usize = 16 << 10;

/// A token of the spaced text: `text[start..end]`.
#[derive(Clone, Copy, Default)]
pub(super) struct Token {
    key: Key,
    start: usize,
    end: usize,
}

/// The buffers of a walk.
#[derive(Default)]
pub(super) struct Run {
    /// The texts, each with [`END`] behind it, and zeros at the end, so that a window or a chunk may reach over it.
    text: Vec<u8>,
    tokens: Vec<Token>,
    known: Vec<Word>,
    /// Places in the block whose words the first look did not settle.
    unsure: Vec<u32>,
    /// Places in the block where one word is an entry.
    ones: Vec<u32>,
    /// Places in the block where an entry of several words may begin by its first two words alone, with the hash of the two.
    hashes: Vec<(u32, u64)>,
    /// Those of them that passed the filter.
    pairs: Vec<(u32, u64)>,
    /// Places in the block that are the end of a text.
    ends: Vec<u32>,
    /// The number of the text that goes by.
    number: usize,
}

impl Run {
    fn reserve(&mut self, tokens: usize) {
        if self.tokens.len() < tokens {
            self.tokens.resize(tokens, Token::default());
            self.known.resize(tokens, Word::UNKNOWN);
            self.unsure.resize(tokens, 0);
            self.ones.resize(tokens, 0);
            self.hashes.resize(tokens, (0, 0));
            self.pairs.resize(tokens, (0, 0));
        }
    }
}

impl Matcher {
    /// Finds the entries that have a space on either side in each of `texts`, and hands them to `each` with the text's number.
    pub(super) fn walk<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t str>,
        scratch: &mut Scratch,
        mut each: impl FnMut(usize, &[EntryId]),
    ) {
        let run = &mut scratch.run;
        run.number = 0;
        run.text.clear();
        // A chunk yields at most two tokens per byte.
        run.reserve(BLOCK.max(4 * self.longest) + 2 * CHUNK + 2);
        scratch.found.clear();
        for text in texts {
            scratch.run.text.extend_from_slice(text.as_bytes());
            scratch.run.text.push(END);
            if scratch.run.text.len() >= RUN {
                self.run(scratch, &mut each);
            }
        }
        self.run(scratch, &mut each);
    }

    /// Cuts the texts that lie there into tokens, looks at them block by block, and clears the texts away.
    fn run(&self, scratch: &mut Scratch, each: &mut impl FnMut(usize, &[EntryId])) {
        let len = scratch.run.text.len();
        scratch.run.text.resize(len + CHUNK.max(WINDOW), 0);
        let limit = BLOCK.max(4 * self.longest);
        let (mut count, mut done, mut from) = (0, 0, 0);
        for base in (0..len).step_by(CHUNK) {
            let Run { text, tokens, .. } = &mut scratch.run;
            let mut chunk = [0; CHUNK];
            chunk.copy_from_slice(&text[base..base + CHUNK]);
            let mut mask = separators(&chunk);
            while mask != 0 {
                let at = base + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let byte = text[at];
                let two = &mut tokens[count..count + 2];
                let key = Key::of(text, from, at);
                self.words.prefetch(key);
                two[0] = Token { key, start: from, end: at };
                two[1] = Token { key: Key::of_byte(byte), start: at, end: at + 1 };
                count += 1 + usize::from(is_mark(byte));
                from = at + 1;
            }
            if count >= limit {
                // An entry that begins near the end of the block may go on behind it.
                let begun = self.longest.saturating_sub(1);
                self.block(scratch, done, count, count - begun, each);
                scratch.run.tokens.copy_within(count - begun..count, 0);
                scratch.run.known.copy_within(count - begun..count, 0);
                (count, done) = (begun, begun);
            }
        }
        self.block(scratch, done, count, count, each);
        scratch.run.text.clear();
    }

    /// Looks at a block of `count` tokens, of which the words of the first `done` are known from the block before, for entries that
    /// begin before `stop`.
    fn block(&self, scratch: &mut Scratch, done: usize, count: usize, stop: usize, each: &mut impl FnMut(usize, &[EntryId])) {
        let Scratch { run, found, .. } = scratch;
        let Run { text, tokens, known, unsure, ones, hashes, pairs, ends, number } = run;
        let tokens = &tokens[..count];
        let known = &mut known[..count];
        let (unsure, ones, hashes, pairs) = (&mut unsure[..count], &mut ones[..count], &mut hashes[..count], &mut pairs[..count]);

        let mut n = 0;
        for at in done..count {
            let (word, certain) = self.words.glance(tokens[at].key);
            known[at] = word;
            unsure[n] = at as u32;
            n += usize::from(!certain);
        }
        let unsure = &unsure[..n];
        unsure.iter().for_each(|at| self.words.prefetch_more(tokens[*at as usize].key));
        for at in unsure.iter().map(|at| *at as usize) {
            known[at] = self.words.get(tokens[at].key, &text[tokens[at].start..tokens[at].end]);
        }

        ends.clear();
        n = 0;
        for at in 0..stop {
            ones[n] = at as u32;
            n += usize::from(known[at].entry != NONE);
            if tokens[at].key == Key::of_byte(END) {
                ends.push(at as u32);
            }
        }
        let ones = &ones[..n];

        n = 0;
        for at in 0..stop.min(count.saturating_sub(1)) {
            let (word, next) = (known[at], known[at + 1]);
            let hash = Steps::hash(word.number(), next.number());
            hashes[n] = (at as u32, hash);
            let may = word.is(Word::STARTS) & next.is(Word::GOES_ON);
            n += usize::from(may);
        }
        // Nothing is asked for that is not needed: the lines that can be on their way at a time are few.
        let hashes = &hashes[..n];
        hashes.iter().for_each(|(_, hash)| self.steps.prefetch_filter(*hash));
        n = 0;
        for &(place, hash) in hashes {
            pairs[n] = (place, hash);
            n += usize::from(self.steps.may_have(hash));
        }
        let pairs = &pairs[..n];
        pairs.iter().for_each(|(_, hash)| self.steps.prefetch(*hash));

        let (mut ones, mut pairs) = (ones.iter().peekable(), pairs.iter().peekable());
        for end in ends.iter().copied().chain([u32::MAX]) {
            while let Some(at) = ones.next_if(|at| **at < end) {
                self.hit(known[*at as usize].entry, found);
            }
            while let Some((at, _)) = pairs.next_if(|(at, _)| *at < end) {
                let mut node = Some(known[*at as usize].number());
                for next in &known[*at as usize + 1..] {
                    let step = node.filter(|_| next.is(Word::GOES_ON)).and_then(|node| self.steps.get(node, next.number()));
                    let Some(step) = step else { break };
                    if step.entry != NONE {
                        self.hit(step.entry, found);
                    }
                    node = step.next();
                }
            }
            if end != u32::MAX {
                each(*number, found.ids());
                found.clear();
                *number += 1;
            }
        }
    }
}
