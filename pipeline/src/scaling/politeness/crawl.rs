//! A crawl, simulated by host and not by url.
//!
//! Pieces of hosts come in a random order, as the program sorts them by a hash, and are packed into units. A machine works on
//! `units_at_once` units; with limits over the run a lane of units belongs to one machine, as with `--part`. The unit with the next
//! number goes to the place that is free first. In a unit that starts at *t*:
//!
//! - a host whose requests start *g* seconds apart and that is free at *f* serves its *k*-th row of the unit at
//!   `max(t, f) + (k - 1)·g`, before the unit's deadline `t + unit_seconds`; the rows after that are put off;
//! - the machine gets through the unit's rows at its own rate, after the rows of the units that it took before;
//! - the unit ends when both are done, or leaves when its hosts give too little: see [`CrawlSettings::leave_below`].
//!
//! Both queues are first come, first served: a unit takes a host's turns and a machine's capacity as a whole. Where units share
//! them in truth, the same rows are done by the same time, only in another order. A round begins when the one before it has ended.
//! Failures, back-off and slow answers are not simulated: every url is one request of `answer_seconds`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use serde::Serialize;

use super::hosts::{Shuffled, draw, poisson};
use super::ideal::Ideal;
use super::packer::{Packer, Piece, Unit};
use super::settings::{CrawlSettings, LimitScope};
use super::timeline::Timeline;
use crate::op::lanes;
use crate::scaling::error::PlanError;

/// Purposes of draws.
const COUNT: u8 = 0;
const PAUSE: u8 = 1;
const PIECE: u8 = 2;
const LANE: u8 = 3;

/// Seconds of units that the usual pace is an average over, about, as in the program.
pub(super) const USUAL_SECONDS: f64 = 600.0;

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

/// Pieces that are followed one by one; for more urls they are taken so much larger.
const PIECES: u64 = 5_000_000;

/// The same crawl in larger steps: pieces, units and the times of a unit are so many times what they are, and what happens in a
/// second stays. For a billion urls in steps of four, durations and what is left out are within 1.5 % of those in steps of one.
fn in_steps(settings: &CrawlSettings) -> (CrawlSettings, u32) {
    let step = u32::try_from(settings.urls / u64::from(settings.host_rows) / PIECES).unwrap_or(u32::MAX).clamp(1, 1 << 16);
    let times = |value: u32| value.saturating_mul(step);
    let larger = CrawlSettings {
        host_rows: times(settings.host_rows),
        unit_rows: times(settings.unit_rows),
        unit_seconds: settings.unit_seconds * f64::from(step),
        stay_seconds: settings.stay_seconds * f64::from(step),
        ..settings.clone()
    };
    (larger, step)
}

