//! Batches, split over threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::forward::{Scratch, Sequences};
use super::{CpuStore, Table};
use crate::checkpoint::config::{Grid, ModelConfig};
use crate::error::ModelError;
use crate::model::inputs::{self, Caption};
use crate::model::parameters::{ImageHead, Parameters, Positions};
use crate::model::positions::PositionCache;
use crate::model::{DualEncoder, Logits};
use crate::prepared::{Prepared, Tokens};

/// Tokens that a thread takes through the tower together: enough that packed weights pay, few enough that activations stay
/// in the last cache.
const GROUP: usize = 400;

/// What replicas share.
pub(in crate::model) struct CpuModel {
    pub(in crate::model) config: ModelConfig,
    pub(in crate::model) parameters: Parameters<CpuStore>,
    pub(in crate::model) store: CpuStore,
    pub(in crate::model) positions: PositionCache,
    pub(in crate::model) logits: Logits,
}

/// A replica: shared weights, and space of its own for each of its threads.
pub(in crate::model) struct CpuEncoder {
    model: Arc<CpuModel>,
    scratch: Vec<Mutex<Scratch>>,
}

impl CpuEncoder {
    /// A replica that computes with this many threads, at least one.
    pub(in crate::model) fn new(model: Arc<CpuModel>, threads: usize) -> Self {
        Self { model, scratch: (0..threads.max(1)).map(|_| Mutex::default()).collect() }
    }

    /// Runs `work` over groups of items of these lengths, on all threads. `work` appends one row per item of the range.
    fn run<F>(&self, lengths: &[usize], work: F) -> Vec<Vec<f32>>
    where
        F: Fn(std::ops::Range<usize>, &mut Scratch) -> Vec<Vec<f32>> + Sync,
    {
        let groups = split(lengths, self.scratch.len());
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(groups.len())));
        let turn = |scratch: &Mutex<Scratch>| {
            let mut scratch = scratch.lock();
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                let rows = work(group.clone(), &mut scratch);
                done.lock().push((group.start, rows));
            }
        };
        std::thread::scope(|scope| {
            // No more threads than groups; one of them is this thread.
            for scratch in self.scratch.iter().take(groups.len()).skip(1) {
                scope.spawn(|| turn(scratch));
            }
            turn(&self.scratch[0]);
        });
        let mut done = done.into_inner();
        done.sort_unstable_by_key(|&(start, _)| start);
        done.into_iter().flat_map(|(_, rows)| rows).collect()
    }
}

/// Consecutive items in groups of about equal length: as few as [`GROUP`] allows, but a multiple of the threads.
fn split(lengths: &[usize], threads: usize) -> Vec<std::ops::Range<usize>> {
    let total: usize = lengths.iter().sum();
    let groups = total.div_ceil(GROUP).next_multiple_of(threads).min(lengths.len().max(1));
    let (mut ranges, mut start, mut seen) = (Vec::with_capacity(groups), 0, 0);
    for (index, length) in lengths.iter().enumerate() {
        seen += length;
        // Where the next share of the total is reached, or where as many items are left as groups.
        let left = groups - ranges.len();
        if seen * groups >= total * (ranges.len() + 1) || lengths.len() - index <= left {
            ranges.push(start..index + 1);
            start = index + 1;
        }
    }
    if start < lengths.len() {
        ranges.push(start..lengths.len());
    }
    ranges
}

impl DualEncoder for CpuEncoder {
    fn dim(&self) -> usize {
        self.model.config.dim
    }

    fn logits(&self) -> Logits {
        self.model.logits
    }

    fn encode_images(&mut self, batch: &[&Prepared]) -> Result<Vec<Vec<f32>>, ModelError> {
        inputs::check_images(&self.model.config, batch)?;
        let lengths: Vec<usize> = batch.iter().map(|picture| self.model.tokens_of(picture)).collect();
        Ok(self.run(&lengths, |range, scratch| self.model.images(&batch[range.clone()], &lengths[range], scratch)))
    }

