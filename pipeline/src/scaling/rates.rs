//! The rates that a plan is computed from: measured on one machine, each with its unit and its source.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::PlanError;

/// Version of the rates file.
const VERSION: u32 = 1;

/// One thing that `--calibrate` measures. All times are CPU time, so that the number of threads and other work on the machine
/// matter little; *core second* is one second of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Item {
    /// Inflated WAT bytes read, walked and turned into rows, in bytes a core second.
    ExtractWat,
    /// Inflated WARC bytes with their HTML, in bytes a core second.
    ExtractWarc,
    /// Captions whose language is found, in rows a core second.
    LanguageCaptions,
    /// Rows through a predicate of the usual kind (lengths, language, url rules), in rows a core second.
    KeepRows,
    /// Rows through exact deduplication, tables read and lists written, in rows a core second.
    DedupeRows,
    /// Bytes that deduplication moves through its shuffle and its buckets, for each row.
    DedupeShuffleBytes,
    /// Urls that bring no picture: listed, packed, asked for and booked, in urls a core second.
    FetchUrls,
    /// JPEGs of 640 × 480 pixels fetched, decoded, shrunk to 256 pixels and written, in pictures a core second.
    FetchSmall,
    /// JPEGs of 1024 × 768 pixels fetched, decoded, shrunk to 256 pixels and written, in pictures a core second.
    FetchLarge,
    /// Pixels that a target has beyond 256 × 256, scaled and encoded as JPEG of quality 95, in pixels a core second. Carries the two rates
    /// above over to other target sizes.
    EncodePixels,
    /// Pictures hashed (all kinds of hashes), in pictures a core second.
    HashPictures,
    /// Operations of a model's towers, in FLOP a core second.
    ScoreFlops,
    /// Rows of metadata through a selection by one score, exclusion table included, in rows a core second.
    SelectRows,
    /// Rows of metadata through a balancing draw, exclusion table included, in rows a core second.
    BalanceRows,
    /// Hashes grouped with their near-copies, in rows a core second, at the largest number that was run.
    NearRows,
    /// Memory of grouping, in bytes a row, at the largest number that was run.
    NearMemoryBytes,
    /// Bytes of samples copied into new shards with their digests, in bytes a core second.
    ReshardBytes,
    /// Bytes of a row in a table of candidates (compressed parquet).
    TableRowBytes,
    /// Bytes of a row in a list of duplicates or of deferred rows (compressed parquet).
    ListRowBytes,
    /// Bytes of a row in the table beside a shard (compressed parquet), scores included, vectors not.
    ShardRowBytes,
    /// Bytes of a row in an exclusion table (compressed parquet).
    ExclusionRowBytes,
    /// Bytes of the marker of one unit.
    MarkerBytes,
}

impl Item {
    /// Everything that a complete calibration measures, in the order in which it does.
    pub const ALL: [Self; 22] = [
        Self::ExtractWat,
        Self::ExtractWarc,
        Self::LanguageCaptions,
        Self::KeepRows,
        Self::DedupeRows,
        Self::DedupeShuffleBytes,
        Self::FetchUrls,
        Self::FetchSmall,
        Self::FetchLarge,
        Self::EncodePixels,
        Self::HashPictures,
        Self::ScoreFlops,
        Self::SelectRows,
        Self::BalanceRows,
        Self::NearRows,
        Self::NearMemoryBytes,
        Self::ReshardBytes,
        Self::TableRowBytes,
        Self::ListRowBytes,
        Self::ShardRowBytes,
        Self::ExclusionRowBytes,
        Self::MarkerBytes,
    ];

