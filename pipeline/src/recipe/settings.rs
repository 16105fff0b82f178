//! Every setting, once. A struct is a table of the recipe and a group of flags; its default is what clap makes of no flags.

use clap::{Args, FromArgMatches};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trommel_shards::digest::HashKind;
use trommel_shards::image::{EncodeFormat, ImageOptions, Interpolation, ResizeMode};
use trommel_shards::lists::ListFormat;

use super::choosing::{BalanceSettings, BaselineSettings, CapSettings, SampleSettings};
use super::near::{DecontaminateSettings, NearSettings, RetrieveSettings};
use crate::crawl::fetch::FetchConfig;
use crate::hashes::PictureHash;
use crate::op::write::{OutputFormat, VectorFormat};
use crate::select::spec::Join;

/// Reads one word as serde would.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|e| e.to_string())
}

/// Yes and no as people and Python write them.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("true or false expected".into()),
    }
}

/// The defaults that the flags' definitions give.
fn defaults<T: Args + FromArgMatches>() -> T {
    let command = T::augment_args(clap::Command::new("defaults").no_binary_name(true));
    match command.try_get_matches_from(Vec::<&str>::new()).and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(settings) => settings,
        // A required flag would be a mistake in the definitions below, and a test makes all of them.
        Err(error) => error.exit(),
    }
}

macro_rules! default_from_flags {
    ($($settings:ty),*) => {
        $(impl Default for $settings {
            fn default() -> Self {
                defaults()
            }
        })*
    };
}

default_from_flags!(
    JobSettings,
    SourceSettings,
    LanguageSettings,
    KeepSettings,
    CapSettings,
    SampleSettings,
    BalanceSettings,
    BaselineSettings,
    NearSettings,
    DecontaminateSettings,
    RetrieveSettings,
    DedupeSettings,
    FetchSettings,
    ScoreSettings,
    HashSettings,
    ReshardSettings,
    WriteSettings
);

/// `[job]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct JobSettings {
    /// Name of the job; the recipe's file name by default. A folder that holds another job's output is refused.
    #[arg(long)]
    pub name: Option<String>,
    /// A folder, or s3://, gs://, az://.
    #[arg(long, default_value = "")]
    pub output: String,
    /// Seed of every random draw.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A url or mail address where site owners reach you; it goes into the user agent, and fetching refuses to start without it.
    #[arg(long)]
    pub contact: Option<String>,
    /// Version of the recipe's language.
    #[arg(long, default_value_t = 1)]
    pub version: u32,
}

/// `[source]`: one kind of input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct SourceSettings {
    /// WAT files: paths, globs, folders or urls.
    #[arg(long)]
    pub wat: Vec<String>,
    /// WARC or ARC files.
    #[arg(long)]
    pub warc: Vec<String>,
    /// WACZ files.
    #[arg(long)]
    pub wacz: Vec<String>,
    /// Folders of HTML pages.
    #[arg(long)]
    pub html: Vec<String>,
    /// Url lists: parquet, csv, tsv, json, jsonl, txt, each also compressed.
    #[arg(long)]
    pub urls: Vec<String>,
    /// Shards to read again: tars, or parquet files with pictures.
    #[arg(long)]
    pub shards: Vec<String>,
    /// What to extract from archives: image, image_only, audio, video, text.
    #[arg(long, value_delimiter = ',', default_value = "image")]
    pub types: Vec<String>,
    /// Column of a url list that holds the url.
    #[arg(long = "url-col", default_value = "url")]
    pub url_col: String,
    /// Column of a url list that holds the caption.
    #[arg(long = "caption-col")]
    pub caption_col: Option<String>,
    /// Other columns of a url list to keep; all by default.
    #[arg(long = "save-additional-columns", value_delimiter = ',')]
    pub save_additional_columns: Option<Vec<String>>,
    /// Format of a url list whose ending does not say it.
    #[arg(long = "input-format", value_parser = word::<ListFormat>)]
    pub input_format: Option<ListFormat>,
    /// Longest caption in bytes that extraction takes; longer ones are counted and left out.
    #[arg(long = "max-text-bytes")]
    pub max_text_bytes: Option<usize>,
}

