//! Images and captions a second: our kernels, candle's operations and PyTorch, on the same weights, in turns.
//!
//! ```text
//! cargo bench -p trommel-embeddings --bench tower_speed -- [--batch 16] [--threads 2] [--rounds 5] [FOLDER ..]
//! ```
//!
//! PyTorch takes part when `TROMMEL_PEER_PYTHON` names a Python that has it; without folders the checkpoints are then made
//! at the sizes of CLIP B/32 and SigLIP B/16. Every figure is the best of its rounds, and the rounds of all take turns, since
//! a machine is rarely quiet. CPU seconds stand beside the wall clock. `sgemm` is what the same PyTorch reaches in a large
//! product, and the limit is that rate over the operations of the model.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use trommel_embeddings::checkpoint::config::{Grid, ModelConfig, TransformerConfig};
use trommel_embeddings::model::{ComputePath, DualEncoder, LoadOptions, Model};
use trommel_embeddings::{Prepared, Tokens};

struct Options {
    batch: usize,
    threads: usize,
    rounds: usize,
    folders: Vec<PathBuf>,
}

fn options() -> Options {
    let mut options = Options { batch: 16, threads: 2, rounds: 5, folders: Vec::new() };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().unwrap().parse().unwrap();
        match argument.as_str() {
            "--batch" => options.batch = number(),
            "--threads" => options.threads = number(),
            "--rounds" => options.rounds = number(),
            _ => options.folders.push(argument.into()),
        }
    }
    options
}

/// PyTorch in a process of its own.
struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    version: String,
}

