//! Back-pressure, consumers that stall, and the end of a pool.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::fake::{self, Hook, IMAGE, TEXT, expected, fours, healthy, image, pool, text};
use crate::pool::ticket::block_on;
use crate::pool::{Batching, Pool, PoolError, PoolOptions, RowError};

/// A hook that says when a call has begun, and lets it go on when told (or when the teller is gone).
fn gate() -> (Hook, Receiver<()>, Sender<()>) {
    let ((begin, begun), (open, opened)) = (unbounded(), unbounded());
    let hook: Hook = Arc::new(move |_| {
        let _ = begin.send(());
        let _ = opened.recv();
        Ok(())
    });
    (hook, begun, open)
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn order_is_kept_under_many_threads_and_two_models() {
    let (a, _) = fake::model("a", &["cpu:0", "cpu:1"], fours(), &healthy());
    let (b, _) = fake::model("b", &["cpu:1", "cpu:2"], Batching { texts: 3, ..fours() }, &healthy());
    let pool = Pool::new(vec![a, b], PoolOptions { max_rows: 10, ..PoolOptions::default() }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let pool = pool.clone();
            scope.spawn(move || {
                let ids: Vec<u32> = (thread * 100..thread * 100 + 50).collect();
                let images = pool.submit_images("a", ids.iter().map(|id| image(*id)).collect::<Vec<_>>()).unwrap();
                let texts = block_on(pool.submit_texts_async("b", ids.iter().map(|id| text(*id)).collect::<Vec<_>>())).unwrap();
                let singles: Vec<_> = ids.iter().map(|id| pool.submit_text("a", text(*id)).unwrap()).collect();
                pool.flush();
                for (got, id) in images.wait().into_iter().zip(&ids) {
                    assert_eq!(got, Ok(expected(*id, IMAGE)));
                }
                for (got, id) in block_on(texts).into_iter().zip(&ids) {
                    assert_eq!(got, Ok(expected(*id, TEXT)));
                }
                for (ticket, id) in singles.into_iter().zip(&ids) {
                    assert_eq!(ticket.wait(), Ok(expected(*id, TEXT)));
                }
            });
        }
    });
    let metrics = pool.metrics();
    assert_eq!((metrics.images, metrics.texts, metrics.rows_queued, metrics.bytes_queued), (400, 800, 0, 0));
}

#[test]
fn a_full_queue_makes_callers_wait_by_rows_and_by_bytes() {
    let bytes = 3 * size_of::<f32>();
    for options in [PoolOptions { max_rows: 4, ..PoolOptions::default() }, PoolOptions { max_bytes: 4 * bytes, ..PoolOptions::default() }] {
        let (hook, begun, open) = gate();
        let (model, _) = fake::model("m", &["cpu"], fours(), &hook);
        let pool = Pool::new(vec![model], options).unwrap();
        // Four rows go to the worker, which holds; four more to the collector, which holds them for the worker.
        let mut tickets: Vec<_> = (0..8).map(|id| pool.submit_image("m", image(id)).unwrap()).collect();
        begun.recv().unwrap();
        while pool.metrics().rows_queued > 0 {
            std::thread::yield_now();
        }
        tickets.extend((8..12).map(|id| pool.submit_image("m", image(id)).unwrap()));
        assert_eq!((pool.metrics().rows_queued, pool.metrics().bytes_queued), (4, 4 * bytes));
        let mut waiting = Box::pin(pool.submit_image_async("m", image(12)));
        let mut behind = Box::pin(pool.submit_image_async("m", image(13)));
        assert!(poll(&mut waiting).is_pending() && poll(&mut behind).is_pending());
        drop(behind);
        open.send(()).unwrap();
        tickets.push(block_on(waiting).unwrap());
        drop(open);
        pool.flush();
        for (ticket, id) in tickets.into_iter().zip(0..) {
            assert_eq!(ticket.wait(), Ok(expected(id, IMAGE)));
        }
    }
}