    /// Name in the rates file, unit, and how it is measured.
    const fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ExtractWat => ("extract_wat", "B/core s", "extract over a generated WAT, all columns; inflated bytes over CPU time"),
            Self::ExtractWarc => ("extract_warc", "B/core s", "extract over a generated WARC of pages; inflated bytes over CPU time"),
            Self::LanguageCaptions => ("language_captions", "rows/core s", "the built-in language model over captions of usual length"),
            Self::KeepRows => ("keep_rows", "rows/core s", "a predicate of word counts, lengths and language over a table"),
            Self::DedupeRows => {
                ("dedupe_rows", "rows/core s", "a recipe with `dedupe` by url over a generated list, less the same without it")
            }
            Self::DedupeShuffleBytes => {
                ("dedupe_shuffle_bytes", "B/row", "bytes that a deduplication spills when its buckets do not fit, over its rows")
            }
            Self::FetchUrls => ("fetch_urls", "urls/core s", "fetch of a long list that is answered with 404"),
            Self::FetchSmall => ("fetch_small", "pictures/core s", "fetch of 640 x 480 JPEGs from loopback to 256 px"),
            Self::FetchLarge => ("fetch_large", "pictures/core s", "fetch of 1024 x 768 JPEGs from loopback to 256 px"),
            Self::EncodePixels => ("encode_pixels", "px/core s", "JPEGs to 512 px less to 256 px, by the pixels between them"),
            Self::HashPictures => ("hash_pictures", "pictures/core s", "hash over generated shards, all kinds"),
            Self::ScoreFlops => ("score_flops", "FLOP/core s", "the built-in model's picture tower on the CPU"),
            Self::SelectRows => ("select_rows", "rows/core s", "keep top over generated metadata, exclusions written"),
            Self::BalanceRows => ("balance_rows", "rows/core s", "m4 over generated metadata, exclusions written"),
            Self::NearRows => ("near_rows", "rows/core s", "near-copies among generated signatures, groups written"),
            Self::NearMemoryBytes => ("near_memory_bytes", "B/row", "peak memory of that grouping over its rows"),
            Self::ReshardBytes => ("reshard_bytes", "B/core s", "reshard of generated shards; bytes written over CPU time"),
            Self::TableRowBytes => ("table_row_bytes", "B/row", "tables of a run over their rows"),
            Self::ListRowBytes => ("list_row_bytes", "B/row", "lists of duplicates of a run over their rows"),
            Self::ShardRowBytes => ("shard_row_bytes", "B/row", "tables beside the shards of a run over their rows"),
            Self::ExclusionRowBytes => ("exclusion_row_bytes", "B/row", "exclusion tables of a run over their rows"),
            Self::MarkerBytes => ("marker_bytes", "B/unit", "markers of a run over their number"),
        }
    }

    /// Name in the rates file.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Unit of the value.
    pub const fn unit(self) -> &'static str {
        self.facts().1
    }

    /// What a calibration runs to measure it.
    pub const fn how(self) -> &'static str {
        self.facts().2
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Measured here, by what.
    Measured(String),
    /// Published, by whom and where.
    Published(String),
    /// Neither: the reason for the number.
    Assumed(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(by) => write!(f, "measured: {by}"),
            Self::Published(by) => write!(f, "published: {by}"),
            Self::Assumed(why) => write!(f, "assumed: {why}"),
        }
    }
}

/// One rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The value, in the unit of its [`Item`].
    pub value: f64,
    /// The unit, written out so that the file can be read without this program.
    pub unit: String,
    /// Where it comes from.
    pub source: Source,
}

/// One result of a calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub item: Item,
    /// The value, in the item's unit.
    pub value: f64,
    /// Where it comes from.
    pub source: Source,
}

/// The machine that rates were measured on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredOn {
    /// Processor, as it names itself.
    pub processor: String,
    /// Cores that the program saw.
    pub cores: u32,
    /// Memory in bytes; 0 where it is not known.
    pub memory_bytes: u64,
    /// Version of the program.
    pub version: String,
    /// What a reader should know of the conditions.
    #[serde(default)]
    pub note: String,
}

/// What the program's own loops give. The command line implements it over the real operations.
pub trait Calibration {
    /// Why a measurement failed.
    type Error;

    /// The machine that this runs on.
    fn machine(&self) -> MeasuredOn;

    /// Measures one item, in its unit; `None` where this machine or this build cannot. It is asked for every item once, in the
    /// order of [`Item::ALL`].
    ///
    /// # Errors
    /// Whatever the loop says; the calibration ends there.
    fn measure(&mut self, item: Item) -> Result<Option<(f64, Source)>, Self::Error>;
}

/// Rates of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    version: u32,
    /// The machine.
    pub machine: MeasuredOn,
    rates: BTreeMap<Item, Rate>,
}

impl Rates {
    /// Rates from what was measured. Of several values for one item the last counts.
    ///
    /// # Errors
    /// [`PlanError::Rate`] for a value that is not a positive number.
    pub fn from_measurements(machine: MeasuredOn, measurements: impl IntoIterator<Item = Measurement>) -> Result<Self, PlanError> {
        let rate = |m: Measurement| (m.item, Rate { value: m.value, unit: m.item.unit().to_owned(), source: m.source });
        let rates = Self { version: VERSION, machine, rates: measurements.into_iter().map(rate).collect() };
        rates.check()?;
        Ok(rates)
    }

    /// Runs a calibration over every item.
    ///
    /// # Errors
    /// The calibration's own, or a [`PlanError`] in it for a value that is not a positive number.
    pub fn calibrate<C: Calibration>(calibration: &mut C) -> Result<Self, C::Error>
    where
        C::Error: From<PlanError>,
    {
        let mut measurements = Vec::new();
        for item in Item::ALL {
            if let Some((value, source)) = calibration.measure(item)? {
                measurements.push(Measurement { item, value, source });
            }
        }
        Ok(Self::from_measurements(calibration.machine(), measurements)?)
    }

