//! Starts the threads of a pool.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::device::DeviceName;

use super::config::{Factory, PoolModel, PoolOptions, check};
use super::error::PoolError;
use super::metrics::Counters;
use super::queue::{Lane, Queue};
use super::worker::{Desk, Job, Station, Worker, stage};
use super::{Facts, Guard};

/// A running pool's parts.
pub(super) struct Started {
    pub(super) queue: Arc<Queue>,
    pub(super) facts: Vec<Facts>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// The models of a device, and what makes their replicas.
type Makers = Vec<(usize, Arc<Factory>)>;

/// What a worker reports when it has loaded a replica: model, device, and what the replica says of itself.
type Report = (usize, DeviceName, Result<Facts, String>);

pub(super) fn start(models: Vec<PoolModel>, options: &PoolOptions) -> Result<Started, PoolError> {
    check(&models, options)?;
    let mut devices: Vec<(DeviceName, Makers)> = Vec::new();
    let mut lanes = Vec::new();
    for (at, model) in models.into_iter().enumerate() {
        lanes.push(Lane { name: model.name, batching: model.batching });
        for (name, factory) in model.replicas {
            let factory = Arc::new(factory);
            match devices.iter_mut().find(|(device, _)| *device == name) {
                Some((_, models)) => models.push((at, factory)),
                None => devices.push((name, vec![(at, factory)])),
            }
        }
    }
    let names: Vec<DeviceName> = devices.iter().map(|(device, _)| device.clone()).collect();
    let serves: Vec<Vec<usize>> = devices.iter().map(|(_, models)| models.iter().map(|(model, _)| *model).collect()).collect();
    let expected: usize = serves.iter().map(Vec::len).sum();
    let models = lanes.len();
    let queue = Arc::new(Queue::new(lanes, serves, options, Counters::new(&names)));

    let (report, reports) = unbounded();
    let mut threads = Vec::new();
    for (at, (device, models)) in devices.into_iter().enumerate() {
        let started = start_device(at, &device, models, options.max_restarts, &queue, &report, &mut threads);
        if let Err(message) = started {
            stop(&queue, threads);
            return Err(PoolError::Settings(format!("the threads of {device} do not start: {message}")));
        }
    }
    drop(report);
    match gather(&reports, expected, models, &queue) {
        Ok(facts) => Ok(Started { queue, facts, threads }),
        Err(error) => {
            stop(&queue, threads);
            Err(error)
        }
    }
}

fn stop(queue: &Queue, threads: Vec<JoinHandle<()>>) {
    queue.close();
    for thread in threads {
        let _ = thread.join();
    }
}

/// Waits for all replicas; the first failure ends the wait.
fn gather(reports: &Receiver<Report>, expected: usize, models: usize, queue: &Queue) -> Result<Vec<Facts>, PoolError> {
    let mut facts: Vec<Option<Facts>> = vec![None; models];
    for _ in 0..expected {
        let lost = || PoolError::Settings("a worker ended while it loaded its models".to_owned());
        let (model, device, result) = reports.recv().map_err(|_| lost())?;
        let load = |message: String| PoolError::Load { model: queue.lanes[model].name.clone(), device, message };
        match (result, facts[model]) {
            (Err(message), _) => return Err(load(message)),
            (Ok(new), Some(other)) if new != other => {
                return Err(load(format!("replicas differ: one says {other:?}, another {new:?}")));
            }
            (Ok(new), _) => facts[model] = Some(new),
        }
    }
    // `check` has seen a replica for every model.
    Ok(facts.into_iter().flatten().collect())
}

/// Starts a device's worker and the collector beside it.
fn start_device(
    at: usize,
    device: &DeviceName,
    models: Makers,
    max_restarts: u32,
    queue: &Arc<Queue>,
    report: &Sender<Report>,
    threads: &mut Vec<JoinHandle<()>>,
) -> Result<(), std::io::Error> {
    // Nothing is buffered between the two: the collector holds the next batch, and no more.
    let (send, jobs) = bounded::<Job>(0);
    let desks: Vec<(usize, Arc<Desk>)> = models.iter().map(|(model, _)| (*model, Arc::new(Desk::default()))).collect();
    let stations = models.into_iter().zip(&desks).map(|((model, factory), (_, desk))| Station::new(model, factory, Arc::clone(desk)));
    let mut worker = Worker { at, device: device.clone(), stations: stations.collect(), queue: Arc::clone(queue), max_restarts };
    let guard = |queue: &Arc<Queue>| Guard { queue: Arc::clone(queue), worker: at, device: device.clone() };

    let (alarm, report, name) = (guard(queue), report.clone(), device.clone());
    let work = move || {
        let _alarm = alarm;
        for (model, result) in worker.load() {
            let failed = result.is_err();
            // Nobody listens any more when another device has failed already.
            let _ = report.send((model, name.clone(), result));
            if failed {
                return;
            }
        }
        drop(report);
        worker.run(&jobs);
    };
    threads.push(std::thread::Builder::new().name(format!("embed {device}")).spawn(work)?);

    let (alarm, queue) = (guard(queue), Arc::clone(queue));
    let collect = move || {
        let _alarm = alarm;
        while let Some((batch, in_hand)) = queue.take(at) {
            let Some((model, desk)) = desks.iter().find(|(model, _)| *model == batch.model) else {
                // It serves what it has a desk for.
                queue.give_back([batch]);
                return;
            };
            let job = stage(batch, in_hand, &queue.lanes[*model], desk, &queue);
            if let Err(unsent) = send.send(job) {
                // The worker has given up all its models.
                let (batch, _in_hand) = unsent.into_inner().into_batch();
                queue.give_back([batch]);
            }
        }
    };
    threads.push(std::thread::Builder::new().name(format!("collect {device}")).spawn(collect)?);
    Ok(())
}
