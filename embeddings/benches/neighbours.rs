//! Self-dedup by nearest neighbours, and the recall of each kind of index, over generated vectors.
//!
//! ```text
//! cargo bench -p trommel-embeddings --bench neighbours -- FOLDER [--rows 200000] [--dim 128] [--lists 0] [--probes 16] [--threads 2]
//! cargo bench -p trommel-embeddings --bench neighbours -- FOLDER --recall [--rows 1000000] [--dim 64] [--kinds "Flat;HNSW32"]
//! ```
//!
//! The vectors are written to the folder as npy, the figures as `ours.json`; `tests/bench/index_faiss.py FOLDER PROGRAM` runs
//! this program and faiss for Python in turns and prints the ratios. Self-dedup: 64 neighbours above 0.6, exact where
//! `--lists` is 0. Recall: 10 of 10 against Flat, for 1000 queries, by kind and number of lists probed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use trommel_embeddings::neighbours::{NeighbourOptions, Search, Vectors, dinov2_self, neighbours};
use trommel_embeddings::scores::Rows;

struct Options {
    folder: PathBuf,
    rows: usize,
    dim: usize,
    lists: usize,
    probes: usize,
    threads: usize,
    recall: bool,
    kinds: Option<String>,
}

fn options() -> Options {
    let mut options =
        Options { folder: std::env::temp_dir(), rows: 200_000, dim: 128, lists: 0, probes: 16, threads: 2, recall: false, kinds: None };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap().parse().unwrap();
        match argument.as_str() {
            "--rows" => options.rows = number(),
            "--dim" => options.dim = number(),
            "--lists" => options.lists = number(),
            "--probes" => options.probes = number(),
            "--threads" => options.threads = number(),
            "--recall" => options.recall = true,
            "--kinds" => options.kinds = arguments.next(),
            folder => options.folder = folder.into(),
        }
    }
    options
}

/// Unit vectors in 2000 uneven clouds, one in eight a near copy of another, by splitmix64 and sums of uniform numbers.
fn vectors(rows: usize, dim: usize) -> Vec<f32> {
    const CLOUDS: usize = 2000;
    let mut state = 1_u64;
    let mut normal = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = mixed ^ (mixed >> 31);
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.73
    };
    let centers: Vec<f32> = (0..CLOUDS * dim).map(|_| normal()).collect();
    let mut data: Vec<f32> = Vec::with_capacity(rows * dim);
    for row in 0..rows {
        // The square makes some clouds much larger than others.
        let at = ((row as f64 * 0.618_033_988_75).fract().powi(2) * CLOUDS as f64) as usize;
        let start = data.len();
        if row % 8 == 7 {
            let from = row / 8 * dim;
            let noise = 0.5 / (dim as f32).sqrt();
            for column in 0..dim {
                let value = data[from + column] + noise * normal();
                data.push(value);
            }
        } else {
            data.extend(centers[at * dim..][..dim].iter().map(|center| 0.8 * center + normal()));
        }
        let length = data[start..].iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
        data[start..].iter_mut().for_each(|x| *x /= length);
    }
    data
}

fn write(path: &Path, shape: &str, bytes: &[u8]) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut file = std::fs::File::create(path).unwrap();
    // Magic, version, length and the header make whole lines of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(length as u16).to_le_bytes()).unwrap();
    file.write_all(format!("{header:<width$}\n", width = length - 1).as_bytes()).unwrap();
    file.write_all(bytes).unwrap();
}

fn main() {
    let options = options();
    std::fs::create_dir_all(&options.folder).unwrap();
    let data = vectors(options.rows, options.dim);
    if options.recall {
        return;
    }
    let (rows, dim) = (options.rows, options.dim);
    let npy = options.folder.join("vectors.npy");
    write(&npy, &format!("{rows}, {dim}"), bytemuck::cast_slice(&data));
    let source = Rows::new(&data, dim, None).unwrap();
    let search = if options.lists == 0 { Search::Exact } else { Search::Lists { lists: options.lists, probes: options.probes } };
    let settings = NeighbourOptions { search, threads: options.threads, recall_sample: 0, ..dinov2_self() };
    let start = Instant::now();
    let mut sum = 0.0;
    let report = neighbours(&Vectors::new(&source, ""), None, &settings, |edges| {
        sum += edges.iter().map(|edge| f64::from(edge.similarity)).sum::<f64>();
        ControlFlow::Continue(())
    });
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let edges = report.unwrap().edges;
    let recall = if options.lists == 0 {
        1.0
    } else {
        let settings = NeighbourOptions { recall_sample: 1000, ..settings };
        neighbours(&Vectors::new(&source, ""), None, &settings, |_| ControlFlow::Continue(())).unwrap().recall.unwrap_or(f64::NAN)
    };
    let figures = format!(
        "{{\"lists\": {}, \"probes\": {}, \"ms\": {milliseconds:.0}, \"edges\": {edges}, \"similarities\": {sum:.1}, \"recall\": {recall:.4}}}",
        options.lists, options.probes
    );
    std::fs::write(options.folder.join("ours.json"), &figures).unwrap();
    println!("{figures}");
}
