//! Texts going by, token by token.
//!
//! Nothing here is hard but to wait for memory, and for branches that no processor can foresee. So texts are laid behind each
//! other, and the work is done in passes over a block of tokens. None of them branches on what it has just read from a table:
//! each lists what is left for the next one, and the accesses of a pass overlap. Cut, and look the words up among those that
//! went by before; look the others up among all; ask the filter for pairs; follow the pairs that are left.

use super::found::Found;
use super::hot::Hot;
use super::key::{Key, WINDOW};
use super::separators::{CHUNK, END, is_mark, separators};
use super::steps::{Step, Steps};
use super::words::Word;
use super::{EntryId, Matcher, NONE, Scratch};

/// Tokens that are looked at together, at least.
const BLOCK: usize = 256;
/// Bytes of text that are laid behind each other, at least, where there are so many.
const RUN: usize = 16 << 10;

/// A word that has not gone by lately: `text[start..end]`.
#[derive(Clone, Copy, Default)]
struct Missed {
    key: Key,
    /// The token's place in the block.
    at: u32,
    start: usize,
    end: usize,
}

/// The buffers of a walk.
#[derive(Default)]
pub(super) struct Run {
    /// The texts, each with [`END`] behind it, and zeros at the end, so that a window or a chunk may reach over it.
    text: Vec<u8>,
    /// What is known of each token of the block.
    known: Vec<Word>,
    missed: Vec<Missed>,
    /// Places in the block that are the end of a text.
    ends: Vec<u32>,
    lists: Lists,
    /// The number of the text that goes by.
    number: usize,
}

/// What the passes over a block hand on to each other.
#[derive(Default)]
struct Lists {
    /// Places in the block where an entry of several words may begin by its first two words, with the hash of the two.
    pairs: Vec<(u32, u64)>,
    /// Places where one does begin, and the entry of the two words or [`NONE`].
    twos: Vec<(u32, EntryId)>,
    /// Places where one begins that may be longer, and the node behind its first two words.
    longer: Vec<(u32, u32)>,
    /// Places where one of three and more words begins, and the entry.
    mores: Vec<(u32, EntryId)>,
}

impl Run {
    fn reserve(&mut self, tokens: usize) {
        if self.known.len() < tokens {
            self.known.resize(tokens, Word::UNKNOWN);
            self.missed.resize(tokens, Missed::default());
            self.ends.resize(tokens, 0);
            self.lists.pairs.resize(tokens, (0, 0));
            self.lists.twos.resize(tokens, (0, NONE));
            self.lists.longer.resize(tokens, (0, 0));
        }
    }
}

