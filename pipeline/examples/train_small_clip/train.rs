//! Training: CLIP's loss over batches, AdamW, warm-up and a cosine.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use image::RgbImage;
use trommel::miniweb::caption::{describe, describe_briefly};
use trommel::miniweb::words::Lang;
use trommel::miniweb::world::Scene;

use super::bpe::Words;
use super::chance::Chance;
use super::model::{CONTEXT, Captions, Model, PATCH_LEN, PATCHES, unit_rows};
use super::pictures::{Sides, file, in_parallel, pixels, push_patches};
use super::properties::{self, log_sum_exp};

/// What a run is made from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) steps: usize,
    pub(crate) pictures: usize,
    pub(crate) batch: usize,
    pub(crate) rate: f64,
}

/// A batch is cut into parts of this many pictures, which are worked on side by side. The sums are made in the order of the
/// parts, so the result does not depend on the number of threads.
const PART: usize = 16;
const WARM_UP: usize = 100;
const DECAY: f64 = 0.05;
const LARGEST_GRADIENT: f64 = 1.0;
/// The share of captions that are a few words.
const BRIEF: f64 = 0.15;

/// Whether no picture of this description is learned from. A hash of all that a caption tells chooses a tenth of the descriptions.
pub(crate) fn is_kept_out(scene: &Scene) -> bool {
    let mut hash = 0u64;
    for part in [
        scene.shape as u64,
        scene.colour as u64,
        scene.background as u64,
        u64::from(scene.count),
        scene.size as u64,
        scene.position as u64,
        scene.texture as u64,
    ] {
        hash = Chance::new(hash, part).next();
    }
    hash.is_multiple_of(10)
}

struct Example {
    scene: Scene,
    picture: RgbImage,
}

/// Whether a caption of `one` also says what `other` shows.
fn fits(one: &Scene, other: &Scene, brief: bool) -> bool {
    if brief {
        one.shape == other.shape && one.colour == other.colour && one.count == other.count
    } else {
        Scene { light: other.light, ..*one } == *other
    }
}

