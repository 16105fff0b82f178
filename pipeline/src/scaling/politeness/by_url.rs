#![allow(clippy::print_stderr, reason = "the figures of a comparison")]
//! The same crawl url by url, for small cases: what the closed form is held against.

use std::collections::{HashMap, HashSet, VecDeque};

use super::crawl::{Feed, USUAL_SECONDS};
use super::hosts::{Shuffled, draw, poisson};
use super::packer::Unit;
use super::settings::{CrawlDelay, CrawlSettings, LimitScope};
use super::simulate;
use crate::scaling::politeness::HostDistribution;

/// Rows of a unit in turn order: one of each host, then the next of each.
fn rows(unit: &Unit) -> Vec<u64> {
    let mut rows: Vec<(u32, usize, u64)> = Vec::new();
    for (number, piece) in unit.pieces.iter().enumerate() {
        rows.extend((0..piece.rows).map(|turn| (turn, number, piece.host)));
    }
    rows.sort_unstable();
    rows.into_iter().map(|(_, _, host)| host).collect()
}

/// Which unit has a host's next turn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turns {
    /// The one that started first, as the closed form assumes.
    Oldest,
    /// Whoever comes first: units take turns at coming first.
    Shared,
}

struct Active {
    number: usize,
    machine: usize,
    started: f64,
    deadline: f64,
    rows: usize,
    waiting: Vec<u64>,
    last_answer: f64,
}

/// Moments at which urls are done, and how many are left out.
fn by_url(settings: &CrawlSettings, turns: Turns) -> (Vec<f64>, usize) {
    let mut counts: Vec<(u64, u64)> = Vec::new();
    let per_weight = settings.urls as f64 / settings.distribution.weight_to(settings.distribution.hosts);
    for index in Shuffled::new(settings.distribution.hosts, settings.seed) {
        let host = index + 1;
        counts.push((host, poisson(per_weight * settings.distribution.weight(host), draw(settings.seed, host, 0))));
    }
    let mut done = Vec::new();
    let mut now = 0.0_f64;
    let mut round = 0;
    let service = 1.0 / settings.machine_rate;
    let mut next_start: HashMap<(u64, usize), f64> = HashMap::new();
    loop {
        // A lane's units belong to one machine where limits hold over the run.
        let crews = if settings.scope == LimitScope::Run { settings.machines as usize } else { 1 };
        let mut queues: Vec<VecDeque<Vec<u64>>> = vec![VecDeque::new(); crews];
        let mut usual = vec![(0.0, 0.0); crews];
        let mut feed = Feed::new(settings, counts.iter().map(|(_, count)| count).sum());
        for &(host, count) in &counts {
            feed.host(host, count);
        }
        feed.finish(&mut |unit| queues[unit.lane as usize % crews].push_back(rows(&unit)));
        let last_round = round + 1 == settings.rounds;
        let mut machines_free = vec![now; settings.machines as usize];
        let mut active: Vec<Active> = Vec::new();
        let mut left: Vec<u64> = Vec::new();
        let (mut number, mut step) = (0, 0);
        loop {
            step += 1;
            // Places that are free take the next unit.
            for _ in 0..settings.units_at_once {
                for machine in 0..settings.machines as usize {
                    let busy = active.iter().filter(|unit| unit.machine == machine).count();
                    if busy < settings.units_at_once as usize
                        && let Some(waiting) = queues[machine % crews].pop_front()
                    {
                        number += 1;
                        let (rows, deadline) = (waiting.len(), now + settings.unit_seconds);
                        active.push(Active { number, machine, started: now, deadline, rows, waiting, last_answer: now });
                    }
                }
            }
            // Machines start what they can, one request at a time.
            let mut next = f64::INFINITY;
            active.sort_by_key(|unit| unit.number);
            if turns == Turns::Shared && !active.is_empty() {
                let by = step % active.len();
                active.rotate_left(by);
            }
            for unit in &mut active {
                let stays_until = unit.started + settings.stay_seconds;
                if !unit.waiting.is_empty() && settings.leave_below > 0.0 && !last_round && !queues[unit.machine % crews].is_empty() {
                    if now < stays_until {
                        next = next.min(stays_until);
                    } else {
                        let hosts: HashSet<u64> = unit.waiting.iter().copied().collect();
                        let pace: f64 = hosts.iter().map(|host| 1.0 / settings.gap(draw(settings.seed, *host, 1))).sum();
                        let own = (unit.rows - unit.waiting.len()) as f64 / (now - unit.started).max(1.0);
                        let (done, seconds) = usual[unit.machine % crews];
                        if pace < settings.leave_below * own.max(if seconds > 0.0 { done / seconds } else { 0.0 }) {
                            unit.rows -= unit.waiting.len();
                            left.append(&mut unit.waiting);
                        }
                    }
                }
                if now >= unit.deadline {
                    unit.rows -= unit.waiting.len();
                    left.append(&mut unit.waiting);
                }
                let mut at = 0;
                while at < unit.waiting.len() {
                    if machines_free[unit.machine] > now {
                        next = next.min(machines_free[unit.machine]);
                        break;
                    }
                    let host = unit.waiting[at];
                    let key = (host, if settings.scope == LimitScope::Run { 0 } else { unit.machine });
                    let free = next_start.get(&key).copied().unwrap_or(0.0);
                    if free > now {
                        next = next.min(free);
                        at += 1;
                        continue;
                    }
                    let gap = settings.gap(draw(settings.seed, host, 1));
                    next_start.insert(key, now + gap);
                    machines_free[unit.machine] = now + service;
                    unit.last_answer = unit.last_answer.max(now + settings.answer_seconds);
                    done.push(now + settings.answer_seconds);
                    unit.waiting.remove(at);
                }
                if !unit.waiting.is_empty() {
                    next = next.min(unit.deadline);
                }
            }
            for unit in &active {
                if unit.waiting.is_empty() && unit.last_answer > now {
                    next = next.min(unit.last_answer);
                }
            }
            let before = active.len();
            for unit in active.iter().filter(|unit| unit.waiting.is_empty() && unit.last_answer <= now) {
                let usual = &mut usual[unit.machine % crews];
                let kept = ((unit.started - now) / USUAL_SECONDS).exp();
                *usual = (usual.0 * kept + unit.rows as f64, usual.1 * kept + now - unit.started);
            }
            active.retain(|unit| !unit.waiting.is_empty() || unit.last_answer > now);
            let waits = queues.iter().any(|queue| !queue.is_empty());
            if active.len() < before && waits {
                continue;
            }
            if active.is_empty() && !waits {
                break;
            }
            now = next.max(now);
        }
        round += 1;
        if left.is_empty() || round == settings.rounds {
            done.sort_by(f64::total_cmp);
            return (done, left.len());
        }
        let mut again: Vec<(u64, u64)> = Vec::new();
        for (host, _) in &counts {
            again.push((*host, left.iter().filter(|other| *other == host).count() as u64));
        }
        counts = again;
    }
}

