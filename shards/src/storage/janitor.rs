//! Aborting uploads that nobody will finish, on a thread that outlives the runtime they were begun on.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender as Reply, channel};
use std::time::Duration;

use object_store::MultipartUpload;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::StorageError;

enum Task {
    Abort { upload: Box<dyn MultipartUpload>, place: String, done: oneshot::Sender<()> },
    Settle(Reply<Vec<StorageError>>),
}

/// Aborts an upload in the background. The receiver hears when that is over; nobody has to wait for it. What could not be
/// aborted is kept for [`settle`].
pub(super) fn abort(upload: Box<dyn MultipartUpload>, place: String) -> oneshot::Receiver<()> {
    let (done, over) = oneshot::channel();
    if let Some(tasks) = tasks()
        && tasks.send(Task::Abort { upload, place: place.clone(), done }).is_err()
    {
        tracing::warn!(place, "an upload could not be aborted: the thread for it has ended");
    }
    over
}

/// Waits until writes that were given up have left nothing behind in object stores; to be called at the end of a process,
/// outside of asynchronous code. Returns what could not be aborted since the last call: these parts are invisible, and
/// stay until a later run sweeps them ([`Storage::sweep_uploads`](super::Storage::sweep_uploads)) or the bucket's own rule
/// for incomplete uploads does.
pub fn settle(patience: Duration) -> Vec<StorageError> {
    // Nothing was ever aborted when the thread was never started.
    let Some(Some(tasks)) = TASKS.get() else { return Vec::new() };
    let (reply, answer) = channel();
    if tasks.send(Task::Settle(reply)).is_err() {
        return Vec::new();
    }
    answer.recv_timeout(patience).unwrap_or_else(|_| {
        let said = format!("uploads were still being aborted after {} s", patience.as_secs_f32());
        vec![StorageError::Unreachable { place: "open uploads".to_owned(), said }]
    })
}

static TASKS: OnceLock<Option<UnboundedSender<Task>>> = OnceLock::new();

fn tasks() -> Option<&'static UnboundedSender<Task>> {
    let start = || {
        let (sender, receiver) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let started = runtime
            .and_then(|runtime| std::thread::Builder::new().name("uploads".to_owned()).spawn(move || runtime.block_on(work(receiver))));
        match started {
            Ok(_) => Some(sender),
            Err(error) => {
                tracing::warn!(%error, "no thread for aborting uploads; they stay open");
                None
            }
        }
    };
    TASKS.get_or_init(start).as_ref()
}

async fn work(mut tasks: UnboundedReceiver<Task>) {
    let mut aborts = JoinSet::new();
    let mut failed = Vec::new();
    loop {
        tokio::select! {
            task = tasks.recv() => match task {
                None => return,
                Some(Task::Abort { mut upload, place, done }) => {
                    aborts.spawn(async move {
                        let outcome = upload.abort().await;
                        // Whoever waited may have gone.
                        let _ = done.send(());
                        match outcome {
                            // Nothing of that number is there any more: that is what was wanted.
                            Ok(()) | Err(object_store::Error::NotFound { .. }) => None,
                            Err(error) => Some(StorageError::store(place, error)),
                        }
                    });
                }
                Some(Task::Settle(reply)) => {
                    while let Some(outcome) = aborts.join_next().await {
                        failed.extend(seen(outcome));
                    }
                    // Whoever asked may have run out of patience.
                    let _ = reply.send(std::mem::take(&mut failed));
                }
            },
            Some(outcome) = aborts.join_next() => failed.extend(seen(outcome)),
        }
    }
}

fn seen(outcome: Result<Option<StorageError>, tokio::task::JoinError>) -> Option<StorageError> {
    let error = match outcome {
        Ok(error) => error?,
        Err(error) => StorageError::io("open uploads", std::io::Error::other(error)),
    };
    tracing::warn!(%error, "an upload could not be aborted; its parts stay until it is");
    Some(error)
}
