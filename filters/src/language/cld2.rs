//! The Compact Language Detector 2, compiled in.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{CStr, c_char, c_int};
use std::hint::black_box;
use std::ptr;
use std::sync::Once;

use cld2_sys as sys;

use super::{Detection, LanguageDetector, UNDETERMINED, has_letter, prefix};

/// `kCLDFlagBestEffort` of `compact_lang_det.h`; the bindings do not name it.
///
/// Without it most texts under 15 characters come back as unknown.
const BEST_EFFORT: c_int = 0x4000;

/// How many bytes of a text are looked at. A language is told long before, and a page pasted into an alt text
/// must not cost a thousand captions' time.
const WINDOW_BYTES: usize = 4096;

/// Zeros behind the text: CLD2 looks at the character at the end of its input too, and what happens to lie there in memory may
/// lead its tables far outside of themselves.
const PADDING: usize = 16;

/// Scale of the confidence curve; see [`Cld2`].
const SCORE_SCALE: f64 = 450.0;

/// CLD2, the detector of Chromium's translate prompt until 2016: 160 languages by script, quadgrams and words.
///
/// Texts longer than 4 KiB are judged by their first 4 KiB. What CLD2 itself calls unreliable is undetermined.
/// Norwegian is `no` (or `nn`), simplified and traditional Chinese are both `zh`, and the codes that CLD2 has from
/// before their revision are brought up to date (`iw` is `he`, `jw` is `jv`).
///
/// The score is `p (1 - exp(-s / 450))`, with `p` the share of the letters in that language and `s` CLD2's
/// "normalized score" (its evidence per kilobyte of text). CLD2's own reliability flag is set on nearly every caption,
/// right or wrong; `s` is what tells them apart. On pairs of words in 75 languages answers with `s` below 200 were
/// right in 23 % of cases, at 200 to 400 in 37 %, 400 to 600 63 %, 600 to 800 76 %, 800 to 1000 85 %, and 94 %
/// at 1000 to 1200; the curve follows these shares, so a score may be read as a rough probability.
#[derive(Debug)]
pub struct Cld2 {
    /// ISO code by CLD2's language number.
    codes: Vec<&'static str>,
}

impl Cld2 {
    /// The detector with its built-in tables; costs microseconds.
    pub fn new() -> Self {
        keep_freed_memory();
        Self { codes: (0..sys::NUM_LANGUAGES).map(code_of).collect() }
    }
}

impl Default for Cld2 {
    fn default() -> Self {
        Self::new()
    }
}

impl LanguageDetector for Cld2 {
    fn detect(&self, text: &str) -> Detection<'_> {
        if !has_letter(text) {
            return Detection::UNDETERMINED;
        }
        let text = prefix(text, WINDOW_BYTES);
        let mut padded = [0_u8; WINDOW_BYTES + PADDING];
        padded[..text.len()].copy_from_slice(text.as_bytes());
        let hints = sys::CLDHints {
            content_language_hint: ptr::null(),
            tld_hint: ptr::null(),
            encoding_hint: sys::Encoding::UNKNOWN_ENCODING as c_int,
            language_hint: sys::Language::UNKNOWN_LANGUAGE,
        };
        let mut top = [sys::Language::UNKNOWN_LANGUAGE; 3];
        let mut percent: [c_int; 3] = [0; 3];
        let mut evidence = [0.0f64; 3];
        let mut text_bytes: c_int = 0;
        let mut reliable = false;
        // SAFETY: the text is valid UTF-8 of the length given (at most WINDOW_BYTES, so it fits a C int), and behind it
        // stand zeros for as long as CLD2 reads beyond it, one character; the three arrays have the three places that it writes; no chunk vector is asked
        // for; the tables are compiled in and read-only, so calls from several threads do not meet.
        let lang = unsafe {
            sys::CLD2_ExtDetectLanguageSummary4(
                padded.as_ptr().cast::<c_char>(),
                text.len() as c_int,
                true,
                &hints,
                BEST_EFFORT,
                top.as_mut_ptr(),
                percent.as_mut_ptr(),
                evidence.as_mut_ptr(),
                ptr::null_mut(),
                &mut text_bytes,
                &mut reliable,
            )
        };
        let code = self.codes.get(lang as usize).copied().unwrap_or(UNDETERMINED);
        if !reliable || code == UNDETERMINED {
            return Detection::UNDETERMINED;
        }
        // The summary is the first language, unless that one looked like boilerplate around the second.
        let place = top.iter().position(|l| *l == lang).unwrap_or(0);
        let share = f64::from(percent[place].clamp(0, 100)) / 100.0;
        let score = share * (1.0 - (-evidence[place].max(0.0) / SCORE_SCALE).exp());
        Detection { lang: code, score: score as f32 }
    }

    fn id(&self) -> &str {
        "cld2"
    }
}

