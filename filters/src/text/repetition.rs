//! How much a caption repeats itself; keyword stuffing does.
//!
//! After the repetition rules of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1), for texts of one line.

use std::collections::HashSet;

use super::count::split_words;

/// Share of the words that have been said before in the text, 0 to 1; upper and lower case are the same.
///
/// 0 where all words differ and for texts of one word or none; `red red red red` has 0.75.
pub fn word_repetition(text: &str) -> f32 {
    let lower = text.to_lowercase();
    repeated_share(split_words(&lower))
}

/// Share of the pairs of neighbouring words that have been said before in the text, 0 to 1.
pub fn bigram_repetition(text: &str) -> f32 {
    let lower = text.to_lowercase();
    let words: Vec<&str> = split_words(&lower).collect();
    repeated_share(words.windows(2).map(|pair| (pair[0], pair[1])))
}

fn repeated_share<T: Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> f32 {
    let mut seen = HashSet::new();
    let mut all = 0u64;
    for item in items {
        all += 1;
        seen.insert(item);
    }
    if all == 0 { 0.0 } else { (all - seen.len() as u64) as f32 / all as f32 }
}

/// Length of the longest run of one and the same character; 0 for an empty text.
pub fn longest_run(text: &str) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, None);
    for c in text.chars() {
        run = if last == Some(c) { run + 1 } else { 1 };
        last = Some(c);
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_captions_score_high() {
        assert_eq!(word_repetition("red Red RED red"), 0.75);
        assert_eq!(word_repetition("a red house"), 0.0);
        assert_eq!(word_repetition(""), 0.0);
        assert_eq!(bigram_repetition("buy shoes buy shoes buy shoes"), 0.6);
        assert_eq!(bigram_repetition("one"), 0.0);
    }

    #[test]
    fn runs_are_counted_in_characters() {
        assert_eq!(longest_run(""), 0);
        assert_eq!(longest_run("abc"), 1);
        assert_eq!(longest_run("a____b!!"), 4);
        assert_eq!(longest_run("ああああ"), 4);
    }
}