#[test]
fn a_row_larger_than_the_queue_is_let_in_alone() {
    let (model, _) = fake::model("m", &["cpu"], fours(), &healthy());
    let pool = Pool::new(vec![model], PoolOptions { max_rows: 1, max_bytes: 1, ..PoolOptions::default() }).unwrap();
    let results = pool.embed_images("m", (0..9).map(image).collect::<Vec<_>>()).unwrap();
    assert_eq!(results, fake::undisturbed(&(0..9).collect::<Vec<_>>()));
}

#[test]
fn a_full_queue_without_a_full_batch_moves() {
    // The batch is larger than the queue, the deadline is never, and nobody flushes.
    let (model, _) = fake::model("m", &["cpu"], Batching { images: 64, ..fours() }, &healthy());
    let pool = Pool::new(vec![model], PoolOptions { max_rows: 3, ..PoolOptions::default() }).unwrap();
    let tickets: Vec<_> = (0..20).map(|id| pool.submit_image("m", image(id)).unwrap()).collect();
    drop(pool);
    for (ticket, id) in tickets.into_iter().zip(0..) {
        assert_eq!(ticket.wait(), Ok(expected(id, IMAGE)));
    }
}

#[test]
fn a_consumer_that_never_reads_holds_up_nobody() {
    let (model, _) = fake::model("m", &["cpu"], fours(), &healthy());
    let pool = Pool::new(vec![model], PoolOptions { max_rows: 8, ..PoolOptions::default() }).unwrap();
    let stalled: Vec<_> = (0..500).map(|id| pool.submit_image("m", image(id)).unwrap()).collect();
    let stalled_unit = pool.submit_images("m", (0..500).map(image).collect::<Vec<_>>()).unwrap();
    let other = pool.embed_images("m", (500..600).map(image).collect::<Vec<_>>()).unwrap();
    assert_eq!(other[99], Ok(expected(599, IMAGE)));
    drop(pool);
    for (ticket, id) in stalled.into_iter().zip(0..) {
        assert_eq!(ticket.wait(), Ok(expected(id, IMAGE)));
    }
    assert_eq!(stalled_unit.wait().len(), 500);
}

#[test]
fn a_pool_dropped_while_busy_answers_everyone_and_joins_its_threads() {
    let (hook, begun, open) = gate();
    let alive = Arc::downgrade(&hook);
    let (pool, _) = pool(&["cpu"], fours(), hook);
    let tickets: Vec<_> = (0..30).map(|id| pool.submit_image("m", image(id)).unwrap()).collect();
    begun.recv().unwrap();
    let dropper = std::thread::spawn(move || drop(pool));
    drop(open);
    dropper.join().unwrap();
    assert!(alive.upgrade().is_none(), "a replica outlived its pool");
    for (ticket, id) in tickets.into_iter().zip(0..) {
        assert_eq!(ticket.try_wait().unwrap(), Ok(expected(id, IMAGE)));
    }
}

#[test]
fn rows_that_nobody_waits_for_are_not_computed() {
    let (hook, begun, open) = gate();
    let (pool, log) = pool(&["cpu"], fours(), hook);
    let first = pool.submit_images("m", (0..8).map(image).collect::<Vec<_>>()).unwrap();
    begun.recv().unwrap();
    while pool.metrics().rows_queued > 0 {
        std::thread::yield_now();
    }
    drop(pool.submit_images("m", (100..140).map(image).collect::<Vec<_>>()).unwrap());
    for id in 200..250 {
        drop(pool.submit_image("m", image(id)).unwrap());
    }
    let kept = pool.submit_image("m", image(9)).unwrap();
    drop(open);
    drop(pool);
    assert_eq!((first.wait().len(), kept.wait()), (8, Ok(expected(9, IMAGE))));
    assert_eq!(*log.lock(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![9]]);
}

