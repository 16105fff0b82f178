//! The lines of robots.txt.

use super::pattern::{Matching, Pattern};
use super::{AgentRules, RobotsTxt, Rule};

/// Google's limit for one line, 2083 (the longest URL of Internet Explorer) times 8; the rest of a longer line is cut off.
const MAX_LINE: usize = 2083 * 8;
/// Rules kept per agent. A file of 500 KiB cannot hold many more useful ones.
const MAX_RULES: usize = 50_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    UserAgent,
    Allow,
    Disallow,
    CrawlDelay,
    Signal,
    Usage,
    Other,
}

/// What has been gathered for one agent while reading.
#[derive(Default)]
struct Gathered {
    seen: bool,
    rules: Vec<Rule>,
    signals: Vec<Box<str>>,
    usages: Vec<(Pattern, Box<str>)>,
    crawl_delay_ms: Option<u64>,
}

pub(super) fn parse(bytes: &[u8], own: &str, also: &[String], matching: Matching) -> RobotsTxt {
    let text = to_utf8(bytes);
    // 0 is `*`, 1 our own, then the others.
    let mut gathered: Vec<Gathered> = std::iter::repeat_with(Gathered::default).take(2 + also.len()).collect();
    let mut current: Vec<usize> = Vec::new();
    // Agent lines that follow each other share a group; only a rule ends the list of agents.
    let mut rules_seen = false;
    let mut any_agent = false;
    let mut loose_signals: Vec<Box<str>> = Vec::new();

    for line in text.split(|b| *b == b'\n' || *b == b'\r') {
        let line = &line[..line.len().min(MAX_LINE)];
        let Some((key, value)) = key_value(line) else {
            continue;
        };
        match key {
            Key::UserAgent => {
                if rules_seen {
                    current.clear();
                    rules_seen = false;
                }
                any_agent = true;
                let token = product_token(value);
                // `img2dataset` and others have digits in their names, which RFC 9309 does not foresee.
                let word = value.split(|b| *b == b'/' || b.is_ascii_whitespace()).next().unwrap_or(value);
                if is_star(value) {
                    current.push(0);
                } else if !token.is_empty() {
                    if token.eq_ignore_ascii_case(own.as_bytes()) {
                        current.push(1);
                    }
                    for (i, agent) in also.iter().enumerate() {
                        if token.eq_ignore_ascii_case(agent.as_bytes()) || word.eq_ignore_ascii_case(agent.as_bytes()) {
                            current.push(2 + i);
                        }
                    }
                }
                for i in &current {
                    gathered[*i].seen = true;
                }
            }
            Key::Allow | Key::Disallow => {
                rules_seen = true;
                if value.is_empty() || current.is_empty() {
                    continue;
                }
                let allow = key == Key::Allow;
                let pattern = Pattern::new(value, matching);
                let index = if allow { directory_of_index(value, matching) } else { None };
                for i in &current {
                    let rules = &mut gathered[*i].rules;
                    if rules.len() < MAX_RULES {
                        rules.push(Rule { pattern: pattern.clone(), allow });
                        rules.extend(index.clone().map(|pattern| Rule { pattern, allow }));
                    }
                }
            }
            Key::CrawlDelay => {
                let Some(ms) = delay_ms(value) else { continue };
                for i in &current {
                    gathered[*i].crawl_delay_ms.get_or_insert(ms);
                }
            }
            Key::Signal => {
                let line: Box<str> = String::from_utf8_lossy(value).into();
                // Seen in the wild above the first group; it speaks to everybody then.
                if !any_agent {
                    loose_signals.push(line.clone());
                }
                for i in &current {
                    gathered[*i].signals.push(line.clone());
                }
            }
            Key::Usage => {
                let (pattern, said) = usage(value, matching);
                for i in &current {
                    gathered[*i].usages.push((pattern.clone(), said.clone()));
                }
                if !any_agent {
                    gathered[0].usages.push((pattern, said));
                    gathered[0].seen = true;
                }
            }
            Key::Other => {}
        }
    }
    assemble(gathered, loose_signals, own, also, matching)
}

fn assemble(gathered: Vec<Gathered>, loose: Vec<Box<str>>, own: &str, also: &[String], matching: Matching) -> RobotsTxt {
    let mut out = RobotsTxt { agents: Vec::new(), crawl_delay_ms: None, matching };
    let own_seen = gathered.get(1).is_some_and(|g| g.seen);
    for (i, g) in gathered.into_iter().enumerate() {
        // `*` speaks to us only where no group names us.
        if (i == 0 && own_seen) || (!g.seen && (i != 0 || loose.is_empty())) {
            continue;
        }
        if i < 2 {
            out.crawl_delay_ms = g.crawl_delay_ms;
        }
        let agent: Box<str> = match i {
            0 => "*".into(),
            1 => own.into(),
            _ => also.get(i - 2).map_or("", String::as_str).into(),
        };
        let Gathered { mut rules, mut signals, mut usages, .. } = g;
        rules.sort_by_key(|r| (std::cmp::Reverse(r.pattern.len()), !r.allow));
        rules.dedup();
        usages.sort_by_key(|(p, _)| std::cmp::Reverse(p.len()));
        if i < 2 {
            signals.extend(loose.iter().cloned());
        }
        out.agents.push(AgentRules { agent, rules, signals, usages });
    }
    out
}