impl Peer {
    fn start(folder: &Path, options: &Options) -> Option<Self> {
        let python = std::env::var("TROMMEL_PEER_PYTHON").ok()?;
        if !folder.join("config.json").is_file() {
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/time_towers.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(folder)
            .args([options.batch.to_string(), options.threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, mut from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut version = String::new();
        from.read_line(&mut version).unwrap();
        Some(Self { child, to, from, version: version.trim().to_owned() })
    }

    fn step(&mut self, what: &str) -> Time {
        writeln!(self.to, "{what}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
        Time { wall: numbers.next().unwrap(), cpu: numbers.next().unwrap() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    cpu: f64,
}

const NEVER: Time = Time { wall: f64::INFINITY, cpu: f64::INFINITY };

impl Time {
    fn best(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }
}

/// Seconds of all threads of this process, in steps of a hundredth; nothing where the system does not tell.
fn cpu_seconds() -> f64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/stat") else { return f64::NAN };
    // After the name in parentheses: user and system time are the 12th and 13th field.
    let Some((_, rest)) = text.rsplit_once(')') else { return f64::NAN };
    rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn time(run: impl FnOnce()) -> Time {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    run();
    Time { wall: wall.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
}

/// Additions and multiplications of a tower over so many tokens, all of them computed.
fn operations(config: &TransformerConfig, tokens: usize) -> f64 {
    let (width, mlp, tokens) = (config.width as f64, config.mlp as f64, tokens as f64);
    config.layers as f64 * (tokens * (8.0 * width * width + 4.0 * width * mlp) + 4.0 * tokens * tokens * width)
}

fn inputs(config: &ModelConfig, batch: usize) -> (Vec<Prepared>, Vec<Tokens>, f64, f64) {
    let noise = |count: usize| (0..count).map(|i| ((i * 7919) % 1013) as f32 / 506.5 - 1.0).collect::<Vec<_>>();
    let patch = config.image.patch;
    let (picture, patches) = match config.image.grid {
        Grid::Fixed { image } => (Prepared::Fixed { side: image, data: noise(3 * image * image) }, (image / patch).pow(2)),
        Grid::Naflex { positions: side } => {
            let data = noise(side * side * 3 * patch * patch);
            (Prepared::Patches { rows: side, columns: side, data }, side * side)
        }
    };
    let mut ids: Vec<u32> = (0..config.text.context).map(|i| 3 + (i % 17) as u32).collect();
    // As long as the context, so that all compute the same.
    *ids.last_mut().unwrap() = config.text.end.unwrap_or(config.text.vocabulary as u32 - 1);
    let caption = Tokens { used: ids.len(), ids, truncated: false };
    let embedding = (2 * 3 * patch * patch * patches * config.image.transformer.width) as f64;
    let image = operations(&config.image.transformer, patches + 1) + embedding;
    let text = operations(&config.text.transformer, config.text.context);
    (vec![picture; batch], vec![caption; batch], image, text)
}

fn bench(folder: &Path, options: &Options) {
    let load = |path| Model::from_folder(folder, &LoadOptions { path, ..LoadOptions::default() }).unwrap();
    let (ours, candle) = (load(ComputePath::Fastest), load(ComputePath::Candle));
    let info = ours.info();
    let mut peer = Peer::start(folder, options);
    println!(
        "{}: {}, {} parameters, batch {}, {} threads, kernels {}, {}",
        folder.display(),
        info.architecture.name(),
        info.parameters,
        options.batch,
        options.threads,
        info.kernels,
        peer.as_ref().map_or("no PyTorch", |peer| &peer.version)
    );
    let (pictures, captions, image, text) = inputs(&info.config, options.batch);
    let pictures: Vec<&Prepared> = pictures.iter().collect();
    let captions: Vec<&Tokens> = captions.iter().collect();
    let mut encoders = [ours.replica(options.threads), candle.replica(options.threads)];
    let mut sgemm = NEVER;
    for (what, operations) in [("images", image), ("texts", text)] {
        let mut best = [NEVER; 3];
        for round in 0..=options.rounds {
            let mut times = [NEVER; 3];
            for (encoder, into) in encoders.iter_mut().zip(&mut times) {
                *into = time(|| {
                    let encoder: &mut dyn DualEncoder = &mut **encoder;
                    let rows = if what == "images" { encoder.encode_images(&pictures) } else { encoder.encode_texts(&captions) };
                    assert_eq!(rows.unwrap().len(), options.batch);
                });
            }
            if let Some(peer) = &mut peer {
                times[2] = peer.step(what);
                sgemm = sgemm.best(peer.step("sgemm"));
            }
            // The first round warms up.
            if round > 0 {
                best.iter_mut().zip(times).for_each(|(best, time)| *best = best.best(time));
            }
        }
        let [ours, plain, torch] = best;
        let rate = |time: Time| options.batch as f64 / time.wall;
        let each = |time: Time| time.cpu / options.batch as f64;
        println!("  {what} a second: ours {:.2}, candle {:.2}", rate(ours), rate(plain));
        println!(
            "    CPU seconds each: ours {:.4}, candle {:.4}; ours is {:.0} GFLOP/s of {:.2} GFLOP each",
            each(ours),
            each(plain),
            operations * rate(ours) / 1e9,
            operations / 1e9
        );
        if peer.is_some() {
            // 16 products of 1024 by 3072 by 768.
            let flops = 16.0 * 2.0 * 1024.0 * 3072.0 * 768.0 / sgemm.wall;
            println!(
                "    PyTorch: {:.2} a second, {:.4} CPU seconds each; over ours: {:.3} of CPU, {:.3} of wall",
                rate(torch),
                each(torch),
                torch.cpu / ours.cpu,
                torch.wall / ours.wall
            );
            println!("    limit: sgemm {:.0} GFLOP/s, {:.2} a second", flops / 1e9, flops / operations);
        }
    }
}

fn main() {
    let mut options = options();
    let made = tempfile::tempdir().unwrap();
    if options.folders.is_empty() {
        let Ok(python) = std::env::var("TROMMEL_PEER_PYTHON") else {
            println!("SKIPPED: name folders of checkpoints, or a Python that makes them in TROMMEL_PEER_PYTHON");
            return;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/make_checkpoints.py");
        let families = ["clip_b32", "siglip_b16"];
        let done = Command::new(python).arg(script).arg(made.path()).arg("--big").args(families).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        options.folders = families.iter().map(|family| made.path().join(family)).collect();
    }
    for folder in &options.folders {
        bench(folder, &options);
    }
}
