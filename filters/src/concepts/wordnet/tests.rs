use super::*;
use crate::concepts::Error;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A small dictionary in Princeton's format: (file, type of the synset, its words). A word's synsets are in this order.
const SYNSETS: &[(&str, &str, &[&str])] = &[
    ("noun", "n", &["dog", "domestic_dog", "Canis_familiaris"]),
    ("noun", "n", &["bus"]),
    ("noun", "n", &["dog", "frump"]),
    ("noun", "n", &["wolf"]),
    ("noun", "n", &["box"]),
    ("noun", "n", &["quiz"]),
    ("noun", "n", &["church"]),
    ("noun", "n", &["dish"]),
    ("noun", "n", &["man"]),
    ("noun", "n", &["fly"]),
    ("noun", "n", &["mouse"]),
    ("noun", "n", &["axis"]),
    ("noun", "n", &["axe", "ax"]),
    ("noun", "n", &["s"]),
    ("noun", "n", &["news"]),
    ("noun", "n", &["café"]),
    ("verb", "v", &["run"]),
    ("verb", "v", &["hope"]),
    ("verb", "v", &["hop"]),
    ("verb", "v", &["fly"]),
    ("verb", "v", &["try"]),
    ("verb", "v", &["sing"]),
    ("adj", "a", &["big", "large"]),
    ("adj", "s", &["fine"]),
    ("adj", "a", &["hot"]),
    ("adj", "s", &["big", "bad"]),
    ("adv", "r", &["fast"]),
    ("adv", "r", &["hopefully"]),
];

const EXCEPTIONS: &[(&str, &str)] = &[
    ("noun", "mice mouse\naxes ax axis axe\nmen man\nnews newspaper\ngeese goose\n"),
    ("verb", "ran run\nsang sing\nsings nothing\n"),
    ("adj", "bigger big\nhotter hot\n"),
    ("adv", "best well\n"),
];

fn write_dictionary(directory: &Path) {
    // nltk looks for the version in this line.
    let licence = "  1 Made for a test, in the format of WordNet 3.0 Copyright notices  \n";
    for (suffix, letter) in [("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")] {
        let mut data = licence.to_owned();
        let mut index: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (_, kind, words) in SYNSETS.iter().filter(|synset| synset.0 == suffix) {
            let offset = data.len();
            words.iter().for_each(|word| index.entry(word.to_lowercase()).or_default().push(offset));
            let list: String = words.iter().map(|word| format!("{word} 0 ")).collect();
            let frames = if suffix == "verb" { "00 " } else { "" };
            // A satellite points to its head: the first adjective, right behind the licence.
            let pointers = if *kind == "s" { format!("001 & {:08} a 0000", licence.len()) } else { "000".to_owned() };
            data += &format!("{offset:08} 03 {kind} {:02x} {list}{pointers} {frames}| a gloss  \n", words.len());
        }
        let lines: String = index
            .iter()
            .map(|(lemma, offsets)| {
                let offsets_text: String = offsets.iter().map(|offset| format!(" {offset:08}")).collect();
                format!("{lemma} {letter} {n} 1 @ {n} 0{offsets_text}  \n", n = offsets.len())
            })
            .collect();
        std::fs::write(directory.join(format!("data.{suffix}")), data).unwrap();
        std::fs::write(directory.join(format!("index.{suffix}")), licence.to_owned() + &lines).unwrap();
    }
    for (suffix, lines) in EXCEPTIONS {
        std::fs::write(directory.join(format!("{suffix}.exc")), lines).unwrap();
    }
    // What nltk opens besides.
    std::fs::write(directory.join("lexnames"), "00\tadj.all\t3\n01\tadj.pert\t3\n02\tadv.all\t4\n03\tnoun.Tops\t1\n").unwrap();
    std::fs::write(directory.join("cntlist.rev"), "").unwrap();
    std::fs::write(directory.join("index.sense"), "").unwrap();
}

fn dictionary(morphy: Morphy) -> (tempfile::TempDir, WordNet) {
    let directory = tempfile::tempdir().unwrap();
    write_dictionary(directory.path());
    let wordnet = WordNet::load(directory.path(), morphy).unwrap();
    (directory, wordnet)
}

/// The offset of the `nth` synset of a file.
fn offset(directory: &Path, suffix: &str, nth: usize) -> u32 {
    let data = std::fs::read_to_string(directory.join(format!("data.{suffix}"))).unwrap();
    data.lines().nth(nth + 1).unwrap()[..8].parse().unwrap()
}

#[test]
fn the_first_synset_is_the_first_of_the_first_part_of_speech() {
    let (directory, wordnet) = dictionary(Morphy::default());
    let at = |suffix, nth| Some(offset(directory.path(), suffix, nth));
    assert_eq!(wordnet.first_synset_offset("Dog"), at("noun", 0));
    assert_eq!(wordnet.first_synset_offset("DOGS"), at("noun", 0));
    assert_eq!(wordnet.first_synset_offset("flies"), at("noun", 9));
    assert_eq!(wordnet.first_synset_offset("hoping"), at("verb", 1));
    assert_eq!(wordnet.first_synset_offset("hopped"), None);
    assert_eq!(wordnet.first_synset_offset("mice"), at("noun", 10));
    assert_eq!(wordnet.first_synset_offset("axes"), at("noun", 12));
    assert_eq!(wordnet.first_synset_offset("finest"), at("adj", 1));
    assert_eq!(wordnet.first_synset_offset("fast"), at("adv", 0));
    assert_eq!(wordnet.first_synset_offset("CAFÉ"), at("noun", 15));
    assert_eq!(wordnet.first_synset_offset("dog,"), None);
    assert_eq!(wordnet.first_synset_offset(""), None);
    assert_eq!(wordnet.first_synset_offset("goose"), None);
    // An exception that leads nowhere hides the endings: as a verb `sings` is nothing, though `sing` is there.
    assert_eq!(wordnet.first_synset_offset("sings"), None);
    assert_eq!(wordnet.first_synset_offset(&"s".repeat(5000)), None);
}

