use super::*;
use crate::concepts::spacing;
use proptest::prelude::*;

/// The rule itself: all ids of which the entry, with its spaces, is a substring of the spaced text.
fn by_definition(entries: &Entries, borders: Borders, text: &str) -> Vec<EntryId> {
    let spaced = spacing(text);
    let holds = |entry: &str| {
        let (before, behind) = borders.of(entry);
        spaced.contains(&format!("{}{entry}{}", space(before), space(behind)))
    };
    entries.iter().enumerate().filter(|(_, entry)| holds(entry)).map(|(id, _)| id as EntryId).collect()
}

fn found(entries: &Entries, borders: Borders, texts: &[&str]) -> Vec<Vec<EntryId>> {
    let matcher = Matcher::new(entries, borders).unwrap();
    let mut scratch = Scratch::default();
    let sorted = |text: &&str| {
        let mut ids = matcher.find(text, &mut scratch).to_vec();
        ids.sort_unstable();
        ids
    };
    texts.iter().map(sorted).collect()
}

/// Few characters, so that matches are frequent: letters, all kinds of spaces (the no-break space separates nothing), listed
/// marks, other punctuation, Han, kana, Thai.
const HOSTILE: &str = "[ab  \t\n\r\u{a0},.?!`'(日本のไé]{0,12}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_found_is_what_the_definition_says(
        list in proptest::collection::vec(HOSTILE, 0..12),
        parts in proptest::collection::vec(HOSTILE, 0..4),
        picks in proptest::collection::vec((any::<prop::sample::Index>(), "[ ,日a]{0,2}"), 0..6),
        borders in prop::sample::select(&[Borders::Spaced, Borders::Script, Borders::ScriptKanaHangul]),
    ) {
        // Texts are made of entries, too, or long entries would never be found.
        let mut text = parts.concat();
        for (pick, glue) in picks {
            if !list.is_empty() {
                text += &list[pick.index(list.len())];
            }
            text += &glue;
        }
        let entries: Entries = list.iter().collect();
        prop_assert_eq!(&found(&entries, borders, &[&text])[0], &by_definition(&entries, borders, &text));
    }

    #[test]
    fn long_words_and_many_words_are_found(
        list in proptest::collection::vec("(a|b|abcdefghijklmno|abcdefghijklmnop|abcdefghijklmnoq|日本語日本語)( (a|b|abcdefghijklmnop)){0,3}", 1..60),
        text in "((a|b|,|abcdefghijklmno|abcdefghijklmnop|abcdefghijklmnoq|日本語日本語|zz)( | |,)){0,300}",
    ) {
        let entries: Entries = list.iter().collect();
        for borders in [Borders::Spaced, Borders::Script] {
            prop_assert_eq!(&found(&entries, borders, &[&text])[0], &by_definition(&entries, borders, &text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn texts_looked_at_together_give_what_each_gives_alone(
        list in proptest::collection::vec("(a|b|cc|日)( (a|b|,|cc)){0,5}", 1..40),
        texts in proptest::collection::vec("((a|b|cc|,|日)( |,|\n)){0,40}", 0..60),
        long in 0usize..3000,
        borders in prop::sample::select(&[Borders::Spaced, Borders::Script]),
    ) {
        let entries: Entries = list.iter().collect();
        let mut texts = texts;
        texts.push("a b cc ".repeat(long));
        texts.push("a b".to_owned());
        let matcher = Matcher::new(&entries, borders).unwrap();
        let mut together = Vec::new();
        matcher.find_each(texts.iter().map(String::as_str), &mut Scratch::default(), |number, ids| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            together.push((number, ids));
        });
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let alone: Vec<_> = texts.iter().map(|text| by_definition(&entries, borders, text)).enumerate().collect();
        prop_assert_eq!(together, alone);
    }
}

#[test]
fn many_short_texts_fill_many_blocks_and_none_gets_what_is_in_its_neighbour() {
    let entries: Entries = ["a", "b a", "a b a", "c c c c c", ", a", "b  a", "abcdefghijklmnopq a"].into_iter().collect();
    let words = ["a", "b", "c", "c c c", ",", "", "abcdefghijklmnopq"];
    let texts: Vec<String> = (0..6000usize)
        .map(|text| {
            (0..text % 17).map(|word| words[(text * 31 + word * word * (1 + text % 5)) % words.len()]).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let matcher = Matcher::new(&entries, Borders::Spaced).unwrap();
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        let mut next = 0;
        matcher.find_each(texts.iter().map(String::as_str), &mut scratch, |number, ids| {
            assert_eq!(number, next);
            next += 1;
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            assert_eq!(ids, by_definition(&entries, Borders::Spaced, &texts[number]), "{:?}", texts[number]);
        });
        assert_eq!(next, texts.len());
    }
}

#[test]
fn entries_stand_between_spaces_and_case_counts() {
    let entries: Entries = ["dog", "Dog", "the dog", "st. louis", ".", "a  b"].into_iter().collect();
    let texts = ["the dog", "Dog.", "hotdog", "st. louis", "a  b", "a b", "\"dog\"", "the\ndog,dog"];
    let want: [&[u32]; 8] = [&[0, 2], &[1, 4], &[], &[4], &[5], &[], &[], &[0, 2]];
    assert_eq!(found(&entries, Borders::Spaced, &texts), want);
}

#[test]
fn an_entry_that_is_listed_twice_matches_twice() {
    let entries: Entries = ["dog", "日本", "dog", "a b", "日本", "dog", "a b"].into_iter().collect();
    assert_eq!(found(&entries, Borders::Script, &["a b dog 日本人"]), [[0, 1, 2, 3, 4, 5, 6]]);
}

#[test]
fn the_empty_entry_is_in_each_double_space() {
    let entries: Entries = [""].into_iter().collect();
    assert_eq!(
        found(&entries, Borders::Spaced, &["", "a", "a b", "a  b", "a, b", "a."]),
        [vec![0], vec![], vec![], vec![0], vec![0], vec![0]]
    );
}

#[test]
fn version_two_finds_chinese_inside_of_a_sentence() {
    let entries: Entries = ["北京", "京", "T恤", "さくら", "dog"].into_iter().collect();
    assert_eq!(found(&entries, Borders::Script, &["我爱北京T恤", "T恤衫", "のさくら日", "北dog"]), [vec![0, 1], vec![2], vec![], vec![]]);
    assert_eq!(found(&entries, Borders::ScriptKanaHangul, &["のさくら日"]), [[3]]);
}

#[test]
fn no_entries_match_nothing() {
    let entries = Entries::default();
    assert_eq!(found(&entries, Borders::Spaced, &["", "a b c"]), [[0u32; 0]; 2]);
}

#[test]
fn one_scratch_serves_many_matchers() {
    let short: Entries = ["a"].into_iter().collect();
    let long: Entries = (0..5000).map(|i| i.to_string()).collect();
    let (short, long) = (Matcher::new(&short, Borders::Spaced).unwrap(), Matcher::new(&long, Borders::Spaced).unwrap());
    let text = (0..5000).map(|i| i.to_string()).collect::<Vec<_>>().join(" ") + " a";
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        assert_eq!(long.find(&text, &mut scratch).len(), 5000);
        assert_eq!(short.find(&text, &mut scratch), [0]);
    }
}
