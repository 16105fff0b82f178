//! The decoder threads: pictures are decoded, judged, resized and encoded here, away from the network threads.
//!
//! One [`Processor`] per thread, with its buffers. The queue is short, so that bodies wait in the fetcher, where they
//! count against its bound of bytes in flight.

use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use tokio::sync::oneshot;
use trommel_shards::image::{ImageError, Processor};

type Job = Box<dyn FnOnce(&mut Processor) + Send>;

/// A fixed set of threads, each with a processor of its own.
pub struct DecoderPool {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl DecoderPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// When a decoder cannot be made.
    pub fn new(threads: usize) -> Result<Self, ImageError> {
        drop(Processor::new()?);
        let (jobs, queue) = bounded::<Job>(threads * 4);
        let threads = (0..threads)
            .filter_map(|number| {
                let queue = queue.clone();
                let run = move || {
                    let Ok(mut processor) = Processor::new() else { return };
                    while let Ok(job) = queue.recv() {
                        // A decoder that panics on a hostile picture must not take its thread along.
                        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut processor)));
                        if outcome.is_err() {
                            match Processor::new() {
                                Ok(fresh) => processor = fresh,
                                Err(_) => return,
                            }
                        }
                    }
                };
                std::thread::Builder::new().name(format!("decode-{number}")).spawn(run).ok()
            })
            .collect();
        Ok(Self { jobs: Some(jobs), threads })
    }

    /// Runs a job on one of the threads. `None` when the job panicked: its answer is lost with it.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut Processor) -> T + Send + 'static) -> Option<T> {
        let (answer, result) = oneshot::channel();
        let jobs = self.jobs.clone()?;
        let mut job: Job = Box::new(move |processor| {
            // The receiver is gone only when the run is given up.
            let _ = answer.send(job(processor));
        });
        // A full queue is the usual case on a busy machine: wait without holding a network thread.
        loop {
            match jobs.try_send(job) {
                Ok(()) => break,
                Err(crossbeam_channel::TrySendError::Full(back)) => {
                    job = back;
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                Err(crossbeam_channel::TrySendError::Disconnected(_)) => return None,
            }
        }
        result.await.ok()
    }
}

impl Drop for DecoderPool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}
