//! A crawl, simulated by host and not by url.
//!
//! Hosts come in a random order, as the program sorts them by a hash, and are packed into units. A machine works on
//! `units_at_once` units; the unit with the next number goes to the place that is free first. In a unit that starts at *t*:
//!
//! - a host whose requests start *g* seconds apart and that is free at *f* serves its *k*-th row of the unit at
//!   `max(t, f) + (k - 1)·g`, before the unit's deadline `t + unit_seconds`; the rows after that are put off;
//! - the machine gets through the unit's rows at its own rate, after the rows of the units that it took before;
//! - the unit ends when both are done.
//!
//! Both queues are first come, first served: a unit takes a host's turns and a machine's capacity as a whole. Where units share
//! them in truth, the same rows are done by the same time, only in another order. A round begins when the one before it has ended.
//! Failures, back-off and slow answers are not simulated: every url is one request of `answer_seconds`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use super::hosts::{Shuffled, draw, poisson};
use super::ideal::Ideal;
use super::packer::{Packer, Piece, Unit};
use super::settings::{CrawlSettings, LimitScope, Packing};
use super::timeline::Timeline;
use crate::scaling::error::PlanError;

/// Purposes of draws.
const COUNT: u8 = 0;
const PAUSE: u8 = 1;
const PIECE: u8 = 2;

/// Fractions of the urls whose times are told.
pub const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

/// When a fraction of the urls is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantile {
    /// The fraction, 0 to 1.
    pub fraction: f64,
    /// Seconds from the start; `None` where the last round ends before.
    pub seconds: Option<f64>,
    /// Seconds before which no order of the urls could do it.
    pub ideal_seconds: f64,
}

/// What became of a round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    /// Units.
    pub units: u64,
    /// Urls that were in them.
    pub urls: u64,
    /// Urls put off, or left out in the last round.
    pub deferred: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// What a time limit would leave out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// Seconds from the start.
    pub seconds: f64,
    /// Urls that are not done by then.
    pub left_out: u64,
}

/// A crawl that was simulated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crawl {
    /// Urls; drawn host by host, so that the sum differs a little from what was asked for.
    pub urls: u64,
    /// Hosts with at least one url.
    pub hosts: u64,
    /// Urls of the largest host.
    pub largest_host: u64,
    /// Share of urls on the so many largest hosts, as expected: `(hosts, share)`.
    pub largest: Vec<(u64, f64)>,
    /// Urls that are asked for.
    pub done: u64,
    /// Urls that the last round does not start.
    pub left_out: u64,
    /// Requests for robots.txt and the like.
    pub policy_requests: u64,
    /// Seconds in all.
    pub seconds: f64,
    /// Seconds if no host made any machine wait.
    pub machine_seconds: f64,
    /// Seconds of the host that takes longest, asked without a break.
    pub longest_host_seconds: f64,
    /// Times at which parts of the urls are done.
    pub quantiles: Vec<Quantile>,
    /// What limits of an hour to a year would leave out, as far as the crawl lasts.
    pub limits: Vec<Limit>,
    /// Round by round.
    pub rounds: Vec<Round>,
}

/// Simulates a crawl. A billion urls on five million hosts take seconds.
///
/// # Errors
/// [`PlanError::Range`] for settings without a sense.
pub fn simulate(settings: &CrawlSettings) -> Result<Crawl, PlanError> {
    settings.validate()?;
    let distribution = &settings.distribution;
    let per_weight = settings.urls as f64 / distribution.weight_to(distribution.hosts);
    let mut ideal = Ideal::default();
    let (mut urls, mut hosts, mut largest_host) = (0, 0, 0);
    let mut run = Run::new(settings);
    let mut feed = Feed::new(settings);
    for index in Shuffled::new(distribution.hosts, settings.seed) {
        let host = index + 1;
        let count = poisson(per_weight * distribution.weight(host), draw(settings.seed, host, COUNT));
        if count == 0 {
            continue;
        }
        (urls, hosts, largest_host) = (urls + count, hosts + 1, count.max(largest_host));
        ideal.host(count, run.gap(host));
        feed.host(host, count, &mut run);
    }
    feed.finish(&mut run);
    let mut rounds = vec![run.end_round()];
    while rounds.len() < settings.rounds as usize && !run.deferred.is_empty() {
        let again = run.take_deferred();
        let mut feed = Feed::new(settings);
        for (host, count) in again {
            feed.host(host, count, &mut run);
        }
        feed.finish(&mut run);
        rounds.push(run.end_round());
    }
    let rate = settings.machine_rate * f64::from(settings.machines);
    let curve = run.timeline.curve();
    let quantile = |fraction| Quantile { fraction, seconds: curve.when(fraction, urls as f64), ideal_seconds: ideal.when(fraction, rate) };
    let end = run.timeline.end().max(run.started);
    let periods = [3600.0, 86_400.0, 7.0 * 86_400.0, 30.0 * 86_400.0, 365.0 * 86_400.0];
    let limit = |&seconds: &f64| Limit { seconds, left_out: urls.saturating_sub(curve.by(seconds).round() as u64) };
    let done = run.timeline.total().round() as u64;
    Ok(Crawl {
        urls,
        hosts,
        largest_host,
        largest: [1, 10, 100, 1000, 10_000, 100_000]
            .into_iter()
            .filter(|&count| count <= distribution.hosts)
            .map(|count| (count, distribution.share_of_largest(count)))
            .collect(),
        done,
        left_out: urls.saturating_sub(done),
        policy_requests: run.policy_requests,
        seconds: end,
        machine_seconds: urls as f64 / rate,
        longest_host_seconds: ideal.longest(),
        quantiles: QUANTILES.map(quantile).to_vec(),
        limits: periods.iter().filter(|&&seconds| seconds < end).map(limit).collect(),
        rounds,
    })
}

