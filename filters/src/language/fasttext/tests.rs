//! Models of a few bytes, written here, with answers worked out by hand.

use super::*;

/// Writes a model as fastText does.
#[derive(Clone)]
struct Recipe {
    loss: i32,
    version: i32,
    word_ngrams: i32,
    bucket: i32,
    chars: (i32, i32),
    pruned: Option<Vec<(i32, i32)>>,
    quantised: bool,
}

const DENSE: Recipe = Recipe { loss: 3, version: 12, word_ngrams: 1, bucket: 0, chars: (0, 0), pruned: None, quantised: false };

const WORDS: [&str; 3] = ["</s>", "dog", "hund"];
const LABELS: [&str; 2] = ["__label__en", "__label__de"];
/// Rows of the words, then of up to four buckets.
const INPUT: [[f32; 2]; 7] = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 2.0]];
const OUTPUT: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

impl Recipe {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let settings = [
            793_712_314,
            self.version,
            2,
            5,
            1,
            1,
            5,
            self.word_ngrams,
            self.loss,
            SUPERVISED,
            self.bucket,
            self.chars.0,
            self.chars.1,
            100,
        ];
        settings.iter().for_each(|x: &i32| out.extend(x.to_le_bytes()));
        out.extend(0.0f64.to_le_bytes());
        [5i32, 3, 2].iter().for_each(|x| out.extend(x.to_le_bytes()));
        out.extend(100i64.to_le_bytes());
        out.extend(self.pruned.as_ref().map_or(-1, |p| p.len() as i64).to_le_bytes());
        for (i, word) in WORDS.iter().chain(&LABELS).enumerate() {
            out.extend(word.as_bytes());
            out.push(0);
            out.extend((10 - i as i64).to_le_bytes());
            out.push(u8::from(i >= WORDS.len()));
        }
        for (from, to) in self.pruned.iter().flatten() {
            out.extend(from.to_le_bytes());
            out.extend(to.to_le_bytes());
        }
        let rows = WORDS.len() + self.pruned.as_ref().map_or(self.bucket as usize, Vec::len);
        out.push(u8::from(self.quantised));
        if self.quantised {
            out.push(1);
            out.extend((rows as i64).to_le_bytes());
            out.extend(2i64.to_le_bytes());
            out.extend((2 * rows as i32).to_le_bytes());
            // Two pieces of one number each; code c stands for c / 2, and the row length for 0.5.
            INPUT[..rows].iter().flatten().for_each(|x| out.push((x * 4.0) as u8));
            [2i32, 2, 1, 1].iter().for_each(|x| out.extend(x.to_le_bytes()));
            (0..512).for_each(|i| out.extend(((i % 256) as f32 / 2.0).to_le_bytes()));
            (0..rows).for_each(|_| out.push(7));
            [1i32, 1, 1, 1].iter().for_each(|x| out.extend(x.to_le_bytes()));
            (0..256).for_each(|_| out.extend(0.5f32.to_le_bytes()));
        } else {
            out.extend((rows as i64).to_le_bytes());
            out.extend(2i64.to_le_bytes());
            INPUT[..rows].iter().flatten().for_each(|x| out.extend(x.to_le_bytes()));
        }
        out.push(0);
        out.extend(2i64.to_le_bytes());
        out.extend(2i64.to_le_bytes());
        OUTPUT.iter().flatten().for_each(|x| out.extend(x.to_le_bytes()));
        out
    }

    fn model(&self) -> FastText {
        FastText::from_bytes(&self.bytes()).unwrap()
    }
}

fn close(found: Detection<'_>, lang: &str, score: f64) {
    assert_eq!(found.lang, lang, "{found:?}");
    assert!((f64::from(found.score) - score).abs() < 1e-6, "{found:?}, not {score}");
}

#[test]
fn softmax_is_the_mean_of_the_rows_through_the_output() {
    let model = DENSE.model();
    // "dog" and the end of line: hidden (2, 0), so e^2 / (e^2 + 1); fastText adds 1e-5.
    let p = 2f64.exp() / (2f64.exp() + 1.0) + 1e-5;
    close(model.detect("dog"), "en", p);
    close(model.detect("hund"), "de", p);
    close(model.detect("a dog\n"), "en", p);
    // Two, one and the end of line: hidden (2, 1).
    close(model.detect("dog\tdog hund"), "en", 1.0 / (1.0 + (-1f64).exp()) + 1e-5);
}

#[test]
fn labels_in_the_text_and_unknown_words_count_for_nothing() {
    let model = DENSE.model();
    let want = model.detect("dog");
    assert_eq!(model.detect("dog __label__de __label__xx zebra"), want);
    assert_eq!(model.labels(), [Box::from("en"), Box::from("de")]);
}

