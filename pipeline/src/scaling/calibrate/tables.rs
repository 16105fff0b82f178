//! Deduplication, choosing, grouping and writing, over generated tables and shards.

use std::path::{Path, PathBuf};

use super::child::Spent;
use super::{Calibrator, Item, Measured, data, median, rate, seconds, text, words};

/// Rows of the list that is deduplicated.
const LIST_ROWS: u64 = 1_000_000;
/// Rows of the two lists whose spilled bytes are compared.
const SPILLED_ROWS: [u64; 2] = [250_000, 500_000];
/// Rows of the metadata that is chosen from.
const ROWS: u64 = 1_000_000;
/// Pictures whose signatures are grouped: a fifth of them, and all.
const SIGNATURES: u64 = 100_000;
/// Samples of a shard that is written anew, and how many shards.
const SAMPLES: u64 = 2000;
const SHARDS: u64 = 4;
/// Bytes of a picture in it: between what LAION-5B and DataComp published of theirs.
const PICTURE_BYTES: usize = 37_000;
/// The usual predicate: words, length, language, size.
const PREDICATE: &str = "words(text) > 2 and chars(text) > 5 and lang in ('en', 'de') and least(original_width, original_height) >= 200";

impl Calibrator {
    pub(super) fn duplicates(&mut self, item: Item) -> Measured {
        if item == Item::DedupeShuffleBytes {
            return self.shuffle();
        }
        let list = self.list(LIST_ROWS)?;
        if item == Item::ListRowBytes {
            if !self.kept.contains_key("deduplicated") {
                self.deduplicate(&list, true, Some("deduplicated"), &[])?;
            }
            let bytes = self.row_bytes("deduplicated", "out/_trommel/lists", true)?;
            return Ok(Some((bytes, format!("lists of the duplicates of {LIST_ROWS} rows, a fifth of them copies, over their rows"))));
        }
        let without = self.deduplicate(&list, false, None, &[])?;
        let with = self.deduplicate(&list, true, Some("deduplicated"), &[])?;
        let value = rate(LIST_ROWS as f64, seconds(&with), seconds(&without))?;
        let by = format!("a recipe over a list of {LIST_ROWS} rows, a fifth of them copies, with `dedupe` by url and without it");
        Ok(Some((value, by)))
    }

    fn list(&mut self, rows: u64) -> Result<PathBuf, String> {
        let path = self.path(&format!("list-{rows}.parquet"));
        if !path.exists() {
            data::url_list(&path, rows, self.captions())?;
        }
        Ok(path)
    }

    /// Runs a recipe from a list to tables, with a stage `dedupe` or without one.
    fn deduplicate(&mut self, list: &Path, dedupe: bool, keep: Option<&'static str>, flags: &[&str]) -> Result<Vec<Spent>, String> {
        let recipe = self.path("dedupe.toml");
        let stage = if dedupe { "[[stage]]\nuse = \"dedupe\"\nby = [\"url\"]\n" } else { "" };
        let written = format!(
            "[job]\noutput = \"out\"\n[source]\nurls = [{:?}]\n{stage}[[stage]]\nuse = \"write\"\nformat = \"parquet\"\n",
            text(list)
        );
        std::fs::write(&recipe, written).map_err(|e| format!("`{}`: {e}", recipe.display()))?;
        let flags = words(flags);
        self.spend(keep, &move |out| {
            let mut call = words(&["run", &text(&recipe), "-o", &text(out)]);
            call.extend(flags.iter().cloned());
            call
        })
    }

    /// Bytes that a row puts into the buckets: what more is written when buckets have to spill, by the rows that one list has more than
    /// another. What memory holds is the same for both, and cancels out.
    fn shuffle(&mut self) -> Measured {
        let mut spilled = [0.0; 2];
        for (rows, spilled) in SPILLED_ROWS.into_iter().zip(&mut spilled) {
            let list = self.list(rows)?;
            let mut written = |memory: &str| {
                let spent = self.deduplicate(&list, true, None, &["--threads", "1", "--memory-mib", memory])?;
                Ok::<_, String>(spent.iter().map(|spent| spent.written).collect::<Option<Vec<f64>>>().map(median))
            };
            let (Some(short), Some(ample)) = (written("8")?, written("1024")?) else { return Ok(None) };
            *spilled = short - ample;
        }
        let [few, many] = SPILLED_ROWS;
        let value = (spilled[1] - spilled[0]) / (many - few) as f64;
        let by = format!("bytes that `dedupe` by url spills of {many} rows over those of {few}, a row; keys, uids and places");
        Ok(Some((value, by)))
    }

