//! Which rows share a batch.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::fake::{self, Fake, Hook, IMAGE, expected, fours, healthy, image, patches, pool, text};
use crate::device::DeviceName;
use crate::error::ModelError;
use crate::model::{DualEncoder, Logits, Staged, Stager};
use crate::pool::{Batching, Pool, PoolModel, PoolOptions, Shape, TextLength};
use crate::prepared::{Prepared, Tokens};

#[test]
fn a_units_batches_depend_on_nothing_else() {
    let unit: Vec<u32> = (100..111).collect();
    let (pool, log) = pool(&["cpu:0", "cpu:1"], fours(), healthy());
    std::thread::scope(|scope| {
        for from in [0, 1000, 2000] {
            let pool = &pool;
            scope.spawn(move || {
                for id in from..from + 50 {
                    drop(pool.submit_image("m", image(id)).unwrap());
                }
            });
        }
        for _ in 0..3 {
            pool.embed_images("m", unit.iter().map(|id| image(*id)).collect()).unwrap();
        }
    });
    let mut of_unit: Vec<Vec<u32>> = log.lock().iter().filter(|ids| ids.iter().any(|id| (100..111).contains(id))).cloned().collect();
    of_unit.sort();
    let mut fours: Vec<Vec<u32>> = unit.chunks(4).flat_map(|chunk| vec![chunk.to_vec(); 3]).collect();
    fours.sort();
    assert_eq!(of_unit, fours);
}

#[test]
fn a_unit_of_variable_length_is_batched_by_length_and_answered_in_order() {
    let (pool, log) = pool(&["cpu"], fours(), healthy());
    let lengths = [9, 1, 8, 2, 7, 3, 6, 4, 5];
    let images: Vec<Prepared> = lengths.iter().zip(0..).map(|(length, id)| patches(id, *length)).collect();
    let results = pool.embed_images("m", images).unwrap();
    for (result, id) in results.into_iter().zip(0..) {
        assert_eq!(result.unwrap(), expected(id, IMAGE));
    }
    assert_eq!(*log.lock(), [vec![1, 3, 5, 7], vec![8, 6, 4, 2], vec![0]]);
}

#[test]
fn pictures_of_different_kind_or_side_and_captions_never_share_a_batch() {
    let (pool, log) = pool(&["cpu"], fours(), healthy());
    let large = |id: u32| Prepared::Fixed { side: 2, data: vec![id as f32; 12] };
    let mut tickets = Vec::new();
    for id in 0..4 {
        tickets.push(pool.submit_image("m", image(id)).unwrap());
        tickets.push(pool.submit_image("m", large(10 + id)).unwrap());
        tickets.push(pool.submit_image("m", patches(20 + id, 3)).unwrap());
        tickets.push(pool.submit_image("m", patches(30 + id, 17)).unwrap());
        tickets.push(pool.submit_text("m", text(40 + id)).unwrap());
    }
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    pool.embed_images("m", vec![large(50), image(51), patches(52, 3), patches(53, 17), image(54)]).unwrap();
    let mut log = log.lock().clone();
    log.sort();
    let singles = [0, 10, 20, 30, 40].map(|from| (from..from + 4).collect::<Vec<u32>>());
    assert_eq!(log[..5], singles);
    assert_eq!(log[5..], [vec![50], vec![51, 54], vec![52, 53]]);
}

#[test]
fn captions_are_grouped_by_length_only_where_the_model_says_so() {
    let caption = |id: u32, used: usize| Tokens { ids: vec![id; 64], used, truncated: false };
    let captions = || vec![caption(0, 40), caption(1, 3), caption(2, 41), caption(3, 2)];
    for (texts_by, batches) in [(TextLength::Context, [[0, 1], [2, 3]]), (TextLength::Used, [[3, 1], [0, 2]])] {
        let (pool, log) = pool(&["cpu"], Batching { texts: 2, texts_by, ..fours() }, healthy());
        pool.embed_texts("m", captions()).unwrap();
        assert_eq!(*log.lock(), batches);
    }
}

#[test]
fn a_batch_of_full_shape_repeats_its_last_row() {
    let (pool, log) = pool(&["cpu"], Batching { shape: Shape::Full, ..fours() }, healthy());
    let results = pool.embed_images("m", (0..6).map(image).collect::<Vec<_>>()).unwrap();
    assert_eq!(results.len(), 6);
    assert_eq!(results[5], Ok(expected(5, IMAGE)));
    assert_eq!(*log.lock(), [vec![0, 1, 2, 3], vec![4, 5, 5, 5]]);
    let metrics = pool.metrics();
    assert_eq!((metrics.images, metrics.batches, metrics.batch_fill), (6, 2, 0.75));
}

