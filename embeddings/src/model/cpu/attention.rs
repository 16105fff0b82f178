//! Attention over sequences that stand one after the other.

use std::ops::Range;

use super::kernels::Kernels;
use super::matrix::{Matrix, Packed, Target, product};

/// Space for one head of one sequence.
#[derive(Debug, Default)]
pub(super) struct AttentionScratch {
    pub(super) scores: Matrix,
    pub(super) keys: Packed,
    pub(super) values: Packed,
}

/// Where the parts of attention are found: `wide` holds queries, keys and values side by side.
pub(super) struct Heads<'a> {
    pub(super) wide: &'a Matrix,
    pub(super) width: usize,
    pub(super) heads: usize,
    /// A token sees only those before it, and itself.
    pub(super) causal: bool,
}

impl Heads<'_> {
    /// Attention of all tokens of the sequence at `rows`, into the same rows of `out`.
    pub(super) fn all(&self, kernels: &Kernels, rows: Range<usize>, out: &mut Matrix, scratch: &mut AttentionScratch) {
        let (first, columns) = (rows.start, 0..self.width);
        self.run(kernels, rows.clone(), (self.wide, rows, columns, self.causal), (out, first), scratch);
    }

    /// Attention of one token of the sequence, whose query is row `index` of `queries`, into that row of `out`. The token
    /// sees all others.
    pub(super) fn one(
        &self,
        kernels: &Kernels,
        rows: Range<usize>,
        (queries, index): (&Matrix, usize),
        out: &mut Matrix,
        scratch: &mut AttentionScratch,
    ) {
        self.run(kernels, rows, (queries, index..index + 1, 0..self.width, false), (out, index), scratch);
    }

    fn run(
        &self,
        kernels: &Kernels,
        rows: Range<usize>,
        (queries, asking, columns, causal): (&Matrix, Range<usize>, Range<usize>, bool),
        (out, first): (&mut Matrix, usize),
        scratch: &mut AttentionScratch,
    ) {
        let (size, tokens) = (self.width / self.heads, rows.len());
        let ld = out.ld;
        for head in 0..self.heads {
            let start = columns.start + head * size;
            let key = self.width + head * size;
            let value = 2 * self.width + head * size;
            scratch.keys.pack_transposed(kernels, self.wide.view(rows.clone(), key..key + size));
            scratch.values.pack(kernels, self.wide.view(rows.clone(), value..value + size));
            let scores = &mut scratch.scores;
            scores.shape(asking.len(), tokens);
            let scores_ld = scores.ld;
            let target = Target { out: scores.values_mut(), ld: scores_ld, bias: None, activation: None, add: false };
            product(kernels, queries.view(asking.clone(), start..start + size), &scratch.keys, 0..tokens, target);
            for row in 0..asking.len() {
                let scores = scores.row_mut(row);
                let (seen, hidden) = scores.split_at_mut(if causal { row + 1 } else { tokens });
                // SAFETY: `kernels` is one of those that the machine has.
                unsafe { (kernels.softmax)(seen) };
                hidden.fill(0.0);
            }
            let out = &mut out.values_mut()[first * ld + head * size..];
            let target = Target { out, ld, bias: None, activation: None, add: false };
            product(kernels, scores.all(), &scratch.values, 0..size, target);
        }
    }
}
