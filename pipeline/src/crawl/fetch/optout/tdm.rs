//! TDMRep (W3C TDM Reservation Protocol, final report of 2024): the header and the file.

use super::super::robots::{Matching, Pattern};

/// Rules kept of one file.
const MAX_RULES: usize = 10_000;

/// A `/.well-known/tdmrep.json`: the first rule whose location matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TdmRules {
    rules: Vec<(Pattern, bool)>,
}

impl TdmRules {
    /// Reads the file; none where it is not a JSON array. Rules that make no sense are passed over.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let rules = value
            .as_array()?
            .iter()
            .take(MAX_RULES)
            .filter_map(|rule| {
                let location = rule.get("location")?.as_str()?;
                let reserved = rule.get("tdm-reservation").is_some_and(is_one);
                let pattern = if location.starts_with(['/', '*']) { location.to_owned() } else { format!("/{location}") };
                Some((Pattern::new(pattern.as_bytes(), Matching::Rfc9309), reserved))
            })
            .collect();
        Some(Self { rules })
    }

    /// The location of the rule that reserves `path`.
    #[must_use]
    pub fn reserved(&self, path: &str) -> Option<String> {
        let path = super::super::robots::normalised(path);
        let (pattern, reserved) = self.rules.iter().find(|(p, _)| p.matches(&path))?;
        reserved.then(|| pattern.to_string())
    }
}

fn is_one(value: &serde_json::Value) -> bool {
    value.as_u64() == Some(1) || value.as_str().is_some_and(|s| s.trim() == "1")
}

/// Whether a `tdm-reservation` header reserves the rights: only `1` does.
#[must_use]
pub fn tdm_header_denies(value: &str) -> bool {
    value.trim() == "1"
}