/// `use = "hash"`: adds hashes of the decoded pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct HashSettings {
    /// pdq, phash, dhash, pixels (sha256 of the decoded pixels), near (what near-copies are found by).
    #[arg(long, value_delimiter = ',', default_value = "pdq,phash,dhash,pixels,near")]
    pub hashes: Vec<PictureHash>,
}

/// `use = "language"`: adds `lang` and `lang_score`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct LanguageSettings {
    /// A fastText model (`.bin` or `.ftz`); CLD2, which is built in, by default.
    #[arg(long)]
    pub model: Option<String>,
    /// Text column.
    #[arg(long, default_value = "text")]
    pub column: String,
}

/// `use = "keep"`: keeps the rows for which a predicate holds, the best by a score, or those of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct KeepSettings {
    /// SQL predicate over the columns; each condition that `and` joins is a reason of its own.
    #[arg(long = "where", default_value = "")]
    #[serde(rename = "where")]
    pub predicate: String,
    /// Best fraction by `by`, 0 to 1: everything from the value of that rank on.
    #[arg(long, value_name = "FRACTION")]
    pub top: Option<f64>,
    /// So many of the best by `by`, and those equal to the last.
    #[arg(long, value_name = "ROWS")]
    pub count: Option<u64>,
    /// SQL whose highest values are the best.
    #[arg(long, value_name = "SQL")]
    pub by: Option<String>,
    /// SQL: the best of each group by itself, as `lang` or `domain(url)`.
    #[arg(long, value_name = "SQL")]
    pub per: Vec<String>,
    /// The lowest values are the best.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub lowest: bool,
    /// `top` is a fraction of the whole input, not of what is left here.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub of_pool: bool,
    /// Rows whose `by` is null or NaN are kept.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    pub nulls: bool,
    /// Lists of uids: DataComp's npy, parquet or text.
    #[arg(long, value_name = "FILE")]
    pub uids: Vec<String>,
    /// How several lists are joined: a row is kept that is in all, any or none of them.
    #[arg(long, value_enum, default_value = "all")]
    pub join: Join,
}

/// `use = "dedupe"`: keeps one row of each key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct DedupeSettings {
    /// Columns of the key.
    #[arg(long, value_delimiter = ',', default_values = ["url", "text"])]
    pub by: Vec<String>,
    /// Which row of a key is kept: SQL sort expressions, as `chars(text) desc, uid`; `hash` draws one by the seed. The first
    /// in input order by default.
    #[arg(long)]
    pub order: Option<String>,
    /// Earlier outputs (parquet files or folders with the key's columns and `uid`); what they hold is a duplicate here.
    #[arg(long)]
    pub against: Vec<String>,
}