    pub(super) fn choosing(&mut self, item: Item) -> Measured {
        if item == Item::ExclusionRowBytes {
            if !self.kept.contains_key("chosen") {
                self.choosing(Item::SelectRows)?;
            }
            let bytes = self.row_bytes("chosen", "out.excluded", true)?;
            return Ok(Some((bytes, format!("the exclusion table of a `select` of the best 30 % of {ROWS} rows, over its rows"))));
        }
        let (few, many) = (self.path("metadata-few.parquet"), self.path("metadata.parquet"));
        if !many.exists() {
            let captions = self.captions().to_vec();
            // Balancing has to find its attributes among the few too.
            data::metadata(&few, 1000, &captions)?;
            data::metadata(&many, ROWS, &captions)?;
        }
        let (verb, keep, flags, by): (_, _, &[&str], _) = match item {
            Item::KeepRows => ("where", None, &["--where", PREDICATE], format!("where {PREDICATE}")),
            Item::SelectRows => ("top", Some("chosen"), &["--top", "0.3", "--by", "score"], "the best 30 % by a score".to_owned()),
            _ => {
                let attribute = ["--balance", "m4", "--attribute", "large=0.3: original_width > 1200", "--label", "english: lang = 'en'"];
                (
                    "m4",
                    None,
                    &[attribute[0], attribute[1], attribute[2], attribute[3], attribute[4], attribute[5]],
                    "m4, one attribute, one label".to_owned(),
                )
            }
        };
        let flags = words(flags);
        let call = |inputs: &Path| {
            let (inputs, flags) = (text(inputs), flags.clone());
            move |out: &Path| {
                // The exclusion table lies beside the subset, under its name.
                let mut call = words(&["select", &inputs, "-o", &format!("{}.parquet", text(out)), "--no-pass-rates"]);
                call.extend(flags.iter().cloned());
                call
            }
        };
        let starting = self.starting(verb, &call(&few))?;
        let spent = self.spend(keep, &call(&many))?;
        let value = rate(ROWS as f64 - 1000.0, seconds(&spent), starting)?;
        Ok(Some((value, format!("`select` over {ROWS} generated rows, {by}; exclusions written"))))
    }

    /// The verb itself, signatures read and groups written, and not the search in hashes alone: that is what memory has to hold.
    pub(super) fn near(&mut self, item: Item) -> Measured {
        let call = |inputs: &Path| {
            let inputs = text(inputs);
            move |out: &Path| words(&["select", &inputs, "-o", &format!("{}.parquet", text(out)), "--near", "pictures", "--no-pass-rates"])
        };
        let rows = (SIGNATURES - SIGNATURES / 5) as f64;
        let (less, more) = match self.grouped.take() {
            Some(grouped) => grouped,
            None => {
                let (few, many) = (self.path("near-few.parquet"), self.path("near.parquet"));
                data::signatures(&few, SIGNATURES / 5)?;
                data::signatures(&many, SIGNATURES)?;
                (self.spend(None, &call(&few))?, self.spend(None, &call(&many))?)
            }
        };
        let (less, more) = self.grouped.insert((less, more)).clone();
        if item == Item::NearRows {
            let value = rate(rows, seconds(&more), seconds(&less))?;
            return Ok(Some((value, format!("`select --near pictures` over {SIGNATURES} drawn signatures, a tenth of them copies"))));
        }
        let peak = |spent: &[Spent]| median(spent.iter().map(|spent| spent.peak_bytes).collect());
        let value = (peak(&more) - peak(&less)) / rows;
        let by = format!("peak memory of `select --near pictures` over {SIGNATURES} drawn signatures less that over {}", SIGNATURES / 5);
        Ok(Some((value, by)))
    }

    pub(super) fn reshard(&mut self) -> Measured {
        let (few, many) = (self.make("reshard-few")?, self.make("reshard-many")?);
        let captions = self.captions().to_vec();
        data::tar(&few.join("00000.tar"), 1, PICTURE_BYTES, &captions)?;
        let first = many.join("00000.tar");
        data::tar(&first, SAMPLES, PICTURE_BYTES, &captions)?;
        for shard in 1..SHARDS {
            // Without a subset nobody asks whether a sample has been there before.
            std::fs::copy(&first, many.join(format!("{shard:05}.tar"))).map_err(|e| format!("a copy of a shard: {e}"))?;
        }
        let call = |inputs: &Path| {
            let inputs = text(inputs);
            move |out: &Path| words(&["reshard", &inputs, "-o", &text(out), "--shard-size", "1000"])
        };
        let starting = self.starting("reshard", &call(&few))?;
        let spent = self.spend(Some("resharded"), &call(&many))?;
        let out = self.kept.remove("resharded").ok_or("the output was not kept")?;
        let written = data::bytes(&data::files(&out, ".tar"));
        let _ = (std::fs::remove_dir_all(&out), std::fs::remove_dir_all(&many));
        let expected = (SAMPLES * SHARDS) as f64 * PICTURE_BYTES as f64;
        if written < expected {
            return Err(format!("{written} bytes were written of {expected}"));
        }
        let value = rate(written, seconds(&spent), starting)?;
        Ok(Some((value, format!("`reshard` of {} samples with pictures of {PICTURE_BYTES} B", SAMPLES * SHARDS))))
    }
}