/// The ISO code of CLD2's language `number`.
fn code_of(number: usize) -> &'static str {
    // SAFETY: the enumeration runs from 0 to NUM_LANGUAGES - 1 without a gap and is as wide as a C int. CLD2 looks
    // the number up in its own table and answers with a static C string.
    let code = unsafe {
        let lang = std::mem::transmute::<c_int, sys::Language>(number as c_int);
        CStr::from_ptr(sys::CLD2_LanguageCode(lang))
    };
    match code.to_str().unwrap_or_default() {
        // Unknown, unassigned, joke languages, and scripts of which CLD2 knows no language.
        "" | "un" | "xxx" => UNDETERMINED,
        code if code.starts_with("zz") || code.starts_with("xx-") => UNDETERMINED,
        "iw" => "he",
        "jw" => "jv",
        "zh-Hant" => "zh",
        "sr-ME" => "sr",
        code => code,
    }
}

/// Tells the C allocator not to give every freed block back to the system.
///
/// CLD2 allocates some 200 KB for each call and frees them. glibc then trims its heap, and the next call faults all
/// pages in again: that was more than nine tenths of the time of a call. glibc raises its trim threshold to twice
/// the size of the largest mapped block that has been freed, so one block of 4 MiB, once, keeps up to 8 MiB. Other
/// allocators do not mind.
fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the layout is not empty, and the block is freed with the layout and allocator that made it; it is
        // never read or written.
        unsafe {
            if let Ok(layout) = Layout::from_size_align(4 << 20, 16) {
                let block = black_box(System.alloc(layout));
                if !block.is_null() {
                    System.dealloc(block, layout);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_of_captions_are_told() {
        let d = Cld2::new();
        for (text, lang) in [
            ("A golden retriever puppy playing on the lawn", "en"),
            ("Ein Hund spielt mit einem Ball auf der Wiese", "de"),
            ("Le chat est assis sur la table de la cuisine", "fr"),
            ("Собака бежит по берегу моря", "ru"),
            ("שלום עולם, זה כלב יפה מאוד", "he"),
            ("公园里的一只小狗在草地上玩耍", "zh"),
            ("公園裡的一隻小狗在草地上玩耍", "zh"),
            ("東京タワーの夜景", "ja"),
            ("한국어 텍스트", "ko"),
            ("ภาษาไทย", "th"),
            ("Ελληνικά κείμενο", "el"),
        ] {
            let found = d.detect(text);
            assert_eq!(found.lang, lang, "{text}");
            assert!((0.0..=1.0).contains(&found.score), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_text_without_letters_is_undetermined() {
        let d = Cld2::new();
        for text in ["", " ", "123", "😀 !!", "\0", "—", "\u{202e}", "2024-01-01 12:30"] {
            assert_eq!(d.detect(text), Detection::UNDETERMINED, "{text:?}");
        }
    }

    #[test]
    fn a_clear_sentence_scores_above_a_meaningless_word() {
        let d = Cld2::new();
        let clear = d.detect("The cat is sleeping on the sofa in the living room");
        let vague = d.detect("asdfgh qwerty");
        assert!(clear.score > 0.9, "{clear:?}");
        assert!(vague.score < 0.75, "{vague:?}");
    }

    #[test]
    fn very_long_and_odd_texts_are_survived() {
        let d = Cld2::new();
        let long = "The quick brown fox jumps over the lazy dog. ".repeat(50_000);
        assert_eq!(d.detect(&long).lang, "en");
        // A window that would end inside a character.
        let cut = format!("a{}", "é".repeat(10_000));
        d.detect(&cut);
        for c in ['\0', '\u{fffd}', '\u{10ffff}', '\u{e000}', '\u{feff}', '<', '&'] {
            d.detect(&format!("a{}", c.to_string().repeat(9_999)));
            d.detect(&format!("&#{}x{c}", "<".repeat(500)));
        }
    }

    #[test]
    fn what_lies_behind_a_text_in_memory_changes_nothing() {
        let d = Cld2::new();
        for text in ["a", "Ein Hund spielt", "公园", "x\u{10ffff}", "é ", "😀b"] {
            let want = d.detect(text);
            for behind in [&b"\xf7\xbf\xbf\xbf"[..], b"\xff\xff\xff\xff", b"\xf4\xff\x00\xff", b"\xe0\xff\xff\xff"] {
                let mut bytes = text.as_bytes().to_vec();
                bytes.extend_from_slice(behind);
                let text = std::str::from_utf8(&bytes[..text.len()]).unwrap();
                assert_eq!(d.detect(text), want, "{text:?} before {behind:?}");
            }
        }
    }

    #[test]
    fn every_code_is_current_and_well_formed() {
        for code in Cld2::new().codes {
            assert!((2..=3).contains(&code.len()), "{code}");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase()), "{code}");
            assert!(!["iw", "jw", "un", "xxx", "zzb"].contains(&code));
        }
    }

    #[test]
    fn threads_agree() {
        let d = Cld2::new();
        let texts = ["guten Morgen", "good morning to you", "buenos días amigo", "доброе утро"];
        let want: Vec<_> = texts.iter().map(|t| d.detect(t)).collect();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..500 {
                        let got: Vec<_> = texts.iter().map(|t| d.detect(t)).collect();
                        assert_eq!(got, want);
                    }
                });
            }
        });
    }
}
