//! What is done to a caption before it is tokenised.

use tokenizers::NormalizedString;

use super::entities;

/// Cleaning of open_clip (`tokenizer.py`). All three first repair and unescape (see [`super`] for what is covered).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clean {
    /// White space collapsed, lower case. What CLIP checkpoints take.
    Lower,
    /// White space collapsed.
    Whitespace,
    /// `_` becomes a space, ASCII punctuation is removed, lower case, white space collapsed. SigLIP's.
    Canonicalize,
}

impl Clean {
    /// By open_clip's name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "lower" => Some(Self::Lower),
            "whitespace" => Some(Self::Whitespace),
            "canonicalize" => Some(Self::Canonicalize),
            _ => None,
        }
    }

    /// open_clip's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Whitespace => "whitespace",
            Self::Canonicalize => "canonicalize",
        }
    }

    /// The caption as the tokenizer gets it.
    pub fn apply(self, text: &str) -> String {
        let basic = entities::unescape(&entities::unescape(&repair(text)));
        let collapsed = |text: &str| text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        match self {
            // `str.to_lowercase` knows the final sigma, as Python's `str.lower`.
            Self::Lower => collapsed(&basic).to_lowercase(),
            Self::Whitespace => collapsed(&basic),
            Self::Canonicalize => collapsed(&without_punctuation(&basic.replace('_', " ")).to_lowercase()),
        }
    }
}

/// White space as Python's `str.split` and `re` see it: Unicode's, and the four separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1C'..='\x1F')
}

/// Without Python's `string.punctuation`.
pub(super) fn without_punctuation(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_punctuation()).collect()
}

/// Rounds of [`repair`]. Each takes one level of doubly escaped references; without a bound, a megabyte of
/// `&amp;amp;amp;...` would take a quarter of a million rounds.
const ROUNDS: usize = 16;

/// ftfy's `fix_text` without its repair of wrongly decoded text (mojibake).
fn repair(text: &str) -> String {
    let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\x0C') && byte != b'&';
    if text.bytes().all(plain) {
        return text.to_owned();
    }
    let (mut out, mut unescaping) = (String::with_capacity(text.len()), true);
    for line in text.split_inclusive('\n') {
        // Markup in one line ends the unescaping for the rest: the text may be HTML on purpose.
        unescaping &= !line.contains('<');
        let mut current = line.to_owned();
        for _ in 0..ROUNDS {
            let next = round(&current, unescaping);
            if next == current {
                break;
            }
            current = next;
        }
        out.push_str(&current);
    }
    out
}

fn round(text: &str, unescaping: bool) -> String {
    let unescaped = if unescaping { unescape_whole(text) } else { text.to_owned() };
    let mut out = String::with_capacity(unescaped.len());
    let mut chars = unescaped.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // C1 controls are Windows-1252 in disguise, except that the next line control is a break to nobody.
            '\u{80}'..='\u{9F}' => out.extend(entities::windows_1252(u32::from(c))),
            'Ĳ' => out.push_str("IJ"),
            'ĳ' => out.push_str("ij"),
            'ŉ' => out.push_str("'n"),
            'Ǳ' => out.push_str("DZ"),
            'ǲ' => out.push_str("Dz"),
            'ǳ' => out.push_str("dz"),
            'Ǆ' => out.push_str("DŽ"),
            'ǅ' => out.push_str("Dž"),
            'ǆ' => out.push_str("dž"),
            'Ǉ' => out.push_str("LJ"),
            'ǈ' => out.push_str("Lj"),
            'ǉ' => out.push_str("lj"),
            'Ǌ' => out.push_str("NJ"),
            'ǋ' => out.push_str("Nj"),
            'ǌ' => out.push_str("nj"),
            'ﬀ' => out.push_str("ff"),
            'ﬁ' => out.push_str("fi"),
            'ﬂ' => out.push_str("fl"),
            'ﬃ' => out.push_str("ffi"),
            'ﬄ' => out.push_str("ffl"),
            'ﬅ' => out.push_str("ſt"),
            'ﬆ' => out.push_str("st"),
            '\u{3000}' => out.push(' '),
            '\u{FF01}'..='\u{FFEF}' => out.push_str(&compatible(c)),
            '\u{2BC}' | '\u{2018}'..='\u{201B}' => out.push('\''),
            '\u{201C}'..='\u{201F}' => out.push('"'),
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            // The rest is removed after the terminal escapes, which begin with one of them.
            _ => out.push(c),
        }
    }
    let out = without_controls(&without_terminal_escapes(&out));
    if out.is_ascii() {
        return out;
    }
    let mut normalized = NormalizedString::from(out);
    normalized.nfc();
    normalized.get().to_owned()
}

