//! Units through a model whose bits depend on the whole batch, as those of real matrix kernels may.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::fake::{self, IMAGE, fours, image};
use crate::device::DeviceName;
use crate::error::ModelError;
use crate::model::{DualEncoder, Logits};
use crate::pool::{Embedded, Factory, Pool, PoolModel, PoolOptions};
use crate::prepared::{Prepared, Tokens};

/// Panics the first time that it sees a batch whose first id is a multiple of `every`; 0 never.
struct Mixing {
    seen: Arc<Mutex<HashSet<Vec<u32>>>>,
    every: u32,
}

impl DualEncoder for Mixing {
    fn dim(&self) -> usize {
        fake::DIM
    }

    fn logits(&self) -> Logits {
        Logits { scale: 1.0, bias: 0.0, sigmoid: false }
    }

    fn encode_images(&mut self, batch: &[&Prepared]) -> Result<Vec<Vec<f32>>, ModelError> {
        let ids: Vec<u32> = batch.iter().map(|image| fake::id_of(image)).collect();
        let dies = self.every > 0 && ids[0].is_multiple_of(self.every) && self.seen.lock().insert(ids.clone());
        assert!(!dies, "injected");
        let mix = ids.iter().zip(1..).map(|(id, at)| (id * at) as f32).sum::<f32>() * 1e-3;
        Ok(ids.iter().map(|id| fake::raw(*id, IMAGE + mix)).collect())
    }

    fn encode_texts(&mut self, _: &[&Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        Err(ModelError::Input("no captions".to_owned()))
    }
}

fn mixing(devices: &[&str], every: u32) -> Pool {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let replica = |device: &&str| {
        let seen = Arc::clone(&seen);
        let make = move || Ok(Box::new(Mixing { seen: Arc::clone(&seen), every }) as Box<dyn DualEncoder>);
        (DeviceName::new(*device), Box::new(make) as Factory)
    };
    let model = PoolModel { name: "m".to_owned(), replicas: devices.iter().map(replica).collect(), batching: fours() };
    Pool::new(vec![model], PoolOptions { max_rows: 16, ..PoolOptions::default() }).unwrap()
}

/// The units of a run: rows 0 to 10, 10 to 23, 20 to 36, and so on.
fn unit(at: u32) -> Vec<Prepared> {
    (at * 10..at * 13 + 10).map(image).collect()
}

fn undisturbed() -> Vec<Vec<Embedded>> {
    let pool = mixing(&["cpu"], 0);
    (0..12).map(|at| pool.embed_images("m", unit(at)).unwrap()).collect()
}

#[test]
fn units_have_the_same_bits_whatever_happens_around_them() {
    let expected = undisturbed();
    for every in [0, 2, 5] {
        let pool = mixing(&["cpu:0", "cpu:1", "cpu:2"], every);
        std::thread::scope(|scope| {
            for (at, expected) in (0..12).zip(&expected) {
                let pool = &pool;
                scope.spawn(move || {
                    // Rows of others, which share no batch with the unit.
                    let _singles: Vec<_> = (0..5).map(|id| pool.submit_image("m", image(id)).unwrap()).collect();
                    assert_eq!(pool.embed_images("m", unit(at)).unwrap(), *expected);
                });
            }
        });
        assert_eq!(pool.metrics().restarts > 0, every > 0);
    }
}

#[test]
fn a_run_that_is_killed_and_resumed_by_units_gives_the_same_bits() {
    let expected = undisturbed();
    let mut done: Vec<Option<Vec<Embedded>>> = vec![None; 12];
    // Each attempt is ended in the middle; a unit counts when all of its rows came.
    for attempt in 0..20 {
        let pool = mixing(&["cpu:0", "cpu:1"], 3);
        let open: Vec<u32> = (0..12).filter(|at| done[*at as usize].is_none()).take(3).collect();
        let tickets: Vec<_> = open.iter().map(|at| (*at, pool.submit_images("m", unit(*at)).unwrap())).collect();
        if attempt % 2 == 0 {
            pool.abort();
        }
        for (at, ticket) in tickets {
            let rows = ticket.wait();
            if rows.iter().all(Result::is_ok) {
                done[at as usize] = Some(rows);
            }
        }
    }
    let done: Vec<_> = done.into_iter().map(Option::unwrap).collect();
    assert_eq!(done, expected);
}
