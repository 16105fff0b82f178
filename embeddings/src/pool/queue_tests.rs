//! The collector's decision, with times made up.

use std::time::Duration;

use super::*;
use crate::pool::row::{Input, Reply};
use crate::pool::ticket::{Ticket, block_on, ticket};
use crate::prepared::Tokens;

const DEADLINE: Duration = Duration::from_secs(3600);

fn queue(max_rows: usize) -> Queue {
    let batching = Batching { texts: 3, deadline: DEADLINE, ..Batching::default() };
    let lanes = ["a", "b"].map(|name| Lane { name: name.to_owned(), batching: batching.clone() }).into();
    let options = PoolOptions { max_rows, ..PoolOptions::default() };
    Queue::new(lanes, vec![vec![0], vec![0, 1]], &options, Counters::new(&[]))
}

fn row(id: u32) -> (Row, Ticket<crate::pool::Embedded>) {
    let (answer, ticket) = ticket();
    let tokens = Tokens { ids: vec![id], used: 1, truncated: false };
    (Row::new(Input::Text(Arc::new(tokens)), Reply::One(answer)), ticket)
}

fn push(queue: &Queue, model: usize, id: u32) -> Ticket<crate::pool::Embedded> {
    let (row, ticket) = row(id);
    block_on(queue.admit(Item::Single(model, row))).unwrap();
    ticket
}

fn next(queue: &Queue, worker: usize, now: Instant) -> Next {
    queue.state.lock().next(worker, &queue.lanes, now)
}

fn ids(next: Next) -> Vec<u32> {
    let Next::Batch(batch) = next else { panic!("no batch") };
    batch.rows.iter().map(|row| if let Input::Text(tokens) = &row.input { tokens.ids[0] } else { 0 }).collect()
}

#[test]
fn rows_wait_for_a_full_batch_until_the_first_ones_deadline() {
    let (queue, start) = (queue(100), Instant::now());
    let _a = push(&queue, 0, 1);
    let _b = push(&queue, 0, 2);
    let Next::WaitUntil(Some(due)) = next(&queue, 0, start) else { panic!("should wait") };
    assert!(due >= start + DEADLINE);
    assert!(matches!(next(&queue, 0, due - Duration::from_nanos(1)), Next::WaitUntil(Some(_))));
    assert_eq!(ids(next(&queue, 0, due)), [1, 2]);
    assert!(matches!(next(&queue, 0, due), Next::WaitUntil(None)));
}

#[test]
fn a_full_batch_and_a_flush_need_no_deadline() {
    let (queue, now) = (queue(100), Instant::now());
    let _tickets: Vec<_> = (0..5).map(|id| push(&queue, 0, id)).collect();
    assert_eq!(ids(next(&queue, 0, now)), [0, 1, 2]);
    assert!(matches!(next(&queue, 0, now), Next::WaitUntil(Some(_))));
    queue.flush();
    let _later = push(&queue, 1, 9);
    assert_eq!(ids(next(&queue, 0, now)), [3, 4]);
    assert!(matches!(next(&queue, 1, now), Next::WaitUntil(Some(_))), "it came after the flush");
    queue.close();
    assert_eq!(ids(next(&queue, 1, now)), [9]);
    assert!(matches!(next(&queue, 1, now), Next::Done));
}

#[test]
fn the_oldest_ready_batch_goes_first_and_only_to_a_worker_that_has_the_model() {
    let (queue, now) = (queue(100), Instant::now());
    let _b: Vec<_> = (10..13).map(|id| push(&queue, 1, id)).collect();
    let _a: Vec<_> = (0..3).map(|id| push(&queue, 0, id)).collect();
    assert_eq!(ids(next(&queue, 0, now)), [0, 1, 2]);
    assert_eq!(ids(next(&queue, 1, now)), [10, 11, 12]);
}

#[test]
fn a_caller_that_waits_for_room_makes_the_oldest_rows_go() {
    let (queue, now) = (queue(2), Instant::now());
    let (_a, _b) = (push(&queue, 1, 1), push(&queue, 0, 2));
    let mut third = queue.admit(Item::Single(0, row(3).0));
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut third).poll(&mut context).is_pending());
    assert_eq!(ids(next(&queue, 1, now)), [1]);
    assert!(Pin::new(&mut third).poll(&mut context).is_ready());
    assert!(matches!(next(&queue, 1, now), Next::WaitUntil(Some(_))));
}

#[test]
fn callers_get_room_in_the_order_in_which_they_came() {
    let queue = queue(1);
    let (_a, mut context) = (push(&queue, 0, 1), Context::from_waker(Waker::noop()));
    let mut lines: Vec<_> = (2..5).map(|id| queue.admit(Item::Single(0, row(id).0))).collect();
    assert!(lines.iter_mut().all(|line| Pin::new(line).poll(&mut context).is_pending()));
    queue.clear();
    assert!(Pin::new(&mut lines[1]).poll(&mut context).is_pending(), "it is not its turn");
    drop(lines.remove(0));
    assert!(Pin::new(&mut lines[0]).poll(&mut context).is_ready());
    assert!(Pin::new(&mut lines[1]).poll(&mut context).is_pending());
}