/// A small crawl with large hosts, pauses and few machines.
fn small(hosts: u64, urls: u64, seed: u64) -> CrawlSettings {
    CrawlSettings {
        urls,
        seed,
        distribution: HostDistribution { hosts, ..HostDistribution::default() },
        machines: 3,
        machine_rate: 20.0,
        unit_rows: 200,
        host_rows: 10,
        lanes: 6,
        units_at_once: 2,
        unit_seconds: 120.0,
        leave_below: 0.0,
        rounds: 3,
        answer_seconds: 0.2,
        policy_requests: 0,
        ..CrawlSettings::default()
    }
}

/// The largest relative difference of a quantile's time, and the difference of what is left out as a share of all urls.
fn difference(settings: &CrawlSettings, turns: Turns) -> (f64, f64) {
    let crawl = simulate(settings).unwrap();
    let (done, left) = by_url(settings, turns);
    assert_eq!(crawl.urls as usize, done.len() + left);
    let mut most = 0.0_f64;
    for quantile in &crawl.quantiles {
        let rank = (quantile.fraction * crawl.urls as f64).ceil() as usize;
        // Near the end of what is done the two may lie on different sides of it.
        if let (Some(ours), Some(theirs)) = (quantile.seconds, done.get(rank.max(1) - 1)) {
            most = most.max((ours / theirs - 1.0).abs());
        }
    }
    eprintln!("{turns:?} seed {}: times differ by {most:.3}, left out {} against {left}", settings.seed, crawl.left_out);
    (most, (crawl.left_out as f64 - left as f64).abs() / crawl.urls as f64)
}

fn agree(settings: impl Fn(u64) -> CrawlSettings, turns: Turns, times: f64, left: f64) {
    for seed in 0..4 {
        let (time, out) = difference(&settings(seed), turns);
        assert!(time <= times && out <= left, "seed {seed}: times by {time}, left out by {out}");
    }
}

#[test]
fn closed_form_and_urls_agree_where_machines_set_the_pace() {
    let settings = |seed| CrawlSettings { crawl_delays: Vec::new(), ..small(5000, 6000, seed) };
    agree(settings, Turns::Oldest, 0.06, 0.0);
    agree(settings, Turns::Shared, 0.06, 0.0);
}

#[test]
fn closed_form_and_urls_agree_where_hosts_set_the_pace() {
    let settings = |seed| CrawlSettings { unit_seconds: 1e6, host_delay: 0.5, ..small(300, 4000, seed) };
    agree(settings, Turns::Oldest, 0.1, 0.0);
    agree(settings, Turns::Shared, 0.5, 0.0);
}

#[test]
fn closed_form_and_urls_agree_on_what_rounds_leave_out() {
    let settings = |seed| CrawlSettings { host_delay: 2.0, ..small(300, 6000, seed) };
    agree(settings, Turns::Oldest, 0.1, 0.03);
    agree(settings, Turns::Shared, 0.25, 0.03);
}

#[test]
fn closed_form_and_urls_agree_where_units_leave_their_slow_hosts() {
    let settings = |seed| CrawlSettings {
        leave_below: 0.5,
        stay_seconds: 10.0,
        crawl_delays: vec![CrawlDelay { share: 0.1, seconds: 10.0 }],
        ..small(2000, 6000, seed)
    };
    agree(settings, Turns::Oldest, 0.3, 0.03);
    agree(settings, Turns::Shared, 0.35, 0.03);
}

#[test]
fn closed_form_and_urls_agree_with_limits_of_each_process() {
    let settings = |seed| CrawlSettings { scope: LimitScope::Process, host_delay: 1.0, ..small(300, 5000, seed) };
    agree(settings, Turns::Oldest, 0.15, 0.03);
    agree(settings, Turns::Shared, 0.25, 0.03);
}
