//! The computation of the towers.

use std::ops::Range;

use super::attention::{AttentionScratch, Heads};
use super::kernels::Kernels;
use super::matrix::{Matrix, Target, product};
use super::{CpuStore, Linear, Norm};
use crate::checkpoint::config::{Activation, TransformerConfig};
use crate::model::parameters::{Block, MapHead};

/// The matrices of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The tokens.
    pub(super) x: Matrix,
    pub(super) normed: Matrix,
    /// Queries, keys and values.
    wide: Matrix,
    attended: Matrix,
    inner: Matrix,
    picked: Matrix,
    queries: Matrix,
    pub(super) out: Matrix,
    attention: AttentionScratch,
}

/// Sequences that stand one after the other in the rows of a matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequences<'a> {
    /// Tokens of each.
    pub(super) lengths: &'a [usize],
    /// A token sees only those before it.
    pub(super) causal: bool,
    /// The token that is pooled of each; all are kept without it. With `causal` it is the last.
    pub(super) pooled: Option<&'a [usize]>,
}

impl Sequences<'_> {
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.lengths.iter().scan(0, |start, &length| {
            *start += length;
            Some(*start - length..*start)
        })
    }
}

/// How a linear layer ends.
#[derive(Clone, Copy)]
enum End {
    Replace(Option<Activation>),
    Add,
}

fn linear(kernels: &Kernels, layer: &Linear, from: &Matrix, into: &mut Matrix, end: End) {
    if !matches!(end, End::Add) {
        into.shape(from.rows(), layer.packed.n);
    }
    columns(kernels, layer, from, into, 0..layer.packed.n, end);
}

fn columns(kernels: &Kernels, layer: &Linear, from: &Matrix, into: &mut Matrix, columns: Range<usize>, end: End) {
    let ld = into.ld;
    let (activation, add) = match end {
        End::Replace(activation) => (activation, false),
        End::Add => (None, true),
    };
    let target = Target { out: into.values_mut(), ld, bias: layer.bias.as_deref(), activation, add };
    product(kernels, from.all(), &layer.packed, columns, target);
}

fn norm(kernels: &Kernels, layer: &Norm, from: &Matrix, into: &mut Matrix) {
    into.shape(from.rows(), from.columns());
    for row in 0..from.rows() {
        // SAFETY: `kernels` is one of those that the machine has.
        unsafe { (kernels.layer_norm)(from.row(row), into.row_mut(row), &layer.weight, &layer.bias, layer.eps) };
    }
}

fn pick(from: &Matrix, rows: impl ExactSizeIterator<Item = usize>, into: &mut Matrix) {
    into.shape(rows.len(), from.columns());
    for (to, row) in rows.enumerate() {
        into.row_mut(to).copy_from_slice(from.row(row));
    }
}

impl Scratch {
    /// A linear layer over the tokens' source, without activation: patches, say.
    pub(super) fn embed(&mut self, kernels: &Kernels, layer: &Linear) {
        linear(kernels, layer, &self.x, &mut self.normed, End::Replace(None));
    }

    /// A layer norm of all tokens.
    pub(super) fn norm(&mut self, kernels: &Kernels, layer: &Norm) {
        norm(kernels, layer, &self.x, &mut self.normed);
        std::mem::swap(&mut self.x, &mut self.normed);
    }

    /// The tokens through a projection, into `out`; or as they are.
    pub(super) fn project(&mut self, kernels: &Kernels, layer: Option<&Linear>) {
        match layer {
            Some(layer) => linear(kernels, layer, &self.x, &mut self.out, End::Replace(None)),
            None => std::mem::swap(&mut self.x, &mut self.out),
        }
    }

    /// All blocks. Where a token is pooled, only these are left afterwards, one row per sequence.
    pub(super) fn blocks(&mut self, kernels: &Kernels, blocks: &[Block<CpuStore>], config: &TransformerConfig, sequences: Sequences<'_>) {
        for (index, block) in blocks.iter().enumerate() {
            norm(kernels, &block.norm1, &self.x, &mut self.normed);
            match sequences.pooled {
                Some(pooled) if index + 1 == blocks.len() => {
                    self.attend_pooled(kernels, block, config, sequences, pooled);
                }
                _ => self.attend(kernels, block, config, sequences),
            }
            linear(kernels, &block.out, &self.attended, &mut self.x, End::Add);
            norm(kernels, &block.norm2, &self.x, &mut self.normed);
            linear(kernels, &block.up, &self.normed, &mut self.inner, End::Replace(Some(config.activation)));
            linear(kernels, &block.down, &self.inner, &mut self.x, End::Add);
        }
    }

