//! Workers that die, memory that ends, rows that cannot be computed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use super::fake::{self, Hook, NAN, ZERO, fours, healthy, image, oom, pool, undisturbed};
use crate::device::DeviceName;
use crate::error::ModelError;
use crate::model::DualEncoder;
use crate::pool::{Batching, Factory, Pool, PoolError, PoolModel, PoolOptions, RowError, Shape};

fn images(ids: &[u32]) -> Vec<crate::Prepared> {
    ids.iter().map(|id| image(*id)).collect()
}

#[test]
fn a_worker_that_panics_once_is_restarted_and_its_batch_redone() {
    let ids: Vec<u32> = (0..22).collect();
    let once = AtomicBool::new(true);
    let hook: Hook = Arc::new(move |ids| {
        assert!(!(ids.contains(&9) && once.swap(false, SeqCst)), "injected");
        Ok(())
    });
    let (pool, log) = pool(&["cpu"], fours(), hook);
    assert_eq!(pool.embed_images("m", images(&ids)).unwrap(), undisturbed(&ids));
    assert_eq!(pool.metrics().restarts, 1);
    let calls = log.lock();
    assert_eq!(calls.len(), 7, "six batches, one of them twice");
    assert_eq!(calls[2], calls[3]);
}

#[test]
fn a_poisoned_row_gets_an_error_and_its_neighbours_their_embeddings() {
    for poisoned in [0, 5, 63] {
        let ids: Vec<u32> = (0..70).collect();
        let hook: Hook = Arc::new(move |ids| {
            assert!(!ids.contains(&poisoned), "injected");
            Ok(())
        });
        let (pool, _) = pool(&["cpu"], Batching { images: 64, ..fours() }, hook);
        let mut expected = undisturbed(&ids);
        expected[poisoned as usize] = Err(RowError::Poisoned("injected".to_owned()));
        assert_eq!(pool.embed_images("m", images(&ids)).unwrap(), expected);
        // Twice as a whole, then as 32, 16, 8, 4, 2 and 1.
        assert_eq!(pool.metrics().restarts, 8);
        assert_eq!(pool.metrics().failed_rows, 1);
        // The worker lives, and its count of deaths in a row began anew.
        assert_eq!(pool.embed_images("m", images(&[70])).unwrap(), undisturbed(&[70]));
    }
}

#[test]
fn two_poisoned_rows_in_a_batch_are_both_found() {
    let ids: Vec<u32> = (0..32).collect();
    let hook: Hook = Arc::new(|ids| {
        assert!(!ids.contains(&3) && !ids.contains(&20), "injected");
        Ok(())
    });
    let (pool, _) = pool(&["cpu"], Batching { images: 32, ..fours() }, hook);
    let results = pool.embed_images("m", images(&ids)).unwrap();
    let bad: Vec<usize> = (0..32).filter(|at| results[*at].is_err()).collect();
    assert_eq!(bad, [3, 20]);
}

#[test]
fn a_computation_that_fails_is_treated_as_a_death() {
    let once = AtomicBool::new(true);
    let hook: Hook = Arc::new(move |_| match once.swap(false, SeqCst) {
        true => Err(ModelError::Compute(candle_core::Error::Msg("an illegal memory access was encountered".to_owned()))),
        false => Ok(()),
    });
    let (pool, _) = pool(&["cpu"], fours(), hook);
    assert_eq!(pool.embed_images("m", images(&[1, 2, 3])).unwrap(), undisturbed(&[1, 2, 3]));
    assert_eq!(pool.metrics().restarts, 1);
}

