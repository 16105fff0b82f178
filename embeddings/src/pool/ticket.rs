//! The promise of a result: what a caller holds while a worker computes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use parking_lot::{Condvar, Mutex};

/// A result that will come: wait for it in a thread ([`Ticket::wait`]) or `.await` it.
///
/// Every ticket is answered, also when the pool is closed or its workers are dead: then with an error. A ticket that is
/// dropped is a row that nobody wants, and the pool skips it if it has not begun.
#[derive(Debug)]
pub struct Ticket<T> {
    slot: Arc<Slot<T>>,
}

/// The side that answers. Held by the pool.
#[derive(Debug)]
pub(super) struct Answer<T> {
    slot: Arc<Slot<T>>,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
    unwanted: bool,
}

/// A ticket and the side that answers it.
pub(super) fn ticket<T>() -> (Answer<T>, Ticket<T>) {
    let state = State { value: None, waker: None, unwanted: false };
    let slot = Arc::new(Slot { state: Mutex::new(state), ready: Condvar::new() });
    (Answer { slot: Arc::clone(&slot) }, Ticket { slot })
}

impl<T> Answer<T> {
    /// Gives the result. Never blocks: a consumer that does not look cannot hold a worker.
    pub(super) fn send(self, value: T) {
        let waker = {
            let mut state = self.slot.state.lock();
            state.value = Some(value);
            state.waker.take()
        };
        self.slot.ready.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the ticket was dropped.
    pub(super) fn unwanted(&self) -> bool {
        self.slot.state.lock().unwanted
    }
}

impl<T> Ticket<T> {
    /// Blocks the thread until the result is there. In an async task, `.await` the ticket instead.
    pub fn wait(self) -> T {
        let mut state = self.slot.state.lock();
        loop {
            if let Some(value) = state.value.take() {
                return value;
            }
            self.slot.ready.wait(&mut state);
        }
    }

    /// The result if it is there already; else the ticket again.
    ///
    /// # Errors
    /// The ticket, when there is no result yet.
    pub fn try_wait(self) -> Result<T, Self> {
        let value = self.slot.state.lock().value.take();
        value.ok_or(self)
    }
}

impl<T> Future for Ticket<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.slot.state.lock();
        if let Some(value) = state.value.take() {
            return Poll::Ready(value);
        }
        // Dropping a waker may run foreign code: not under the lock.
        let old = state.waker.replace(context.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        // The waker and the value may run foreign code when they drop: not under the lock.
        let leftovers = {
            let mut state = self.slot.state.lock();
            state.unwanted = true;
            (state.waker.take(), state.value.take())
        };
        drop(leftovers);
    }
}

/// Runs a future to its end on this thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park();
    }
}
