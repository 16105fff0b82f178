//! Reads what `tests/models/make_checkpoints.py` leaves beside a checkpoint.
#![allow(clippy::unwrap_used, dead_code)]

use std::path::Path;

use safetensors::SafeTensors;
use trommel_embeddings::{Prepared, Tokens};

/// Inputs, and the embeddings that the reference gives them.
pub(crate) struct Golden {
    pub(crate) pictures: Vec<Prepared>,
    pub(crate) captions: Vec<Tokens>,
    pub(crate) image: Vec<Vec<f32>>,
    pub(crate) text: Vec<Vec<f32>>,
}

impl Golden {
    pub(crate) fn read(folder: &Path) -> Self {
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |name: &str| -> (Vec<f32>, Vec<usize>) {
            let view = file.tensor(name).unwrap();
            (view.data().as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(), view.shape().to_vec())
        };
        let whole = |name: &str| -> (Vec<u32>, usize) {
            let view = file.tensor(name).unwrap();
            let values = view.data().as_chunks().0.iter().map(|&four| u32::from_le_bytes(four)).collect();
            (values, view.shape()[1])
        };
        let rows = |name: &str| {
            let (values, shape) = floats(name);
            values.chunks_exact(shape[1]).map(<[f32]>::to_vec).collect()
        };
        let (pixels, shape) = floats("pixels");
        let pictures = if file.tensor("shapes").is_ok() {
            let mut rest = pixels.as_slice();
            let (shapes, _) = whole("shapes");
            shapes
                .chunks_exact(2)
                .map(|pair| {
                    let (rows, columns) = (pair[0] as usize, pair[1] as usize);
                    let (data, after) = rest.split_at(rows * columns * shape[1]);
                    rest = after;
                    Prepared::Patches { rows, columns, data: data.to_vec() }
                })
                .collect()
        } else {
            let side = shape[2];
            pixels.chunks_exact(3 * side * side).map(|data| Prepared::Fixed { side, data: data.to_vec() }).collect()
        };
        let (ids, context) = whole("ids");
        let captions = ids.chunks_exact(context).map(|ids| Tokens { ids: ids.to_vec(), used: ids.len(), truncated: false }).collect();
        Self { pictures, captions, image: rows("image"), text: rows("text") }
    }
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()) as f32
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
