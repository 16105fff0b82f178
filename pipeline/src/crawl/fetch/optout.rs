//! The words by which owners say no: `X-Robots-Tag` and meta robots, TDMRep, Content Signals, Content-Usage.
//!
//! Every function here is pure. Where a text is doubtful the reading that leaves the image alone is taken.

use super::outcome::OptOut;

mod tdm;
pub use tdm::{TdmRules, tdm_header_denies};

/// Directives that carry a value after a colon, so that what stands before it is no agent.
const WITH_VALUE: &[&str] = &["unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"];

/// Directives without a value, in case somebody writes a colon after one.
const PLAIN: &[&str] = &[
    "all",
    "follow",
    "imageindex",
    "index",
    "indexifembedded",
    "noai",
    "noarchive",
    "nocache",
    "nofollow",
    "noimageai",
    "noimageindex",
    "noindex",
    "noml",
    "none",
    "noodp",
    "nosnippet",
    "notranslate",
    "noydir",
];

/// The first disallowed directive in `X-Robots-Tag` values that is meant for us.
///
/// `values` are the header's values, one per line received. `agents` are our own product token and those
/// that we also listen to. An agent prefix (`otherbot: noindex, noai`) holds for the rest of its
/// value, or until the next prefix; directives before it, and values without one, are for all. A word before
/// a colon is an agent only if it is not the name of a directive. Letters' case does not matter.
#[must_use]
pub fn x_robots_tag<'a>(
    values: impl IntoIterator<Item = &'a str>,
    agents: &[impl AsRef<str>],
    disallowed: &[impl AsRef<str>],
) -> Option<String> {
    for value in values {
        let mut ours = true;
        for item in value.split([',', ';']) {
            let mut rest = item.trim();
            // More than one prefix in a row has been seen: `googlebot: otherbot: noai`.
            while let Some((before, after)) = rest.split_once(':') {
                let word = before.trim();
                if is_directive(word) || disallowed.iter().any(|d| d.as_ref().eq_ignore_ascii_case(word)) {
                    rest = if WITH_VALUE.iter().any(|d| d.eq_ignore_ascii_case(word)) { "" } else { word };
                    break;
                }
                if !is_agent(word) {
                    // Part of a date, most likely.
                    break;
                }
                ours = is_for_us(word, agents);
                rest = after.trim();
            }
            if ours && let Some(word) = denied_word(rest, disallowed) {
                return Some(word);
            }
        }
    }
    None
}

/// The first disallowed directive in the `content` of a page's `<meta name="robots">` (or of a meta
/// element with our own name); the caller has picked the element, so there are no agents inside.
#[must_use]
pub fn page_optout<'a>(directives: impl IntoIterator<Item = &'a str>, disallowed: &[impl AsRef<str>]) -> Option<OptOut> {
    for content in directives {
        for item in content.split([',', ';']) {
            let item = item.trim();
            let word = match item.split_once(':') {
                Some((before, _)) if WITH_VALUE.iter().any(|d| d.eq_ignore_ascii_case(before.trim())) => {
                    continue;
                }
                Some((before, _)) => before,
                None => item,
            };
            if let Some(word) = denied_word(word, disallowed) {
                return Some(OptOut { signal: "meta_robots", value: word, source: content.chars().take(200).collect() });
            }
        }
    }
    None
}

fn denied_word(item: &str, disallowed: &[impl AsRef<str>]) -> Option<String> {
    item.split_ascii_whitespace()
        .map(|word| word.trim_matches(|c: char| matches!(c, '"' | '\'' | '.')))
        .find(|word| disallowed.iter().any(|d| d.as_ref().eq_ignore_ascii_case(word)))
        .map(str::to_ascii_lowercase)
}

fn is_directive(word: &str) -> bool {
    WITH_VALUE.iter().chain(PLAIN).any(|d| d.eq_ignore_ascii_case(word))
}

/// Product tokens, with the version and the dots that some write after them, and `*`.
fn is_agent(word: &str) -> bool {
    word == "*"
        || (word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./+".contains(&b)))
}

fn is_for_us(word: &str, agents: &[impl AsRef<str>]) -> bool {
    let token = word.split('/').next().unwrap_or(word);
    token == "*" || token.eq_ignore_ascii_case("robots") || agents.iter().any(|a| a.as_ref().eq_ignore_ascii_case(token))
}

/// Whether a `Content-Signal` (contentsignals.org) says `ai-train=no`.
#[must_use]
pub fn signal_denies(value: &str) -> bool {
    value.split([',', ';']).any(|item| {
        item.split_once('=').is_some_and(|(key, said)| {
            key.trim().eq_ignore_ascii_case("ai-train") && said.trim().trim_matches('"').eq_ignore_ascii_case("no")
        })
    })
}

/// Whether a `Content-Usage` (IETF aipref-attach, a structured dictionary) says no to training or to
/// automated processing as a whole. Unknown labels say nothing.
#[must_use]
pub fn usage_denies(value: &str) -> bool {
    value.split(',').any(|member| {
        let member = member.split(';').next().unwrap_or("");
        member.split_once('=').is_some_and(|(key, said)| {
            let key = key.trim();
            ["train-ai", "train-genai", "bots"].iter().any(|k| k.eq_ignore_ascii_case(key))
                && said.trim().trim_matches('"').eq_ignore_ascii_case("n")
        })
    })
}
