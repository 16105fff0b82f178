//! k-means and SemDeDup over generated vectors, in milliseconds.
//!
//! ```text
//! cargo bench -p trommel-embeddings --bench clusters -- FOLDER [--rows 100000] [--dim 256] [--clusters 1000] [--threads 2] [--engine faiss]
//! ```
//!
//! The vectors and SemDeDup's clusters and similarities are written to the folder as npy, the figures as `ours.json`;
//! `tests/bench/clusters_faiss.py FOLDER PROGRAM` runs this program and the peers in turns and prints the ratios.
//! k-means: 20 iterations from random first centroids, then the assignment of all rows. SemDeDup: all pairs within 200
//! clusters.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use trommel_embeddings::clusters::{Engine, KMeansOptions, Keys, SemDedupOptions, kmeans, semdedup};
use trommel_embeddings::scores::Rows;

mod npy;
use npy::write;

struct Options {
    folder: PathBuf,
    rows: usize,
    dim: usize,
    clusters: usize,
    threads: usize,
    engine: Engine,
}

fn options() -> Options {
    let mut options = Options { folder: std::env::temp_dir(), rows: 100_000, dim: 256, clusters: 1000, threads: 2, engine: Engine::Own };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap().parse().unwrap();
        match argument.as_str() {
            "--rows" => options.rows = number(),
            "--dim" => options.dim = number(),
            "--clusters" => options.clusters = number(),
            "--threads" => options.threads = number(),
            "--engine" => options.engine = if arguments.next().as_deref() == Some("faiss") { Engine::Faiss } else { Engine::Own },
            folder => options.folder = folder.into(),
        }
    }
    options
}

/// Unit vectors in 500 uneven clouds, by splitmix64 and sums of uniform numbers.
fn vectors(rows: usize, dim: usize) -> Vec<f32> {
    const CLOUDS: usize = 500;
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut normal = || {
        let bits = next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.73
    };
    let centers: Vec<f32> = (0..CLOUDS * dim).map(|_| normal()).collect();
    let mut data = Vec::with_capacity(rows * dim);
    for row in 0..rows {
        // The square makes some clouds much larger than others.
        let at = ((row as f64 * 0.618_033_988_75).fract().powi(2) * CLOUDS as f64) as usize;
        let start = data.len();
        data.extend(centers[at * dim..][..dim].iter().map(|center| center + normal()));
        let length = data[start..].iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
        data[start..].iter_mut().for_each(|x| *x /= length);
    }
    data
}

fn main() {
    let options = options();
    let (rows, dim) = (options.rows, options.dim);
    std::fs::create_dir_all(&options.folder).unwrap();
    let data = vectors(rows, dim);
    write(&options.folder.join("vectors.npy"), "<f4", &format!("{rows}, {dim}"), bytemuck::cast_slice(&data));
    let source = Rows::new(&data, dim, None).unwrap();
    let settings = KMeansOptions { threads: options.threads, engine: options.engine, ..KMeansOptions::new(options.clusters) };
    let start = Instant::now();
    let found = kmeans(&source, Keys::RowNumbers, &settings).unwrap();
    let kmeans_ms = start.elapsed().as_secs_f64() * 1e3;

    let settings = KMeansOptions { spherical: true, threads: options.threads, ..KMeansOptions::new(200.min(rows)) };
    let clusters = kmeans(&source, Keys::RowNumbers, &settings).unwrap().assignments;
    let start = Instant::now();
    let settings = SemDedupOptions { threads: options.threads, ..SemDedupOptions::default() };
    let similarities = semdedup(&source, &clusters, None, Keys::RowNumbers, &settings).unwrap();
    let semdedup_ms = start.elapsed().as_secs_f64() * 1e3;
    let similarities: Vec<f32> = similarities.into_iter().map(|similarity| similarity.unwrap_or(f32::NAN)).collect();
    for (name, kind, bytes) in [
        ("clusters.npy", "<u4", bytemuck::cast_slice(&clusters.clusters)),
        ("distances.npy", "<f4", bytemuck::cast_slice(&clusters.distances)),
        ("similarities.npy", "<f4", bytemuck::cast_slice(&similarities)),
    ] {
        write(&options.folder.join(name), kind, &format!("{rows},"), bytes);
    }
    let figures = format!(
        "{{\"clusters\": {}, \"iterations\": {}, \"kmeans_ms\": {kmeans_ms:.0}, \"objective\": {:.3}, \"semdedup_ms\": {semdedup_ms:.0}}}",
        options.clusters,
        found.objectives.len(),
        found.objective
    );
    std::fs::write(options.folder.join("ours.json"), &figures).unwrap();
    println!("{figures}");
}
