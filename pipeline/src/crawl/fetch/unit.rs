//! The scheduler of one unit: hosts wait in a queue ordered by when they may be asked next, so a slow or
//! large host never holds up another, and every URL gets exactly one answer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use url::Url;

use super::Fetcher;
use super::adaptive::{Feeling, Ticket};
use super::config::{Leave, UnitBudget, secs};
use super::metrics::Metrics;
use super::outcome::{FetchDone, FetchFailure, FetchItem, FetchOutcome};
use super::politeness::{Host, Slot, Turn, key_of};
use super::redirect::clean;
use super::retry::{RetryBudget, is_connection_level, is_retriable};
use super::step::{Authority, Job, Next, Stepped};

/// How soon a host is looked at again when another unit has all its turns.
const BUSY_LOOK: Duration = Duration::from_millis(20);
/// Answers waiting for the receiver above which no request is started.
const MAX_UNSENT: usize = 256;

/// Between two looks at whether the unit is still worth its place.
const LOOK: Duration = Duration::from_secs(1);
/// The share of the usual pace below which a unit leaves. A place is best given to another unit when what this one still
/// gives falls below the average (the marginal value theorem, Charnov 1976); half of it, because putting off costs a second packing.
const LEAVE_BELOW: f64 = 0.5;

/// What requests of a look ago count in a host's pace: it is an average over about twenty looks.
const KEPT: f64 = 0.95;
/// A unit that machine or line have kept from starting requests does not leave for so long: what its hosts gave then says
/// nothing about them.
const LIMITED: Duration = Duration::from_secs(20);

/// One politeness key of this unit.
struct Queue {
    key: String,
    host: Arc<Host>,
    jobs: VecDeque<Job>,
    running: usize,
    /// Looks since it was first asked, and the requests that have ended, those of the last looks counting most.
    looks: Option<u32>,
    ended: f64,
    /// Whether it is in the ready heap.
    queued: bool,
    connection_failures: u32,
    throttles: u32,
    accepted: usize,
    /// Why the host was given up.
    dead: Option<FetchFailure>,
    /// Set when the host asks for more patience than the unit has.
    resting: bool,
}

struct Running {
    index: u32,
    host_at: usize,
    since: Instant,
}

/// What a step's task brings back.
type Finished = (Job, Stepped, Slot);

/// What keeps the scheduler from starting more.
enum Wait {
    /// Nothing is ready before this moment.
    Until(Instant),
    /// A host is ready, but no request may be added to those in flight.
    Ticket,
    /// Only running requests or the receiver can change anything.
    Events,
}

pub(crate) struct Unit<'a> {
    fetcher: &'a Arc<Fetcher>,
    budget: UnitBudget,
    started: Instant,
    end: Instant,
    answers: u64,
    /// When something else than hosts last kept a request from starting.
    limited: Option<Instant>,
    /// Seconds that all requests took together.
    request_seconds: f64,
    queues: Vec<Queue>,
    by_key: HashMap<String, usize>,
    authorities: HashMap<String, Arc<Authority>>,
    ready: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    sequence: u64,
    unsent: VecDeque<FetchDone>,
    tasks: JoinSet<Finished>,
    running: HashMap<Id, Running>,
    retries: RetryBudget,
    requests: u64,
    spare: Option<Ticket>,
    over: bool,
}

impl<'a> Unit<'a> {
    pub(crate) fn new(fetcher: &'a Arc<Fetcher>, budget: UnitBudget) -> Self {
        // A year is for ever, and keeps the sum inside what an instant can hold.
        let time = budget.time.min(Duration::from_secs(31_557_600));
        let started = Instant::now();
        Self {
            fetcher,
            budget,
            started,
            end: started + time,
            answers: 0,
            limited: None,
            request_seconds: 0.0,
            queues: Vec::new(),
            by_key: HashMap::new(),
            authorities: HashMap::new(),
            ready: BinaryHeap::new(),
            sequence: 0,
            unsent: VecDeque::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            retries: RetryBudget::new(fetcher.cfg.retry_budget),
            requests: 0,
            spare: None,
            over: false,
        }
    }