    fn attend(&mut self, kernels: &Kernels, block: &Block<CpuStore>, config: &TransformerConfig, sequences: Sequences<'_>) {
        linear(kernels, &block.qkv, &self.normed, &mut self.wide, End::Replace(None));
        self.attended.shape(self.x.rows(), config.width);
        let heads = Heads { wide: &self.wide, width: config.width, heads: config.heads, causal: sequences.causal };
        for rows in sequences.ranges() {
            heads.all(kernels, rows, &mut self.attended, &mut self.attention);
        }
    }

    /// Keys and values of all tokens, but queries of the pooled ones only; the others are dropped.
    fn attend_pooled(
        &mut self,
        kernels: &Kernels,
        block: &Block<CpuStore>,
        config: &TransformerConfig,
        sequences: Sequences<'_>,
        pooled: &[usize],
    ) {
        let width = config.width;
        let first = if width.is_multiple_of(kernels.columns) { width } else { 0 };
        self.wide.shape(self.normed.rows(), 3 * width);
        columns(kernels, &block.qkv, &self.normed, &mut self.wide, first..3 * width, End::Replace(None));
        let rows = || {
            let starts: Vec<usize> = sequences.ranges().zip(pooled).map(|(rows, &token)| rows.start + token).collect();
            starts.into_iter()
        };
        pick(&self.normed, rows(), &mut self.picked);
        self.queries.shape(self.picked.rows(), width);
        columns(kernels, &block.qkv, &self.picked, &mut self.queries, 0..width, End::Replace(None));
        self.attended.shape(self.picked.rows(), width);
        let heads = Heads { wide: &self.wide, width, heads: config.heads, causal: false };
        for (index, rows) in sequences.ranges().enumerate() {
            heads.one(kernels, rows, (&self.queries, index), &mut self.attended, &mut self.attention);
        }
        pick(&self.x, rows(), &mut self.picked);
        std::mem::swap(&mut self.x, &mut self.picked);
    }

    /// The mean of each sequence's tokens.
    pub(super) fn mean(&mut self, kernels: &Kernels, sequences: Sequences<'_>) {
        self.picked.shape(sequences.lengths.len(), self.x.columns());
        for (index, rows) in sequences.ranges().enumerate() {
            let scale = 1.0 / rows.len() as f32;
            let sum = self.picked.row_mut(index);
            sum.fill(0.0);
            for row in rows {
                // SAFETY: `kernels` is one of those that the machine has.
                unsafe { (kernels.add)(sum, self.x.row(row)) };
            }
            sum.iter_mut().for_each(|value| *value *= scale);
        }
        std::mem::swap(&mut self.x, &mut self.picked);
    }

    /// The pooling head of SigLIP; see [`MapHead`].
    pub(super) fn map(&mut self, kernels: &Kernels, head: &MapHead<CpuStore>, config: &TransformerConfig, sequences: Sequences<'_>) {
        let (heads, width) = (config.heads, config.width);
        linear(kernels, &head.scores, &self.x, &mut self.queries, End::Replace(None));
        self.picked.shape(sequences.lengths.len() * heads, width);
        for (index, rows) in sequences.ranges().enumerate() {
            let AttentionScratch { scores, values, .. } = &mut self.attention;
            scores.shape(heads, rows.len());
            for head in 0..heads {
                let line = scores.row_mut(head);
                for (value, row) in line.iter_mut().zip(rows.clone()) {
                    *value = self.queries.row(row)[head];
                }
                // SAFETY: `kernels` is one of those that the machine has.
                unsafe { (kernels.softmax)(line) };
            }
            values.pack(kernels, self.x.view(rows, 0..width));
            let ld = self.picked.ld;
            let out = &mut self.picked.values_mut()[index * heads * ld..];
            let target = Target { out, ld, bias: None, activation: None, add: false };
            product(kernels, scores.all(), values, 0..width, target);
        }
        linear(kernels, &head.value, &self.picked, &mut self.wide, End::Replace(None));
        let size = width / heads;
        self.attended.shape(sequences.lengths.len(), width);
        for index in 0..sequences.lengths.len() {
            for head in 0..heads {
                let columns = head * size..(head + 1) * size;
                let values = &self.wide.row(index * heads + head)[columns.clone()];
                self.attended.row_mut(index)[columns].copy_from_slice(values);
            }
        }
        linear(kernels, &head.out, &self.attended, &mut self.x, End::Replace(None));
        norm(kernels, &head.norm, &self.x, &mut self.normed);
        linear(kernels, &head.up, &self.normed, &mut self.inner, End::Replace(Some(config.activation)));
        linear(kernels, &head.down, &self.inner, &mut self.x, End::Add);
    }
}
