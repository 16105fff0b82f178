//! What a simulated crawl is made of.

use serde::{Deserialize, Serialize};

use super::hosts::HostDistribution;
use crate::scaling::error::{PlanError, check};

/// Where the limits of a host hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Over the whole run: machines share a host's budget.
    #[default]
    Run,
    /// In each process: a host that lies in the units of several machines is asked by all of them.
    Process,
}

/// Hosts whose robots.txt asks for a pause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrawlDelay {
    /// Share of the hosts, 0 to 1.
    pub share: f64,
    /// `Crawl-delay` in seconds, as it is obeyed.
    pub seconds: f64,
}

/// A crawl to simulate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrawlSettings {
    /// Urls, 1 to 10¹².
    pub urls: u64,
    /// How they lie on hosts.
    pub distribution: HostDistribution,
    /// Seed of all draws: how many urls each host has, the order of hosts, who asks for pauses.
    pub seed: u64,
    /// Machines, one process each.
    pub machines: u32,
    /// Urls a second that one machine gets through when no host makes it wait: the least of what its connections, its network and
    /// its cores allow.
    pub machine_rate: f64,
    /// Units that a machine works on at a time.
    pub units_at_once: u32,
    /// Rows of a unit.
    pub unit_rows: u32,
    /// Rows of one host that stay together; larger hosts lie all over the run in pieces of so many.
    pub host_rows: u32,
    /// Lanes of units; each is worked on by one machine. 0: as many as the program makes for so many urls.
    pub lanes: u32,
    /// Seconds after which a unit starts no request; what is left is put off to the next round.
    pub unit_seconds: f64,
    /// A unit leaves before its time when what its hosts still give falls below so much of what units usually give, 0 (never)
    /// to 1; in no case in the last round, or when no other unit waits.
    pub leave_below: f64,
    /// Seconds that a unit stays at least.
    pub stay_seconds: f64,
    /// Rounds in all; what the last one does not start is left out.
    pub rounds: u32,
    /// Seconds between the starts of two requests to a host.
    pub host_delay: f64,
    /// Requests that a host may have open.
    pub host_concurrency: u32,
    /// Seconds from a request to the end of its answer.
    pub answer_seconds: f64,
    /// Requests for robots.txt and the like that each process makes of each host, before the first url.
    pub policy_requests: u32,
    /// Pauses that hosts ask for; the rest of the hosts ask for none.
    pub crawl_delays: Vec<CrawlDelay>,
    /// Where the limits hold.
    pub scope: LimitScope,
}

impl Default for CrawlSettings {
    fn default() -> Self {
        Self {
            urls: 1_000_000_000,
            distribution: HostDistribution::default(),
            seed: 0,
            machines: 10,
            machine_rate: 337.0,
            units_at_once: 16,
            unit_rows: 10_000,
            host_rows: 50,
            lanes: 0,
            unit_seconds: 1800.0,
            leave_below: 0.5,
            stay_seconds: 60.0,
            rounds: 5,
            host_delay: 0.1,
            host_concurrency: 2,
            answer_seconds: 0.76,
            policy_requests: 2,
            crawl_delays: published_delays(),
            scope: LimitScope::Run,
        }
    }
}

/// `Crawl-delay` for `*` in the 4,231 robots.txt files of top sites that the tests of Scrapy's parser Protego hold: 533 have one
/// (12.6 %); from 30 seconds on they are cut to 30, as the fetcher does.
pub fn published_delays() -> Vec<CrawlDelay> {
    [(69.0, 1.0), (43.0, 2.5), (54.0, 5.0), (314.0, 10.0), (20.0, 17.5), (33.0, 30.0)]
        .map(|(files, seconds)| CrawlDelay { share: files / 4231.0, seconds })
        .to_vec()
}

impl CrawlSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`PlanError::Range`] naming the first bad one.
    pub fn validate(&self) -> Result<(), PlanError> {
        self.distribution.validate()?;
        check("urls", self.urls as f64, (1..=1_000_000_000_000).contains(&self.urls), "1 to 10^12")?;
        for (name, value) in [
            ("machines", self.machines),
            ("units_at_once", self.units_at_once),
            ("unit_rows", self.unit_rows),
            ("host_rows", self.host_rows),
            ("rounds", self.rounds),
            ("host_concurrency", self.host_concurrency),
        ] {
            check(name, f64::from(value), value > 0, "at least 1")?;
        }
        check("machine_rate", self.machine_rate, self.machine_rate > 0.0, "urls a second, over 0")?;
        check("unit_seconds", self.unit_seconds, self.unit_seconds > 0.0, "seconds, over 0")?;
        check("lanes", f64::from(self.lanes), self.lanes <= 1 << 16, "at most 65,536; 0 for the program's own number")?;
        check("leave_below", self.leave_below, (0.0..=1.0).contains(&self.leave_below), "0 to 1")?;
        check("stay_seconds", self.stay_seconds, self.stay_seconds >= 0.0, "seconds, not negative")?;
        check("host_delay", self.host_delay, self.host_delay >= 0.0, "seconds, not negative")?;
        check("answer_seconds", self.answer_seconds, self.answer_seconds > 0.0, "seconds, over 0")?;
        let mut sum = 0.0;
        for delay in &self.crawl_delays {
            check("crawl_delays", delay.share, (0.0..=1.0).contains(&delay.share), "shares from 0 to 1")?;
            check("crawl_delays", delay.seconds, delay.seconds >= 0.0, "seconds, not negative")?;
            sum += delay.share;
        }
        check("crawl_delays", sum, sum <= 1.0 + 1e-9, "shares that sum to 1 at most")
    }

    /// Seconds between the starts of two requests to a host, for a draw in `[0, 1)` that says what it asks for: its own pause or
    /// ours, and never more requests open than it may have.
    pub(crate) fn gap(&self, draw: f64) -> f64 {
        let mut below = 0.0;
        let mut delay = self.host_delay;
        for asked in &self.crawl_delays {
            below += asked.share;
            if draw < below {
                delay = delay.max(asked.seconds);
                break;
            }
        }
        delay.max(self.answer_seconds / f64::from(self.host_concurrency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_pace_is_its_pause_or_what_its_open_requests_allow() {
        let settings = CrawlSettings {
            crawl_delays: vec![CrawlDelay { share: 0.1, seconds: 10.0 }],
            answer_seconds: 0.5,
            host_concurrency: 2,
            host_delay: 0.1,
            ..CrawlSettings::default()
        };
        assert_eq!(settings.gap(0.05), 10.0);
        // Two open requests of half a second: one every quarter of a second.
        assert_eq!(settings.gap(0.5), 0.25);
        assert_eq!(CrawlSettings { host_delay: 1.0, ..settings }.gap(0.5), 1.0);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let good = CrawlSettings::default();
        good.validate().unwrap();
        let bad = [
            (CrawlSettings { urls: 0, ..good.clone() }, "urls"),
            (CrawlSettings { machine_rate: f64::NAN, ..good.clone() }, "machine_rate"),
            (CrawlSettings { rounds: 0, ..good.clone() }, "rounds"),
            (CrawlSettings { crawl_delays: vec![CrawlDelay { share: 0.6, seconds: 1.0 }; 2], ..good }, "crawl_delays"),
        ];
        for (settings, name) in bad {
            assert!(settings.validate().unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn published_pauses_cover_an_eighth_of_the_hosts() {
        let share: f64 = published_delays().iter().map(|delay| delay.share).sum();
        assert!((share - 533.0 / 4231.0).abs() < 1e-12);
    }
}