/// `use = "fetch"`: downloads, decodes, judges, resizes and encodes. Names and defaults are img2dataset's where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct FetchSettings {
    /// Target side in pixels.
    #[arg(long, default_value_t = 256, help_heading = "Pictures")]
    pub image_size: u32,
    /// no, border, keep_ratio, keep_ratio_largest or center_crop.
    #[arg(long, alias = "resize", default_value = "border", value_parser = word::<ResizeMode>, help_heading = "Pictures")]
    #[serde(alias = "resize")]
    pub resize_mode: ResizeMode,
    /// Leave smaller pictures as they are.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Pictures")]
    pub resize_only_if_bigger: bool,
    /// nearest, linear, cubic, area or lanczos.
    #[arg(long, default_value = "lanczos", value_parser = word::<Interpolation>, help_heading = "Pictures")]
    pub upscale_interpolation: Interpolation,
    /// nearest, linear, cubic, area or lanczos.
    #[arg(long, default_value = "area", value_parser = word::<Interpolation>, help_heading = "Pictures")]
    pub downscale_interpolation: Interpolation,
    /// Quality of jpg and webp (95 by default), compression of png (0 to 9).
    #[arg(long, help_heading = "Pictures")]
    pub encode_quality: Option<u8>,
    /// jpg, png or webp.
    #[arg(long, default_value = "jpg", value_parser = word::<EncodeFormat>, help_heading = "Pictures")]
    pub encode_format: EncodeFormat,
    /// Keep the original bytes of pictures that need no change.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Pictures")]
    pub skip_reencode: bool,
    /// Keep all bytes as they came, undecoded and unchecked.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Pictures")]
    pub disable_all_reencoding: bool,
    /// Refuse pictures whose shorter side is smaller, in pixels.
    #[arg(long, alias = "min-side", default_value_t = 0, help_heading = "Pictures")]
    #[serde(alias = "min_side")]
    pub min_image_size: u32,
    /// Refuse pictures with more pixels.
    #[arg(long, help_heading = "Pictures")]
    pub max_image_area: Option<f64>,
    /// Refuse pictures whose sides differ by a larger factor.
    #[arg(long, alias = "max-aspect", help_heading = "Pictures")]
    #[serde(alias = "max_aspect")]
    pub max_aspect_ratio: Option<f64>,
    /// Fill the `exif` column.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Pictures")]
    pub extract_exif: bool,
    /// Keep EXIF tags that place or name people.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Pictures")]
    pub keep_location: bool,
    /// Digest of the downloaded bytes: md5, sha256, sha512 or none.
    #[arg(long, default_value = "sha256", help_heading = "Pictures")]
    pub compute_hash: String,
    /// Column with the digest that the bytes must have, of the kind that `compute_hash` names.
    #[arg(long, help_heading = "Pictures")]
    pub verify_hash: Option<String>,
    /// Column with boxes to blur: lists of [x0, y0, x1, y1] in 0..1.
    #[arg(long, help_heading = "Pictures")]
    pub bbox_col: Option<String>,
    /// Lists of pictures that must not be kept: lines of `md5:HEX`, `sha256:HEX` or `pdq:HEX`, then a case id. A picture that is in one is
    /// written nowhere; its row leaves a count and the case id.
    #[arg(long, num_args = 1.., help_heading = "Pictures")]
    pub block_list: Vec<String>,
    /// Largest distance of PDQ hashes that match a block list, 31 at most.
    #[arg(long, default_value_t = 31, help_heading = "Pictures")]
    pub block_distance: u32,
    /// Seconds that one picture may take, all redirects included.
    #[arg(long, help_heading = "Network")]
    pub timeout: Option<f64>,
    /// Attempts after the first, for passing failures only.
    #[arg(long, help_heading = "Network")]
    pub retries: Option<u32>,
    /// Most requests in flight.
    #[arg(long, alias = "concurrency", help_heading = "Network")]
    #[serde(alias = "concurrency")]
    pub thread_count: Option<usize>,
    /// Product token of the user agent.
    #[arg(long, help_heading = "Network")]
    pub user_agent_token: Option<String>,
    /// X-Robots-Tag and robots-meta words that refuse a picture; an empty list switches the check off.
    #[arg(long, value_delimiter = ',', help_heading = "Network")]
    pub disallowed_header_directives: Option<Vec<String>>,
    /// Accept invalid certificates.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Network")]
    pub ignore_ssl_certificate: bool,
    /// Obey robots.txt.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Network")]
    pub robots: bool,
    /// Requests in flight per host.
    #[arg(long, help_heading = "Network")]
    pub per_host_concurrency: Option<usize>,
    /// Seconds between two requests to one host.
    #[arg(long, help_heading = "Network")]
    pub per_host_delay: Option<f64>,
    /// Networks of your own that may be asked although they are not public, as 10.0.0.0/8.
    #[arg(long, value_delimiter = ',', help_heading = "Network")]
    pub allow_net: Vec<String>,
    /// Archive files (WARC, ARC, WACZ) that are asked for a picture before the network.
    #[arg(long, num_args = 1.., help_heading = "Network")]
    pub archive: Vec<String>,
    /// Never ask the network.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Network")]
    pub offline: bool,
    /// Rows of a work unit, and so of a full shard.
    #[arg(long, alias = "unit-rows", default_value_t = 10_000, help_heading = "Units")]
    #[serde(alias = "unit_rows")]
    pub number_sample_per_shard: usize,
    /// Rows of a host that stay together; larger hosts lie all over the run in pieces of so many. A two-hundredth of the unit by default, 0 (and the default with `offline`) keeps input order.
    #[arg(long, help_heading = "Units")]
    pub host_rows: Option<usize>,
    /// Lanes that hosts are dealt to: machines share the work by them, and so keep the limits of a host over the whole run. One for eight units by default, 64 at most; up to 1024 can be asked for, and each is a unit of rows in memory while they are packed.
    #[arg(long, help_heading = "Units")]
    pub lanes: Option<usize>,
    /// Seconds after which what is left of a unit is put off to a later round; earlier where little but slow hosts is left, and other units wait.
    #[arg(long, default_value_t = 1800.0, help_heading = "Units")]
    pub unit_seconds: f64,
    /// Rounds in all; what the last one leaves fails.
    #[arg(long, default_value_t = 5, help_heading = "Units")]
    pub rounds: usize,
    /// Units that are fetched at a time at most; more than two only while requests find the machine half idle.
    #[arg(long, default_value_t = 16, help_heading = "Units")]
    pub units_at_once: usize,
    /// Digits of a shard's number.
    #[arg(long, default_value_t = 5, help_heading = "Units")]
    pub oom_shard_count: usize,
}

