//! What samples are grouped by.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::ReshardError;

/// The group of samples that lack the value: after all others.
pub(super) const LAST: u128 = u128::MAX;

/// What makes a group.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupBy {
    /// A column of the tables beside the shards, or a member of the JSON. Numbers are ordered as such; texts by their
    /// first eight bytes, equal texts together.
    Column(String),
    /// The nearest of some aspect ratios (width by height, nearest in the logarithm), in their order.
    Aspect(Vec<f64>),
    /// The number of patches that a NaFlex model sees: the picture scaled, in its aspect ratio, to at most `patches` squares
    /// of `patch` pixels (SigLIP 2, `get_image_size_for_max_num_patches` of transformers).
    NaflexLength {
        /// Side of a patch in pixels.
        patch: u32,
        /// Most patches.
        patches: u32,
    },
}

impl GroupBy {
    pub(super) fn check(&self) -> Result<(), ReshardError> {
        match self {
            Self::Aspect(ratios) if ratios.is_empty() || ratios.iter().any(|ratio| !ratio.is_finite() || *ratio <= 0.0) => {
                Err(ReshardError::Options("aspect ratios must be positive numbers, width by height, at least one".to_owned()))
            }
            Self::NaflexLength { patch, patches } if *patch == 0 || *patches == 0 => {
                Err(ReshardError::Options("patch size and number of patches must not be 0".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Columns that are read.
    fn columns(&self) -> Vec<&str> {
        match self {
            Self::Column(name) => vec![name],
            Self::Aspect(_) | Self::NaflexLength { .. } => vec!["width", "height"],
        }
    }

    /// The groups of a table's rows.
    pub(super) fn of_table(&self, place: &str, table: &RecordBatch) -> Result<Vec<u128>, ReshardError> {
        let columns: Vec<&ArrayRef> = self
            .columns()
            .into_iter()
            .map(|name| table.column_by_name(name).ok_or_else(|| no_column(place, name, table)))
            .collect::<Result<_, _>>()?;
        let is_number = columns.iter().all(|column| column.data_type().is_numeric() || *column.data_type() == DataType::Boolean);
        let wanted = if is_number { DataType::Float64 } else { DataType::Utf8 };
        let typed: Vec<ArrayRef> =
            columns.iter().map(|column| cast(column, &wanted).map_err(|e| ReshardError::shard(place, e))).collect::<Result<_, _>>()?;
        if let (Self::Column(_), false) = (self, is_number) {
            let texts = typed[0].as_string::<i32>();
            return Ok((0..texts.len()).map(|row| if texts.is_valid(row) { of_text(texts.value(row)) } else { LAST }).collect());
        }
        if !is_number {
            return Err(ReshardError::shard(place, "columns `width` and `height` are no numbers"));
        }
        let number = |column: &ArrayRef, row: usize| {
            let column = column.as_primitive::<Float64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        Ok((0..table.num_rows())
            .map(|row| match &typed[..] {
                [value] => number(value, row).map_or(LAST, of_number),
                [width, height] => self.of_sides(number(width, row), number(height, row)),
                _ => LAST,
            })
            .collect())
    }

    /// The group of a sample without a table.
    pub(super) fn of_json(&self, json: &Map<String, Value>) -> u128 {
        match self {
            Self::Column(name) => match json.get(name) {
                Some(Value::String(text)) => of_text(text),
                Some(Value::Bool(is)) => of_number(f64::from(u8::from(*is))),
                Some(value) => value.as_f64().map_or(LAST, of_number),
                None => LAST,
            },
            _ => self.of_sides(json.get("width").and_then(Value::as_f64), json.get("height").and_then(Value::as_f64)),
        }
    }

    fn of_sides(&self, width: Option<f64>, height: Option<f64>) -> u128 {
        let (Some(width), Some(height)) = (width, height) else { return LAST };
        if !(width >= 1.0 && height >= 1.0) {
            return LAST;
        }
        match self {
            Self::Aspect(ratios) => {
                let distance = |ratio: f64| (ratio.ln() - (width / height).ln()).abs();
                let nearest = ratios.iter().enumerate().min_by(|(_, a), (_, b)| distance(**a).total_cmp(&distance(**b)));
                nearest.map_or(LAST, |(at, _)| at as u128)
            }
            Self::NaflexLength { patch, patches } => u128::from(naflex_length(width, height, *patch, *patches)),
            Self::Column(_) => LAST,
        }
    }
}

fn no_column(place: &str, name: &str, table: &RecordBatch) -> ReshardError {
    let schema = table.schema();
    let distance = |field: &&std::sync::Arc<arrow::datatypes::Field>| strsim::damerau_levenshtein(field.name(), name);
    let near = schema.fields().iter().min_by_key(distance).map(|field| format!("; the nearest is `{}`", field.name()));
    ReshardError::shard(place, format!("has no column `{name}` to group by{}", near.unwrap_or_default()))
}

/// Numbers in their order: the sign bit turned, and all bits of negative ones.
fn of_number(number: f64) -> u128 {
    if number.is_nan() {
        return LAST;
    }
    let bits = number.to_bits();
    u128::from(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
}

/// The first eight bytes, then a hash of all: equal texts have equal groups and others do not.
fn of_text(text: &str) -> u128 {
    let mut first = [0; 8];
    let count = text.len().min(8);
    first[..count].copy_from_slice(&text.as_bytes()[..count]);
    u128::from(u64::from_be_bytes(first)) << 64 | u128::from(xxh3_64(text.as_bytes()))
}

/// Patches of the largest scaled copy that has at most `patches` of them: the reference's own halving, so that borders
/// fall on the same side.
fn naflex_length(width: f64, height: f64, patch: u32, patches: u32) -> u64 {
    const EPS: f64 = 1e-5;
    let patch = f64::from(patch);
    let count = |scale: f64, side: f64| (side * scale / patch).ceil().max(1.0);
    let (mut low, mut high) = (EPS / 10.0, 100.0);
    while high - low >= EPS {
        let scale = f64::midpoint(low, high);
        if count(scale, height) * count(scale, width) <= f64::from(patches) {
            low = scale;
        } else {
            high = scale;
        }
    }
    (count(low, height) * count(low, width)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_lengths_equal_the_reference() {
        // From transformers 5.23 `get_image_size_for_max_num_patches(height, width, 16, patches)`, sides by 16.
        for (width, height, patches, expected) in [
            (640, 480, 256, 18 * 14),
            (256, 256, 256, 16 * 16),
            (1, 5000, 256, 256),
            (1, 1, 1, 1),
            (1024, 683, 1024, 39 * 26),
            (333, 500, 576, 19 * 29),
        ] {
            assert_eq!(naflex_length(f64::from(width), f64::from(height), 16, patches), expected, "{width} x {height}");
        }
    }

    #[test]
    fn numbers_and_texts_keep_their_order() {
        let numbers = [f64::NEG_INFINITY, -2.5, -0.5, 0.0, 1.0, 300.0, f64::INFINITY].map(of_number);
        assert!(numbers.is_sorted() && numbers[6] < of_number(f64::NAN));
        assert!(of_text("de") < of_text("en") && of_text("en") < of_text("eng") && of_text("zh") < LAST);
    }

    #[test]
    fn the_nearest_aspect_is_found_in_the_logarithm() {
        let by = GroupBy::Aspect(vec![0.5, 1.0, 2.0]);
        let of = |width: f64, height: f64| by.of_sides(Some(width), Some(height));
        assert_eq!([of(100.0, 200.0), of(100.0, 110.0), of(300.0, 100.0), of(141.0, 100.0), of(142.0, 100.0)], [0, 1, 2, 1, 2]);
        assert_eq!(by.of_sides(None, Some(1.0)), LAST);
        assert_eq!(of(0.0, 5.0), LAST);
    }
}