/// Simulates a crawl, in seconds however large it is.
///
/// # Errors
/// [`PlanError::Range`] for settings without a sense.
pub fn simulate(settings: &CrawlSettings) -> Result<Crawl, PlanError> {
    settings.validate()?;
    let (settings, step) = &in_steps(settings);
    let distribution = &settings.distribution;
    let per_weight = settings.urls as f64 / distribution.weight_to(distribution.hosts);
    let mut ideal = Ideal::default();
    let (mut urls, mut hosts, mut largest_host) = (0, 0, 0);
    let mut run = Run::new(settings);
    let mut feed = Feed::new(settings, settings.urls);
    for index in Shuffled::new(distribution.hosts, settings.seed) {
        let host = index + 1;
        let count = poisson(per_weight * distribution.weight(host), draw(settings.seed, host, COUNT));
        if count == 0 {
            continue;
        }
        (urls, hosts, largest_host) = (urls + count, hosts + 1, count.max(largest_host));
        ideal.host(count, run.gap(host));
        feed.host(host, count);
    }
    run.last_round = settings.rounds == 1;
    feed.finish(&mut |unit| run.unit(unit));
    let mut rounds = vec![run.end_round()];
    while rounds.len() < settings.rounds as usize && !run.deferred.is_empty() {
        let again = run.take_deferred();
        let mut feed = Feed::new(settings, again.iter().map(|(_, count)| count).sum());
        for (host, count) in again {
            feed.host(host, count);
        }
        run.last_round = rounds.len() + 1 == settings.rounds as usize;
        feed.finish(&mut |unit| run.unit(unit));
        rounds.push(run.end_round());
    }
    rounds.iter_mut().for_each(|round| round.units *= u64::from(*step));
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
pub(super) struct Feed<'a> {
    settings: &'a CrawlSettings,
    lanes: u32,
    /// All pieces, by their places.
    pieces: Vec<(u64, Piece)>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(settings: &'a CrawlSettings, urls: u64) -> Self {
        let lanes = match settings.lanes {
            0 => u32::try_from(lanes(urls, settings.unit_rows as usize)).unwrap_or(u32::MAX),
            lanes => lanes,
        };
        Self { settings, lanes, pieces: Vec::new() }
    }

    pub(super) fn host(&mut self, host: u64, count: u64) {
        let seed = self.settings.seed;
        let place = |number: u64| (draw(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15), host, PIECE) * 2_f64.powi(53)) as u64;
        let pieces = Packer::pieces(host, count, self.settings.host_rows);
        self.pieces.extend((0..).zip(pieces).map(|(number, piece)| (place(number), piece)));
    }

    pub(super) fn finish(mut self, emit: &mut impl FnMut(Unit)) {
        self.pieces.sort_unstable_by_key(|(place, piece)| (*place, piece.host));
        let mut packer = Packer::new(self.settings.unit_rows, self.lanes);
        for (_, piece) in self.pieces {
            let lane = (draw(self.settings.seed, piece.host, LANE) * f64::from(self.lanes)) as u32;
            packer.place(piece, lane, emit);
        }
        packer.finish(emit);
    }
}

/// The hash of one number: the finaliser of SplitMix64.
#[derive(Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        let mut mixed = (self.0 ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed ^ (mixed >> 31);
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

/// A process that fetches, or all of them where it does not matter which one takes a unit.
#[derive(Debug, Default)]
struct Crew {
    /// Places for units, by when they are free; then by their number on their machine, and the machine's.
    places: BinaryHeap<Reverse<(Moment, u32, u32)>>,
    /// Units that wait for a place.
    waiting: VecDeque<Unit>,
    /// Urls that its units have done lately, and seconds that they took.
    done: f64,
    seconds: f64,
}

/// Machines at work.
struct Run<'a> {
    settings: &'a CrawlSettings,
    /// One for each machine, or one for all where limits hold in each process only.
    crews: Vec<Crew>,
    /// When each machine has got through all that it has taken.
    machines: Vec<f64>,
    /// When hosts that lie in several units are free again. Whoever has an entry knows the host's robots.txt. The machine is part
    /// of the key where limits hold in each process: see [`Run::key`].
    free: HashMap<u64, f64, BuildHasherDefault<Mixed>>,
    deferred: Vec<(u64, u64)>,
    timeline: Timeline,
    policy_requests: u64,
    /// When the round began.
    started: f64,
    last_round: bool,
    round: Round,
}

const NO_ROUND: Round = Round { units: 0, urls: 0, deferred: 0, seconds: 0.0 };

impl<'a> Run<'a> {
    fn new(settings: &'a CrawlSettings) -> Self {
        let crews = if settings.scope == LimitScope::Run { settings.machines } else { 1 };
        let mut run = Self {
            settings,
            crews: std::iter::repeat_with(Crew::default).take(crews as usize).collect(),
            machines: vec![0.0; settings.machines as usize],
            free: HashMap::default(),
            deferred: Vec::new(),
            timeline: Timeline::default(),
            policy_requests: 0,
            started: 0.0,
            last_round: false,
            round: NO_ROUND,
        };
        run.open_places();
        run
    }

    fn open_places(&mut self) {
        let crews = self.crews.len();
        for crew in &mut self.crews {
            crew.places.clear();
        }
        for machine in 0..self.settings.machines {
            let places = (0..self.settings.units_at_once).map(|place| Reverse((Moment(self.started), place, machine)));
            self.crews[machine as usize % crews].places.extend(places);
        }
    }

    fn gap(&self, host: u64) -> f64 {
        self.settings.gap(draw(self.settings.seed, host, PAUSE))
    }