#[test]
fn two_models_share_pictures_and_devices_but_no_batches() {
    let (a, log_a) = fake::model("a", &["cpu:0"], fours(), &healthy());
    let (b, log_b) = fake::model("b", &["cpu:0", "cpu:1"], Batching { images: 3, ..fours() }, &healthy());
    let pool = Pool::new(vec![a, b], PoolOptions::default()).unwrap();
    let shared: Vec<Arc<Prepared>> = (0..12).map(|id| Arc::new(image(id))).collect();
    let tickets = ["a", "b"].map(|model| pool.submit_images(model, shared.clone()).unwrap());
    let [a, b] = tickets.map(crate::pool::Ticket::wait);
    assert_eq!(a, b);
    assert!(log_a.lock().iter().all(|ids| ids.len() == 4) && log_b.lock().iter().all(|ids| ids.len() == 3));
    assert_eq!((log_a.lock().len(), log_b.lock().len(), pool.metrics().devices.len()), (3, 4, 2));
    let error = pool.embed_images("c", shared).unwrap_err();
    assert_eq!(error.to_string(), "no model `c` in the pool; there are `a`, `b`");
    assert_eq!((pool.dim("a"), pool.logits("b").unwrap().bias), (Ok(fake::DIM), -1.0));
}

/// A fake whose batches are laid out in advance: their ids.
struct Staging {
    fake: Fake,
    generation: u32,
    staged: Arc<AtomicU32>,
}

struct Ids(u32, Arc<AtomicU32>);

impl Stager for Ids {
    fn stage_images(&self, batch: &[&Prepared]) -> Result<Staged, ModelError> {
        self.1.fetch_add(1, SeqCst);
        let ids: Vec<u32> = batch.iter().map(|image| fake::id_of(image)).collect();
        assert!(!ids.contains(&666), "injected");
        Ok(Box::new((self.0, ids)) as Box<dyn Any + Send>)
    }

    fn stage_texts(&self, _: &[&Tokens]) -> Result<Staged, ModelError> {
        Err(ModelError::Input("not these".to_owned()))
    }
}

impl DualEncoder for Staging {
    fn dim(&self) -> usize {
        self.fake.dim()
    }
    fn logits(&self) -> Logits {
        self.fake.logits()
    }
    fn encode_images(&mut self, batch: &[&Prepared]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.fake.encode_images(batch)
    }
    fn encode_texts(&mut self, batch: &[&Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.fake.encode_texts(batch)
    }
    fn stager(&self) -> Option<Arc<dyn Stager>> {
        Some(Arc::new(Ids(self.generation, Arc::clone(&self.staged))))
    }
    fn encode_staged(&mut self, staged: Staged) -> Result<Vec<Vec<f32>>, ModelError> {
        let (generation, ids) = *staged.downcast::<(u32, Vec<u32>)>().unwrap();
        assert_eq!(generation, self.generation, "laid out by a dead replica");
        let images: Vec<Prepared> = ids.iter().map(|id| image(*id)).collect();
        self.fake.encode_images(&images.iter().collect::<Vec<_>>())
    }
}

#[test]
fn batches_are_laid_out_in_advance_by_the_replica_that_takes_them() {
    let (staged, makes, log) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0), fake::Log::default());
    let counted = Arc::clone(&staged);
    let once = Arc::new(AtomicU32::new(0));
    let factory = Box::new(move || {
        let once = Arc::clone(&once);
        let hook: Hook = Arc::new(move |ids| {
            assert!(!(ids.contains(&5) && once.fetch_add(1, SeqCst) == 0), "injected");
            Ok(())
        });
        let fake = Fake { hook, log: Arc::clone(&log) };
        let generation = makes.fetch_add(1, SeqCst);
        Ok(Box::new(Staging { fake, generation, staged: Arc::clone(&counted) }) as Box<dyn DualEncoder>)
    });
    let model = PoolModel { name: "m".to_owned(), replicas: vec![(DeviceName::new("cpu"), factory)], batching: fours() };
    let pool = Pool::new(vec![model], PoolOptions::default()).unwrap();
    let ids: Vec<u32> = (0..40).chain([666]).collect();
    let results = pool.embed_images("m", ids.iter().map(|id| image(*id)).collect::<Vec<_>>()).unwrap();
    assert_eq!(results, fake::undisturbed(&ids));
    assert_eq!((staged.load(SeqCst), pool.metrics().restarts), (11, 1));
    assert!(pool.embed_texts("m", vec![text(1)]).unwrap()[0].is_ok());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |models: Vec<PoolModel>, options: PoolOptions| Pool::new(models, options).unwrap_err().to_string();
    let model = |name: &str, devices: &[&str], batching| fake::model(name, devices, batching, &healthy()).0;
    let plain = PoolOptions::default;
    assert!(refused(vec![], plain()).contains("at least one model"));
    assert!(refused(vec![model("a", &[], fours())], plain()).contains("`a` has no replica"));
    assert!(refused(vec![model("a", &["cpu", "cpu"], fours())], plain()).contains("two replicas on cpu"));
    assert!(refused(vec![model("a", &["x"], fours()), model("a", &["y"], fours())], plain()).contains("named `a`"));
    assert!(refused(vec![model("a", &["x"], Batching { texts: 0, ..fours() })], plain()).contains("at least 1"));
    assert!(refused(vec![model("a", &["x"], fours())], PoolOptions { max_rows: 0, ..plain() }).contains("at least one row"));
}