    /// Reads a rates file.
    ///
    /// # Errors
    /// [`PlanError::RatesFile`] for a file of another kind, version or with unknown names; [`PlanError::Rate`] for a bad value or unit.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let rates: Self = serde_json::from_str(text).map_err(|e| PlanError::RatesFile(e.to_string()))?;
        if rates.version != VERSION {
            let message = format!("it has version {}, and this program reads version {VERSION}: calibrate again", rates.version);
            return Err(PlanError::RatesFile(message));
        }
        rates.check()?;
        Ok(rates)
    }

    /// The rates file.
    pub fn to_json(&self) -> String {
        // A map of plain values with names for keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    fn check(&self) -> Result<(), PlanError> {
        for (&item, rate) in &self.rates {
            if !(rate.value.is_finite() && rate.value > 0.0) {
                return Err(PlanError::Rate { item, problem: format!("{} is not a positive number of {}", rate.value, item.unit()) });
            }
            if rate.unit != item.unit() {
                return Err(PlanError::Rate { item, problem: format!("its unit is `{}`, not `{}`", item.unit(), rate.unit) });
            }
        }
        Ok(())
    }

    /// A rate, with its source.
    pub fn rate(&self, item: Item) -> Option<&Rate> {
        self.rates.get(&item)
    }

    /// What was measured, in the order of [`Item`].
    pub fn iter(&self) -> impl Iterator<Item = (Item, &Rate)> {
        self.rates.iter().map(|(&item, rate)| (item, rate))
    }

    /// A rate's value for a stage.
    ///
    /// # Errors
    /// [`PlanError::NotMeasured`] with the stage's name.
    pub fn need(&self, stage: &str, item: Item) -> Result<f64, PlanError> {
        let missing = || PlanError::NotMeasured { stage: stage.to_owned(), item, unit: item.unit(), how: item.how() };
        self.rates.get(&item).map(|rate| rate.value).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(item: Item, value: f64) -> Measurement {
        Measurement { item, value, source: Source::Measured("a test".into()) }
    }

    #[test]
    fn every_item_is_listed_once_and_named_as_it_is_written() {
        let names: std::collections::BTreeSet<_> = Item::ALL.iter().map(|item| item.name()).collect();
        assert_eq!(names.len(), Item::ALL.len());
        for item in Item::ALL {
            assert_eq!(serde_json::to_string(&item).unwrap(), format!("\"{}\"", item.name()));
            assert!(!item.unit().is_empty() && !item.how().is_empty());
        }
    }

    #[test]
    fn a_rates_file_comes_back_as_it_was_written() {
        let rates = Rates::from_measurements(
            MeasuredOn { processor: "p".into(), cores: 2, ..MeasuredOn::default() },
            [one(Item::FetchSmall, 486.0), one(Item::MarkerBytes, 900.0)],
        )
        .unwrap();
        assert_eq!(Rates::from_json(&rates.to_json()).unwrap(), rates);
        assert_eq!(rates.need("4.fetch", Item::FetchSmall).unwrap(), 486.0);
    }

    #[test]
    fn what_was_not_measured_is_named_with_the_stage_that_needs_it() {
        let rates = Rates::from_measurements(MeasuredOn::default(), []).unwrap();
        let error = rates.need("4.fetch", Item::FetchLarge).unwrap_err().to_string();
        assert!(error.contains("`4.fetch`") && error.contains("`fetch_large`") && error.contains("--calibrate"), "{error}");
    }

    #[test]
    fn values_that_are_no_rates_units_and_versions_of_others_are_refused() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Rates::from_measurements(MeasuredOn::default(), [one(Item::KeepRows, value)]).is_err());
        }
        let good = Rates::from_measurements(MeasuredOn::default(), [one(Item::KeepRows, 5.0)]).unwrap().to_json();
        assert!(Rates::from_json(&good.replace("rows/core s", "rows/s")).unwrap_err().to_string().contains("rows/core s"));
        assert!(Rates::from_json(&good.replace("\"version\": 1", "\"version\": 2")).is_err());
        assert!(Rates::from_json(&good.replace("keep_rows", "keep_rowz")).is_err());
    }

    #[test]
    fn a_calibration_is_asked_for_everything_once() {
        struct Half(Vec<Item>);
        impl Calibration for Half {
            type Error = PlanError;
            fn machine(&self) -> MeasuredOn {
                MeasuredOn { cores: 4, ..MeasuredOn::default() }
            }
            fn measure(&mut self, item: Item) -> Result<Option<(f64, Source)>, PlanError> {
                self.0.push(item);
                Ok((item != Item::ScoreFlops).then(|| (2.0, Source::Measured("half".into()))))
            }
        }
        let mut half = Half(Vec::new());
        let rates = Rates::calibrate(&mut half).unwrap();
        assert_eq!(half.0, Item::ALL);
        assert_eq!(rates.iter().count(), Item::ALL.len() - 1);
        assert!(rates.rate(Item::ScoreFlops).is_none());
    }
}