/// Hosts on their way into units.
struct Feed {
    packer: Packer,
    /// Pieces that wait until all are known, by their hash; none where hosts are packed one after another.
    spread: Option<(u64, Vec<(u64, Piece)>)>,
}

impl Feed {
    fn new(settings: &CrawlSettings) -> Self {
        let spread = (settings.packing == Packing::Spread).then(|| (settings.seed, Vec::new()));
        Self { packer: Packer::new(settings.unit_rows, settings.host_rows), spread }
    }

    fn host(&mut self, host: u64, count: u64, run: &mut Run<'_>) {
        let Some((seed, pieces)) = &mut self.spread else {
            return self.packer.host(host, count, &mut |unit| run.unit(&unit));
        };
        let hash = |number: u64| (draw(*seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15), host, PIECE) * 2_f64.powi(53)) as u64;
        pieces.extend((0..).zip(self.packer.pieces(host, count)).map(|(number, piece)| (hash(number), piece)));
    }

    fn finish(mut self, run: &mut Run<'_>) {
        if let Some((_, mut pieces)) = self.spread {
            pieces.sort_unstable_by_key(|(hash, piece)| (*hash, piece.host));
            for (_, piece) in pieces {
                self.packer.place(piece, &mut |unit| run.unit(&unit));
            }
        }
        self.packer.finish(&mut |unit| run.unit(&unit));
    }
}

/// A moment that orders.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment(f64);

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Machines at work.
struct Run<'a> {
    settings: &'a CrawlSettings,
    /// Places for units, by when they are free; the machine's number breaks ties.
    places: BinaryHeap<Reverse<(Moment, u32)>>,
    /// When each machine has got through all that it has taken.
    machines: Vec<f64>,
    /// When hosts that lie in several units are free again, and by which machines they were asked: `(host, machine)`.
    free: HashMap<(u64, u32), f64>,
    /// Machines that know a host's robots.txt, of hosts that lie in several units.
    known: HashMap<u64, Vec<u32>>,
    deferred: Vec<(u64, u64)>,
    timeline: Timeline,
    policy_requests: u64,
    /// When the round began.
    started: f64,
    round: Round,
}

const NO_ROUND: Round = Round { units: 0, urls: 0, deferred: 0, seconds: 0.0 };

impl<'a> Run<'a> {
    fn new(settings: &'a CrawlSettings) -> Self {
        let mut run = Self {
            settings,
            places: BinaryHeap::new(),
            machines: vec![0.0; settings.machines as usize],
            free: HashMap::new(),
            known: HashMap::new(),
            deferred: Vec::new(),
            timeline: Timeline::default(),
            policy_requests: 0,
            started: 0.0,
            round: NO_ROUND,
        };
        run.open_places();
        run
    }

    fn open_places(&mut self) {
        self.places.clear();
        for _ in 0..self.settings.units_at_once {
            self.places.extend((0..self.settings.machines).map(|machine| Reverse((Moment(self.started), machine))));
        }
    }

    fn gap(&self, host: u64) -> f64 {
        self.settings.gap(draw(self.settings.seed, host, PAUSE))
    }

