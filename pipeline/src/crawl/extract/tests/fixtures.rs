use super::*;
use crate::crawl::archive::tests::shared;

/// The cases of web-platform-tests' `parse-a-srcset-attribute.html`, with the one candidate that a 1x screen without `sizes` would take.
#[test]
fn every_srcset_case_of_the_web_platform_tests_parses() {
    let Some(path) = shared("html/wpt-parse-a-srcset-attribute.html") else {
        return;
    };
    let page = std::fs::read_to_string(path).unwrap();
    let mut n = 0;
    for case in page.split("<img srcset='").skip(1) {
        let (srcset, rest) = case.split_once('\'').unwrap();
        let expected = rest.split_once("data-expect='").unwrap().1.split_once('\'').unwrap().0;
        let undo = |text: &str| {
            let mut out = String::new();
            super::super::entities::decode(text, super::super::entities::Place::Attribute, &mut out).unwrap_or(text).to_owned()
        };
        let (srcset, expected) = (undo(srcset), undo(expected));
        let parsed = parse_srcset(&srcset);
        // All cases have candidates of one density, or the first is the best: a width counts as that many pixels over 100vw.
        let first = parsed.first().map_or("", |candidate| candidate.url);
        assert_eq!(first, expected, "{srcset:?}: {parsed:?}");
        n += 1;
    }
    assert_eq!(n, 105);
}

/// W3. 37 `IMG@/src` links, 21 with alt, on 5 pages; the pages themselves give at least as much.
#[test]
fn the_common_crawl_excerpt_gives_its_golden_rows() {
    let Some(folder) = shared("warc-commoncrawl-2016-50") else {
        return;
    };
    let count = |name: &str, kind, compat| {
        let options = ExtractOptions { types: Types::NONE.with(kind), compat, ..ExtractOptions::default() };
        let file = std::fs::File::open(folder.join(name)).unwrap();
        extract_archive(Box::new(file), name, &options, &mut |_: &Candidate<'_>| {}).unwrap()
    };
    for name in ["sample.wat", "sample.wat.gz"] {
        let images = count(name, CandidateKind::Image, Some(Compat::Cc2dataset));
        assert_eq!((images.pages, images.candidates_total()), (5, 21), "{name}");
        assert_eq!(count(name, CandidateKind::ImageOnly, Some(Compat::Cc2dataset)).candidates_total(), 37, "{name}");
    }
    let wat = count("sample.wat.gz", CandidateKind::ImageOnly, None);
    let warc = count("sample.warc.gz", CandidateKind::ImageOnly, None);
    eprintln!("wat {} rows, warc {} rows", wat.candidates_total(), warc.candidates_total());
    assert!(warc.candidates_total() >= wat.candidates_total());
}

#[test]
fn every_archive_of_the_fixtures_is_extracted_to_its_end() {
    let mut total = 0;
    for part in ["warc-pages", "warc-pages-with-images", "warc-wat-golden"] {
        let Some(folder) = shared(part) else { return };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                continue;
            }
            let stats = extract_archive(Box::new(std::fs::File::open(&path).unwrap()), &name, &all(), &mut |c: &Candidate<'_>| {
                assert!(c.url.starts_with("http"), "{}", c.url);
            })
            .unwrap();
            eprintln!(
                "{name}: {} pages, {} with text, {} without, broken {}",
                stats.pages,
                stats.candidates(CandidateKind::Image),
                stats.candidates(CandidateKind::ImageOnly),
                stats.archive.broken
            );
            total += stats.candidates_total();
        }
    }
    assert!(total > 3000, "{total}");
}

/// html5lib-tests `encoding/tests*.dat`: the encoding that a browser takes, where the pre-scan can know it.
#[test]
fn the_charset_cases_of_html5lib_are_read() {
    let Some(folder) = shared("html/html5lib-encoding/encoding") else {
        return;
    };
    let (mut right, mut wrong) = (0, Vec::new());
    for name in ["tests1.dat", "tests2.dat", "test-yahoo-jp.dat"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(&bytes[from..], b"#data\n") {
            let start = from + at + 6;
            let Some(middle) = memchr::memmem::find(&bytes[start..], b"\n#encoding\n") else {
                break;
            };
            let data = &bytes[start..start + middle];
            let label = bytes[start + middle + 11..].split(|byte| *byte == b'\n').next().unwrap();
            from = start + middle + 11;
            let expected = encoding_rs::Encoding::for_label(label).unwrap();
            let (_, got) = decode_html(data, None);
            // Where nothing is declared the suite expects windows-1252; a guess from the bytes may differ, and ASCII is UTF-8 too.
            if got == expected || (expected == encoding_rs::WINDOWS_1252 && data.is_ascii()) {
                right += 1;
            } else {
                wrong.push((String::from_utf8_lossy(&data[data.len().saturating_sub(120)..]).into_owned(), got.name(), expected.name()));
            }
        }
    }
    eprintln!("{right} right, {} wrong: {wrong:?}", wrong.len());
    assert!(right > 70 && wrong.len() <= 2, "{wrong:?}");
}
