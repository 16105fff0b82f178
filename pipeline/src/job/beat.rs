//! The pulse of a run: renews its sign of life in the output.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use trommel_shards::storage::Storage;

use crate::ledger::{Presence, now};
use crate::report::Progress;

/// Between two signs of life.
const EVERY: Duration = Duration::from_secs(5);

/// Renews a [`Presence`] as long as it lives.
pub(super) struct Beat {
    state: Arc<Mutex<Presence>>,
    progress: Arc<Progress>,
    storage: Storage,
    task: tokio::task::JoinHandle<()>,
}

impl Beat {
    /// Begins.
    pub(super) fn start(first: Presence, storage: &Storage, progress: &Arc<Progress>) -> Self {
        let state = Arc::new(Mutex::new(first));
        let task = {
            let (state, progress, storage) = (Arc::clone(&state), Arc::clone(progress), storage.clone());
            tokio::spawn(async move {
                loop {
                    let sign = current(&state, &progress);
                    // A sign of life that cannot be written is not worth stopping for: the work itself will say so.
                    if let Err(error) = sign.write(&storage).await {
                        tracing::warn!(%error, "no sign of life could be written");
                    }
                    tokio::time::sleep(EVERY).await;
                }
            })
        };
        Self { state, progress: Arc::clone(progress), storage: storage.clone(), task }
    }

    /// A pass begins.
    pub(super) fn pass(&self, pass: &str) {
        let mut state = self.state.lock();
        pass.clone_into(&mut state.pass);
        state.pass_since = now();
        "working".clone_into(&mut state.doing);
    }

    /// What it does in the pass.
    pub(super) fn doing(&self, what: &str) {
        what.clone_into(&mut self.state.lock().doing);
    }

    /// The end of the run, as the last sign.
    pub(super) async fn end(self, how: &str) {
        self.task.abort();
        let mut sign = current(&self.state, &self.progress);
        sign.ended = Some(how.to_owned());
        if how == "done" {
            sign.pass.clear();
        }
        if let Err(error) = sign.write(&self.storage).await {
            tracing::warn!(%error, "the end of the run could not be put down");
        }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn current(state: &Mutex<Presence>, progress: &Progress) -> Presence {
    let seen = progress.seen();
    let mut state = state.lock();
    (state.units, state.rows, state.lost, state.failures) = ((seen.units_done, seen.units_total), seen.rows, seen.lost, seen.failures);
    state.seen = now();
    state.clone()
}