impl FetchSettings {
    /// The picture options.
    pub fn image_options(&self) -> ImageOptions {
        ImageOptions {
            image_size: self.image_size,
            resize_mode: self.resize_mode,
            resize_only_if_bigger: self.resize_only_if_bigger,
            upscale_interpolation: self.upscale_interpolation,
            downscale_interpolation: self.downscale_interpolation,
            encode_quality: self.encode_quality,
            encode_format: self.encode_format,
            skip_reencode: self.skip_reencode,
            disable_all_reencoding: self.disable_all_reencoding,
            min_image_size: self.min_image_size,
            max_image_area: self.max_image_area,
            max_aspect_ratio: self.max_aspect_ratio,
            extract_exif: self.extract_exif,
            keep_location: self.keep_location,
            ..ImageOptions::default()
        }
    }

    /// The digest's kind; `None` for none.
    ///
    /// # Errors
    /// When the word is unknown.
    pub fn hash_kind(&self) -> Result<Option<HashKind>, String> {
        match self.compute_hash.to_ascii_lowercase().as_str() {
            "none" => Ok(None),
            kind => word::<HashKind>(kind).map(Some).map_err(|_| format!("`{kind}` is no digest: md5, sha256, sha512 or none")),
        }
    }

    /// The fetcher's configuration: what the network table says, and these settings over it.
    ///
    /// # Errors
    /// When a value does not parse.
    pub fn network(&self, base: FetchConfig, contact: Option<&str>) -> Result<FetchConfig, String> {
        let mut config = base;
        if let Some(contact) = contact {
            contact.clone_into(&mut config.contact);
        }
        if let Some(seconds) = self.timeout {
            config.total_timeout = seconds;
            for part in [&mut config.connect_timeout, &mut config.header_timeout, &mut config.idle_timeout, &mut config.dns_timeout] {
                *part = part.min(seconds);
            }
        }
        if let Some(retries) = self.retries {
            config.retries = retries;
        }
        if let Some(concurrency) = self.thread_count {
            config.concurrency = concurrency;
            config.min_concurrency = config.min_concurrency.min(concurrency);
        }
        if let Some(token) = &self.user_agent_token {
            token.clone_into(&mut config.user_agent_token);
        }
        if let Some(directives) = &self.disallowed_header_directives {
            config.disallowed_directives = directives.iter().filter(|word| !word.is_empty() && *word != "[]").cloned().collect();
        }
        if let Some(count) = self.per_host_concurrency {
            config.per_host_concurrency = count;
        }
        if let Some(seconds) = self.per_host_delay {
            config.per_host_delay = seconds;
        }
        config.verify_tls &= !self.ignore_ssl_certificate;
        config.robots &= self.robots;
        for net in &self.allow_net {
            config.allow_net.push(serde_json::from_value(serde_json::Value::String(net.clone())).map_err(|e| format!("`{net}`: {e}"))?);
        }
        Ok(config)
    }
}

