//! What a scene is made of, read from a vector of the shared space by one linear map for pictures and captions alike.
//!
//! CLIP's loss alone teaches a model of this size the background first and then rests for many hundred steps, because a tower
//! learns a word or a shape only when the other one knows it too. The map gives each tower its own reason to tell the
//! properties apart, and both the same directions to say them in. Its weight in the loss falls to nothing over the training,
//! and it is not part of the model.

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use trommel::miniweb::world::{Colour, Position, Scene, Shape, Size, Texture};

use super::chance::Chance;
use super::model::{SHARED, unit_rows};

/// How many values each property has: shape, colour, background, count, size, position, texture.
const VALUES: [usize; 7] = [8, 8, 8, 3, 2, 5, 3];
/// Which of them a caption of a few words tells in every language.
const BRIEFLY_TOLD: [bool; 7] = [true, true, false, true, false, false, false];
/// Vectors of length 1 are stretched by this before the map, so that its logits can be sure of something.
const STRETCH: f64 = 16.0;

fn values_of(scene: &Scene) -> [usize; 7] {
    fn at<T: PartialEq>(all: &[T], wanted: &T) -> usize {
        all.iter().position(|value| value == wanted).unwrap_or(0)
    }
    [
        at(&Shape::ALL, &scene.shape),
        at(&Colour::ALL, &scene.colour),
        at(&Colour::ALL, &scene.background),
        usize::from(scene.count.clamp(1, 3)) - 1,
        at(&Size::ALL, &scene.size),
        at(&Position::ALL, &scene.position),
        at(&Texture::ALL, &scene.texture),
    ]
}

/// The map before training, `[sum of VALUES, SHARED]`.
pub(crate) fn map(seed: u64) -> Result<Var> {
    let mut chance = Chance::new(seed, 1 << 33);
    let rows = VALUES.iter().sum::<usize>();
    let spread = (SHARED as f64).powf(-0.5);
    let numbers: Vec<f32> = (0..rows * SHARED).map(|_| (chance.normal() * spread) as f32).collect();
    Ok(Var::from_tensor(&Tensor::from_vec(numbers, (rows, SHARED), &Device::Cpu)?)?)
}

/// The cross entropy of the properties of `scenes` as read from `vectors`, summed over the properties and averaged over the
/// rows. Where `brief` is set, only what a few words tell is asked.
pub(crate) fn loss(map: &Var, vectors: &Tensor, scenes: &[(Scene, bool)]) -> Result<Tensor> {
    let logits = (unit_rows(vectors)? * STRETCH)?.matmul(&map.t()?)?;
    let mut total = Tensor::zeros((), DType::F32, &Device::Cpu)?;
    let mut start = 0;
    for (property, count) in VALUES.into_iter().enumerate() {
        let part = logits.narrow(1, start, count)?;
        let mut wanted = vec![0f32; scenes.len() * count];
        let mut asked = vec![0f32; scenes.len()];
        for (row, (scene, brief)) in scenes.iter().enumerate() {
            if !brief || BRIEFLY_TOLD[property] {
                wanted[row * count + values_of(scene)[property]] = 1.0;
                asked[row] = 1.0;
            }
        }
        let wanted = Tensor::from_vec(wanted, (scenes.len(), count), &Device::Cpu)?;
        let asked = Tensor::from_vec(asked, (scenes.len(), 1), &Device::Cpu)?;
        let all = (log_sum_exp(&part, 1)? * asked)?.sum_all()?;
        total = (total + (all - (part * wanted)?.sum_all()?)?)?;
        start += count;
    }
    Ok((total / scenes.len() as f64)?)
}

/// `ln Σ exp x` along `dim`, which is kept.
pub(crate) fn log_sum_exp(x: &Tensor, dim: usize) -> candle_core::Result<Tensor> {
    let top = x.max_keepdim(dim)?.detach();
    x.broadcast_sub(&top)?.exp()?.sum_keepdim(dim)?.log()?.broadcast_add(&top)
}
