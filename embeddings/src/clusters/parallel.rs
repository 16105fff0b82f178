//! Work shared among threads, item by item.

use parking_lot::Mutex;

/// Gives the items to `threads` threads, each with a state of its own, in turn. An error ends the work; of several the
/// first that was met is given.
///
/// Which thread takes which item is left to chance, so an item's result must depend on that item alone.
pub(crate) fn share<T: Send, S, E: Send>(
    threads: usize,
    items: impl Iterator<Item = T> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let items = Mutex::new(items.fuse());
    let failed = Mutex::new(None);
    let run = || {
        let mut state = state();
        loop {
            let Some(item) = items.lock().next() else { break };
            if let Err(error) = work(&mut state, item) {
                failed.lock().get_or_insert(error);
            }
            if failed.lock().is_some() {
                break;
            }
        }
    };
    if threads <= 1 {
        run();
    } else {
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(run);
            }
            run();
        });
    }
    failed.into_inner().map_or(Ok(()), Err)
}

/// The threads that are used when none are asked for: one per core.
pub(crate) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
