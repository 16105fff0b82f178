//! Trains the small CLIP of `embeddings/models/miniweb-clip` on the pictures and captions of the miniature web.
//!
//! ```text
//! cargo run --release -p trommel --example train_small_clip -- --out embeddings/models/miniweb-clip
//! cargo run --release -p trommel --example train_small_clip -- --evaluate embeddings/models/miniweb-clip
//! ```

mod bpe;
mod chance;
mod evaluate;
mod folder;
mod model;
mod ops;
mod pictures;
mod properties;
mod train;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;

/// Trains a CLIP of under a million parameters on the miniature web, or measures one.
#[derive(Debug, Parser)]
struct Args {
    /// The folder to write the model to.
    #[arg(long, required_unless_present = "evaluate")]
    out: Option<PathBuf>,
    /// Measures the model of this folder instead of training one.
    #[arg(long, conflicts_with = "out")]
    evaluate: Option<PathBuf>,
    /// Writes the held-out pictures and captions here, so that another program can measure the same.
    #[arg(long)]
    pairs: Option<PathBuf>,
    /// How many held-out pictures are measured, each in ten languages.
    #[arg(long, default_value_t = 1000)]
    held_out: usize,
    /// Pictures, captions, weights and batches are drawn from this.
    #[arg(long, default_value_t = 20)]
    seed: u64,
    /// How many batches are learned from.
    #[arg(long, default_value_t = 2000)]
    steps: usize,
    /// How many pictures are painted to learn from.
    #[arg(long, default_value_t = 12_000)]
    pictures: usize,
    /// Pictures in a batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// The highest learning rate.
    #[arg(long, default_value_t = 1.5e-3)]
    rate: f64,
}

fn main() -> anyhow::Result<()> {
    // The parts of a batch run side by side; threads inside of each multiplication would only wait for one another.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    let args = Args::parse();
    let say = &mut std::io::stdout().lock();
    if let Some(out) = &args.out {
        let begun = Instant::now();
        folder::write_tokenizer(out, &bpe::learn(args.seed)?)?;
        let words = bpe::Words::load(&out.join(folder::TOKENIZER))?;
        let plan = train::Plan { seed: args.seed, steps: args.steps, pictures: args.pictures, batch: args.batch, rate: args.rate };
        let model = train::train(&plan, &words, say)?;
        folder::write_model(out, &model, &words)?;
        writeln!(say, "{} written after {:.1} min", out.display(), begun.elapsed().as_secs_f64() / 60.0)?;
    }
    if let Some(folder) = args.out.as_ref().or(args.evaluate.as_ref()) {
        let (model, words) = folder::read(folder)?;
        evaluate::evaluate(&model, &words, args.held_out, say)?;
        if let Some(pairs) = &args.pairs {
            evaluate::write_pairs(&model, &words, args.held_out, pairs)?;
        }
    }
    Ok(())
}