/// How far a block has come.
#[derive(Clone, Copy, Default)]
struct Counts {
    tokens: usize,
    missed: usize,
    ends: usize,
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
        let Scratch { run: Run { text, known, missed, ends, lists, number }, hot, found, .. } = scratch;
        let hot = hot.get_or_insert_with(Hot::default);
        let len = text.len();
        text.resize(len + CHUNK.max(WINDOW), 0);
        let limit = BLOCK.max(4 * self.longest);
        let (mut counts, mut from) = (Counts::default(), 0);
        for base in (0..len).step_by(CHUNK) {
            let mut chunk = [0; CHUNK];
            chunk.copy_from_slice(&text[base..base + CHUNK]);
            let mut mask = separators(&chunk);
            while mask != 0 {
                let at = base + mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let byte = text[at];
                let key = Key::of(text, from, at);
                let (word, is_known) = hot.get(self.mark, key);
                let two = &mut known[counts.tokens..counts.tokens + 2];
                two[0] = word;
                two[1] = self.marks[usize::from(byte)];
                missed[counts.missed] = Missed { key, at: counts.tokens as u32, start: from, end: at };
                counts.missed += usize::from(!is_known);
                ends[counts.ends] = counts.tokens as u32 + 1;
                counts.ends += usize::from(byte == END);
                counts.tokens += 1 + usize::from(is_mark(byte));
                from = at + 1;
            }
            if counts.tokens >= limit {
                self.look_up(text, &missed[..counts.missed], known, hot);
                // An entry that begins near the end of the block may go on behind it.
                let begun = self.longest.saturating_sub(1);
                let stop = counts.tokens - begun;
                let done = self.block(&known[..counts.tokens], stop, &ends[..counts.ends], lists, found, number, each);
                known.copy_within(stop..counts.tokens, 0);
                ends.copy_within(done..counts.ends, 0);
                counts = Counts { tokens: begun, missed: 0, ends: counts.ends - done };
                ends[..counts.ends].iter_mut().for_each(|end| *end -= stop as u32);
            }
        }
        self.look_up(text, &missed[..counts.missed], known, hot);
        self.block(&known[..counts.tokens], counts.tokens, &ends[..counts.ends], lists, found, number, each);
        text.clear();
    }

    /// Looks words up among all.
    fn look_up(&self, text: &[u8], missed: &[Missed], known: &mut [Word], hot: &mut Hot) {
        missed.iter().for_each(|word| self.words.prefetch(word.key));
        for &Missed { key, at, start, end } in missed {
            let (mut word, is_certain) = self.words.glance(key);
            if !is_certain {
                word = self.words.get(key, &text[start..end]);
            }
            known[at as usize] = word;
            hot.put(self.mark, key, word);
        }
    }

    /// Looks at the tokens `known` for entries that begin before `stop`, where `ends` of the texts are. Says how many of these it
    /// has come to.
    #[allow(clippy::too_many_arguments, reason = "the parts of one scratch, which the caller has taken apart")]
    fn block(
        &self,
        known: &[Word],
        stop: usize,
        ends: &[u32],
        lists: &mut Lists,
        found: &mut Found,
        number: &mut usize,
        each: &mut impl FnMut(usize, &[EntryId]),
    ) -> usize {
        let twos = self.several(known, stop, lists);
        let (mut twos, mut mores) = (&lists.twos[..twos], &lists.mores[..]);
        let entries = self.entries as u32;
        let (mut from, mut done) = (0, 0);
        loop {
            let end = ends.get(done).map_or(usize::MAX, |end| *end as usize);
            self.hits(known[from..end.min(stop)].iter().map(|word| word.entry(entries)), found);
            self.hits(before(&mut twos, end), found);
            self.hits(before(&mut mores, end), found);
            if end >= stop {
                return done;
            }
            each(*number, found.ids());
            found.clear();
            *number += 1;
            from = end;
            done += 1;
        }
    }

    /// Lists the entries of several words that begin before `stop`; says how many `twos` there are.
    fn several(&self, known: &[Word], stop: usize, lists: &mut Lists) -> usize {
        let Lists { pairs, twos, longer, mores } = lists;
        let mut n = 0;
        for (at, two) in known.windows(2).take(stop).enumerate() {
            let (word, next) = (two[0], two[1]);
            pairs[n] = (at as u32, Steps::hash(word.number(), next.number()));
            n += usize::from(word.is(Word::STARTS) & next.is(Word::GOES_ON));
        }
        let mut left = 0;
        for at in 0..n {
            let pair = pairs[at];
            pairs[left] = pair;
            left += usize::from(self.steps.may_have(pair.1));
        }
        // Nothing is asked for that is not needed: the lines that can be on their way at a time are few.
        let pairs = &pairs[..left];
        pairs.iter().for_each(|(_, hash)| self.steps.prefetch(*hash));

        let (mut n, mut far) = (0, 0);
        for &(at, hash) in pairs {
            let place = at as usize;
            let (word, next) = (known[place].number(), known[place + 1].number());
            let (mut step, mut same, elsewhere) = self.steps.glance(hash, word, next);
            if elsewhere && let Some(other) = self.steps.get(word, next) {
                (step, same) = (other, true);
            }
            twos[n] = (at, step.entry);
            n += usize::from(same & (step.entry != NONE));
            longer[far] = (at, step.node());
            let third = known.get(place + 2).copied().unwrap_or(Word::UNKNOWN);
            let may = self.steps.may_have(Steps::hash(step.node(), third.number()));
            far += usize::from(same & step.is_on_the_way() & third.is(Word::GOES_ON) & may);
        }

        mores.clear();
        for &(at, mut node) in &longer[..far] {
            for next in &known[at as usize + 2..] {
                let step: Option<Step> = if next.is(Word::GOES_ON) { self.steps.get(node, next.number()) } else { None };
                let Some(step) = step else { break };
                if step.entry != NONE {
                    mores.push((at, step.entry));
                }
                if !step.is_on_the_way() {
                    break;
                }
                node = step.node();
            }
        }
        n
    }
}

/// Takes the front of `list`, what begins before `end`, off it.
#[inline]
fn before<'a>(list: &mut &'a [(u32, EntryId)], end: usize) -> impl Iterator<Item = EntryId> + use<'a> {
    let many = list.iter().position(|(at, _)| *at as usize >= end).unwrap_or(list.len());
    let (front, rest) = list.split_at(many);
    *list = rest;
    front.iter().map(|(_, entry)| *entry)
}
