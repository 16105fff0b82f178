//! A JSON reader that walks over a document once, checks it wholly, and keeps places instead of values.
//!
//! A WAT record is some 10 KB of which a few hundred bytes are wanted; a tree, or even a tape, costs more than all the rest
//! of the work. What is accepted is RFC 8259, as simdjson takes it: no NaN, no bare control characters, depth at most 1024.

/// Nesting that is refused; simdjson's default, counted as simdjson counts (empty brackets do not).
const DEPTH: usize = 1024;

/// The document is not JSON (or not of the shape that was asked for).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

/// The inside of a string in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) escaped: bool,
}

impl Span {
    pub(crate) fn bytes<'a>(&self, document: &'a [u8]) -> &'a [u8] {
        &document[self.start as usize..self.end as usize]
    }
}

pub(crate) struct Skim<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether strings have to be looked through for control characters.
    controls: bool,
    /// A `\u` escape that stands for half a character was seen.
    pub(crate) lone_surrogate: bool,
    /// Open brackets of the value that is being passed over; `true` for an object.
    open: Vec<bool>,
    depth: usize,
}

impl<'a> Skim<'a> {
    /// `bytes` must be shorter than 4 GiB.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let bytes = bytes.trim_ascii();
        // A WAT record is one line: then one fast look over the whole says that no string holds a control character.
        let controls = bytes.iter().fold(false, |any, byte| any | (*byte < 0x20));
        Self { bytes, at: 0, controls, lone_surrogate: false, open: Vec::new(), depth: 0 }
    }

    pub(crate) fn document(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    /// Whether the value at the present place begins with `byte`.
    #[inline]
    pub(crate) fn next_is(&mut self, byte: u8) -> bool {
        self.peek() == Some(byte)
    }

    /// After the document nothing may follow.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() { Ok(()) } else { Err(NotJson) }
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<Span, NotJson> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = &self.bytes[self.at..];
            let found = quote_or_backslash(rest).ok_or(NotJson)?;
            self.at += found;
            if self.bytes[self.at] == b'"' {
                let span = Span { start: start as u32, end: self.at as u32, escaped };
                self.at += 1;
                if self.controls && span.bytes(self.bytes).iter().any(|byte| *byte < 0x20) {
                    return Err(NotJson);
                }
                return Ok(span);
            }
            escaped = true;
            self.escape()?;
        }
    }

    /// Checks the escape whose backslash is at the present place, and moves behind it.
    fn escape(&mut self) -> Result<(), NotJson> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = hex4(self.bytes, self.at + 2).ok_or(NotJson)?;
                self.at += 6;
                if (0xd800..0xdc00).contains(&unit) {
                    let low = (self.bytes.get(self.at..self.at + 2) == Some(b"\\u")).then(|| hex4(self.bytes, self.at + 2)).flatten();
                    if low.is_some_and(|low| (0xdc00..0xe000).contains(&low)) {
                        self.at += 6;
                    } else {
                        self.lone_surrogate = true;
                    }
                } else if (0xdc00..0xe000).contains(&unit) {
                    self.lone_surrogate = true;
                }
            }
            _ => return Err(NotJson),
        }
        Ok(())
    }

    /// Walks over an object. `field` gets each key and must take its value.
    pub(crate) fn object(&mut self, mut field: impl FnMut(&mut Self, Span) -> Result<(), NotJson>) -> Result<(), NotJson> {
        self.expect(b'{')?;
        self.enter()?;
        if self.next_is(b'}') {
            self.at += 1;
        } else {
            loop {
                let key = self.string()?;
                self.expect(b':')?;
                field(self, key)?;
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(NotJson),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Walks over an array. `item` must take each value.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), NotJson>) -> Result<(), NotJson> {
        self.expect(b'[')?;
        self.enter()?;
        if self.next_is(b']') {
            self.at += 1;
        } else {
            loop {
                item(self)?;
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b']') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(NotJson),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), NotJson> {
        self.depth += 1;
        if self.depth + self.open.len() >= DEPTH { Err(NotJson) } else { Ok(()) }
    }

    /// A string if the value is one; other values are passed over.
    pub(crate) fn string_or_skip(&mut self) -> Result<Option<Span>, NotJson> {
        if self.next_is(b'"') {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    /// Passes over one value, checking it.
    pub(crate) fn skip(&mut self) -> Result<(), NotJson> {
        self.open.clear();
        loop {
            // One value, or the opening of one.
            match self.peek().ok_or(NotJson)? {
                b'"' => {
                    self.string()?;
                }
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    let object = opening == b'{';
                    let closing = if object { b'}' } else { b']' };
                    if self.next_is(closing) {
                        self.at += 1;
                    } else {
                        self.open.push(object);
                        if self.depth + self.open.len() >= DEPTH {
                            return Err(NotJson);
                        }
                        if object {
                            self.string()?;
                            self.expect(b':')?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // What follows a value: a comma, or any number of closings.
            loop {
                let Some(object) = self.open.last().copied() else {
                    return Ok(());
                };
                match (self.peek().ok_or(NotJson)?, object) {
                    (b',', true) => {
                        self.at += 1;
                        self.string()?;
                        self.expect(b':')?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        self.open.pop();
                    }
                    _ => return Err(NotJson),
                }
            }
        }
    }

    fn scalar(&mut self) -> Result<(), NotJson> {
        let rest = &self.bytes[self.at..];
        for word in [&b"true"[..], b"false", b"null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return self.boundary();
            }
        }
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut n = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(n);
        if whole == 0 || (whole > 1 && rest[n] == b'0') {
            return Err(NotJson);
        }
        n += whole;
        if rest.get(n) == Some(&b'.') {
            let fraction = digits(n + 1);
            if fraction == 0 {
                return Err(NotJson);
            }
            n += 1 + fraction;
        }
        if matches!(rest.get(n), Some(b'e' | b'E')) {
            n += 1 + usize::from(matches!(rest.get(n + 1), Some(b'+' | b'-')));
            let exponent = digits(n);
            if exponent == 0 {
                return Err(NotJson);
            }
            n += exponent;
        }
        self.at += n;
        self.boundary()
    }

    fn boundary(&mut self) -> Result<(), NotJson> {
        match self.bytes.get(self.at) {
            None | Some(b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r') => Ok(()),
            _ => Err(NotJson),
        }
    }
}

/// First quote or backslash. Most strings of a WAT are shorter than what a call of `memchr2` pays off for, so the first words are
/// looked at here, eight bytes at a time (Mycroft's test for a zero byte; the lowest hit is exact).
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words.iter().take(6) {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let hits = ((quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash)) & HIGHS;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found)
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let mut unit = 0;
    for byte in bytes.get(at..at + 4)? {
        unit = unit * 16 + char::from(*byte).to_digit(16)?;
    }
    Some(unit)
}

/// Writes the string at `span` to `out`, escapes undone. Half characters and bytes that are not UTF-8 become U+FFFD.
pub(crate) fn unescape<'a>(document: &'a [u8], span: Span, out: &'a mut String) -> &'a str {
    let raw = span.bytes(document);
    if !span.escaped
        && let Ok(text) = simdutf8::basic::from_utf8(raw)
    {
        return text;
    }
    out.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        push_lossy(out, &rest[..at]);
        let (character, used) = match rest.get(at + 1) {
            Some(b'u') => unicode_escape(&rest[at..]),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(other) => (char::from(*other), 2),
            None => ('\\', 1),
        };
        out.push(character);
        rest = &rest[(at + used).min(rest.len())..];
    }
    push_lossy(out, rest);
    out
}

fn push_lossy(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => out.push_str(text),
        Err(_) => out.push_str(&String::from_utf8_lossy(bytes)),
    }
}

fn unicode_escape(rest: &[u8]) -> (char, usize) {
    let Some(unit) = hex4(rest, 2) else {
        return (char::REPLACEMENT_CHARACTER, rest.len());
    };
    if (0xd800..0xdc00).contains(&unit)
        && rest.get(6..8) == Some(b"\\u")
        && let Some(low) = hex4(rest, 8)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(json: &[u8]) -> bool {
        let mut skim = Skim::new(json);
        skim.skip().is_ok() && skim.end().is_ok() && !skim.lone_surrogate
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for good in ["{}", "[]", "[1,-0.5e+3,true,false,null,\"a\\u00e9\\\"\"]", " {\"a\" : [ { } , [ ] ] } ", "1", "\"\\ud83d\\ude00\""] {
            assert!(accepts(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":}",
            "{\"a\" 1}",
            "NaN",
            "[NaN]",
            "01",
            "1.",
            "-",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "{} {}",
            "{\"a\":1,}",
            "[1 2]",
            "[}",
            "tru",
            "truex",
        ] {
            assert!(!accepts(bad.as_bytes()), "{bad}");
        }
        assert!(!accepts(b"\"\\ud800\""));
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(accepts(nested(1023).as_bytes()));
        assert!(!accepts(nested(1024).as_bytes()));
    }

    proptest! {
        #[test]
        fn accepts_what_serde_json_accepts(json in "[\\[\\]{},:\"0-9a-en.truefalsN \\\\u-]{0,24}") {
            prop_assert_eq!(accepts(json.as_bytes()), serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let json = serde_json::to_vec(&text).unwrap();
            let mut skim = Skim::new(&json);
            let span = skim.string().unwrap();
            let mut out = String::new();
            prop_assert_eq!(unescape(&json, span, &mut out), text);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = accepts(&bytes);
        }
    }
}