#[test]
fn a_closed_pool_finishes_and_an_aborted_one_answers_that_it_is_closed() {
    let (finished, _) = pool(&["cpu"], fours(), healthy());
    let ticket = finished.submit_image("m", image(1)).unwrap();
    finished.close();
    assert_eq!(ticket.wait(), Ok(expected(1, IMAGE)));
    assert_eq!(finished.submit_image("m", image(2)).unwrap_err(), PoolError::Closed);
    let rows = finished.embed_images("m", vec![image(3), image(4)]).unwrap();
    assert_eq!(rows, vec![Err(RowError::Pool(PoolError::Closed)); 2]);

    let (hook, begun, open) = gate();
    let (aborted, _) = pool(&["cpu"], fours(), hook);
    let in_hand = aborted.submit_images("m", (0..8).map(image).collect::<Vec<_>>()).unwrap();
    begun.recv().unwrap();
    while aborted.metrics().rows_queued > 0 {
        std::thread::yield_now();
    }
    let (queued, single) = (aborted.submit_images("m", vec![image(8)]).unwrap(), aborted.submit_image("m", image(9)).unwrap());
    aborted.abort();
    assert_eq!(queued.wait(), [Err(RowError::Pool(PoolError::Closed))]);
    assert_eq!(single.wait(), Err(RowError::Pool(PoolError::Closed)));
    drop(open);
    assert!(in_hand.wait().iter().all(Result::is_ok));
}

#[test]
fn callers_that_wait_for_room_are_told_when_the_model_dies() {
    let (begin, begun) = unbounded();
    let (open, opened) = unbounded::<()>();
    let hook: Hook = Arc::new(move |_| {
        let _ = begin.send(());
        let _ = opened.recv();
        panic!("injected")
    });
    let (model, _) = fake::model("m", &["cpu"], fours(), &hook);
    let pool = Pool::new(vec![model], PoolOptions { max_rows: 4, ..PoolOptions::default() }).unwrap();
    let caller = pool.clone();
    let waits = std::thread::spawn(move || caller.embed_images("m", (0..40).map(image).collect::<Vec<_>>()));
    begun.recv().unwrap();
    while pool.inner.queue.blocked() == 0 {
        std::thread::yield_now();
    }
    drop(open);
    let results = waits.join().unwrap().unwrap();
    assert!(results.len() == 40 && results.iter().all(Result::is_err));
    assert!(matches!(results[39], Err(RowError::Pool(PoolError::Dead { .. }))));
}

#[test]
fn a_waker_may_drop_the_last_clone_on_a_workers_thread() {
    struct Last(Mutex<Option<Pool>>);
    impl Wake for Last {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().take());
        }
    }
    let (hook, begun, open) = gate();
    let (pool, _) = pool(&["cpu"], fours(), hook);
    let mut first = pool.submit_images("m", (0..4).map(image).collect::<Vec<_>>()).unwrap();
    let others = pool.submit_images("m", (4..20).map(image).collect::<Vec<_>>()).unwrap();
    begun.recv().unwrap();
    let waker = Waker::from(Arc::new(Last(Mutex::new(Some(pool)))));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(open);
    assert!(first.wait().iter().chain(&others.wait()).all(Result::is_ok));
}

#[test]
fn a_pool_and_its_futures_travel_between_threads() {
    fn travels<T: Send>(_: &T) {}
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let (pool, _) = pool(&["cpu"], fours(), healthy());
    shared(&pool);
    travels(&pool.submit_image_async("m", image(1)));
    travels(&pool.submit_texts_async("m", vec![text(1)]));
    travels(&pool.submit_image("m", image(1)).unwrap());
}

#[test]
fn an_empty_unit_is_answered_at_once() {
    let (pool, _) = pool(&["cpu"], fours(), healthy());
    assert_eq!(pool.embed_images("m", Vec::<crate::Prepared>::new()).unwrap(), []);
}

#[test]
fn metrics_are_data() {
    let (pool, _) = pool(&["cpu"], fours(), healthy());
    pool.embed_texts("m", (0..6).map(text).collect::<Vec<_>>()).unwrap();
    let metrics = serde_json::to_value(pool.metrics()).unwrap();
    assert_eq!((&metrics["texts"], &metrics["batches"], &metrics["batch_fill"]), (&6.into(), &2.into(), &0.75.into()));
    assert_eq!(metrics["devices"][0]["device"], "cpu");
}