#[test]
fn older_nltk_strips_endings_until_it_finds_something() {
    let (directory, until) = dictionary(Morphy::UntilFound);
    let (_other, once) = dictionary(Morphy::Once);
    assert_eq!(until.first_synset_offset("dogss"), Some(offset(directory.path(), "noun", 0)));
    assert_eq!(once.first_synset_offset("dogss"), None);
    // A branch for each ending at each step: it ends all the same.
    assert_eq!(until.first_synset_offset(&"es".repeat(50)), None);
}

#[test]
fn a_caption_passes_by_any_of_its_words() {
    let (directory, wordnet) = dictionary(Morphy::default());
    let wanted = SynsetIds::from_iter([offset(directory.path(), "noun", 0), offset(directory.path(), "noun", 3)]);
    let rule = TextRule::new(wordnet, wanted);
    let mut memo = Memo::default();
    for _ in 0..2 {
        assert!(rule.text_based("two big\u{a0}Dogs", &mut memo));
        assert!(rule.text_based("a wolf", &mut memo));
        assert!(!rule.text_based("a dog, wolf-like", &mut memo));
        assert!(!rule.text_based("a frump", &mut memo));
        assert!(!rule.text_based("", &mut memo));
    }
}

#[test]
fn ids_are_a_letter_and_digits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ids.txt");
    std::fs::write(&path, "n01440764\r\n\nn00004475\n").unwrap();
    let ids = SynsetIds::load(&path).unwrap();
    assert!(ids.contains(1_440_764) && ids.contains(4475) && ids.len() == 2);
    std::fs::write(&path, "n01440764\ntench\n").unwrap();
    assert!(matches!(SynsetIds::load(&path), Err(Error::Line { line: 2, .. })));
    assert!(matches!(SynsetIds::load(directory.path().join("none")), Err(Error::Read { .. })));
}

#[test]
fn a_broken_index_says_where() {
    let (directory, _) = dictionary(Morphy::default());
    let path = directory.path().join("index.verb");
    for broken in
        ["run", "run v x 0 1 0 1", "run v 1 5 @ 1 0 1", "run v 2 0 1 0 1 2", "run v 2 0 2 0 1", "run v 0 0 0 0", "run v 1 0 1 0 a"]
    {
        std::fs::write(&path, format!("  1 licence\n{broken}\n")).unwrap();
        let error = WordNet::load(directory.path(), Morphy::default()).unwrap_err();
        assert!(matches!(error, Error::Line { line: 2, .. }), "{broken}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(WordNet::load(directory.path(), Morphy::default()), Err(Error::Read { .. })));
}

/// Each word and each stem with each ending, and endings behind endings.
fn questions() -> Vec<String> {
    let stems: Vec<&str> =
        SYNSETS.iter().flat_map(|synset| synset.2.iter().copied()).chain(["mice", "axes", "men", "ran", "sang", "sings"]).collect();
    let stems = stems
        .into_iter()
        .chain(["geese", "best", "news", "bigger", "wol", "qui", "chur", "m", "hopp", "tr", "e", "xyz", "DOG", "İ", "ΣΑΣ"]);
    let endings = [
        "", "s", "es", "ses", "ves", "xes", "zes", "ches", "shes", "men", "ies", "ed", "ing", "er", "est", "ss", "eds", "ings", "eses",
        ",", "_",
    ];
    stems.flat_map(|stem| endings.iter().map(move |ending| format!("{stem}{ending}"))).collect()
}

#[test]
fn nltk_finds_the_same_first_synset() {
    // Tests run in the folder of their crate.
    let python = std::env::var("TROMMEL_PEER_PYTHON").unwrap_or_else(|_| "../target/peers/bin/python".into());
    let script = "../tests/peers/wordnet_check.py";
    let has_nltk = Command::new(&python).args(["-c", "import nltk"]).output().is_ok_and(|out| out.status.success());
    if !has_nltk {
        eprintln!("SKIPPED: no python with nltk at {python} (TROMMEL_PEER_PYTHON names one)");
        return;
    }
    let (directory, until) = dictionary(Morphy::UntilFound);
    let (_other, once) = dictionary(Morphy::Once);
    let words = questions();
    let mut child = Command::new(&python).arg(script).arg(directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(words.join("\n").as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let answers = String::from_utf8(out.stdout).unwrap();
    let mut answers = answers.lines();
    let wordnet = match answers.next().unwrap() {
        "until_found" => until,
        "once" => once,
        other => panic!("{other}"),
    };
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), words.len());
    for (word, answer) in words.iter().zip(answers) {
        assert_eq!(wordnet.first_synset_offset(word).map(|offset| offset.to_string()).unwrap_or("-".into()), answer, "{word}");
    }
}