/// Paints the pictures to learn from.
fn paint(plan: &Plan) -> Result<Vec<Example>> {
    let scenes: Vec<Scene> = (0..).map(|n| Scene::nth(plan.seed, n)).filter(|scene| !is_kept_out(scene)).take(plan.pictures).collect();
    in_parallel(scenes.len(), |n| {
        let mut chance = Chance::new(plan.seed ^ 0x5ce9e, n as u64);
        Ok(Example { scene: scenes[n], picture: pixels(&file(&scenes[n], Sides::Training, &mut chance)?)? })
    })
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
struct AdamW {
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    step: i32,
}

impl AdamW {
    const BETA: (f64, f64) = (0.9, 0.98);
    const EPS: f64 = 1e-6;

    fn new(vars: &[Var]) -> Self {
        let zeros: Vec<Vec<f32>> = vars.iter().map(|var| vec![0.0; var.elem_count()]).collect();
        Self { first: zeros.clone(), second: zeros, step: 0 }
    }

    fn step(&mut self, vars: &[Var], grads: &[Vec<f32>], rate: f64) -> Result<()> {
        self.step += 1;
        let norm = grads.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let shrink = (LARGEST_GRADIENT / norm.max(1e-12)).min(1.0) as f32;
        let (b1, b2) = (Self::BETA.0 as f32, Self::BETA.1 as f32);
        let (c1, c2) = (1.0 - Self::BETA.0.powi(self.step), 1.0 - Self::BETA.1.powi(self.step));
        let pace = (rate / c1) as f32;
        for ((var, grads), (first, second)) in vars.iter().zip(grads).zip(self.first.iter_mut().zip(&mut self.second)) {
            let mut numbers = var.flatten_all()?.to_vec1::<f32>()?;
            // Norms, biases and the scale are not drawn to zero.
            let keep = if var.rank() >= 2 { 1.0 - (rate * DECAY) as f32 } else { 1.0 };
            for (((x, g), m), v) in numbers.iter_mut().zip(grads).zip(first).zip(second) {
                let g = g * shrink;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *x = *x * keep - pace * *m / ((*v / c2 as f32).sqrt() + Self::EPS as f32);
            }
            var.set(&Tensor::from_vec(numbers, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// One part of a batch.
struct Part {
    patches: Tensor,
    captions: Captions,
}

struct Batch {
    parts: Vec<Part>,
    /// 0 or, where a caption fits the picture of another row, a large negative number; `[batch, batch]`.
    masked: Tensor,
    /// The scene of each row, and whether its caption is a few words.
    told: Vec<(Scene, bool)>,
}

struct Outcome {
    /// CLIP's loss.
    loss: f32,
    /// What is lost in reading the properties from both vectors.
    read: f32,
    /// The share of pictures whose own caption is the nearest of the batch.
    hits: f32,
    grads: Vec<Vec<f32>>,
}

/// The gradient of the loss over the whole batch: the parts are encoded side by side, the loss is made from their vectors, and
/// its gradient goes back through each part. `guidance` is the weight of the properties beside CLIP's own loss.
fn learn(model: &Model, vars: &[Var], map: &Var, batch: &Batch, guidance: f64) -> Result<Outcome> {
    let parts = &batch.parts;
    let encoded = in_parallel(parts.len(), |n| Ok((model.pictures(&parts[n].patches)?, model.captions(&parts[n].captions)?)))?;
    let apart = |pick: fn(&(Tensor, Tensor)) -> &Tensor| -> Result<Var> {
        let rows: Vec<Tensor> = encoded.iter().map(|pair| pick(pair).detach()).collect();
        Ok(Var::from_tensor(&Tensor::cat(&rows, 0)?)?)
    };
    let (pictures, captions) = (apart(|pair| &pair.0)?, apart(|pair| &pair.1)?);
    let cosines = unit_rows(&pictures)?.matmul(&unit_rows(&captions)?.t()?)?;
    let logits = cosines.broadcast_mul(&model.var("logit_scale")?.exp()?)?.add(&batch.masked)?;
    let count = logits.dim(0)?;
    let nearest = logits.argmax(1)?.to_vec1::<u32>()?;
    let hits = nearest.iter().enumerate().filter(|(n, at)| *n == **at as usize).count() as f32 / count as f32;
    // Cross entropy both ways: log of the sum of exponentials, less the logit of the pair itself.
    let own = (&logits * Tensor::eye(count, DType::F32, &Device::Cpu)?)?.sum_all()?;
    let (across, down) = (log_sum_exp(&logits, 1)?.sum_all()?, log_sum_exp(&logits, 0)?.sum_all()?);
    let loss = (((across + down)? * 0.5)? - own)?.affine(1.0 / count as f64, 0.0)?;
    let shown: Vec<(Scene, bool)> = batch.told.iter().map(|(scene, _)| (*scene, false)).collect();
    let read = (properties::loss(map, &pictures, &shown)? + properties::loss(map, &captions, &batch.told)?)?;
    let grads = (&loss + (&read * guidance)?)?.backward()?;
    let of = |var: &Var| grads.get(var).context("a vector has no part in the loss");
    let (by_picture, by_caption) = (of(&pictures)?, of(&captions)?);

    let shares: Vec<Vec<Option<Vec<f32>>>> = in_parallel(parts.len(), |n| {
        let (pictures, captions) = &encoded[n];
        let rows = |grad: &Tensor| grad.narrow(0, n * PART, pictures.dim(0)?);
        let toward = ((pictures * rows(by_picture)?)?.sum_all()? + (captions * rows(by_caption)?)?.sum_all()?)?;
        let grads = toward.backward()?;
        vars.iter().map(|var| grads.get(var).map(|grad| Ok(grad.flatten_all()?.to_vec1()?)).transpose()).collect()
    })?;
    let mut total = Vec::with_capacity(vars.len());
    for (number, var) in vars.iter().enumerate() {
        // What the loss itself depends on: the scale and the map of the properties.
        let mut sum = match grads.get(var) {
            Some(grad) => grad.flatten_all()?.to_vec1()?,
            None => vec![0f32; var.elem_count()],
        };
        for share in &shares {
            sum.iter_mut().zip(share[number].iter().flatten()).for_each(|(sum, g)| *sum += g);
        }
        total.push(sum);
    }
    Ok(Outcome { loss: loss.to_scalar()?, read: read.to_scalar()?, hits, grads: total })
}

/// One batch from the examples of these numbers, each with a caption of its own.
fn batch(examples: &[Example], numbers: &[usize], words: &Words, chance: &mut Chance) -> Result<Batch> {
    let mut drawn = Vec::with_capacity(numbers.len());
    for number in numbers {
        let example = &examples[*number];
        let lang = Lang::SHARES[chance.below(Lang::SHARES.len())].0;
        let brief = chance.unit() < BRIEF;
        let text = if brief { describe_briefly(&example.scene, lang) } else { describe(&example.scene, lang, chance.next()) };
        let shift = (chance.below(5) as i32 - 2, chance.below(5) as i32 - 2);
        drawn.push((example, brief, words.ids(&text, CONTEXT)?, shift));
    }
    let parts = drawn
        .chunks(PART)
        .map(|drawn| {
            let mut patches = Vec::with_capacity(drawn.len() * PATCHES * PATCH_LEN);
            drawn.iter().for_each(|(example, _, _, shift)| push_patches(&example.picture, *shift, &mut patches));
            let captions = Captions::new(drawn.iter().map(|(_, _, ids, _)| ids.as_slice()));
            Ok(Part { patches: Tensor::from_vec(patches, (drawn.len() * PATCHES, PATCH_LEN), &Device::Cpu)?, captions })
        })
        .collect::<Result<_>>()?;
    let mut masked = vec![0f32; drawn.len() * drawn.len()];
    for (row, (picture, ..)) in drawn.iter().enumerate() {
        for (column, (told, brief, ..)) in drawn.iter().enumerate() {
            if row != column && fits(&told.scene, &picture.scene, *brief) {
                masked[row * drawn.len() + column] = -1e4;
            }
        }
    }
    let masked = Tensor::from_vec(masked, (drawn.len(), drawn.len()), &Device::Cpu)?;
    let told = drawn.iter().map(|(example, brief, ..)| (example.scene, *brief)).collect();
    Ok(Batch { parts, masked, told })
}

/// Trains a model and says how it goes.
pub(crate) fn train(plan: &Plan, words: &Words, say: &mut dyn Write) -> Result<Model> {
    let begun = Instant::now();
    let examples = paint(plan)?;
    let model = Model::new(words.len(), plan.seed)?;
    writeln!(
        say,
        "{} pictures painted in {:.0} s; {} parameters, {} tokens",
        examples.len(),
        begun.elapsed().as_secs_f64(),
        model.parameters(),
        words.len()
    )?;
    let mut chance = Chance::new(plan.seed, 1 << 32);
    let map = properties::map(plan.seed)?;
    let vars: Vec<Var> = model.weights.values().cloned().chain([map.clone()]).collect();
    let mut adam = AdamW::new(&vars);
    let mut waiting: Vec<usize> = Vec::new();
    let (mut loss, mut read, mut hits) = (0.0, 0.0, 0.0);
    let begun = Instant::now();
    for step in 0..plan.steps {
        if waiting.len() < plan.batch {
            waiting = (0..examples.len()).collect();
            chance.shuffle(&mut waiting);
        }
        let numbers = waiting.split_off(waiting.len() - plan.batch);
        let batch = batch(&examples, &numbers, words, &mut chance)?;
        let warm = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
        let along = step as f64 / plan.steps as f64;
        let outcome = learn(&model, &vars, &map, &batch, 1.0 - along)?;
        let rate = plan.rate * warm * (0.02 + 0.98 * 0.5 * (1.0 + (along * std::f64::consts::PI).cos()));
        adam.step(&vars, &outcome.grads, rate)?;
        let scale = model.var("logit_scale")?;
        // CLIP's own limit: logits are never scaled by more than 100.
        scale.set(&scale.clamp(0f64, 100f64.ln())?)?;
        loss += outcome.loss;
        read += outcome.read;
        hits += outcome.hits;
        if (step + 1) % 100 == 0 {
            let seconds = begun.elapsed().as_secs_f64();
            writeln!(
                say,
                "step {:5}  loss {:.3}  properties {:.3}  own caption nearest {:.3}  scale {:.1}  {seconds:.0} s",
                step + 1,
                loss / 100.0,
                read / 100.0,
                hits / 100.0,
                scale.to_scalar::<f32>()?.exp()
            )?;
            say.flush()?;
            (loss, read, hits) = (0.0, 0.0, 0.0);
        }
    }
    Ok(model)
}