    /// Answers all of `items`. Dropping the future stops every request of the unit.
    pub(crate) async fn run(mut self, items: Vec<FetchItem>, out: Sender<FetchDone>) {
        for item in items {
            self.accept(item);
        }
        let crew = Arc::clone(&self.fetcher.crew);
        let grace = secs(self.fetcher.cfg.total_timeout);
        let alarm = tokio::time::sleep_until(self.end);
        tokio::pin!(alarm);
        let (mut alarmed, mut aborted) = (false, false);
        let mut looks = tokio::time::interval_at(self.started + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = (self.started, 0);
        let mut ticket: Option<Pin<Box<dyn Future<Output = Ticket> + Send>>> = None;
        loop {
            let wait = if self.over { Wait::Events } else { self.start_ready() };
            if self.tasks.is_empty() && self.unsent.is_empty() && matches!(wait, Wait::Events) {
                return;
            }
            if matches!(wait, Wait::Ticket) {
                let adaptive = Arc::clone(&self.fetcher.adaptive);
                ticket.get_or_insert_with(|| Box::pin(adaptive.ticket()));
            } else {
                ticket = None;
                self.spare = None;
            }
            let until = if let Wait::Until(at) = wait { Some(at) } else { None };
            tokio::select! {
                sent = out.reserve(), if !self.unsent.is_empty() => {
                    let Ok(permit) = sent else { return };
                    if let Some(done) = self.unsent.pop_front() {
                        permit.send(done);
                    }
                    while let Some(done) = self.unsent.pop_front() {
                        if let Err(full) = out.try_send(done) {
                            self.unsent.push_front(full.into_inner());
                            break;
                        }
                    }
                }
                () = out.closed(), if self.unsent.is_empty() => return,
                Some(joined) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.joined(joined),
                got = wait_for(&mut ticket), if ticket.is_some() => {
                    ticket = None;
                    self.spare = Some(got);
                }
                () = wait_until(until), if until.is_some() => {}
                now = looks.tick() => {
                    let done = (now, self.answers);
                    crew.report(done.1 - seen.1, done.0.saturating_duration_since(seen.0).as_secs_f64());
                    seen = done;
                    for queue in &mut self.queues {
                        queue.ended *= KEPT;
                        queue.looks = queue.looks.map(|looks| looks.saturating_add(1));
                    }
                    if !self.over && self.should_leave(now) {
                        Metrics::add(&self.fetcher.metrics.units_left, 1);
                        self.finish_early();
                    }
                }
                () = &mut alarm, if !aborted => {
                    if alarmed {
                        // What is still running has had the time of a whole URL.
                        aborted = true;
                        self.tasks.abort_all();
                    } else {
                        alarmed = true;
                        self.finish_early();
                        alarm.as_mut().reset(Instant::now() + grace);
                    }
                }
            }
        }
    }

    /// Puts an item into its host's queue, or answers it at once.
    fn accept(&mut self, item: FetchItem) {
        let cfg = &self.fetcher.cfg;
        let index = item.index;
        if item.url.len() > cfg.max_url_bytes {
            let failure = FetchFailure::new("invalid_url", format!("a url of {} bytes", item.url.len()));
            return self.answer(index, FetchOutcome::Failed(failure));
        }
        let mut url = match Url::parse(&item.url) {
            Ok(url) => url,
            Err(error) => {
                return self.answer(index, FetchOutcome::Failed(FetchFailure::new("invalid_url", error.to_string())));
            }
        };
        if let Err(blocked) = self.fetcher.transport.guard.check_url(&url) {
            Metrics::add(&self.fetcher.metrics.guard_blocked, 1);
            return self.answer(index, FetchOutcome::Failed(blocked.into()));
        }
        clean(&mut url);
        let Some(authority) = self.authority(&url) else {
            return self.answer(index, FetchOutcome::Failed(FetchFailure::new("invalid_url", "the url has no host")));
        };
        let at = authority.host_at;
        let most = cfg.max_urls_per_host_per_unit;
        if let Some(queue) = self.queues.get_mut(at) {
            queue.accepted += 1;
            if most > 0 && queue.accepted > most {
                return self.answer(index, FetchOutcome::Deferred);
            }
        }
        self.retries.attempt();
        let job = Job { index, url, authority, attempts: 0, redirects: 0, requests: 0, spent: Duration::ZERO, seen: Vec::new() };
        self.enqueue(at, job, false);
    }

    fn authority(&mut self, url: &Url) -> Option<Arc<Authority>> {
        let origin = &url[..url::Position::BeforePath];
        if let Some(known) = self.authorities.get(origin) {
            return Some(Arc::clone(known));
        }
        let key = key_of(url.host_str()?, self.fetcher.cfg.politeness_key);
        let host_at = match self.by_key.get(key) {
            Some(at) => *at,
            None => {
                let at = self.queues.len();
                self.by_key.insert(key.to_owned(), at);
                self.queues.push(Queue {
                    key: key.to_owned(),
                    host: self.fetcher.hosts.get(key, Instant::now().into_std()),
                    jobs: VecDeque::new(),
                    running: 0,
                    looks: None,
                    ended: 0.0,
                    queued: false,
                    connection_failures: 0,
                    throttles: 0,
                    accepted: 0,
                    dead: None,
                    resting: false,
                });
                at
            }
        };
        let authority = Arc::new(Authority::new(origin.to_owned(), host_at));
        self.authorities.insert(origin.to_owned(), Arc::clone(&authority));
        Some(authority)
    }

    fn enqueue(&mut self, at: usize, job: Job, first: bool) {
        let Some(queue) = self.queues.get_mut(at) else {
            return self.answer(job.index, FetchOutcome::Deferred);
        };
        if let Some(why) = &queue.dead {
            let outcome = FetchOutcome::Failed(why.clone());
            return self.answer(job.index, outcome);
        }
        if self.over || queue.resting {
            return self.answer(job.index, FetchOutcome::Deferred);
        }
        if first {
            queue.jobs.push_front(job);
        } else {
            queue.jobs.push_back(job);
        }
        self.wake(at, Instant::now());
    }

    /// Puts a host with work into the ready heap, once.
    fn wake(&mut self, at: usize, when: Instant) {
        if let Some(queue) = self.queues.get_mut(at)
            && !queue.queued
            && !queue.jobs.is_empty()
        {
            queue.queued = true;
            self.sequence += 1;
            self.ready.push(Reverse((when, self.sequence, at)));
        }
    }

    fn answer(&mut self, index: u32, outcome: FetchOutcome) {
        self.fetcher.metrics.outcome(&outcome);
        self.answers += u64::from(!matches!(outcome, FetchOutcome::Deferred));
        self.unsent.push_back(FetchDone { index, outcome });
    }

    /// Starts steps until nothing more may start.
    fn start_ready(&mut self) -> Wait {
        let fetcher = self.fetcher;
        loop {
            let now = Instant::now();
            let Some(Reverse((when, _, at))) = self.ready.peek().copied() else {
                return Wait::Events;
            };
            if self.requests >= self.budget.requests || now >= self.end {
                self.finish_early();
                return Wait::Events;
            }
            // Those that run may each turn out to be a request.
            if self.requests + self.running.len() as u64 >= self.budget.requests {
                return Wait::Events;
            }
            if when > now {
                return Wait::Until(when);
            }
            if self.unsent.len() >= MAX_UNSENT {
                fetcher.crew.backed_up(now.into_std());
                self.limited = Some(now);
                return Wait::Events;
            }
            // What robots.txt forbids needs no turn and no ticket.
            let Some(queue) = self.queues.get_mut(at) else {
                return Wait::Events;
            };
            if let Some(job) = queue.jobs.front()
                && let Some(outcome) = fetcher.known_verdict(job)
            {
                let index = job.index;
                queue.jobs.pop_front();
                self.answer(index, outcome);
                continue;
            }
            let Some(job) = queue.jobs.front() else {
                queue.queued = false;
                self.ready.pop();
                continue;
            };
            // One asks for the site's rules, the others wait for them without a turn.
            if queue.running > 0 && !fetcher.policy_known(&job.authority) {
                queue.queued = false;
                self.ready.pop();
                continue;
            }
            let Some(ticket) = self.spare.take().or_else(|| fetcher.adaptive.try_ticket()) else {
                self.limited = Some(now);
                return Wait::Ticket;
            };
            self.ready.pop();
            queue.queued = false;
            match queue.host.turn(now.into_std(), fetcher.cfg.per_host_concurrency) {
                Turn::Go(slot) => {
                    let Some(mut job) = queue.jobs.pop_front() else {
                        continue;
                    };
                    queue.running += 1;
                    queue.looks.get_or_insert(0);
                    let more = queue.running > 1 || !queue.jobs.is_empty();
                    let meta = Running { index: job.index, host_at: at, since: now };
                    let owner = Arc::clone(fetcher);
                    let handle = self.tasks.spawn(async move {
                        let stepped = owner.step(&mut job, &slot, more).await;
                        if !stepped.requested {
                            slot.unused();
                        }
                        drop(ticket);
                        // The turn goes along, and ends only when the host's state has heard of the outcome:
                        // a rest that it asks for must not be overtaken by the next request.
                        (job, stepped, slot)
                    });
                    self.running.insert(handle.id(), meta);
                    self.wake(at, now);
                }
                Turn::NotBefore(when) => {
                    self.spare = Some(ticket);
                    let when = Instant::from_std(when);
                    let patience = now + secs(fetcher.cfg.max_host_wait);
                    if when >= self.end || when > patience {
                        self.give_rest(at);
                    } else {
                        self.wake(at, when);
                    }
                }
                Turn::Full => {
                    self.spare = Some(ticket);
                    if queue.running == 0 {
                        self.wake(at, now + BUSY_LOOK);
                    }
                }
            }
        }
    }

    fn joined(&mut self, joined: Result<(Id, Finished), tokio::task::JoinError>) {
        let (id, result) = match joined {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(Running { index, host_at, since }) = self.running.remove(&id) else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(host_at) {
            queue.running = queue.running.saturating_sub(1);
        }
        match result {
            Ok((job, stepped, slot)) => {
                if stepped.requested {
                    self.request_seconds += since.elapsed().as_secs_f64();
                    if let Some(queue) = self.queues.get_mut(host_at) {
                        queue.ended += 1.0;
                    }
                }
                self.stepped(host_at, job, stepped);
                drop(slot);
            }
            Err(error) if error.is_cancelled() => self.answer(index, FetchOutcome::Deferred),
            Err(error) => {
                tracing::error!(%error, "a fetch panicked");
                self.answer(index, FetchOutcome::Failed(FetchFailure::new("internal", "the fetch panicked")));
            }
        }
        self.wake(host_at, Instant::now());
    }

    fn stepped(&mut self, at: usize, mut job: Job, stepped: Stepped) {
        if stepped.requested {
            self.requests += 1;
            self.fetcher.adaptive.report(feeling(&stepped.next), Instant::now().into_std());
        }
        if stepped.answered
            && let Some(queue) = self.queues.get_mut(at)
        {
            queue.connection_failures = 0;
        }
        match stepped.next {
            Next::Done(outcome) => {
                if matches!(outcome, FetchOutcome::Success(_) | FetchOutcome::Refused(_))
                    && stepped.answered
                    && let Some(queue) = self.queues.get_mut(at)
                {
                    queue.throttles = 0;
                    queue.host.calm();
                }
                self.answer(job.index, outcome);
            }
            Next::Again => self.enqueue(at, job, true),
            Next::Redirect(url) => match self.authority(&url) {
                Some(authority) => {
                    let to = authority.host_at;
                    job.url = url;
                    job.authority = authority;
                    self.enqueue(to, job, true);
                }
                None => {
                    let failure = FetchFailure::new("bad_redirect", "the location has no host");
                    self.answer(job.index, FetchOutcome::Failed(failure));
                }
            },
            Next::Trouble { failure, retry_after } => self.trouble(at, job, failure, retry_after),
        }
    }

    /// Lets the host rest where that helps, gives it up where nothing does, and tries again where there is a
    /// point in it.
    fn trouble(&mut self, at: usize, mut job: Job, failure: FetchFailure, retry_after: Option<Duration>) {
        let fetcher = self.fetcher;
        let cfg = &fetcher.cfg;
        let now = Instant::now();
        let connection = is_connection_level(failure.code);
        let throttled = matches!(failure.code, "http_429" | "http_503");
        let overloaded = matches!(failure.code, "http_500" | "http_502" | "http_504" | "http_522" | "http_524");
        if let Some(queue) = self.queues.get_mut(at) {
            if connection || throttled || overloaded {
                let row = queue.host.trouble();
                let wait = retry_after.unwrap_or_else(|| fetcher.backoff.wait(&queue.key, row));
                queue.host.rest_until((now + wait).into_std());
            } else if let Some(wait) = retry_after {
                queue.host.rest_until((now + wait).into_std());
            } else if failure.code.starts_with("http_") {
                queue.host.calm();
                queue.throttles = 0;
            }
            queue.connection_failures += u32::from(connection);
            queue.throttles += u32::from(throttled);
            let why = if queue.connection_failures >= cfg.host_failures {
                Some(("host_unreachable", queue.connection_failures))
            } else if queue.throttles >= cfg.host_failures {
                Some(("host_throttled", queue.throttles))
            } else {
                None
            };
            if let Some((code, row)) = why
                && queue.dead.is_none()
            {
                let message = format!("given up after {row} failures in a row, the last {}", failure.code);
                queue.dead = Some(FetchFailure::new(code, message));
                let rest: Vec<Job> = queue.jobs.drain(..).collect();
                let dead = queue.dead.clone();
                for job in rest {
                    if let Some(dead) = &dead {
                        self.answer(job.index, FetchOutcome::Failed(dead.clone()));
                    }
                }
            }
        }
        let alive = self.queues.get(at).is_some_and(|q| q.dead.is_none());
        if alive && is_retriable(failure.code) && job.attempts < cfg.retries && self.retries.take() {
            Metrics::add(&fetcher.metrics.retries, 1);
            job.attempts += 1;
            job.spent = Duration::ZERO;
            self.enqueue(at, job, false);
        } else {
            self.answer(job.index, FetchOutcome::Failed(failure));
        }
    }

    /// The host wants more time than there is: its URLs are for another unit.
    fn give_rest(&mut self, at: usize) {
        let Some(queue) = self.queues.get_mut(at) else {
            return;
        };
        queue.resting = true;
        let rest: Vec<Job> = queue.jobs.drain(..).collect();
        for job in rest {
            self.answer(job.index, FetchOutcome::Deferred);
        }
    }

    /// Whether the place of this unit is worth more to another one.
    fn should_leave(&self, now: Instant) -> bool {
        let allowed = match self.budget.leave {
            Leave::Never => false,
            Leave::WhenOthersWait => self.fetcher.crew.others_wait(),
            Leave::Always => true,
        };
        let since = |moment: Instant| now.saturating_duration_since(moment);
        let stayed = since(self.started);
        let limited = self.limited.is_some_and(|moment| since(moment) < LIMITED.min(self.budget.stay));
        // Without anything to put off there is nothing to leave.
        if !allowed || limited || stayed < self.budget.stay || self.queues.iter().all(|queue| queue.jobs.is_empty()) {
            return false;
        }
        let own = self.answers as f64 / stayed.as_secs_f64();
        self.left_pace() < LEAVE_BELOW * own.max(self.fetcher.crew.usual_pace())
    }

    /// Urls a second that the hosts with something left give.
    fn left_pace(&self) -> f64 {
        let seconds = if self.requests > 0 { self.request_seconds / self.requests as f64 } else { 0.0 };
        // What its limits allow, with answers as fast as the unit's others.
        let gap = (seconds / self.fetcher.cfg.per_host_concurrency as f64).max(1e-3);
        let pace = |queue: &Queue| {
            let allowed = 1.0 / queue.host.delay().as_secs_f64().max(gap);
            match queue.looks {
                // Its answers may be slower, and other units may ask it too.
                Some(looks) => {
                    let seconds = LOOK.as_secs_f64() * (1.0 - KEPT.powi(looks.max(1).cast_signed())) / (1.0 - KEPT);
                    allowed.min((queue.ended + queue.running as f64) / seconds)
                }
                None => allowed,
            }
        };
        self.queues.iter().filter(|queue| !queue.jobs.is_empty()).map(pace).sum()
    }

    /// Starts nothing more; what runs may end.
    fn finish_early(&mut self) {
        self.over = true;
        self.ready.clear();
        for at in 0..self.queues.len() {
            self.give_rest(at);
        }
    }
}

async fn wait_for(ticket: &mut Option<Pin<Box<dyn Future<Output = Ticket> + Send>>>) -> Ticket {
    match ticket {
        Some(ticket) => ticket.await,
        None => std::future::pending().await,
    }
}

async fn wait_until(until: Option<Instant>) {
    match until {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn feeling(next: &Next) -> Feeling {
    let code = match next {
        Next::Trouble { failure, .. } | Next::Done(FetchOutcome::Failed(failure)) => failure.code,
        _ => return Feeling::Fine,
    };
    match code {
        "local_resources" => Feeling::Exhausted,
        "connect_timeout" | "header_timeout" | "idle_timeout" | "total_timeout" | "too_slow" => Feeling::TimedOut,
        _ => Feeling::Fine,
    }
}