    fn encode_texts(&mut self, batch: &[&Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        let captions = inputs::captions(&self.model.config.text, batch)?;
        let lengths: Vec<usize> = captions.iter().map(|caption| caption.ids.len()).collect();
        Ok(self.run(&lengths, |range, scratch| self.model.texts(&captions[range.clone()], &lengths[range], scratch)))
    }
}

impl CpuModel {
    fn tokens_of(&self, picture: &Prepared) -> usize {
        let patches = match (picture, self.config.image.grid) {
            (Prepared::Patches { rows, columns, .. }, _) => rows * columns,
            (Prepared::Fixed { .. }, Grid::Fixed { image }) => (image / self.config.image.patch).pow(2),
            // Refused by the check of the batch.
            (Prepared::Fixed { .. }, Grid::Naflex { .. }) => 0,
        };
        patches + usize::from(self.parameters.image.class.is_some())
    }

    fn images(&self, batch: &[&Prepared], lengths: &[usize], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let (kernels, tower, config) = (self.store.kernels, &self.parameters.image, &self.config.image);
        let class = usize::from(tower.class.is_some());
        let patches: usize = lengths.iter().map(|length| length - class).sum();
        scratch.x.shape(patches, 3 * config.patch * config.patch);
        let mut row = 0;
        for (picture, length) in batch.iter().zip(lengths) {
            for index in 0..length - class {
                inputs::patch(picture, config.patch, index, scratch.x.row_mut(row));
                row += 1;
            }
        }
        scratch.embed(kernels, &tower.patch);
        // Tokens with their positions, each picture's class token first.
        scratch.x.shape(lengths.iter().sum(), config.transformer.width);
        let (mut to, mut from) = (0, 0);
        for (picture, &length) in batch.iter().zip(lengths) {
            if let Some(class) = &tower.class {
                scratch.x.row_mut(to).copy_from_slice(class.row(0));
                to += 1;
            }
            let resized;
            let positions: &[f32] = match (&tower.position, picture) {
                (Positions::Resized(learned), Prepared::Patches { rows, columns, .. }) => {
                    resized = self.positions.get(learned, config.transformer.width, *rows, *columns);
                    resized.as_slice()
                }
                (Positions::Fixed(Table { values, .. }), _) => values,
                (Positions::Resized(_), _) => &[],
            };
            for position in positions.chunks_exact(config.transformer.width).take(length - class) {
                let row = scratch.x.row_mut(to);
                row.copy_from_slice(scratch.normed.row(from));
                // SAFETY: the kernels are those that the machine has.
                unsafe { (kernels.add)(row, position) };
                (to, from) = (to + 1, from + 1);
            }
        }
        if let Some(before) = &tower.before {
            scratch.norm(kernels, before);
        }
        let firsts = vec![0; batch.len()];
        let pooled = matches!(tower.head, ImageHead::Class(_)).then_some(firsts.as_slice());
        let sequences = Sequences { lengths, causal: false, pooled };
        scratch.blocks(kernels, &tower.blocks, &config.transformer, sequences);
        scratch.norm(kernels, &tower.after);
        match &tower.head {
            ImageHead::Class(projection) => scratch.project(kernels, Some(projection)),
            ImageHead::Mean => {
                scratch.mean(kernels, sequences);
                scratch.project(kernels, None);
            }
            ImageHead::Map(head) => {
                scratch.map(kernels, head, &config.transformer, sequences);
                scratch.project(kernels, None);
            }
        }
        (0..batch.len()).map(|row| scratch.out.row(row).to_vec()).collect()
    }

    fn texts(&self, batch: &[Caption<'_>], lengths: &[usize], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let (kernels, tower, config) = (self.store.kernels, &self.parameters.text, &self.config.text);
        scratch.x.shape(lengths.iter().sum(), config.transformer.width);
        let mut to = 0;
        for caption in batch {
            for (position, &id) in caption.ids.iter().enumerate() {
                let row = scratch.x.row_mut(to);
                row.copy_from_slice(tower.token.row(id as usize));
                // SAFETY: the kernels are those that the machine has.
                unsafe { (kernels.add)(row, tower.position.row(position)) };
                to += 1;
            }
        }
        let pooled: Vec<usize> = batch.iter().map(|caption| caption.pooled).collect();
        let sequences = Sequences { lengths, causal: config.causal, pooled: Some(&pooled) };
        scratch.blocks(kernels, &tower.blocks, &config.transformer, sequences);
        scratch.norm(kernels, &tower.after);
        scratch.project(kernels, tower.projection.as_ref());
        (0..batch.len()).map(|row| scratch.out.row(row).to_vec()).collect()
    }
}
