//! Digits with the separators that people put between them.

/// No number of any kind has more digits.
const MOST_DIGITS: usize = 24;

/// Groups of digits and what stands between them, from one place of the text on.
#[derive(Debug)]
pub(super) struct Run {
    /// All digits, as numbers.
    pub(super) digits: Vec<u8>,
    /// Length of each group.
    pub(super) groups: Vec<usize>,
    /// Byte after each group.
    pub(super) ends: Vec<usize>,
    /// What stands between group `i` and the next.
    pub(super) gaps: Vec<Gap>,
    /// Whether it begins with `+`.
    pub(super) plus: bool,
    /// Group in brackets, by its number.
    pub(super) bracketed: Option<usize>,
}

/// What stands between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    Space,
    Hyphen,
    Dot,
    Slash,
    /// Brackets, with or without spaces.
    Bracket,
}

impl Run {
    /// Reads on from byte `i`; nothing where no digit comes, or more digits than any number has.
    pub(super) fn read(text: &str, i: usize, to: usize) -> Option<Self> {
        let bytes = &text.as_bytes()[..to];
        let mut run = Self { digits: Vec::new(), groups: Vec::new(), ends: Vec::new(), gaps: Vec::new(), plus: false, bracketed: None };
        let mut at = i;
        if bytes.get(at) == Some(&b'+') {
            run.plus = true;
            at += 1;
        }
        let mut open = false;
        if bytes.get(at) == Some(&b'(') {
            open = true;
            at += 1;
            if bytes.get(at) == Some(&b'+') && !run.plus {
                run.plus = true;
                at += 1;
            }
        }
        loop {
            let len = bytes[at..].iter().take(MOST_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
            if len == 0 {
                break;
            }
            if run.digits.len() + len > MOST_DIGITS {
                break;
            }
            run.digits.extend(bytes[at..at + len].iter().map(|b| b - b'0'));
            at += len;
            run.groups.push(len);
            if open {
                if bytes.get(at) != Some(&b')') {
                    // "(555 ...": the bracket is the sentence's.
                    run.ends.push(at);
                    break;
                }
                open = false;
                run.bracketed = Some(run.groups.len() - 1);
                at += 1;
                run.ends.push(at);
                let spaces = gap_spaces(&bytes[at..]);
                at += spaces;
                if spaces == 0 && matches!(bytes.get(at), Some(b'-' | b'.' | b'/')) {
                    at += 1;
                }
                run.gaps.push(Gap::Bracket);
                continue;
            }
            run.ends.push(at);
            let (gap, width) = match gap(&bytes[at..]) {
                Some(found) => found,
                None => break,
            };
            at += width;
            if bytes.get(at) == Some(&b'(') {
                open = true;
                at += 1;
                // "+44 (0)20": only digits may follow.
                if !bytes.get(at).is_some_and(u8::is_ascii_digit) || run.bracketed.is_some() {
                    break;
                }
                run.gaps.push(Gap::Bracket);
            } else {
                run.gaps.push(gap);
            }
        }
        run.gaps.truncate(run.groups.len().saturating_sub(1));
        (!run.groups.is_empty()).then_some(run)
    }

    /// The first `n` groups.
    pub(super) fn first(&self, n: usize) -> Shape<'_> {
        let digits: usize = self.groups[..n].iter().sum();
        Shape { digits: &self.digits[..digits], groups: &self.groups[..n], gaps: &self.gaps[..n.saturating_sub(1)], plus: self.plus }
    }
}

/// Some groups from the start of a [`Run`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) digits: &'a [u8],
    pub(super) groups: &'a [usize],
    pub(super) gaps: &'a [Gap],
    pub(super) plus: bool,
}

/// Width of one space, or of a no-break or thin space, at the start.
fn gap_spaces(bytes: &[u8]) -> usize {
    match bytes {
        [b' ', ..] => 1,
        [0xc2, 0xa0, ..] => 2,
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] => 3,
        _ => 0,
    }
}

/// The separator at the start and its width.
fn gap(bytes: &[u8]) -> Option<(Gap, usize)> {
    let spaces = gap_spaces(bytes);
    let rest = &bytes[spaces..];
    let (gap, width) = match rest {
        [b'-', ..] => (Gap::Hyphen, 1),
        // Hyphen, no-break hyphen, en dash.
        [0xe2, 0x80, 0x90 | 0x91 | 0x93, ..] => (Gap::Hyphen, 3),
        [b'/', ..] => (Gap::Slash, 1),
        [b'.', ..] if spaces == 0 => (Gap::Dot, 1),
        [b'(', ..] => return Some((Gap::Bracket, spaces)),
        _ if spaces > 0 => return Some((Gap::Space, spaces)),
        _ => return None,
    };
    let after = gap_spaces(&rest[width..]);
    // "020 - 7946": a space on both sides or on none.
    if (spaces > 0) == (after > 0) { Some((gap, spaces + width + after)) } else { None }
}
