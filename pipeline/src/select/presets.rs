//! Published selections by name: DataComp's baselines (`baselines.py`), and what other datasets were made with.

use super::spec::{Kind, Top};

/// Files and numbers that a baseline stands on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Assets {
    /// `b32` or `l14`.
    pub arch: String,
    /// Column of the score, where it is not DataComp's of the architecture.
    pub score: Option<String>,
    /// Score from which on a row is kept.
    pub threshold: Option<f64>,
    /// Best fraction of the pool.
    pub fraction: Option<f64>,
    /// A fastText language model; CLD2 without one.
    pub lid_model: Option<String>,
    /// WordNet's `dict`.
    pub wordnet: Option<String>,
    /// ids of ImageNet-21k's synsets.
    pub imagenet_ids: Option<String>,
    /// Centroids of the pool.
    pub centroids: Option<String>,
    /// Vectors of the target pictures.
    pub targets: Vec<String>,
}

/// DataComp's names.
pub const BASELINES: [&str; 7] =
    ["no_filter", "basic_filter", "clip_score", "laion2b", "text_based", "image_based", "image_based_intersect_clip_score"];
/// Others.
pub const PRESETS: [&str; 8] =
    ["datacomp_1b", "laion_2b", "webli_top10", "dfn_top15", "no_filter_en", "no_filter_globe", "no_filter_globe_tl", "webli_100b_quality"];

type Wrong = (&'static str, String);

fn conditions(list: &[&str]) -> Kind {
    Kind::Where { conditions: list.iter().map(|condition| (*condition).to_owned()).collect() }
}

impl Assets {
    fn english(&self) -> Kind {
        Kind::Lid { model: self.lid_model.clone(), text: "text".into(), languages: vec!["en".into()] }
    }

    fn column(&self) -> Result<String, Wrong> {
        match (&self.score, self.arch.as_str()) {
            (Some(column), _) => Ok(column.clone()),
            (None, "b32") => Ok("clip_b32_similarity_score".into()),
            (None, "l14") => Ok("clip_l14_similarity_score".into()),
            (None, other) => Err(("arch", format!("no architecture `{other}`: `b32` or `l14`"))),
        }
    }

    fn top(&self, fraction: f64) -> Result<Kind, Wrong> {
        let by = self.column()?;
        let (lowest, keep_nulls, per) = (false, false, Vec::new());
        Ok(Kind::Top(Top { by, fraction: Some(fraction), count: None, lowest, of_pool: true, keep_nulls, per }))
    }

    fn clip_score(&self) -> Result<Kind, Wrong> {
        match (self.threshold, self.fraction) {
            (Some(threshold), None) => Ok(conditions(&[&format!("\"{}\" >= {threshold}", self.column()?)])),
            (None, Some(fraction)) => self.top(fraction),
            _ => Err(("threshold", "`clip_score` needs one of `threshold` and `fraction`".into())),
        }
    }

    fn image_based(&self) -> Result<Vec<Kind>, Wrong> {
        if self.arch != "l14" {
            return Err(("arch", "the image-based filter works on vectors of L/14: `l14`".into()));
        }
        let Some(centroids) = self.centroids.clone() else {
            return Err(("centroids", "the image-based filter needs `centroids` of the pool and `targets`".into()));
        };
        if self.targets.is_empty() {
            return Err(("targets", "the image-based filter needs `targets`: vectors of ImageNet-1k's training pictures".into()));
        }
        Ok(vec![
            conditions(&["chars(text) > 5"]),
            Kind::Tokens { text: "text".into(), at_least: 2 },
            self.english(),
            Kind::ImageBased { vectors: "l14_img".into(), centroids, targets: self.targets.clone() },
        ])
    }
}

/// The stages of a baseline. Cheap conditions go before dear ones: the rows that are kept are the same.
///
/// Where DataComp uses gcld3 (`laion2b`), this uses the language model that is given, or CLD2.
///
/// # Errors
/// The key that is wrong or missing.
pub fn baseline(name: &str, assets: &Assets) -> Result<Vec<Kind>, Wrong> {
    Ok(match name.replace('-', "_").as_str() {
        "no_filter" | "no_filter_globe" => Vec::new(),
        "basic_filter" => vec![
            conditions(&[
                "chars(text) > 5",
                "words(text) > 2",
                "least(original_width, original_height) >= 200",
                "greatest(original_width, original_height) / cast(least(original_width, original_height) as double) <= 3.0",
            ]),
            assets.english(),
        ],
        "clip_score" => vec![assets.clip_score()?],
        "laion2b" | "laion_2b" => {
            let b32 = Assets { arch: "b32".into(), ..assets.clone() };
            vec![conditions(&[&format!("\"{}\" >= 0.28", b32.column()?)]), assets.english()]
        }
        "text_based" => {
            let (Some(wordnet), Some(ids)) = (assets.wordnet.clone(), assets.imagenet_ids.clone()) else {
                return Err(("wordnet", "the text-based filter needs `wordnet`, its folder `dict`, and `imagenet_ids`".into()));
            };
            vec![Kind::TextBased { wordnet, ids, text: "text".into() }, assets.english()]
        }
        "image_based" => assets.image_based()?,
        "image_based_intersect_clip_score" => {
            let mut kinds = vec![assets.clip_score()?];
            kinds.extend(assets.image_based()?);
            kinds
        }
        "datacomp_1b" => {
            let xlarge = Assets { arch: "l14".into(), fraction: Some(0.3), threshold: None, ..assets.clone() };
            baseline("image_based_intersect_clip_score", &xlarge)?
        }
        // PaLI, arXiv 2209.06794: the threshold keeps the top tenth.
        "webli_top10" => vec![assets.top(0.1)?],
        // DFN, arXiv 2309.17425: the top 15 % by the filtering network.
        "dfn_top15" => vec![assets.top(0.15)?],
        // "No Filter", arXiv 2405.13777.
        "no_filter_en" => vec![assets.english()],
        "no_filter_globe_tl" => vec![conditions(&["text_en is not null"])],
        // WebLI-100B, arXiv 2502.07617: English, 5 of 100 billion by CLIP L/14.
        "webli_100b_quality" => vec![assets.english(), assets.top(0.05)?],
        "" => return Err(("name", format!("`baseline` needs `name`: {}", names()))),
        other => return Err(("name", format!("no baseline `{other}`{}; there are {}", hint(other), names()))),
    })
}

fn names() -> String {
    BASELINES.iter().chain(&PRESETS).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn hint(name: &str) -> String {
    let near = crate::recipe::nearest(name, BASELINES.iter().chain(&PRESETS).copied());
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_says_what_it_lacks() {
        let bare = Assets { arch: "l14".into(), ..Assets::default() };
        for name in BASELINES.iter().chain(&PRESETS) {
            match baseline(name, &bare) {
                Ok(_) => {}
                Err((key, message)) => assert!(["threshold", "wordnet", "centroids"].contains(&key), "{name}: {message}"),
            }
        }
        assert!(baseline("basic_fliter", &bare).unwrap_err().1.contains("did you mean `basic_filter`?"));
        let wrong = Assets { arch: "l15".into(), fraction: Some(0.3), ..Assets::default() };
        assert_eq!(baseline("clip_score", &wrong).unwrap_err().0, "arch");
    }
}
