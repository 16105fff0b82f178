//! How MetaCLIP takes a text apart before it looks for entries (`spacing`), and the same as a stream of tokens.

/// What a byte is to `spacing`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Part of a word: every byte that is not listed below, all bytes of non-ASCII characters among them.
    Word,
    /// A space, or a tab, line feed or carriage return, which become one.
    Space,
    /// `, . ; : ? !` or a backtick: gets a space on either side.
    Mark,
}

/// The class of each byte.
pub(super) static CLASSES: [Class; 256] = {
    let mut classes = [Class::Word; 256];
    let mut i = 0;
    while i < 4 {
        classes[b" \t\n\r"[i] as usize] = Class::Space;
        i += 1;
    }
    i = 0;
    while i < 7 {
        classes[b",.;:?!`"[i] as usize] = Class::Mark;
        i += 1;
    }
    classes
};

/// `text` as MetaCLIP spaces it before matching, written over `out`.
///
/// A space is put before and behind the text; each of `, . ; : ? !` and the backtick gets a space on either side; tab, line
/// feed and carriage return become spaces (MetaCLIP, arXiv 2309.16671, `substr_matching.py`; version 2 does the same). Nothing
/// else is done: no lower-casing, no Unicode normalisation, no joining of spaces, and quotes, brackets, hyphens, apostrophes,
/// no-break spaces and other scripts' punctuation stay where they are.
///
/// One pass; `out` is reused, so that a loop over texts allocates only for the longest.
///
/// ```
/// use trommel_filters::concepts::{spacing, spacing_into};
///
/// assert_eq!(spacing("A dog, happy"), " A dog ,  happy ");
/// let mut spaced = String::new();
/// spacing_into("a\tb.", &mut spaced);
/// assert_eq!(spaced, " a b .  ");
/// ```
///
/// What follows for entries:
/// - an entry that carries one of the listed marks glued to something (`st. louis`) never matches, as the text always has
///   spaces around the mark and the entry has not; `.` alone matches, and so would `st . louis`;
/// - an entry with a tab or a line break never matches;
/// - two words match only over exactly as many spaces as the entry has: `foo bar` is not in `foo,  bar`, nor in `foo  bar`;
/// - `"dog"`, `(dog)` and `dog's` do not hold the entry `dog`;
/// - the empty entry matches wherever two spaces meet, so in every empty text and beside most punctuation: leave it out.
pub fn spacing_into(text: &str, out: &mut String) {
    out.clear();
    out.reserve(text.len() + text.len() / 8 + 2);
    out.push(' ');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        match CLASSES[usize::from(byte)] {
            Class::Word => continue,
            Class::Space => {
                out.push_str(&text[from..at]);
                out.push(' ');
            }
            Class::Mark => {
                out.push_str(&text[from..at]);
                out.push(' ');
                out.push(char::from(byte));
                out.push(' ');
            }
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push(' ');
}

/// [`spacing_into`] into a new string.
pub fn spacing(text: &str) -> String {
    let mut out = String::new();
    spacing_into(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as it is published: one replacement after the other.
    fn by_replacement(text: &str) -> String {
        let mut t = format!(" {text} ");
        for mark in [",", ".", ";", ":", "?", "!", "`"] {
            t = t.replace(mark, &format!(" {mark} "));
        }
        for space in ["\t", "\n", "\r"] {
            t = t.replace(space, " ");
        }
        t
    }

    #[test]
    fn marks_stand_alone_and_nothing_else_is_touched() {
        assert_eq!(spacing(""), "  ");
        assert_eq!(spacing("a\r\nb"), " a  b ");
        assert_eq!(spacing("\"Dog's\" (x-y)\u{a0}z…"), " \"Dog's\" (x-y)\u{a0}z… ");
        assert_eq!(spacing("3.5"), " 3 . 5 ");
    }

    proptest! {
        #[test]
        fn it_is_the_published_chain_of_replacements(text in "[ab ,.;:?!`\t\n\r'\"\u{a0}日。é]{0,24}") {
            prop_assert_eq!(spacing(&text), by_replacement(&text));
        }

        #[test]
        fn the_buffer_is_overwritten(a in ".{0,20}", b in ".{0,20}") {
            let mut out = a;
            spacing_into(&b, &mut out);
            prop_assert_eq!(out, spacing(&b));
        }
    }
}