    /// Requests for a host's rules before a machine's first url of it. With limits over the run they take turns like any other.
    fn policy(&mut self, piece: &Piece, machine: u32) -> u32 {
        if piece.shared {
            let known = self.known.entry(piece.host).or_default();
            if known.contains(&machine) {
                return 0;
            }
            known.push(machine);
        }
        self.policy_requests += u64::from(self.settings.policy_requests);
        self.settings.policy_requests
    }

    /// Runs a unit in the place that is free first.
    fn unit(&mut self, unit: &Unit) {
        let Some(Reverse((Moment(start), machine))) = self.places.pop() else { return };
        let deadline = start + self.settings.unit_seconds;
        let bulk_start = self.machines[machine as usize].max(start);
        // What the machine cannot start before the deadline is put off too.
        let capacity = ((deadline - bulk_start).max(0.0) * self.settings.machine_rate).floor() as u64;
        let mut slow: Vec<(f64, f64, u32)> = Vec::new();
        let (mut quick, mut done, mut end) = (0_u64, 0_u64, start);
        for piece in &unit.pieces {
            let gap = self.gap(piece.host);
            let policy = self.policy(piece, machine);
            let key = (piece.host, if self.settings.scope == LimitScope::Run { 0 } else { machine });
            let held = if piece.shared { self.free.get(&key).copied().unwrap_or(0.0) } else { 0.0 };
            let first = held.max(start) + f64::from(policy) * gap;
            let by_host = if first >= deadline { 0 } else { ((deadline - first) / gap).ceil().max(1.0) as u64 };
            let served = u64::from(piece.rows).min(by_host).min(capacity - done) as u32;
            if served < piece.rows {
                self.deferred.push((piece.host, u64::from(piece.rows - served)));
            }
            // A host that is busy beyond the deadline is not asked at all, and not held.
            let next = if served > 0 { first + f64::from(served) * gap } else { held };
            if piece.shared && next > 0.0 {
                self.free.insert(key, next);
            }
            if served == 0 {
                continue;
            }
            done += u64::from(served);
            let last = first + f64::from(served - 1) * gap + self.settings.answer_seconds;
            slow.push((first, last, served));
            end = end.max(last);
        }
        let bulk_end = bulk_start + done as f64 / self.settings.machine_rate;
        self.machines[machine as usize] = bulk_end;
        for (from, to, rows) in slow {
            if to <= bulk_end {
                quick += u64::from(rows);
            } else {
                // The first answer comes after one answer's time.
                self.timeline.add((from + self.settings.answer_seconds).max(bulk_start).min(to), to, f64::from(rows));
            }
        }
        self.timeline.add(bulk_start, bulk_end, quick as f64);
        // Units with rows that are put off last until their deadline: they wait for their hosts till then.
        if done < u64::from(unit.rows) {
            end = end.max(deadline);
        }
        self.places.push(Reverse((Moment(end.max(bulk_end)), machine)));
        self.round.units += 1;
        self.round.urls += u64::from(unit.rows);
        self.round.deferred += u64::from(unit.rows) - done;
    }

    /// Waits for all units.
    fn end_round(&mut self) -> Round {
        let end = self.places.iter().map(|Reverse((Moment(at), _))| *at).fold(self.started, f64::max);
        let round = Round { seconds: end - self.started, ..std::mem::replace(&mut self.round, NO_ROUND) };
        self.started = end;
        self.open_places();
        round
    }

