//! What is a loop without files: languages, encoding, a model.

use std::hint::black_box;
use std::sync::Arc;

use trommel_embeddings::checkpoint::builtin::{MINIWEB_CLIP, builtin};
use trommel_embeddings::checkpoint::config::ModelConfig;
use trommel_embeddings::device::DeviceChoice;
use trommel_embeddings::{Embedder, EmbedderOptions, Picture};
use trommel_filters::language::default_detector;
use trommel_shards::image::{ImageOptions, Processor};

use super::child::Clock;
use super::{Calibrator, Measured, TIMES, median};
use crate::miniweb::format::{Format, Look, encode};
use crate::miniweb::world::Scene;
use crate::scaling::flops;

/// Times that the captions are gone through.
const CAPTION_ROUNDS: usize = 20;
/// Different pictures, and how often each is processed.
const PICTURES: u64 = 16;
const PICTURE_ROUNDS: usize = 10;
/// The two targets whose times are compared, in pixels of a side.
const TARGETS: [u32; 2] = [256, 512];
/// Pictures of a call of the model, and calls.
const BATCH: usize = 64;
const BATCHES: usize = 40;

/// Units of work by the CPU seconds that they take: the median of three.
fn timed(amount: f64, clock: Clock, mut work: impl FnMut() -> Result<(), String>) -> Result<f64, String> {
    let mut rates = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let before = clock.seconds();
        work()?;
        rates.push(amount / (clock.seconds() - before));
    }
    Ok(median(rates))
}

impl Calibrator {
    pub(super) fn language(&mut self) -> Measured {
        let captions = self.captions();
        let detector = default_detector();
        let characters: usize = captions.iter().map(|text| text.chars().count()).sum();
        let mean = characters / captions.len().max(1);
        let value = timed((captions.len() * CAPTION_ROUNDS) as f64, Clock::Thread, || {
            for _ in 0..CAPTION_ROUNDS {
                for text in captions {
                    black_box(detector.detect(black_box(text)));
                }
            }
            Ok(())
        })?;
        Ok(Some((value, format!("the built-in detector over captions of {mean} characters in the mean, in ten languages"))))
    }

    /// The line between two targets: what every pixel more of the target costs, scaling and encoding.
    pub(super) fn encode(&mut self) -> Measured {
        let look = Look { format: Format::Jpeg, width: 1024, height: 768, quality: 90 };
        let pictures = (0..PICTURES).map(|k| encode(&Scene::nth(0xBE, k), &look).map_err(|e| e.to_string()));
        let pictures = pictures.collect::<Result<Vec<Vec<u8>>, _>>()?;
        let mut processor = Processor::new().map_err(|e| e.to_string())?;
        let mut seconds = [0.0; 2];
        for (side, seconds) in TARGETS.into_iter().zip(&mut seconds) {
            let options = ImageOptions { image_size: side, encode_quality: Some(95), ..ImageOptions::default() };
            *seconds = 1.0
                / timed(1.0, Clock::Thread, || {
                    for _ in 0..PICTURE_ROUNDS {
                        for picture in &pictures {
                            black_box(processor.process(picture, &[], &options).map_err(|e| e.to_string())?);
                        }
                    }
                    Ok(())
                })?;
        }
        let [small, large] = TARGETS.map(|side| f64::from(side).powi(2));
        let pixels = (large - small) * PICTURES as f64 * PICTURE_ROUNDS as f64;
        let value = super::rate(pixels, seconds[1], seconds[0])?;
        let by = format!("JPEGs of 1024 x 768 to {} px less to {} px, by the pixels between them", TARGETS[1], TARGETS[0]);
        Ok(Some((value, by)))
    }

    /// The model that comes with the program. It is small, so larger ones reach more.
    pub(super) fn model(&mut self) -> Measured {
        let folder = builtin(MINIWEB_CLIP).map_err(|e| e.to_string())?.ok_or("the built-in model is not there")?;
        let config = ModelConfig::read(&folder.join("config.json")).map_err(|e| e.to_string())?;
        let options = EmbedderOptions { device: "cpu".parse::<DeviceChoice>().map_err(|e| e.to_string())?, ..EmbedderOptions::default() };
        let embedder = Embedder::open(MINIWEB_CLIP, &options).map_err(|e| e.to_string())?;
        let (side, mut prepared) = (224_u32, Vec::with_capacity(BATCH));
        let mut pixels = vec![0_u8; 3 * (side * side) as usize];
        for number in 0..BATCH {
            pixels.iter_mut().enumerate().for_each(|(at, value)| *value = (at * (number + 3) % 251) as u8);
            let picture = Picture { width: side, height: side, data: &pixels };
            prepared.push(Arc::new(embedder.preprocessor().prepare(picture).map_err(|e| e.to_string())?));
        }
        let work = flops::picture(&config, 0) * (BATCH * BATCHES) as f64;
        let value = timed(work, Clock::Process, || {
            for _ in 0..BATCHES {
                let made = self.runtime.block_on(embedder.embed_prepared(prepared.clone())).map_err(|e| e.to_string())?;
                if made.iter().any(Result::is_err) {
                    return Err("the model gave no vector for a picture".to_owned());
                }
            }
            Ok(())
        })?;
        let by = format!("the picture tower of `{MINIWEB_CLIP}`, {:.2} GFLOP a picture", flops::picture(&config, 0) / 1e9);
        Ok(Some((value, by)))
    }
}
