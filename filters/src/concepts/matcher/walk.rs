//! Texts going by, token by token.
//!
//! Nothing here is hard but to wait for memory, and for branches that no processor can foresee. So texts are laid behind each
//! other, and the work is done in passes over a block of some hundred tokens. None of them branches on what it has just read from
//! a table: each lists what is left for the next one. And none reads from a table what has not been asked for a pass before, with
//! other work in between. The way of a block:
//!
//! 1. [`cut`](Matcher::cut): the text at its separators, 64 bytes at a time; each word's place among those that went by lately
//!    ([`Hot`]) is asked for.
//! 2. [`recall`](Matcher::recall), one chunk behind: the words are looked up there. Those that are not there are asked for among
//!    all words.
//! 3. [`emit`](Matcher::emit) *of the block before*, which waits since its last pass: its pairs are followed, and what is found is
//!    handed over text by text. The memory that this block has asked for has as much time to come.
//! 4. [`look_up`](Matcher::look_up): what was asked for is read. Now all tokens of the block are known.
//! 5. [`ask`](Matcher::ask): the filter of the steps is asked which two neighbours may begin an entry; for those that may, the
//!    memory of the step is asked for. The next block comes before it is read.

use super::block::{Block, Cut, Lists};
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

/// The buffers of a walk.
#[derive(Default)]
pub(super) struct Run {
    /// The texts, each with [`END`] behind it, and zeros at the end, so that a window or a chunk may reach over it.
    text: Vec<u8>,
    /// The block that is filled.
    now: Block,
    /// The one before, of which all is known, and nothing yet handed over.
    last: Block,
    lists: Lists,
    /// The number of the text that goes by.
    number: usize,
}

