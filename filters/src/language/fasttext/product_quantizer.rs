//! Vectors cut into short pieces, each replaced by the nearest of 256 centroids (fastText's `productquantizer.cc`).

use super::Malformed;
use super::bytes::Cursor;

/// Centroids of one piece, as a code is one byte.
const CENTROIDS: usize = 256;

/// The code book of a matrix.
#[derive(Debug)]
pub(super) struct ProductQuantizer {
    pieces: usize,
    piece_len: usize,
    last_len: usize,
    centroids: Vec<f32>,
}

impl ProductQuantizer {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let dim = cursor.count32()?;
        let pieces = cursor.count32()?;
        let piece_len = cursor.count32()?;
        let last_len = cursor.count32()?;
        let fits = pieces.checked_sub(1).and_then(|n| n.checked_mul(piece_len)).and_then(|n| n.checked_add(last_len)) == Some(dim);
        if !fits || last_len > piece_len {
            return Err(cursor.error("a code book whose pieces do not add up"));
        }
        let centroids = cursor.f32s(dim.saturating_mul(CENTROIDS))?;
        Ok(Self { pieces, piece_len, last_len, centroids })
    }

    /// Bytes of one coded vector.
    pub(super) fn code_len(&self) -> usize {
        self.pieces
    }

    /// Length of a decoded vector.
    pub(super) fn dim(&self) -> usize {
        (self.pieces - 1) * self.piece_len + self.last_len
    }

    /// The centroid of `code` in the piece at `piece`.
    pub(super) fn centroid(&self, piece: usize, code: u8) -> &[f32] {
        let len = if piece + 1 == self.pieces { self.last_len } else { self.piece_len };
        let start = piece * CENTROIDS * self.piece_len + usize::from(code) * len;
        &self.centroids[start..start + len]
    }

    /// Adds `scale` times the vector behind `codes` to `out`.
    pub(super) fn add(&self, codes: &[u8], scale: f32, out: &mut [f32]) {
        for (piece, (&code, out)) in codes.iter().zip(out.chunks_mut(self.piece_len)).enumerate() {
            for (x, c) in out.iter_mut().zip(self.centroid(piece, code)) {
                *x += scale * c;
            }
        }
    }

    /// Inner product of `x` with the vector behind `codes`.
    pub(super) fn dot(&self, codes: &[u8], x: &[f32]) -> f32 {
        let mut sum = 0.0;
        for (piece, (&code, x)) in codes.iter().zip(x.chunks(self.piece_len)).enumerate() {
            for (x, c) in x.iter().zip(self.centroid(piece, code)) {
                sum += x * c;
            }
        }
        sum
    }
}
