//! Sets of shingles.

use super::options::{Options, Shingle, ShortTexts};
use super::xxh64::xxh64;

/// Appends the hashes of the shingles of a normalised text.
pub(super) fn shingles(text: &str, options: &Options, ends: &mut Vec<u32>, hashes: &mut Vec<u64>) {
    let bytes = text.as_bytes();
    match options.shingle {
        Shingle::Chars(n) if text.is_ascii() => {
            hashes.extend(bytes.windows(n).map(|shingle| xxh64(shingle, 0)));
        }
        Shingle::Chars(n) => {
            ends.clear();
            ends.extend(text.char_indices().map(|(at, _)| at as u32).chain([text.len() as u32]));
            hashes.extend(ends.windows(n + 1).map(|window| xxh64(&bytes[window[0] as usize..window[n] as usize], 0)));
        }
        Shingle::Words(n) => {
            // Starts and ends of words by turns; normalised words are one space apart, so a shingle is a slice of the text.
            ends.clear();
            for word in text.split(' ').filter(|word| !word.is_empty()) {
                let start = word.as_ptr() as usize - text.as_ptr() as usize;
                ends.extend([start as u32, (start + word.len()) as u32]);
            }
            let words = ends.len() / 2;
            hashes.extend((n..=words).map(|last| xxh64(&bytes[ends[2 * (last - n)] as usize..ends[2 * last - 1] as usize], 0)));
        }
    }
    if hashes.is_empty() && !text.is_empty() && options.short_texts == ShortTexts::Whole {
        hashes.push(xxh64(bytes, 0));
    }
}

/// The Jaccard similarity of two sets of hashes, sorted and without repetition: 0 to 1; 1 for two empty sets.
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0_usize);
    while i < a.len() && j < b.len() {
        both += usize::from(a[i] == b[j]);
        (i, j) = (i + usize::from(a[i] <= b[j]), j + usize::from(b[j] <= a[i]));
    }
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, options: &Options) -> Vec<u64> {
        let mut hashes = Vec::new();
        shingles(text, options, &mut Vec::new(), &mut hashes);
        hashes
    }

    fn hashes(shingles: &[&str]) -> Vec<u64> {
        shingles.iter().map(|shingle| xxh64(shingle.as_bytes(), 0)).collect()
    }

    #[test]
    fn words_and_characters_are_cut_at_every_place() {
        let words = Options { shingle: Shingle::Words(2), ..Options::captions() };
        assert_eq!(of("a red fox", &words), hashes(&["a red", "red fox"]));
        assert_eq!(of("fox", &words), hashes(&["fox"]));
        assert!(of("fox", &Options { short_texts: ShortTexts::Skip, ..words.clone() }).is_empty());
        assert!(of("", &words).is_empty());
        let chars = Options { shingle: Shingle::Chars(3), ..Options::captions() };
        assert_eq!(of("abcd", &chars), hashes(&["abc", "bcd"]));
        assert_eq!(of("aé中d", &chars), hashes(&["aé中", "é中d"]));
        assert_eq!(of("aé", &chars), hashes(&["aé"]));
    }

    #[test]
    fn jaccard_is_intersection_over_union() {
        assert_eq!(jaccard(&[1, 2, 3, 9], &[2, 3, 4]), 0.4);
        assert_eq!(jaccard(&[], &[]), 1.0);
        assert_eq!(jaccard(&[1], &[]), 0.0);
    }
}
