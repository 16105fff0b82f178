//! Rows on their way, and who waits for them.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::prepared::{Prepared, Tokens};

use super::config::{Batching, TextLength};
use super::error::{Embedded, PoolError, RowError};
use super::ticket::Answer;

/// What is encoded.
#[derive(Debug, Clone)]
pub(super) enum Input {
    Image(Arc<Prepared>),
    Text(Arc<Tokens>),
}

/// Which tower a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Image,
    Text,
}

/// Rows of one class can be one batch. `usize` is the side, or a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Square(usize),
    Patches(usize),
    Text(usize),
}

impl Input {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Image(_) => Kind::Image,
            Self::Text(_) => Kind::Text,
        }
    }

    /// Bytes of the values.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Image(image) => match &**image {
                Prepared::Fixed { data, .. } | Prepared::Patches { data, .. } => size_of_val(data.as_slice()),
            },
            Self::Text(tokens) => size_of_val(tokens.ids.as_slice()),
        }
    }

    /// The class with the exact length.
    pub(super) fn class(&self, batching: &Batching) -> Class {
        match self {
            Self::Image(image) => match **image {
                Prepared::Fixed { side, .. } => Class::Square(side),
                Prepared::Patches { rows, columns, .. } => Class::Patches(rows.saturating_mul(columns)),
            },
            Self::Text(tokens) => match batching.texts_by {
                TextLength::Context => Class::Text(0),
                TextLength::Used => Class::Text(tokens.used),
            },
        }
    }
}

impl Class {
    /// The class with its length rounded up to a step, so that lengths which are nearly equal share a batch.
    pub(super) fn bucket(self, step: usize) -> Self {
        let round = |length: usize| length.div_ceil(step).saturating_mul(step);
        match self {
            Self::Square(side) => Self::Square(side),
            Self::Patches(length) => Self::Patches(round(length)),
            Self::Text(length) => Self::Text(round(length)),
        }
    }

    /// Whether rows of both may be in one batch at all.
    pub(super) fn mixes_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Square(a), Self::Square(b)) => a == b,
            (Self::Patches(_), Self::Patches(_)) | (Self::Text(_), Self::Text(_)) => true,
            _ => false,
        }
    }
}

/// One row: its input and who waits for it. A row that is dropped unanswered answers that the pool is closed, so that no
/// ticket waits forever.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) input: Input,
    pub(super) queued: Instant,
    reply: Option<Reply>,
}

#[derive(Debug)]
pub(super) enum Reply {
    One(Answer<Embedded>),
    Unit(Arc<Unit>, usize),
}

/// Results of a unit, in input order, until the last one is there.
#[derive(Debug)]
pub(super) struct Unit(Mutex<UnitState>);

#[derive(Debug)]
struct UnitState {
    results: Vec<Option<Embedded>>,
    missing: usize,
    answer: Option<Answer<Vec<Embedded>>>,
}

impl Unit {
    /// A unit of that many rows; more than none.
    pub(super) fn new(rows: usize, answer: Answer<Vec<Embedded>>) -> Self {
        let results = std::iter::repeat_with(|| None).take(rows).collect();
        Self(Mutex::new(UnitState { results, missing: rows, answer: Some(answer) }))
    }

    fn set(&self, at: usize, result: Embedded) {
        let done = {
            let mut state = self.0.lock();
            if let Some(slot) = state.results.get_mut(at)
                && slot.replace(result).is_none()
            {
                state.missing -= 1;
            }
            if state.missing == 0 { state.answer.take().map(|answer| (answer, std::mem::take(&mut state.results))) } else { None }
        };
        if let Some((answer, results)) = done {
            let missing = || Err(RowError::Pool(PoolError::Closed));
            answer.send(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect());
        }
    }

    fn unwanted(&self) -> bool {
        self.0.lock().answer.as_ref().is_none_or(Answer::unwanted)
    }
}

impl Row {
    pub(super) fn new(input: Input, reply: Reply) -> Self {
        Self { input, queued: Instant::now(), reply: Some(reply) }
    }

    /// Answers whoever waits.
    pub(super) fn answer(mut self, result: Embedded) {
        self.send(result);
    }

    /// Whether nobody waits.
    pub(super) fn unwanted(&self) -> bool {
        match &self.reply {
            Some(Reply::One(answer)) => answer.unwanted(),
            Some(Reply::Unit(unit, _)) => unit.unwanted(),
            None => true,
        }
    }

    fn send(&mut self, result: Embedded) {
        match self.reply.take() {
            Some(Reply::One(answer)) => answer.send(result),
            Some(Reply::Unit(unit, at)) => unit.set(at, result),
            None => {}
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.send(Err(RowError::Pool(PoolError::Closed)));
    }
}

/// Rows that go through the model together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) model: usize,
    pub(super) kind: Kind,
    pub(super) rows: Vec<Row>,
    /// Place in the order of submission, of the first row.
    pub(super) seq: u64,
    /// How many times a worker died on exactly these rows.
    pub(super) deaths: u32,
    /// Half of a batch that killed its worker twice.
    pub(super) suspect: bool,
}

impl Batch {
    pub(super) fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row.input.bytes()).sum()
    }

    /// Answers all rows with one error.
    pub(super) fn fail(self, error: &RowError) {
        for row in self.rows {
            row.answer(Err(error.clone()));
        }
    }
}
