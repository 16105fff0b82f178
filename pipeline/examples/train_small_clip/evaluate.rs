//! Right captions against wrong ones, on pictures that training has not seen.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use candle_core::{Device, Tensor};
use trommel::miniweb::caption::{describe, describe_briefly};
use trommel::miniweb::words::Lang;
use trommel::miniweb::world::Scene;

use super::bpe::Words;
use super::chance::Chance;
use super::model::{CONTEXT, Captions, Model, PATCH_LEN, PATCHES, SHARED, unit_rows};
use super::pictures::{Sides, file, in_parallel, pixels, push_patches};
use super::train::is_kept_out;

/// No other part of the project draws scenes from this seed.
const HELD_OUT: u64 = 0x4845_4c44;
const BATCH: usize = 50;

/// The area under the ROC curve: how often a right score is above a wrong one (Mann and Whitney's U; a tie counts half).
pub(crate) fn auc(right: &[f32], wrong: &[f32]) -> f64 {
    let mut all: Vec<(f32, bool)> = right.iter().map(|score| (*score, true)).chain(wrong.iter().map(|score| (*score, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won) = (0.0, 0.0);
    for ties in all.chunk_by(|a, b| a.0 == b.0) {
        let good = ties.iter().filter(|(_, right)| *right).count() as f64;
        let bad = ties.len() as f64 - good;
        won += good * (below + bad / 2.0);
        below += bad;
    }
    won / (right.len() as f64 * wrong.len() as f64)
}

/// What a caption is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rival {
    /// The caption of another scene.
    Other,
    /// The caption of the same scene but for one property.
    Near,
    /// A few words, against a few words about another shape or colour.
    Brief,
}

/// One picture with a right and a wrong caption.
struct Pair {
    picture: usize,
    lang: Lang,
    rival: Rival,
    right: String,
    wrong: String,
}

fn held_out(count: usize) -> Vec<Scene> {
    (0..count as u64).map(|n| Scene::nth(HELD_OUT, n)).collect()
}

fn picture_file(scene: &Scene, n: usize) -> Result<Vec<u8>> {
    file(scene, Sides::HeldOut, &mut Chance::new(HELD_OUT, n as u64))
}

/// Each picture in each language, against another scene, a near one, and in brief.
fn pairs(scenes: &[Scene]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (picture, scene) in scenes.iter().enumerate() {
        for (number, (lang, _)) in Lang::SHARES.into_iter().enumerate() {
            let mut chance = Chance::new(HELD_OUT ^ 1, (picture * Lang::SHARES.len() + number) as u64);
            let variant = chance.next();
            let wrong = |chance: &mut Chance, told: &dyn Fn(&Scene) -> String, near: bool| {
                let right = told(scene);
                loop {
                    let drawn = Scene::nth(HELD_OUT ^ 2, chance.next());
                    let other = if near { one_property_of(&drawn, scene, chance) } else { drawn };
                    let wrong = told(&other);
                    if other.colour != other.background && wrong != right {
                        return (right, wrong);
                    }
                }
            };
            let long = |scene: &Scene| describe(scene, lang, variant);
            let brief = |scene: &Scene| describe_briefly(scene, lang);
            for rival in [Rival::Other, Rival::Near, Rival::Brief] {
                let (right, wrong) = match rival {
                    Rival::Other => wrong(&mut chance, &long, false),
                    Rival::Near => wrong(&mut chance, &long, true),
                    Rival::Brief => wrong(&mut chance, &brief, false),
                };
                pairs.push(Pair { picture, lang, rival, right, wrong });
            }
        }
    }
    pairs
}

fn one_property_of(from: &Scene, scene: &Scene, chance: &mut Chance) -> Scene {
    let mut near = *scene;
    match chance.below(7) {
        0 => near.shape = from.shape,
        1 => near.colour = from.colour,
        2 => near.background = from.background,
        3 => near.count = from.count,
        4 => near.size = from.size,
        5 => near.position = from.position,
        _ => near.texture = from.texture,
    }
    near
}

fn vectors(count: usize, encode: impl Fn(std::ops::Range<usize>) -> Result<Tensor> + Sync) -> Result<Vec<f32>> {
    let batches = in_parallel(count.div_ceil(BATCH), |n| {
        let rows = encode(n * BATCH..((n + 1) * BATCH).min(count))?;
        Ok(unit_rows(&rows)?.flatten_all()?.to_vec1::<f32>()?)
    })?;
    Ok(batches.concat())
}

/// Prints a table of areas under the curve over `count` pictures. Returns those against captions of other scenes, the one over
/// all languages first.
pub(crate) fn evaluate(model: &Model, words: &Words, count: usize, say: &mut dyn Write) -> Result<Vec<f64>> {
    let scenes = held_out(count);
    let seen = in_parallel(count, |n| pixels(&picture_file(&scenes[n], n)?))?;
    let pictures = vectors(count, |range| {
        let mut patches = Vec::new();
        let rows = range.len() * PATCHES;
        range.for_each(|n| push_patches(&seen[n], (0, 0), &mut patches));
        model.pictures(&Tensor::from_vec(patches, (rows, PATCH_LEN), &Device::Cpu)?)
    })?;
    let pairs = pairs(&scenes);
    let texts: Vec<&str> = pairs.iter().flat_map(|pair| [pair.right.as_str(), pair.wrong.as_str()]).collect();
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| words.ids(text, CONTEXT)).collect::<Result<_>>()?;
    let cut = texts.iter().map(|text| words.ids(text, usize::MAX)).filter(|ids| ids.as_ref().is_ok_and(|ids| ids.len() > CONTEXT));
    let (cut, longest) = (cut.count(), ids.iter().map(Vec::len).max().unwrap_or(0));
    let captions = vectors(texts.len(), |range| model.captions(&Captions::new(ids[range].iter().map(Vec::as_slice))))?;
    let score = |pair: usize, which: usize| {
        let picture = &pictures[pairs[pair].picture * SHARED..][..SHARED];
        let caption = &captions[(2 * pair + which) * SHARED..][..SHARED];
        picture.iter().zip(caption).map(|(a, b)| a * b).sum::<f32>()
    };
    let area = |chosen: &dyn Fn(&Pair) -> bool| {
        let pairs: Vec<usize> = (0..pairs.len()).filter(|n| chosen(&pairs[*n])).collect();
        let all = |which| pairs.iter().map(|n| score(*n, which)).collect::<Vec<f32>>();
        auc(&all(0), &all(1))
    };
    writeln!(say, "{count} pictures, {} captions, longest {longest} of {CONTEXT} tokens, {cut} cut", texts.len())?;
    writeln!(say, "AUC of right over wrong   another scene   one property off   in a few words")?;
    let mut areas = Vec::new();
    let mut line = |name: &str, chosen: &dyn Fn(&Pair) -> bool| {
        let cells = [Rival::Other, Rival::Near, Rival::Brief].map(|rival| area(&|pair| pair.rival == rival && chosen(pair)));
        areas.push(cells[0]);
        writeln!(say, "{name:22}   {:>14.4}   {:>14.4}   {:>14.4}", cells[0], cells[1], cells[2])
    };
    line("all", &|_| true)?;
    line("never described", &|pair| is_kept_out(&scenes[pair.picture]))?;
    for (lang, _) in Lang::SHARES {
        line(lang.code(), &|pair| pair.lang == lang)?;
    }
    Ok(areas)
}

