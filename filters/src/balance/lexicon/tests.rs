use proptest::prelude::*;

use super::*;

fn lexicon(words: &[&str]) -> Lexicon {
    let lists = words.iter().enumerate().map(|(i, word)| (format!("w{i}"), vec![(*word).to_owned()])).collect();
    let file = LexiconFile { languages: [("en".to_owned(), lists)].into() };
    let names: Vec<String> = (0..words.len()).map(|i| format!("w{i}")).collect();
    Lexicon::new(&file, &names).unwrap()
}

fn has(word: &str, caption: &str) -> bool {
    lexicon(&[word]).bits("en", caption).unwrap() == 1
}

#[test]
fn only_whole_words_match_in_any_case() {
    assert!(has("woman", "Woman."));
    assert!(has("woman", "the woman's hat"));
    assert!(has("woman", "(WOMAN)"));
    assert!(has("fighter", "a fire-fighter"));
    assert!(!has("woman", "policewoman"));
    assert!(!has("woman", "womanly"));
    assert!(!has("man", "a woman and 2 many_man"));
    assert!(has("straße", "Straße 5"));
    assert!(has("ÉCOLE", "une école"));
    assert!(!has("ecole", "une école"));
    assert!(has("ΟΔΌΣ", "η οδός"));
    assert!(has("женщина", "Молодая ЖЕНЩИНА"));
    assert!(!has("жена", "женат"));
}

#[test]
fn phrases_match_over_any_white_space_and_words_within_phrases_too() {
    let lexicon = lexicon(&["flight attendant", "flight", "attendant  pilot"]);
    assert_eq!(lexicon.bits("en", "a FLIGHT\n\t attendant"), Ok(0b011));
    assert_eq!(lexicon.bits("en", "flight attendant\u{a0}pilot"), Ok(0b111));
    assert_eq!(lexicon.bits("en", "flights attendant"), Ok(0));
    assert_eq!(lexicon.bits("en", ""), Ok(0));
}

#[test]
fn scripts_without_spaces_match_anywhere() {
    assert!(has("女性", "日本女性写真"));
    assert!(has("看護師", "看護師の仕事"));
    assert!(has("ナース", "新人ナースさん"));
    assert!(has("พยาบาล", "ภาพพยาบาลสาว"));
    assert!(has("女性", "Photo女性2024"));
    // The vowel sign belongs to the letter before it.
    assert!(!has("พ", "พี่"));
}

#[test]
fn hangul_words_take_particles_but_no_prefix() {
    assert!(has("간호사", "간호사는 웃는다"));
    assert!(!has("호사", "간호사"));
}

#[test]
fn marks_belong_to_their_word() {
    // Devanagari: the vowel signs and the virama are no letters of their own.
    assert!(has("नर्स", "एक नर्स"));
    assert!(!has("नर", "नर्स"));
    assert!(!has("cafe", "cafe\u{301}"));
}

#[test]
fn words_that_begin_or_end_with_signs_need_no_boundary_there() {
    assert!(has("#nurse", "x#nurse"));
    assert!(has("c++", "c++11"));
    assert!(!has("#nurse", "#nurses"));
}

#[test]
fn a_language_without_words_is_told_from_a_caption_without_them() {
    let file: LexiconFile = "[en]\nfemale = ['woman']\n[zh-Hant]\nfemale = ['女']\n[de]\nfemale = []".parse().unwrap();
    let lexicon = Lexicon::new(&file, &["female"]).unwrap();
    assert_eq!(lexicon.bits("EN_us", "a woman"), Ok(1));
    assert_eq!(lexicon.bits("zh-hant", "女"), Ok(1));
    assert_eq!(lexicon.bits("de", "eine Frau"), Ok(0));
    assert_eq!(lexicon.bits("zh", "女"), Err(NoLexicon("zh".into())));
    assert_eq!(lexicon.bits("fr", "x").unwrap_err().to_string(), "there is no lexicon for the language `fr`");
    assert_eq!(lexicon.languages().collect::<Vec<_>>(), ["de", "en", "zh-hant"]);
}

#[test]
fn a_word_may_stand_for_two_names() {
    let file: LexiconFile = "[en]\nfemale = ['actress']\nactor = ['actor', 'ACTRESS']\nother = ['x']".parse().unwrap();
    let lexicon = Lexicon::new(&file, &["female", "actor"]).unwrap();
    assert_eq!(lexicon.bits("en", "the actress x"), Ok(0b11));
}

#[test]
fn lexicons_with_holes_are_errors() {
    let error = |text: &str, names: &[&str]| Lexicon::new(&text.parse().unwrap(), names).unwrap_err().to_string();
    assert_eq!(
        error("[en]\na = ['x']", &["a", "b"]),
        "the lexicon of `en` has no words for `b`: list some, or an empty list if that is meant"
    );
    assert_eq!(error("[en]\na = [' ']", &["a"]), "the lexicon of `en` has an empty word for `a`");
    assert_eq!(error("[en]\na = ['x']\n[EN]\na = ['y']", &["a"]), "the language `en` is listed twice");
    assert_eq!(error("", &["a", "a"]), "the name `a` is given twice");
    assert!("[en]\na = 3".parse::<LexiconFile>().unwrap_err().to_string().starts_with("the lexicon cannot be read"));
    let json = serde_json::from_str::<LexiconFile>(r#"{"en": {"a": ["x"]}}"#).unwrap();
    assert_eq!(json, "[en]\na = ['x']".parse().unwrap());
}

proptest! {
    #[test]
    fn any_caption_gives_bits_and_words_are_found_between_spaces(caption: String, word in "[a-z]{1,8}( [a-z]{1,8})?") {
        let lexicon = lexicon(&[&word, "a", "女"]);
        prop_assert!(lexicon.bits("en", &caption).is_ok());
        let with = format!("{caption} {} {caption}", word.to_uppercase());
        prop_assert_eq!(lexicon.bits("en", &with).unwrap() & 1, 1);
        let prefixed = format!("x{word}");
        prop_assert_eq!(lexicon.bits("en", &prefixed).unwrap() & 1, 0);
    }
}