/// `use = "score"`: scores pairs with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct ScoreSettings {
    /// A folder or a hub id: CLIP, OpenCLIP, SigLIP, SigLIP 2; `miniweb-clip` is built in.
    #[arg(long, default_value = "", help_heading = "Model")]
    pub model: String,
    /// Commit, tag or branch of a hub id.
    #[arg(long, help_heading = "Model")]
    pub revision: Option<String>,
    /// Digest that the weights must have.
    #[arg(long, help_heading = "Model")]
    pub sha256: Option<String>,
    /// Column of the score; the model's name with underscores by default.
    #[arg(long = "score-name", help_heading = "Model")]
    pub name: Option<String>,
    /// Text column with the captions; `text` or `caption` by default.
    #[arg(long, help_heading = "Model")]
    pub text: Option<String>,
    /// Also a column `NAME_probability`: the sigmoid of the model's own temperature and bias.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Model")]
    pub probability: bool,
    /// auto, cpu, or cuda:0,cuda:1.
    #[arg(long, default_value = "auto", help_heading = "Model")]
    pub device: String,
    /// f32, bf16 or f16; f32 on the CPU and bf16 on cards by default.
    #[arg(long, help_heading = "Model")]
    pub precision: Option<String>,
    /// Pictures, and captions, in a batch; 16 on the CPU and 128 on cards by default.
    #[arg(long, help_heading = "Model")]
    pub batch_size: Option<usize>,
    /// Patches of a picture at most, for models that keep the aspect ratio.
    #[arg(long, help_heading = "Model")]
    pub max_num_patches: Option<u32>,
    /// Heads over the picture's vector, as COLUMN=FILE: aesthetic, NSFW, watermark.
    #[arg(long = "head", value_name = "COLUMN=FILE", help_heading = "Model")]
    #[serde(alias = "head")]
    pub heads: Vec<String>,
    /// Column for a score from two lists of prompts.
    #[arg(long, help_heading = "Model")]
    pub prompts: Option<String>,
    /// A prompt for what a picture should be; may be given more than once.
    #[arg(long, help_heading = "Model")]
    pub positive: Vec<String>,
    /// A prompt for what it should not be.
    #[arg(long, help_heading = "Model")]
    pub negative: Vec<String>,
    /// Vectors of pictures and captions beside each shard, float16; in a recipe none by default, with `embed` parquet (npz
    /// with `--compat datacomp`).
    #[arg(long, value_enum, help_heading = "Model")]
    pub vectors: Option<VectorFormat>,
    /// Computes vectors again that lie beside the shards already, from the same weights.
    #[arg(long, value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Model")]
    pub recompute: bool,
}

/// How shards are cut: of `reshard`, and of `write` behind stages that choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct ReshardSettings {
    /// Samples of a shard.
    #[arg(long = "shard-size", default_value_t = 10_000, help_heading = "Shards")]
    pub shard_size: u64,
    /// All shards of one size, plus or minus one, instead of a short one at the end.
    #[arg(long = "equal-shards", value_parser = truth, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set, help_heading = "Shards")]
    pub equal_shards: bool,
    /// `input`, `shuffled`, `aspect` (by the nearest of nine aspect ratios), `patches` (by the sequence length of 16-pixel
    /// patches, for models that keep the aspect ratio) or `column:NAME`; the last three are shuffled inside.
    #[arg(long, default_value = "input", help_heading = "Shards")]
    pub order: String,
    /// Seed of a shuffled order.
    #[arg(long = "shuffle-seed", default_value_t = 0, help_heading = "Shards")]
    pub shuffle_seed: u64,
    /// Number of the first shard.
    #[arg(long = "first-shard", default_value_t = 0, help_heading = "Shards")]
    pub first_shard: u64,
    /// webdataset or parquet.
    #[arg(long = "shard-format", default_value = "webdataset", help_heading = "Shards")]
    pub shard_format: String,
    /// `datacomp`: eight digits, keys UID-COPY, 3 GB at most, no tables, and its side files.
    #[arg(long = "shard-compat", alias = "compat", help_heading = "Shards")]
    pub shard_compat: Option<String>,
}

/// `use = "write"`: the final shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Args)]
#[serde(default)]
pub struct WriteSettings {
    /// webdataset, parquet, files, metadata or dummy.
    #[arg(long = "output-format", value_enum, default_value = "webdataset")]
    #[serde(alias = "output_format")]
    pub format: OutputFormat,
    /// `img2dataset` for its JSON, columns and statistics to the letter; `datacomp` for the columns of its metadata, and,
    /// behind stages that choose, for the layout of its resharder.
    #[arg(long)]
    pub compat: Option<String>,
    /// Behind stages that choose: samples of a final shard; as many as `fetch` puts into one by default.
    #[arg(long = "final-shard-size", value_name = "SAMPLES")]
    pub shard_size: Option<u64>,
    /// Behind stages that choose: order of the samples: `input`, `shuffled`, `aspect`, `patches` or `column:NAME`.
    #[arg(long = "final-order", default_value = "input")]
    pub order: String,
}
