//! What a Croissant file needs, and the forms that it asks for.

use std::collections::HashSet;

use url::Url;

use super::error::CardError;
use super::facts::Facts;

/// Characters of a wrong value that an error shows.
const SHOWN: usize = 80;

pub(super) fn check(facts: &Facts) -> Result<(), CardError> {
    let absent = |text: &str| text.trim().is_empty();
    let missing: Vec<&'static str> = [
        ("name", absent(&facts.name)),
        ("description", absent(&facts.description)),
        ("license", absent(&facts.license)),
        ("url", absent(&facts.url)),
        ("creators", facts.creators.is_empty()),
        ("date_published", absent(&facts.date_published)),
    ]
    .into_iter()
    .filter_map(|(fact, absent)| absent.then_some(fact))
    .collect();
    if !missing.is_empty() {
        return Err(CardError::Missing { facts: missing });
    }
    web_url("url", &facts.url)?;
    if let Some(repository) = &facts.repository {
        web_url("repository", repository)?;
    }
    for party in facts.creators.iter().chain(&facts.publisher) {
        if absent(&party.name) {
            return Err(form("creators", &party.name, "a person or organisation needs a name"));
        }
        if let Some(url) = &party.url {
            web_url("creators", url)?;
        }
    }
    date("date_published", &facts.date_published)?;
    let run = &facts.run;
    for (fact, value) in [("date_created", &facts.date_created), ("run.started", &run.started), ("run.ended", &run.ended)] {
        value.as_deref().map_or(Ok(()), |value| date(fact, value))?;
    }
    for source in &facts.sources {
        for value in [&source.crawled_from, &source.crawled_to].into_iter().flatten() {
            date("sources.crawled", value)?;
        }
    }
    if let Some(version) = facts.version.as_deref().filter(|version| !is_semver(version)) {
        return Err(form("version", version, "MAJOR.MINOR.PATCH is wanted, `1.0.0` say"));
    }
    files(facts)
}

fn files(facts: &Facts) -> Result<(), CardError> {
    let mut seen = HashSet::with_capacity(facts.files.len());
    for file in &facts.files {
        let name = file.name.as_str();
        let step = |part: &str| part.is_empty() || part == "." || part == "..";
        if name.split('/').any(step) || name.contains('\\') || name.chars().any(char::is_control) {
            return Err(form("files.name", name, "a path below the card's folder is wanted, with slashes"));
        }
        if !seen.insert(name) {
            return Err(form("files.name", name, "another file has the same name"));
        }
        if file.sha256.len() != 64 || !file.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(form("files.sha256", &file.sha256, "64 hexadecimal characters are wanted"));
        }
        if let Some(table) = file.table.as_deref().filter(|table| facts.tables.iter().all(|known| known.name != *table)) {
            return Err(form("files.table", table, "no table has this name"));
        }
    }
    let mut names = HashSet::new();
    match facts.tables.iter().find(|table| !names.insert(table.name.as_str())) {
        Some(table) => Err(form("tables.name", &table.name, "another table has the same name")),
        None => Ok(()),
    }
}

fn form(fact: &'static str, value: &str, problem: &'static str) -> CardError {
    let shown = value.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    CardError::Form { fact, value: shown, problem }
}

/// Whether a text is an absolute http or https url without spaces.
pub(super) fn is_web_url(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn web_url(fact: &'static str, value: &str) -> Result<(), CardError> {
    if is_web_url(value) { Ok(()) } else { Err(form(fact, value, "an absolute http or https url is wanted")) }
}

/// `2025-01-31`, or a time after it: `T12:00:00`, with `Z`, `+01:00`, or nothing.
fn date(fact: &'static str, value: &str) -> Result<(), CardError> {
    let digits = |text: &str, shape: &str| {
        text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(|(c, s)| if s == b'0' { c.is_ascii_digit() } else { c == s })
    };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok()).unwrap_or(u32::MAX);
    let (day, time) = value.split_once('T').map_or((value, None), |(day, time)| (day, Some(time)));
    let day_fits = digits(day, "0000-00-00") && (1..=12).contains(&number(day.get(5..7))) && (1..=31).contains(&number(day.get(8..10)));
    let time_fits = time.is_none_or(|time| {
        let clock = time.get(..8).unwrap_or_default();
        let below = |at: std::ops::Range<usize>, limit| number(clock.get(at)) < limit;
        let rest = time.get(8..).unwrap_or_default();
        let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
        let (fraction, zone) = rest.split_at(zone);
        let fraction_fits = fraction.is_empty()
            || fraction.strip_prefix('.').is_some_and(|part| (1..=9).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit()));
        let zone_fits = matches!(zone, "" | "Z") || digits(zone, "+00:00") || digits(zone, "-00:00");
        digits(clock, "00:00:00") && below(0..2, 24) && below(3..5, 60) && below(6..8, 60) && fraction_fits && zone_fits
    });
    if day_fits && time_fits { Ok(()) } else { Err(form(fact, value, "an ISO 8601 date is wanted, `2025-01-31` say")) }
}

/// Semantic Versioning 2.0.0, with pre-release and build.
fn is_semver(version: &str) -> bool {
    let (version, build) = version.split_once('+').map_or((version, None), |(version, build)| (version, Some(build)));
    let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    let number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    let pre_word = |part: &str| word(part) && (!part.bytes().all(|c| c.is_ascii_digit()) || number(part));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(pre_word))
        && build.is_none_or(|build| build.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_iso_8601() {
        for good in ["2025-01-31", "2025-01-31T12:00:00", "2025-01-31T12:00:00Z", "2025-01-31T12:00:00.5+01:00"] {
            assert!(date("d", good).is_ok(), "{good}");
        }
        for bad in
            ["", "31.01.2025", "2025-13-01", "2025-01-32", "2025-01-31T", "2025-01-31T25:00:00", "2025-01-31T12:00:00x", "2025-01-é1"]
        {
            assert!(date("d", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_semantic() {
        for good in ["0.0.0", "1.2.3", "1.0.0-rc.1", "1.0.0+build.5", "1.0.0-a+b"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in ["1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "v1.0.0", "1.0.0+", "1.0.0\n"] {
            assert!(!is_semver(bad), "{bad}");
        }
    }
}
