//! Self-dedup by nearest neighbours, and the recall of each kind of index, over generated vectors.
//!
//! ```text
//! cargo bench -p trommel-embeddings --bench neighbours -- FOLDER [--rows 200000] [--dim 128] [--lists 0] [--probes 16] [--threads 2]
//! cargo bench -p trommel-embeddings --bench neighbours -- FOLDER --recall [--rows 1000000] [--dim 64] [--kinds "IVF1024,Flat;HNSW32"]
//! ```
//!
//! The vectors are written to the folder as npy, the figures as `ours.json`; `tests/bench/index_faiss.py FOLDER PROGRAM` runs
//! this program and faiss for Python in turns and prints the ratios. Self-dedup: 64 neighbours above 0.6, exact where
//! `--lists` is 0. Recall: 10 of 10 against all vectors, for 1000 queries, by kind and number of lists probed (nodes followed).
//! `--answers` and `--open FILE` are for `tests/peers/index_check.py`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use trommel_embeddings::index::{Access, Index, IndexMetric, IndexOptions, IndexShard, SearchOptions, build_index};
use trommel_embeddings::neighbours::{Floor, NeighbourOptions, Search, Vectors, dinov2_self, neighbours};
use trommel_embeddings::scores::Rows;
use trommel_shards::subset::Uid128;

mod npy;
use npy::write;

struct Options {
    folder: PathBuf,
    rows: usize,
    dim: usize,
    lists: usize,
    probes: usize,
    threads: usize,
    task: Task,
    kinds: String,
}

enum Task {
    SelfDedup,
    Recall,
    Answers,
    Open(PathBuf),
}

fn options() -> Options {
    let mut options = Options {
        folder: std::env::temp_dir(),
        rows: 200_000,
        dim: 128,
        lists: 0,
        probes: 16,
        threads: 2,
        task: Task::SelfDedup,
        kinds: "HNSW32;IVF1024,Flat;OPQ32_64,IVF1024,PQ32x8".into(),
    };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap().parse().unwrap();
        match argument.as_str() {
            "--rows" => options.rows = number(),
            "--dim" => options.dim = number(),
            "--lists" => options.lists = number(),
            "--probes" => options.probes = number(),
            "--threads" => options.threads = number(),
            "--recall" => options.task = Task::Recall,
            "--answers" => options.task = Task::Answers,
            "--open" => options.task = Task::Open(arguments.next().unwrap().into()),
            "--kinds" => options.kinds = arguments.next().unwrap(),
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

fn main() {
    let options = options();
    std::fs::create_dir_all(&options.folder).unwrap();
    let data = vectors(options.rows, options.dim);
    match &options.task {
        Task::SelfDedup => self_dedup(&options, &data),
        Task::Recall => recall(&options, &data),
        Task::Answers => answers(&options, &data),
        Task::Open(file) => {
            let index = Index::open_file(file, Access::Memory, IndexMetric::Cosine, "").unwrap();
            let queries = &data[..QUERIES * options.dim];
            write_answers(&index, &Rows::new(queries, options.dim, None).unwrap(), &format!("{}.", file.display()));
        }
    }
}

const QUERIES: usize = 1000;

fn build(options: &Options, vectors: &Rows<'_>, kind: &str) -> PathBuf {
    let folder = options.folder.join(kind.replace(',', "-"));
    let shards = [IndexShard::new("generated", vectors).with_uids(|| Ok((0..vectors.len() as u128).map(Uid128).collect()))];
    let settings = IndexOptions { factory: Some(kind.into()), threads: options.threads, fresh: true, ..IndexOptions::default() };
    build_index(&folder, &shards, &IndexOptions { graph_threads: options.threads, ..settings }, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    folder
}

/// Builds an index of each kind, and states which of the true ten nearest it finds.
fn recall(options: &Options, data: &[f32]) {
    let (base, queries) = data.split_at((options.rows - QUERIES) * options.dim);
    let (base, queries) = (Rows::new(base, options.dim, None).unwrap(), Rows::new(queries, options.dim, None).unwrap());
    let mut truth = vec![Vec::new(); QUERIES];
    let settings = NeighbourOptions { search: Search::Exact, threads: options.threads, ..NeighbourOptions::new(10, Floor::None) };
    neighbours(&Vectors::new(&queries, ""), Some(&Vectors::new(&base, "")), &settings, |edges| {
        edges.iter().for_each(|edge| truth[edge.row as usize].push(u64::from(edge.neighbour)));
        ControlFlow::Continue(())
    })
    .unwrap();
    println!("| kind | building, s | bytes of a vector | lists or nodes | recall@10 | queries/s |\n|---|---:|---:|---:|---:|---:|");
    for kind in options.kinds.split(';') {
        let start = Instant::now();
        let folder = build(options, &base, kind);
        let seconds = start.elapsed().as_secs_f64();
        let bytes = std::fs::metadata(folder.join("index.faiss")).unwrap().len() / base.len() as u64;
        let index = Index::open(&folder, Access::Memory).unwrap();
        for effort in [1, 4, 16, 64, 256] {
            let search =
                SearchOptions { probes: Some(effort), ef_search: Some(effort), threads: options.threads, ..SearchOptions::new(10) };
            let start = Instant::now();
            let answer = index.search(&Vectors::new(&queries, ""), &search).unwrap();
            let rate = QUERIES as f64 / start.elapsed().as_secs_f64();
            let found = answer.hits.iter().zip(&truth).map(|(hits, truth)| hits.iter().filter(|hit| truth.contains(&hit.row)).count());
            let recall = found.sum::<usize>() as f64 / (10 * QUERIES) as f64;
            println!("| `{kind}` | {seconds:.1} | {bytes} | {effort} | {recall:.3} | {rate:.0} |");
        }
    }
}

fn answers(options: &Options, data: &[f32]) {
    let vectors = Rows::new(data, options.dim, None).unwrap();
    let queries = &data[..QUERIES * options.dim];
    write(&options.folder.join("vectors.npy"), "<f4", &format!("{}, {}", options.rows, options.dim), bytemuck::cast_slice(data));
    write(&options.folder.join("queries.npy"), "<f4", &format!("{QUERIES}, {}", options.dim), bytemuck::cast_slice(queries));
    let queries = Rows::new(queries, options.dim, None).unwrap();
    for kind in options.kinds.split(';') {
        let folder = build(options, &vectors, kind);
        write_answers(&Index::open(&folder, Access::Memory).unwrap(), &queries, &format!("{}/", folder.display()));
    }
}

fn write_answers(index: &Index, queries: &Rows<'_>, before: &str) {
    let probes = index.description().factory.contains("IVF").then_some(16);
    let answer = index.search(&Vectors::new(queries, ""), &SearchOptions { probes, ..SearchOptions::new(10) }).unwrap();
    let hits: Vec<_> = answer.hits.iter().flatten().collect();
    let ids: Vec<u64> = hits.iter().map(|hit| hit.row).collect();
    let similarities: Vec<f32> = hits.iter().map(|hit| hit.similarity).collect();
    let shape = format!("{QUERIES}, 10");
    write(Path::new(&format!("{before}ids.npy")), "<u8", &shape, bytemuck::cast_slice(&ids));
    write(Path::new(&format!("{before}similarities.npy")), "<f4", &shape, bytemuck::cast_slice(&similarities));
}

fn self_dedup(options: &Options, data: &[f32]) {
    let (rows, dim) = (options.rows, options.dim);
    write(&options.folder.join("vectors.npy"), "<f4", &format!("{rows}, {dim}"), bytemuck::cast_slice(data));
    let source = Rows::new(data, dim, None).unwrap();
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