#[test]
fn a_model_that_always_panics_ends_in_an_error_for_all_who_wait() {
    for devices in [&["cpu:0"][..], &["cpu:0", "cpu:1", "cpu:2"]] {
        let hook: Hook = Arc::new(|_| panic!("injected"));
        let (pool, _) = pool(devices, Batching { images: 64, ..fours() }, hook);
        let singles: Vec<_> = (0..10).map(|id| pool.submit_image("m", image(id)).unwrap()).collect();
        let results = pool.embed_images("m", images(&(0..300).collect::<Vec<_>>())).unwrap();
        assert_eq!(results.len(), 300);
        assert!(results.iter().all(Result::is_err));
        assert!(matches!(results.last(), Some(Err(RowError::Pool(PoolError::Dead { .. })))), "{:?}", results.last());
        for ticket in singles {
            assert!(matches!(ticket.wait(), Err(RowError::Pool(PoolError::Dead { .. }) | RowError::Poisoned(_))));
        }
        let error = pool.submit_image("m", image(1)).unwrap_err();
        assert!(error.to_string().contains("injected"), "{error}");
        assert_eq!(pool.metrics().restarts, 8 * devices.len() as u64);
    }
}

#[test]
fn a_device_that_dies_for_good_leaves_its_batches_to_the_others() {
    let broken = Arc::new(AtomicBool::new(false));
    let log = fake::Log::default();
    let factory = |device: &'static str| -> Factory {
        let (broken, log) = (Arc::clone(&broken), Arc::clone(&log));
        Box::new(move || {
            let is_bad = device == "bad";
            if is_bad && broken.load(SeqCst) {
                return Err(ModelError::Device { device: device.to_owned(), message: "fell off the bus".to_owned() });
            }
            let broken = Arc::clone(&broken);
            let hook: Hook = Arc::new(move |_| {
                if is_bad {
                    broken.store(true, SeqCst);
                    panic!("injected");
                }
                Ok(())
            });
            Ok(Box::new(fake::Fake { hook, log: Arc::clone(&log) }) as Box<dyn DualEncoder>)
        })
    };
    let replicas = ["bad", "good"].map(|device| (DeviceName::new(device), factory(device))).into();
    let model = PoolModel { name: "m".to_owned(), replicas, batching: fours() };
    let pool = Pool::new(vec![model], PoolOptions::default()).unwrap();
    let ids: Vec<u32> = (0..200).collect();
    assert_eq!(pool.embed_images("m", images(&ids)).unwrap(), undisturbed(&ids));
}

#[test]
fn a_worker_that_gives_up_while_the_pool_closes_still_finds_another_one() {
    let (begin, begun) = crossbeam_channel::unbounded::<&'static str>();
    let (open, opened) = crossbeam_channel::unbounded::<()>();
    let makes = Arc::new(AtomicU32::new(0));
    let factory = |device: &'static str| -> Factory {
        let (begin, opened, makes) = (begin.clone(), opened.clone(), Arc::clone(&makes));
        Box::new(move || {
            if device == "bad" && makes.fetch_add(1, SeqCst) > 0 {
                return Err(ModelError::Input("gone".to_owned()));
            }
            let (begin, opened) = (begin.clone(), opened.clone());
            let hook: Hook = Arc::new(move |_| {
                let _ = begin.send(device);
                if device == "bad" {
                    let _ = opened.recv();
                    panic!("injected");
                }
                Ok(())
            });
            Ok(Box::new(fake::Fake { hook, log: fake::Log::default() }) as Box<dyn DualEncoder>)
        })
    };
    let replicas = ["bad", "good"].map(|device| (DeviceName::new(device), factory(device))).into();
    let model = PoolModel { name: "m".to_owned(), replicas, batching: fours() };
    let pool = Pool::new(vec![model], PoolOptions::default()).unwrap();
    // Units are sent until the bad device has one in its hands; the good one has done the others by the end.
    let mut units = Vec::new();
    loop {
        units.push(pool.submit_images("m", images(&[1, 2, 3])).unwrap());
        if begun.try_iter().any(|device| device == "bad") {
            break;
        }
        std::thread::yield_now();
    }
    let dropper = std::thread::spawn(move || drop(pool));
    // The good device goes on until nothing is queued.
    drop(open);
    dropper.join().unwrap();
    let expected = undisturbed(&[1, 2, 3]);
    assert!(units.into_iter().all(|unit| unit.wait() == expected));
}

