//! Where an entry must have a space beside it.

/// Which entries stand between spaces, and which are found inside of a run of characters too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Borders {
    /// MetaCLIP 1: every entry has a space on either side.
    #[default]
    Spaced,
    /// MetaCLIP 2 as released: the space before (behind) an entry is left out where its first (last) character belongs to a
    /// script that is written without spaces, or is punctuation. See [`needs_no_space`].
    ///
    /// Hiragana, Katakana and Hangul are not among those scripts there, so that a Japanese entry that starts with kana is
    /// found only behind a space. That looks like an oversight for kana; it is kept, so that counts are comparable.
    Script,
    /// As [`Borders::Script`], with Hiragana, Katakana (their extensions and half-width forms too) and Hangul (syllables and
    /// jamo) among the scripts without spaces.
    ///
    /// For Japanese it finds what is there. Korean is written with spaces, but puts particles right behind nouns; here they no
    /// longer hide the noun, at the price of matches inside of longer words.
    ScriptKanaHangul,
}

impl Borders {
    /// Whether a space belongs before and behind `entry`. The empty entry has both.
    pub fn of(self, entry: &str) -> (bool, bool) {
        let needs = |c: Option<char>| match self {
            Self::Spaced => true,
            Self::Script => !c.is_some_and(needs_no_space),
            Self::ScriptKanaHangul => !c.is_some_and(|c| needs_no_space(c) || is_kana_or_hangul(c)),
        };
        (needs(entry.chars().next()), needs(entry.chars().next_back()))
    }
}

/// Whether MetaCLIP 2 leaves out the space beside this character: Han, Thai, Lao, Burmese, Khmer, Tibetan, ASCII punctuation,
/// and some full-width and typographic punctuation.
pub fn needs_no_space(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}' | '\u{2b820}'..='\u{2ceaf}' | '\u{2ceb0}'..='\u{2ebef}' | '\u{f900}'..='\u{faff}'
        | '\u{2e80}'..='\u{2eff}' | '\u{2f00}'..='\u{2fdf}' | '\u{2ff0}'..='\u{2fff}'
        | '\u{0e00}'..='\u{0e7f}' | '\u{0e80}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{0f00}'..='\u{0fff}'
        | '，' | '。' | '、' | '；' | '：' | '？' | '！' | '“' | '”' | '‘' | '’' | '（' | '）' | '【' | '】' | '《' | '》' | '〈' | '〉'
        | '「' | '」' | '『' | '』' | '～' | '—')
        || c.is_ascii_punctuation()
}

fn is_kana_or_hangul(c: char) -> bool {
    matches!(c,
        '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' | '\u{1b000}'..='\u{1b16f}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{a960}'..='\u{a97f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_without_spaces_need_none() {
        assert_eq!(Borders::Spaced.of("日本"), (true, true));
        assert_eq!(Borders::Script.of("日本"), (false, false));
        assert_eq!(Borders::Script.of("T恤"), (true, false));
        assert_eq!(Borders::Script.of("ไทย"), (false, false));
        assert_eq!(Borders::Script.of("(x)"), (false, false));
        assert_eq!(Borders::Script.of("dog"), (true, true));
        assert_eq!(Borders::Script.of(""), (true, true));
    }

    #[test]
    fn kana_and_hangul_are_a_choice() {
        assert_eq!(Borders::Script.of("さくら"), (true, true));
        assert_eq!(Borders::ScriptKanaHangul.of("さくら"), (false, false));
        assert_eq!(Borders::ScriptKanaHangul.of("한국"), (false, false));
        assert_eq!(Borders::ScriptKanaHangul.of("日本dog"), (false, true));
    }
}
