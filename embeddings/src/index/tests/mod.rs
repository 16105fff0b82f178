mod build;
mod search;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use trommel_shards::subset::Uid128;

use super::{Access, Index, IndexDescription, IndexOptions, IndexShard, SearchOptions, build_index};
use crate::clusters::draw::Draws;
use crate::neighbours::Vectors;
use crate::scores::Rows;

/// Vectors in clouds.
fn made(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
    let (a, b) = (Draws::new(seed, "a", 0), Draws::new(seed, "b", 0));
    let normal = |at: u64| ((-2.0 * a.unit(at).ln()).sqrt() * (std::f64::consts::TAU * b.unit(at)).cos()) as f32;
    let of = |at: usize| normal((1 << 40) + (a.bits((at / dim) as u64) % 40) * 1000 + (at % dim) as u64) + 0.5 * normal(at as u64);
    (0..rows * dim).map(of).collect()
}

fn uid(row: usize) -> Uid128 {
    Uid128(u128::from(Draws::new(9, "uid", 0).bits(row as u64)) << 64 | row as u128)
}

/// Shards of one matrix, with uids.
fn shards<'a>(rows: &'a [Rows<'a>]) -> Vec<IndexShard<'a>> {
    let mut start = 0;
    rows.iter()
        .enumerate()
        .map(|(number, rows)| {
            let first = start;
            start += rows.len();
            IndexShard::new(format!("shard {number}"), rows)
                .with_digest(format!("digest {number}"))
                .with_uids(move || Ok((first..first + rows.len()).map(uid).collect()))
        })
        .collect()
}

fn build(folder: &Path, rows: &[Rows<'_>], options: &IndexOptions) -> IndexDescription {
    build_index(folder, &shards(rows), options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn cut(data: &[f32], dim: usize, shards: usize) -> Vec<Rows<'_>> {
    data.chunks((data.len() / dim).div_ceil(shards) * dim).map(|part| Rows::new(part, dim, None).unwrap()).collect()
}

fn ids(index: &Index, queries: &Rows<'_>, options: &SearchOptions<'_>) -> Vec<Vec<u64>> {
    let answer = index.search(&Vectors::new(queries, "m"), options).unwrap();
    answer.hits.iter().map(|hits| hits.iter().map(|hit| hit.row).collect()).collect()
}

/// Brute force by cosine.
fn nearest(data: &[f32], query: &[f32], k: usize, passes: impl Fn(u64) -> bool) -> Vec<u64> {
    let norm = |a: &[f32]| a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let mut all: Vec<(f64, u64)> = data
        .chunks_exact(query.len())
        .enumerate()
        .filter(|(row, _)| passes(*row as u64))
        .map(|(row, vector)| {
            let product: f64 = vector.iter().zip(query).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            (product / norm(vector), row as u64)
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(k).map(|(_, row)| row).collect()
}

fn recall(found: &[Vec<u64>], data: &[f32], queries: &[f32], dim: usize, passes: impl Fn(u64) -> bool) -> f64 {
    let (mut hits, mut all) = (0_usize, 0_usize);
    for (found, query) in found.iter().zip(queries.chunks_exact(dim)) {
        let found: HashSet<u64> = found.iter().copied().collect();
        let expected = nearest(data, query, 10, &passes);
        all += expected.len();
        hits += expected.iter().filter(|row| found.contains(row)).count();
    }
    hits as f64 / all as f64
}

fn options(factory: &str) -> IndexOptions {
    IndexOptions { factory: Some(factory.into()), model: "m".into(), part_rows: 700, ..IndexOptions::default() }
}

fn open(folder: &Path, access: Access) -> Index {
    Index::open(folder, access).unwrap()
}