    /// Takes a unit. It is run as soon as it is known whether others wait behind it.
    fn unit(&mut self, unit: Unit) {
        let at = unit.lane as usize % self.crews.len();
        self.crews[at].waiting.push_back(unit);
        if self.crews[at].waiting.len() > self.crews[at].places.len() {
            self.run_next(at, true);
        }
    }

    /// Runs what has been taken.
    fn finish_units(&mut self) {
        for at in 0..self.crews.len() {
            while !self.crews[at].waiting.is_empty() {
                self.run_next(at, false);
            }
        }
    }

    /// Runs the next unit of a crew in the place that is free first.
    fn run_next(&mut self, at: usize, others_wait: bool) {
        let crew = &mut self.crews[at];
        let (Some(unit), Some(Reverse((Moment(start), place, machine)))) = (crew.waiting.pop_front(), crew.places.pop()) else { return };
        let usual = if crew.seconds > 0.0 { crew.done / crew.seconds } else { 0.0 };
        let bulk_start = self.machines[machine as usize].max(start);
        let mut deadline = start + self.settings.unit_seconds;
        if others_wait && !self.last_round && self.settings.leave_below > 0.0 {
            deadline = deadline.min(self.leaves(&unit, bulk_start, machine, usual));
        }
        // What the machine cannot start before the deadline is put off too.
        let capacity = ((deadline - bulk_start).max(0.0) * self.settings.machine_rate).floor() as u64;
        let mut slow: Vec<(f64, f64, u32)> = Vec::new();
        let (mut quick, mut done, mut end) = (0_u64, 0_u64, start);
        for piece in &unit.pieces {
            let gap = self.gap(piece.host);
            let key = self.key(piece, machine);
            let known = if piece.shared { self.free.get(&key).copied() } else { None };
            // Requests for a host's rules before a machine's first url of it. With limits over the run they take turns like any other.
            let policy = if known.is_some() { 0 } else { self.settings.policy_requests };
            self.policy_requests += u64::from(policy);
            let held = known.unwrap_or(0.0);
            let first = held.max(start) + f64::from(policy) * gap;
            let by_host = if first >= deadline { 0 } else { ((deadline - first) / gap).ceil().max(1.0) as u64 };
            let served = u64::from(piece.rows).min(by_host).min(capacity - done) as u32;
            if served < piece.rows {
                self.deferred.push((piece.host, u64::from(piece.rows - served)));
            }
            // A host that is busy beyond the deadline is not asked at all, and not held.
            let next = if served > 0 { first + f64::from(served) * gap } else { held };
            if piece.shared && known != Some(next) {
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
        let end = end.max(bulk_end);
        let crew = &mut self.crews[at];
        crew.places.push(Reverse((Moment(end), place, machine)));
        let kept = (-(end - start) / USUAL_SECONDS).exp();
        crew.done = crew.done * kept + done as f64;
        crew.seconds = crew.seconds * kept + end - start;
        self.round.units += 1;
        self.round.urls += u64::from(unit.rows);
        self.round.deferred += u64::from(unit.rows) - done;
    }

    /// Host and machine, or the host alone where all machines share its limits. Hosts are below 2³², as many as a distribution may have.
    fn key(&self, piece: &Piece, machine: u32) -> u64 {
        piece.host | if self.settings.scope == LimitScope::Run { 0 } else { u64::from(machine) << 33 }
    }

    /// When what a unit's hosts still give falls below the part of the usual pace: of this unit so far, or of the crew's units, in
    /// urls a second. Never before the unit has stayed its time and the machine has got through what hosts gave by then. Its time
    /// begins when the machine has got to it: a unit that shares a machine with others is no reason to leave.
    fn leaves(&self, unit: &Unit, start: f64, machine: u32, usual: f64) -> f64 {
        let settings = self.settings;
        // When hosts begin and end: how the urls a second change, how much of them is from before, and the urls of those that have
        // ended. A host that other units ask until then gives nothing before.
        let mut changes: Vec<(f64, f64, f64, f64)> = Vec::with_capacity(2 * unit.pieces.len());
        for piece in &unit.pieces {
            let gap = self.gap(piece.host);
            let held = if piece.shared { self.free.get(&self.key(piece, machine)).copied().unwrap_or(0.0) } else { 0.0 };
            let (first, rows, pace) = (held.max(start), f64::from(piece.rows), 1.0 / gap);
            changes.push((first, pace, first * pace, 0.0));
            changes.push((first + rows * gap, -pace, -first * pace, rows));
        }
        changes.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        // The machine's rate is shared by as many units as it has at once.
        let share = settings.machine_rate / f64::from(settings.units_at_once);
        let stayed = start + settings.stay_seconds;
        let (mut pace, mut before, mut ended) = (0.0, 0.0, 0.0_f64);
        let leaves = |at: f64, pace: f64, before: f64, ended: f64| {
            let given = (ended + (pace * at - before).max(0.0)).min((at - start).max(0.0) * settings.machine_rate);
            let low = pace < settings.leave_below * usual.max((given / (at - start).max(1.0)).min(share));
            low.then(|| at.max(start + given / settings.machine_rate))
        };
        let by_stay = changes.partition_point(|change| change.0 <= stayed);
        for (number, &(at, change, of_before, rows)) in changes.iter().enumerate() {
            if number == by_stay
                && let Some(at) = leaves(stayed, pace, before, ended)
            {
                return at;
            }
            (pace, before, ended) = (pace + change, before + of_before, ended + rows);
            if number >= by_stay
                && change < 0.0
                && let Some(at) = leaves(at, pace, before, ended)
            {
                return at;
            }
        }
        f64::INFINITY
    }

    /// Waits for all units.
    fn end_round(&mut self) -> Round {
        self.finish_units();
        let places = self.crews.iter().flat_map(|crew| &crew.places);
        let end = places.map(|Reverse((Moment(at), _, _))| *at).fold(self.started, f64::max);
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
    use crate::scaling::politeness::{CrawlDelay, HostDistribution};

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
        let wide = CrawlSettings { machines: 4, units_at_once: 1, unit_rows: 100, host_rows: 5, scope: LimitScope::Process, ..quick };
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
    fn units_that_leave_their_slow_hosts_let_the_bulk_through() {
        let slow = CrawlSettings {
            distribution: HostDistribution { hosts: 20_000, ..HostDistribution::default() },
            unit_rows: 500,
            host_rows: 5,
            stay_seconds: 10.0,
            rounds: 3,
            units_at_once: 4,
            crawl_delays: vec![CrawlDelay { share: 0.1, seconds: 10.0 }],
            ..settings(1, 100_000)
        };
        let leaving = simulate(&slow).unwrap();
        let staying = simulate(&CrawlSettings { leave_below: 0.0, ..slow.clone() }).unwrap();
        let half = |crawl: &Crawl| crawl.quantiles[0].seconds.unwrap();
        assert!(half(&leaving) < half(&staying) / 3.0, "{} against {}", half(&leaving), half(&staying));
        // In a single round no unit may leave.
        let (one, other) = (CrawlSettings { rounds: 1, ..slow.clone() }, CrawlSettings { rounds: 1, leave_below: 0.0, ..slow });
        assert_eq!(simulate(&one).unwrap(), simulate(&other).unwrap());
    }

    #[test]
    fn a_large_crawl_in_larger_steps_is_the_same_crawl() {
        let fine = CrawlSettings {
            urls: 20_000_000,
            distribution: HostDistribution { hosts: 500_000, ..HostDistribution::default() },
            machines: 4,
            machine_rate: 500.0,
            ..CrawlSettings::default()
        };
        assert_eq!(in_steps(&fine).1, 1);
        let coarse = in_steps(&CrawlSettings { urls: 1_000_000_000, ..fine.clone() }).0;
        assert_eq!((coarse.host_rows, coarse.unit_rows, coarse.stay_seconds), (200, 40_000, 240.0));
        let (one, four) = (simulate(&fine).unwrap(), simulate(&CrawlSettings { urls: fine.urls, ..coarse }).unwrap());
        // A fiftieth of the urls feels the larger steps more than the whole does.
        assert!((four.done as f64 / one.done as f64 - 1.0).abs() < 0.1, "{} against {}", four.done, one.done);
        let half = |crawl: &Crawl| crawl.quantiles[0].seconds.unwrap();
        assert!((half(&four) / half(&one) - 1.0).abs() < 0.3, "{} against {}", half(&four), half(&one));
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