/// Byte order marks: UTF-8, and UTF-16 either way, which some editors leave.
fn to_utf8(bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    use std::borrow::Cow;
    let wide = |unit: fn([u8; 2]) -> u16, rest: &[u8]| {
        let units = rest.chunks_exact(2).map(|c| unit([c[0], c[1]]));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>().into_bytes())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => wide(u16::from_be_bytes, rest),
        // Google also takes the beginning of a mark.
        [0xef, 0xbb, 0xbf, rest @ ..] | [0xef, 0xbb, rest @ ..] | [0xef, rest @ ..] => Cow::Borrowed(rest),
        _ => Cow::Borrowed(bytes),
    }
}

fn key_value(line: &[u8]) -> Option<(Key, &[u8])> {
    let line = match memchr::memchr(b'#', line) {
        Some(at) => &line[..at],
        None => line,
    };
    let line = trim(line);
    let (key, value) = match memchr::memchr(b':', line) {
        Some(at) => (trim(&line[..at]), trim(&line[at + 1..])),
        None => {
            // `Disallow /x`: a forgotten colon, when there are two words and no more.
            let at = line.iter().position(|b| *b == b' ' || *b == b'\t')?;
            let value = trim(&line[at..]);
            if value.is_empty() || value.iter().any(|b| *b == b' ' || *b == b'\t') {
                return None;
            }
            (&line[..at], value)
        }
    };
    Some((key_of(key), value))
}

fn key_of(key: &[u8]) -> Key {
    const TABLE: &[(&[u8], Key)] = &[
        (b"user-agent", Key::UserAgent),
        (b"useragent", Key::UserAgent),
        (b"user agent", Key::UserAgent),
        (b"user-agents", Key::UserAgent),
        (b"allow", Key::Allow),
        (b"disallow", Key::Disallow),
        // The misspellings that Google's library takes.
        (b"dissallow", Key::Disallow),
        (b"dissalow", Key::Disallow),
        (b"disalow", Key::Disallow),
        (b"diasllow", Key::Disallow),
        (b"disallaw", Key::Disallow),
        (b"crawl-delay", Key::CrawlDelay),
        (b"crawldelay", Key::CrawlDelay),
        (b"content-signal", Key::Signal),
        (b"content-signals", Key::Signal),
        (b"content-usage", Key::Usage),
    ];
    TABLE.iter().find(|(word, _)| key.eq_ignore_ascii_case(word)).map_or(Key::Other, |(_, k)| *k)
}

fn trim(text: &[u8]) -> &[u8] {
    // NUL and form feed are what UTF-16 without a mark and old editors leave behind.
    let blank = |b: &u8| b.is_ascii_whitespace() || *b == 0 || *b == 0x0b;
    let from = text.iter().position(|b| !blank(b)).unwrap_or(text.len());
    let to = text.iter().rposition(|b| !blank(b)).map_or(from, |at| at + 1);
    &text[from..to]
}

/// The leading letters, `_` and `-`: `Foo/1.0 bar` is `Foo`.
fn product_token(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|b| !b.is_ascii_alphabetic() && *b != b'_' && *b != b'-').unwrap_or(value.len());
    &value[..end]
}

fn is_star(value: &[u8]) -> bool {
    match value {
        [b'*'] => true,
        [b'*', next, ..] => next.is_ascii_whitespace(),
        _ => false,
    }
}

/// Google: allowing `/dir/index.html` allows `/dir/` too.
fn directory_of_index(value: &[u8], matching: Matching) -> Option<Pattern> {
    let slash = memchr::memrchr(b'/', value)?;
    if !value[slash..].starts_with(b"/index.htm") {
        return None;
    }
    let mut directory = value[..=slash].to_vec();
    directory.push(b'$');
    Some(Pattern::new(&directory, matching))
}

/// Seconds, whole or not; anything else is no delay.
fn delay_ms(value: &[u8]) -> Option<u64> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    // A year; the caller cuts to its own limit.
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds.min(31_557_600.0) * 1000.0) as u64)
}

/// `[/path] train-ai=n`.
fn usage(value: &[u8], matching: Matching) -> (Pattern, Box<str>) {
    let (path, said): (&[u8], &[u8]) = if value.starts_with(b"/") || value.starts_with(b"*") {
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        (&value[..end], trim(&value[end..]))
    } else {
        (b"/", value)
    };
    (Pattern::new(path, matching), String::from_utf8_lossy(said).into())
}