/// Writes the pictures and the captions of other scenes as files, for another reader of the folder: `N.EXT` and `pairs.tsv` of
/// file, language, right caption, wrong caption and our two cosines.
pub(crate) fn write_pairs(model: &Model, words: &Words, count: usize, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let scenes = held_out(count);
    let mut names = Vec::new();
    let mut pictures = Vec::new();
    for (n, scene) in scenes.iter().enumerate() {
        let bytes = picture_file(scene, n)?;
        let extension = image::guess_format(&bytes)?.extensions_str()[0];
        names.push(format!("{n:04}.{extension}"));
        std::fs::write(folder.join(&names[n]), &bytes)?;
        let mut patches = Vec::new();
        push_patches(&pixels(&bytes)?, (0, 0), &mut patches);
        let patches = Tensor::from_vec(patches, (PATCHES, PATCH_LEN), &Device::Cpu)?;
        pictures.push(unit_rows(&model.pictures(&patches)?)?);
    }
    let mut table = Vec::new();
    for pair in pairs(&scenes).iter().filter(|pair| pair.rival == Rival::Other) {
        let score = |text: &str| -> Result<f32> {
            let ids = words.ids(text, CONTEXT)?;
            let caption = unit_rows(&model.captions(&Captions::new([ids.as_slice()]))?)?;
            Ok((caption * &pictures[pair.picture])?.sum_all()?.to_scalar()?)
        };
        let (right, wrong) = (score(&pair.right)?, score(&pair.wrong)?);
        writeln!(table, "{}\t{}\t{}\t{}\t{right}\t{wrong}", names[pair.picture], pair.lang.code(), pair.right, pair.wrong)?;
    }
    std::fs::write(folder.join("pairs.tsv"), table)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_pairs_in_the_right_order_and_ties_by_half() {
        assert_eq!(auc(&[0.9, 0.8], &[0.1, 0.2]), 1.0);
        assert_eq!(auc(&[0.1], &[0.9]), 0.0);
        assert_eq!(auc(&[0.5, 0.7], &[0.5, 0.6]), 0.625);
    }

    #[test]
    fn right_captions_beat_wrong_ones() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../embeddings/models/miniweb-clip"));
        let (model, words) = crate::folder::read(folder).unwrap();
        let areas = evaluate(&model, &words, 100, &mut std::io::stdout()).unwrap();
        assert!(areas.iter().all(|area| *area >= 0.97), "{areas:?}");
    }

    #[test]
    fn wrong_captions_differ_from_right_ones() {
        assert!(pairs(&held_out(20)).iter().all(|pair| pair.right != pair.wrong));
    }
}