#[test]
fn a_text_without_letters_is_undetermined() {
    let model = DENSE.model();
    for text in ["", "  \n", "12 34", "😀"] {
        assert_eq!(model.detect(text), Detection::UNDETERMINED);
    }
}

#[test]
fn quantised_rows_are_centroids_times_their_length() {
    // Code 16 stands for 8, the length for 0.5: the same rows as in the dense model.
    let quantised = Recipe { quantised: true, ..DENSE }.model();
    assert_eq!(quantised.detect("dog"), DENSE.model().detect("dog"));
    assert_eq!(quantised.detect("hund hund dog"), DENSE.model().detect("hund hund dog"));
}

#[test]
fn a_tree_of_two_labels_is_one_sigmoid_dense_or_quantised() {
    // One inner node (row 0), hidden (2, 0). The rarer label, "de", is its left child, as the tree is built from
    // the end of the sorted counts.
    let p = 1.0 / (1.0 + (-2f64).exp()) + 1e-5;
    for quantised in [false, true] {
        close(Recipe { loss: 1, quantised, ..DENSE }.model().detect("dog"), "en", p);
    }
}

#[test]
fn one_vs_all_reads_the_sigmoid_from_a_table_of_512() {
    // The bucket of 2.0 begins at exactly 2.0.
    let p = 1.0 / (1.0 + (-2f64).exp()) + 1e-5;
    close(Recipe { loss: 4, ..DENSE }.model().detect("dog"), "en", p);
    close(Recipe { loss: 2, ..DENSE }.model().detect("dog"), "en", p);
    // All labels equal: the last one, as in fastText's heap of one.
    assert_eq!(Recipe { loss: 4, ..DENSE }.model().detect("zebra").lang, "de");
}

#[test]
fn subwords_and_word_ngrams_reach_the_buckets_and_pruning_leaves_some_out() {
    let recipe = Recipe { bucket: 4, chars: (2, 3), ..DENSE };
    let mut rows = Vec::new();
    let mut collect = |recipe: &Recipe, text: &str| {
        let model = recipe.model();
        rows.clear();
        let (mut token, mut hashes) = (Vec::new(), Vec::new());
        model.dictionary.for_each_row(text, &model.settings, &mut token, &mut hashes, |row| rows.push(row));
        rows.clone()
    };
    // "<dog>": the word, then <d <do do dog og og> g>; then the end of line.
    let all = collect(&recipe, "dog");
    assert_eq!((all.len(), all[0], all[8]), (9, 1, 0));
    assert!(all[1..8].iter().all(|row| (3..7).contains(row)));
    // A character of several bytes is one.
    assert_eq!(collect(&recipe, "é").len(), 3 + 1);
    // Pairs: (dog, hund) and (hund, end of line).
    assert_eq!(collect(&Recipe { bucket: 4, word_ngrams: 2, ..DENSE }, "dog hund").len(), 3 + 2);
    // Format 11 classifiers have no subwords.
    assert_eq!(collect(&Recipe { version: 11, ..recipe.clone() }, "dog"), [1, 0]);
    let pruned = Recipe { pruned: Some(vec![(2, 0)]), quantised: true, ..recipe };
    let left = collect(&pruned, "dog");
    assert_eq!(left.iter().filter(|&&row| row == 3).count(), all.iter().filter(|&&row| row == 5).count());
    assert!(left.iter().all(|&row| row < 4));
}

#[test]
fn a_damaged_model_is_an_error_with_its_place_and_never_a_panic() {
    let full = Recipe { pruned: Some(vec![(2, 0)]), bucket: 4, chars: (2, 3), quantised: true, ..DENSE };
    for recipe in [DENSE, Recipe { loss: 1, ..DENSE }, full] {
        let bytes = recipe.bytes();
        for end in 0..bytes.len() {
            assert!(FastText::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
        for i in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[i] ^= flip;
                if let Ok(model) = FastText::from_bytes(&damaged) {
                    model.detect("dog hund und so weiter");
                }
            }
        }
    }
    let error = FastText::from_bytes(b"GIF89a").unwrap_err().to_string();
    assert!(error.contains("magic") && error.contains("byte 0"), "{error}");
    let error = FastText::load("no/such/model.ftz").unwrap_err().to_string();
    assert!(error.contains("no/such/model.ftz"), "{error}");
}

#[test]
fn the_id_follows_the_bytes() {
    assert_eq!(DENSE.model().id(), DENSE.model().id());
    assert_ne!(DENSE.model().id(), Recipe { loss: 1, ..DENSE }.model().id());
}
