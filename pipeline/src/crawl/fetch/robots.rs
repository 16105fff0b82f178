//! robots.txt by RFC 9309, with what sites really write.
//!
//! - [`RobotsTxt::parse`]: the groups that concern us, merged; typos, byte order marks and missing colons are understood.
//! - [`RobotsTxt::verdict`]: longest match wins, allow wins a tie.
//! - Beyond the RFC: `Crawl-delay`, and the `Content-Signal` and `Content-Usage` lines.

mod parse;
mod pattern;

pub(crate) use pattern::Pattern;
pub use pattern::{Matching, path_of};

use std::time::Duration;

/// The rules of one robots.txt for the agents that it was parsed for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RobotsTxt {
    /// One entry per agent that has rules, our own first.
    agents: Vec<AgentRules>,
    crawl_delay_ms: Option<u64>,
    matching: Matching,
}

/// What applies to one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct AgentRules {
    agent: Box<str>,
    /// Longest pattern first, allow before disallow.
    rules: Vec<Rule>,
    /// `Content-Signal` lines, as written after the colon.
    signals: Vec<Box<str>>,
    /// `Content-Usage` lines with the path that they are limited to, longest first.
    usages: Vec<(Pattern, Box<str>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    allow: bool,
}

/// What a robots.txt says of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it.
    Allowed,
    /// A `Disallow` line forbids it.
    Disallowed {
        /// The agent whose group it is in (`*` too).
        agent: String,
        /// The pattern.
        rule: String,
    },
    /// A `Content-Signal` line says `ai-train=no`.
    Signal(String),
    /// A `Content-Usage` line says `train-ai=n`.
    Usage(String),
}

impl RobotsTxt {
    /// Reads a file. `own` is our product token; rules written for one of `also` are obeyed as well.
    /// Never fails: lines that mean nothing are passed over (RFC 9309 §2.3.1.5).
    #[must_use]
    pub fn parse(bytes: &[u8], own: &str, also: &[String], matching: Matching) -> Self {
        parse::parse(bytes, own, also, matching)
    }

    /// Judges `path` (with its query, beginning with `/`).
    #[must_use]
    pub fn verdict(&self, path: &str, content_signals: bool) -> Verdict {
        let path = match self.matching {
            Matching::Rfc9309 => pattern::normalise(path.as_bytes(), Matching::Rfc9309),
            Matching::AsWritten => path.as_bytes().into(),
        };
        let path = path.as_ref();
        if path == b"/robots.txt" {
            return Verdict::Allowed;
        }
        for agent in &self.agents {
            if let Some(rule) = agent.rules.iter().find(|r| r.pattern.matches(path))
                && !rule.allow
            {
                return Verdict::Disallowed { agent: agent.agent.to_string(), rule: rule.pattern.to_string() };
            }
            if !content_signals {
                continue;
            }
            if let Some(line) = agent.signals.iter().find(|l| super::optout::signal_denies(l)) {
                return Verdict::Signal(line.to_string());
            }
            // The longest path that matches speaks; several lines for it are combined to the most
            // restrictive (IETF aipref-attach).
            if let Some((longest, _)) = agent.usages.iter().find(|(p, _)| p.matches(path)) {
                let said = agent.usages.iter().filter(|(p, _)| p.len() == longest.len() && p.matches(path));
                for (_, line) in said {
                    if super::optout::usage_denies(line) {
                        return Verdict::Usage(line.to_string());
                    }
                }
            }
        }
        Verdict::Allowed
    }

    /// Whether `path` may be fetched, content signals left aside.
    #[must_use]
    pub fn allowed(&self, path: &str) -> bool {
        self.verdict(path, false) == Verdict::Allowed
    }

    /// The `Crawl-delay` of our group.
    #[must_use]
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay_ms.map(Duration::from_millis)
    }
}

/// A path in the form in which patterns are compared.
pub(crate) fn normalised(path: &str) -> std::borrow::Cow<'_, [u8]> {
    pattern::normalise(path.as_bytes(), Matching::Rfc9309)
}