#[test]
fn out_of_memory_halves_the_batch_and_is_remembered() {
    let ids: Vec<u32> = (0..150).collect();
    let hook: Hook = Arc::new(|ids| if ids.len() > 5 { Err(oom(ids.len())) } else { Ok(()) });
    let (pool, log) = pool(&["cpu"], Batching { images: 64, ..fours() }, hook);
    assert_eq!(pool.embed_images("m", images(&ids)).unwrap(), undisturbed(&ids));
    let metrics = pool.metrics();
    assert_eq!((metrics.oom_splits, metrics.restarts, metrics.failed_rows), (4, 0, 0), "64, 32, 16 and 8 rows were too many");
    let sizes: Vec<usize> = log.lock().iter().map(Vec::len).collect();
    assert_eq!(sizes[..5], [64, 32, 16, 8, 4]);
    assert!(sizes[5..].iter().all(|size| *size <= 4), "{sizes:?}");
}

#[test]
fn a_row_that_does_not_fit_the_memory_alone_gets_the_error() {
    let hook: Hook = Arc::new(|ids| if ids.contains(&2) { Err(oom(ids.len())) } else { Ok(()) });
    let (pool, _) = pool(&["gpu"], fours(), hook);
    let results = pool.embed_images("m", images(&[0, 1, 2, 3])).unwrap();
    let mut expected = undisturbed(&[0, 1, 2, 3]);
    expected[2] = Err(RowError::OutOfMemory { device: DeviceName::new("gpu") });
    assert_eq!(results, expected);
}