impl Matcher {
    /// Finds the entries that have a space on either side in each of `texts`, and hands them to `each` with the text's number.
    pub(super) fn walk<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t str>,
        scratch: &mut Scratch,
        mut each: impl FnMut(usize, &[EntryId]),
    ) {
        let Scratch { run, hot, found, .. } = scratch;
        let hot = hot.get_or_insert_with(Hot::default);
        // A chunk yields at most two tokens per byte.
        let room = self.limit() + 2 * CHUNK + 2;
        run.lists.reserve(room);
        for block in [&mut run.now, &mut run.last] {
            block.reserve(room);
            block.clear();
        }
        run.number = 0;
        run.text.clear();
        found.clear();
        for text in texts {
            run.text.extend_from_slice(text.as_bytes());
            run.text.push(END);
            if run.text.len() >= RUN {
                self.run(run, hot, found, &mut each);
            }
        }
        self.run(run, hot, found, &mut each);
        self.emit(&run.last, &mut run.lists, found, &mut run.number, &mut each);
    }

    /// Tokens at which a block is full: many more than those that two blocks share.
    fn limit(&self) -> usize {
        BLOCK.max(4 * self.longest)
    }

    /// Cuts the texts that lie there into tokens, takes them through the passes block by block, all but the last of the last
    /// block, and clears the texts away.
    fn run(&self, run: &mut Run, hot: &mut Hot, found: &mut Found, each: &mut impl FnMut(usize, &[EntryId])) {
        let len = run.text.len();
        run.text.resize(len + CHUNK.max(WINDOW), 0);
        let limit = self.limit();
        let mut from = 0;
        for base in (0..len).step_by(CHUNK) {
            let before = run.now.cut;
            from = self.cut(&run.text, base, from, &mut run.now, hot);
            self.recall(&mut run.now, before, hot);
            if run.now.tokens >= limit {
                // An entry that begins near the end of the block may go on behind it.
                run.now.stop = run.now.tokens - self.longest.saturating_sub(1);
                self.settle(run, hot, found, each);
            }
        }
        run.now.stop = run.now.tokens;
        self.settle(run, hot, found, each);
        run.text.clear();
    }

    /// The passes behind [`Matcher::recall`]. The block becomes the last, and a new one begins with what is behind its `stop`.
    fn settle(&self, run: &mut Run, hot: &mut Hot, found: &mut Found, each: &mut impl FnMut(usize, &[EntryId])) {
        let Run { text, now, last, lists, number } = run;
        self.recall(now, now.cut, hot);
        self.emit(last, lists, found, number, each);
        self.look_up(text, now, hot);
        self.ask(now);
        std::mem::swap(now, last);
        now.follow(last);
    }

    /// Cuts one chunk of `text` at `base`; its first word begins at `from`. Says where the next one begins.
    #[inline]
    fn cut(&self, text: &[u8], base: usize, mut from: usize, block: &mut Block, hot: &Hot) -> usize {
        let mut chunk = [0; CHUNK];
        chunk.copy_from_slice(&text[base..base + CHUNK]);
        let mut mask = separators(&chunk);
        let Block { known, cuts, ends, .. } = block;
        let (mut tokens, mut cut, mut texts) = (block.tokens, block.cut, block.texts);
        while mask != 0 {
            let at = base + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let byte = text[at];
            let key = Key::of(text, from, at);
            let hash = key.hash();
            hot.prefetch(hash);
            cuts[cut] = Cut { key, hash, start: from, end: at, at: tokens as u32 };
            cut += 1;
            // The word before it is not known yet.
            known[tokens + 1] = self.marks[usize::from(byte)];
            ends[texts] = tokens as u32 + 1;
            texts += usize::from(byte == END);
            tokens += 1 + usize::from(is_mark(byte));
            from = at + 1;
        }
        (block.tokens, block.cut, block.texts) = (tokens, cut, texts);
        from
    }

    /// Looks the next cuts up, those before `end`, among the words that went by lately.
    #[inline]
    fn recall(&self, block: &mut Block, end: usize, hot: &Hot) {
        let Block { known, cuts, missed, .. } = block;
        let before = block.misses;
        let mut misses = before;
        for (number, cut) in cuts[..end].iter().enumerate().skip(block.recalled) {
            let (word, is_known) = hot.get(self.mark, cut.key, cut.hash);
            known[cut.at as usize] = word;
            missed[misses] = number as u32;
            misses += usize::from(!is_known);
        }
        missed[before..misses].iter().for_each(|cut| self.words.prefetch(cuts[*cut as usize].hash));
        (block.recalled, block.misses) = (end, misses);
    }

    /// Looks the missed words up among all.
    fn look_up(&self, text: &[u8], block: &mut Block, hot: &mut Hot) {
        for &cut in &block.missed[..block.misses] {
            let Cut { key, hash, start, end, at } = block.cuts[cut as usize];
            let (mut word, is_certain) = self.words.glance(key, hash);
            if !is_certain {
                word = self.words.get(key, &text[start..end]);
            }
            block.known[at as usize] = word;
            hot.put(self.mark, key, hash, word);
        }
    }

    /// Lists the places before `stop` where an entry of several words may begin.
    fn ask(&self, block: &mut Block) {
        let Block { known, pairs, .. } = block;
        let mut n = 0;
        for (at, two) in known[..block.tokens].windows(2).take(block.stop).enumerate() {
            let (word, next) = (two[0], two[1]);
            let hash = Steps::hash(word.number(), next.number());
            pairs[n] = (at as u32, hash);
            n += usize::from(word.is(Word::STARTS) & next.is(Word::GOES_ON));
        }
        pairs[..n].iter().for_each(|(_, hash)| self.steps.prefetch_filter(*hash));
        let mut left = 0;
        for at in 0..n {
            let pair = pairs[at];
            pairs[left] = pair;
            left += usize::from(self.steps.may_have(pair.1));
        }
        // Nothing is asked for that is not needed: the lines that can be on their way at a time are few.
        pairs[..left].iter().for_each(|(_, hash)| self.steps.prefetch(*hash));
        block.asked = left;
    }

    /// Hands over what is found in the block, before its `stop`, text by text.
    fn emit(&self, block: &Block, lists: &mut Lists, found: &mut Found, number: &mut usize, each: &mut impl FnMut(usize, &[EntryId])) {
        let twos = self.several(block, lists);
        let (mut twos, mut mores) = (&lists.twos[..twos], &lists.mores[..]);
        let entries = self.entries as u32;
        let mut from = 0;
        let ends = block.ends[..block.texts].iter().map(|end| *end as usize);
        for end in ends.take_while(|end| *end < block.stop).map(Some).chain([None]) {
            let tokens = &block.known[from..end.unwrap_or(block.stop)];
            self.hits(tokens.iter().map(|word| word.entry(entries)), found);
            self.hits(before(&mut twos, end), found);
            self.hits(before(&mut mores, end), found);
            let Some(end) = end else { break };
            each(*number, found.ids());
            found.clear();
            *number += 1;
            from = end;
        }
    }

    /// Lists the entries of several words that begin before `stop`; says how many `twos` there are.
    fn several(&self, block: &Block, lists: &mut Lists) -> usize {
        let known = &block.known[..block.tokens];
        let Lists { twos, longer, mores } = lists;
        let (mut n, mut far) = (0, 0);
        for &(at, hash) in &block.pairs[..block.asked] {
            let place = at as usize;
            let (word, next) = (known[place].number(), known[place + 1].number());
            let (mut step, mut same, elsewhere) = self.steps.glance(hash, word, next);
            if elsewhere && let Some(other) = self.steps.get(word, next) {
                (step, same) = (other, true);
            }
            twos[n] = (at, step.entry);
            n += usize::from(same & (step.entry != NONE));
            let third = known.get(place + 2).copied().unwrap_or(Word::UNKNOWN);
            let hash = Steps::hash(step.node(), third.number());
            longer[far] = (at, step.node(), hash);
            far += usize::from(same & step.is_on_the_way() & third.is(Word::GOES_ON) & self.steps.may_have(hash));
        }
        let longer = &longer[..far];
        longer.iter().for_each(|(_, _, hash)| self.steps.prefetch(*hash));

        mores.clear();
        for &(at, mut node, _) in longer {
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

/// Takes the front of `list`, what begins before `end`, or all of it, off it.
#[inline]
fn before<'a>(list: &mut &'a [(u32, EntryId)], end: Option<usize>) -> impl ExactSizeIterator<Item = EntryId> + use<'a> {
    let many = end.and_then(|end| list.iter().position(|(at, _)| *at as usize >= end)).unwrap_or(list.len());
    let (front, rest) = list.split_at(many);
    *list = rest;
    front.iter().map(|(_, entry)| *entry)
}