    /// What was put off, host by host in the order in which hosts came.
    fn take_deferred(&mut self) -> Vec<(u64, u64)> {
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut hosts: Vec<(u64, u64)> = Vec::new();
        for (host, rows) in self.deferred.drain(..) {
            match places.get(&host) {
                Some(&place) => hosts[place].1 += rows,
                None => {
                    places.insert(host, hosts.len());
                    hosts.push((host, rows));
                }
            }
        }
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::politeness::HostDistribution;

    fn settings(hosts: u64, urls: u64) -> CrawlSettings {
        CrawlSettings {
            urls,
            distribution: HostDistribution { hosts, exponent: 0.0, shift: 0.0 },
            machines: 1,
            machine_rate: 100.0,
            crawl_delays: Vec::new(),
            policy_requests: 0,
            answer_seconds: 0.1,
            ..CrawlSettings::default()
        }
    }

    #[test]
    fn many_small_hosts_go_as_fast_as_the_machine() {
        let crawl = simulate(&settings(100_000, 100_000)).unwrap();
        assert!((crawl.seconds / crawl.machine_seconds - 1.0).abs() < 0.01, "{} against {}", crawl.seconds, crawl.machine_seconds);
        assert_eq!(crawl.done, crawl.urls);
        assert!((crawl.urls as f64 - 100_000.0).abs() < 2_000.0);
        // Poisson: e^-1 of the hosts have no url.
        assert!((crawl.hosts as f64 / 63_212.0 - 1.0).abs() < 0.02);
        let half = crawl.quantiles[0].seconds.unwrap();
        assert!((half / crawl.seconds - 0.5).abs() < 0.01);
    }

    #[test]
    fn one_host_gives_what_its_delay_allows_in_the_time_of_the_rounds() {
        // One host, a request every 2 s, units of 1,800 s: two units at once share its 900 turns.
        let crawl = simulate(&CrawlSettings { host_delay: 2.0, rounds: 2, ..settings(1, 30_000) }).unwrap();
        // Each round has two units at a time, then a third and a fourth: every one of them is out of time when its turn comes.
        let turns: f64 = crawl.rounds.iter().map(|round| round.seconds / 2.0).sum();
        assert!((crawl.done as f64 / turns - 1.0).abs() < 0.01, "{} against {turns}", crawl.done);
        assert_eq!(crawl.done + crawl.left_out, crawl.urls);
        assert_eq!(crawl.rounds.len(), 2);
        assert_eq!(crawl.quantiles[4].seconds, None);
        assert_eq!(crawl.largest_host, crawl.urls);
    }

    #[test]
    fn limits_of_the_run_hold_over_machines_and_limits_of_a_process_do_not() {
        let one = CrawlSettings { host_delay: 1.0, unit_seconds: 1e9, unit_rows: 100, host_rows: 100, machines: 10, ..settings(1, 10_000) };
        let run = simulate(&one).unwrap();
        let process = simulate(&CrawlSettings { scope: LimitScope::Process, ..one }).unwrap();
        assert!((run.seconds / run.urls as f64 - 1.0).abs() < 0.01, "{}", run.seconds);
        assert!((process.seconds / run.seconds - 0.1).abs() < 0.01, "{}", process.seconds);
    }

    #[test]
    fn rules_are_asked_for_once_by_every_machine_that_meets_a_host() {
        let quick = CrawlSettings { policy_requests: 2, ..settings(1000, 1000) };
        let crawl = simulate(&quick).unwrap();
        assert_eq!(crawl.policy_requests, 2 * crawl.hosts);
        let wide = CrawlSettings { machines: 4, units_at_once: 1, unit_rows: 100, host_rows: 5, ..quick };
        let many = simulate(&CrawlSettings { urls: 100_000, ..wide }).unwrap();
        // A hundred urls of each host in pieces of five: all four machines meet nearly all of them.
        assert!(many.policy_requests > 7 * many.hosts && many.policy_requests <= 8 * many.hosts, "{}", many.policy_requests);
    }

    #[test]
    fn the_same_seed_gives_the_same_crawl_and_another_a_different_one() {
        let crawl =
            CrawlSettings { distribution: HostDistribution { hosts: 10_000, ..HostDistribution::default() }, ..settings(1, 200_000) };
        assert_eq!(simulate(&crawl).unwrap(), simulate(&crawl).unwrap());
        assert_ne!(simulate(&crawl).unwrap(), simulate(&CrawlSettings { seed: 1, ..crawl }).unwrap());
    }

    #[test]
    fn large_hosts_that_are_spread_over_the_run_give_more_of_their_urls() {
        let tight = CrawlSettings {
            distribution: HostDistribution { hosts: 20_000, ..HostDistribution::default() },
            unit_seconds: 60.0,
            unit_rows: 500,
            host_rows: 25,
            machines: 4,
            rounds: 1,
            ..settings(1, 500_000)
        };
        let by_host = simulate(&tight).unwrap();
        let spread = simulate(&CrawlSettings { packing: Packing::Spread, ..tight }).unwrap();
        assert_eq!(spread.urls, by_host.urls);
        assert!(spread.left_out < by_host.left_out / 2, "{} against {}", spread.left_out, by_host.left_out);
    }

    #[test]
    fn no_crawl_is_faster_than_the_ideal_one() {
        let crawl =
            CrawlSettings { distribution: HostDistribution { hosts: 10_000, ..HostDistribution::default() }, ..settings(1, 500_000) };
        for quantile in simulate(&crawl).unwrap().quantiles {
            if let Some(seconds) = quantile.seconds {
                assert!(seconds >= quantile.ideal_seconds * 0.97, "{quantile:?}");
            }
        }
    }
}