#[test]
fn a_drivers_own_words_for_out_of_memory_are_understood() {
    let hook: Hook = Arc::new(|ids| match ids.len() {
        0..=2 => Ok(()),
        _ => Err(ModelError::Compute(candle_core::Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".into()))),
    });
    let (pool, _) = pool(&["cpu"], fours(), hook);
    assert_eq!(pool.embed_images("m", images(&[1, 2, 3, 4])).unwrap(), undisturbed(&[1, 2, 3, 4]));
    assert_eq!((pool.metrics().oom_splits, pool.metrics().restarts), (1, 0));
}

#[test]
fn a_batch_of_full_shape_shrinks_with_the_memory() {
    let hook: Hook = Arc::new(|ids| if ids.len() > 2 { Err(oom(ids.len())) } else { Ok(()) });
    let (pool, log) = pool(&["cpu"], Batching { shape: Shape::Full, images: 8, ..fours() }, hook);
    assert_eq!(pool.embed_images("m", images(&[1, 2, 3])).unwrap(), undisturbed(&[1, 2, 3]));
    assert_eq!(*log.lock(), [vec![1, 2, 3, 3, 3, 3, 3, 3], vec![1, 2, 3, 3], vec![1, 2], vec![3, 3]]);
}

#[test]
fn a_row_that_does_not_fit_the_model_is_found_without_a_restart() {
    let hook: Hook = Arc::new(|ids| match ids.contains(&5) {
        true => Err(ModelError::Input("side 3, expected 1".to_owned())),
        false => Ok(()),
    });
    let ids: Vec<u32> = (0..8).collect();
    let (pool, _) = pool(&["cpu"], Batching { images: 8, ..fours() }, hook);
    let mut expected = undisturbed(&ids);
    expected[5] = Err(RowError::Input("side 3, expected 1".to_owned()));
    assert_eq!(pool.embed_images("m", images(&ids)).unwrap(), expected);
    assert_eq!(pool.metrics().restarts, 0);
}

#[test]
fn nan_and_zero_embeddings_are_counted_and_are_errors_of_their_rows() {
    let (pool, _) = pool(&["cpu"], fours(), healthy());
    let results = pool.embed_images("m", images(&[1, 900_000, 2])).unwrap();
    assert!(results.iter().all(Result::is_ok));
    let picture = |id| crate::Tokens { ids: vec![id, 0], used: 1, truncated: false };
    let results = pool.embed_texts("m", [1, NAN, ZERO, 2].map(picture).into()).unwrap();
    assert!(results[0].is_ok() && results[3].is_ok());
    assert_eq!(results[1], Err(RowError::NotFinite { component: 1 }));
    assert_eq!(results[2], Err(RowError::Zero));
    assert_eq!((pool.metrics().nan_rows, pool.metrics().failed_rows), (1, 2));
}

#[test]
fn a_replica_that_gives_too_few_embeddings_never_shifts_rows() {
    struct Short;
    impl DualEncoder for Short {
        fn dim(&self) -> usize {
            1
        }
        fn logits(&self) -> crate::model::Logits {
            crate::model::Logits { scale: 1.0, bias: 0.0, sigmoid: false }
        }
        fn encode_images(&mut self, batch: &[&crate::Prepared]) -> Result<Vec<Vec<f32>>, ModelError> {
            Ok(vec![vec![1.0]; batch.len() - 1])
        }
        fn encode_texts(&mut self, batch: &[&crate::Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
            Ok(vec![vec![1.0, 2.0]; batch.len()])
        }
    }
    let replicas: Vec<(DeviceName, Factory)> = vec![(DeviceName::new("cpu"), Box::new(|| Ok(Box::new(Short) as Box<dyn DualEncoder>)))];
    let model = PoolModel { name: "m".to_owned(), replicas, batching: fours() };
    let pool = Pool::new(vec![model], PoolOptions { max_restarts: 100, ..PoolOptions::default() }).unwrap();
    let results = pool.embed_images("m", images(&[1, 2])).unwrap();
    assert!(matches!(&results[0], Err(RowError::Poisoned(message)) if message.contains("0 embeddings for 1 rows")), "{results:?}");
    let results = pool.embed_texts("m", vec![fake::text(1)]).unwrap();
    assert!(matches!(&results[0], Err(RowError::Poisoned(message)) if message.contains("2 components, expected 1")), "{results:?}");
}

#[test]
fn a_pool_whose_replica_does_not_load_is_not_built() {
    let failing: Factory = Box::new(|| Err(ModelError::Input("no such file".to_owned())));
    let panicking: Factory = Box::new(|| panic!("bad header"));
    for (factory, says) in [(failing, "no such file"), (panicking, "bad header")] {
        let (mut model, _) = fake::model("m", &["a"], fours(), &healthy());
        model.replicas.push((DeviceName::new("b"), factory));
        let error = Pool::new(vec![model], PoolOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("model `m` does not load on b: {says}"));
    }
}

#[test]
fn a_restart_that_fails_is_tried_again() {
    let (makes, log) = (Arc::new(AtomicU32::new(0)), fake::Log::default());
    let made = Arc::clone(&makes);
    let factory: Factory = Box::new(move || match made.fetch_add(1, SeqCst) {
        1 | 2 => Err(ModelError::Input("the device is busy".to_owned())),
        make => {
            let hook: Hook = Arc::new(move |_| {
                assert!(make > 0, "injected");
                Ok(())
            });
            Ok(Box::new(fake::Fake { hook, log: Arc::clone(&log) }) as Box<dyn DualEncoder>)
        }
    });
    let replicas = vec![(DeviceName::new("cpu"), factory)];
    let model = PoolModel { name: "m".to_owned(), replicas, batching: fours() };
    let pool = Pool::new(vec![model], PoolOptions::default()).unwrap();
    assert_eq!(pool.embed_images("m", images(&[1, 2])).unwrap(), undisturbed(&[1, 2]));
    assert_eq!((makes.load(SeqCst), pool.metrics().restarts), (4, 3));
}