/// Halfwidth and fullwidth forms in their usual width.
fn compatible(c: char) -> String {
    let mut normalized = NormalizedString::from(c.to_string());
    normalized.nfkc();
    normalized.get().to_owned()
}

/// ftfy's `unescape_html`: only references with their semicolon, and names in capitals where nothing else is meant.
fn unescape_whole(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let number = usize::from(after.starts_with('#'));
        let length = after[number..].bytes().take(25).take_while(u8::is_ascii_alphanumeric).count();
        let closed = (1..=24).contains(&length) && after[number + length..].starts_with(';');
        if !closed {
            out.push('&');
            rest = after;
            continue;
        }
        let (body, behind) = after.split_at(number + length + 1);
        rest = behind;
        if number == 1 {
            // What is only partly a number is left alone.
            let decoded = entities::unescape(&format!("&{body}"));
            if decoded.contains(';') {
                out.push('&');
                out.push_str(body);
            } else {
                out.push_str(&decoded);
            }
        } else if let Some(value) = entities::named(body) {
            out.push_str(value);
        } else if let Some(value) = in_capitals(body) {
            out.push_str(&value);
        } else {
            out.push('&');
            out.push_str(body);
        }
    }
    out.push_str(rest);
    out
}

/// `&NTILDE;` as `Ñ`, unless a shorter name would be found in it.
fn in_capitals(body: &str) -> Option<String> {
    let lower = body.to_ascii_lowercase();
    if body.to_ascii_uppercase() != body {
        return None;
    }
    let value = entities::named(&lower)?;
    let ambiguous = (2..body.len()).any(|end| entities::named(&body[..end]).is_some());
    (!ambiguous).then(|| value.to_uppercase())
}

/// Without colour codes and the like: `ESC [ digits letter`.
fn without_terminal_escapes(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("\x1B[") {
        let body = &rest[at + 2..];
        let parameters = body.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
        if body[parameters..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            out.push_str(&rest[..at]);
            rest = &body[parameters + 1..];
        } else {
            out.push_str(&rest[..at + 2]);
            rest = body;
        }
    }
    out.push_str(rest);
    out
}

fn without_controls(text: &str) -> String {
    let removed = |c: char| matches!(c, '\0'..='\x08' | '\x0B' | '\x0E'..='\x1F' | '\x7F' | '\u{206A}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}');
    text.chars().filter(|&c| !removed(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_cleaned_as_open_clip_does() {
        // Values of open_clip 3.3 `get_clean_fn("lower")` with ftfy 6.3.
        for (text, expected) in [
            ("A  Photo\nof\ta CAT ", "a photo of a cat"),
            ("It&rsquo;s \u{201C}quoted\u{201D} &amp;amp; ﬁne", "it's \"quoted\" & fine"),
            ("ＦＵＬＬ　ｗｉｄｔｈ ｶﾞ", "full width ガ"),
            ("a\0b\u{FEFF}c\x1B[31mred\x1B[0m", "abcred"),
            ("ΟΔΟΣ ΣΟΦΟΣ", "οδος σοφος"),
            ("&NTILDE;and&uacute; &GTDOT; &LT;", "ñandú >dot; <"),
            ("<b>&eacute;</b> x", "<b>é</b> x"),
            ("e\u{301}", "é"),
            ("", ""),
        ] {
            assert_eq!(Clean::Lower.apply(text), expected, "{text}");
        }
    }

    #[test]
    fn canonical_captions_have_no_ascii_punctuation() {
        assert_eq!(Clean::Canonicalize.apply("A snake_case, 'quoted' — Dash!"), "a snake case quoted — dash");
    }

    #[test]
    fn a_deeply_escaped_caption_takes_bounded_time() {
        let text = format!("&{}lt;", "amp;".repeat(250_000));
        assert!(Clean::Lower.apply(&text).starts_with('&'));
    }
}
