//! Functions that passes need beside the filters: keys, orders and draws. All are hashes of their arguments, so that they
//! give the same values on every engine, in any order of rows.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, FixedSizeBinaryBuilder, Float64Builder, StringBuilder};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::crawl::fetch::{PolitenessKey, key_of};

/// All of them, for registration.
pub fn all() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(RowKey::new()),
        ScalarUDF::new_from_impl(HostKey::new(false)),
        ScalarUDF::new_from_impl(HostKey::new(true)),
        ScalarUDF::new_from_impl(Draw::new()),
    ]
}

fn text(array: &ArrayRef) -> Result<arrow::array::StringArray> {
    let array = cast(array, &DataType::Utf8)?;
    array.as_string_opt::<i32>().cloned().ok_or_else(|| DataFusionError::Plan("text expected".into()))
}

/// `row_key(a, b, …)`: XXH3-128 over the values, each with its length, nulls apart from empty texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowKey {
    signature: Signature,
}

impl RowKey {
    fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RowKey {
    fn name(&self) -> &str {
        "row_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::FixedSizeBinary(16))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|arg| text(&arg.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let mut keys = FixedSizeBinaryBuilder::with_capacity(rows, 16);
        let mut buffer = Vec::with_capacity(256);
        for row in 0..rows {
            buffer.clear();
            for column in &columns {
                if column.is_null(row) {
                    buffer.extend_from_slice(&u64::MAX.to_le_bytes());
                } else {
                    let value = column.value(row).as_bytes();
                    buffer.extend_from_slice(&(value.len() as u64).to_le_bytes());
                    buffer.extend_from_slice(value);
                }
            }
            keys.append_value(xxh3_128(&buffer).to_be_bytes())?;
        }
        Ok(ColumnarValue::Array(Arc::new(keys.finish())))
    }
}

/// `host_key(url)`: sixteen hexadecimal characters of XXH3-64 over the host. Sorting by it mixes the hosts. `domain_key(url)` is
/// the same over the host's registrable domain, where that is what limits are counted by.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HostKey {
    signature: Signature,
    domain: bool,
}

impl HostKey {
    fn new(domain: bool) -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable), domain }
    }
}

impl ScalarUDFImpl for HostKey {
    fn name(&self) -> &str {
        if self.domain { "domain_key" } else { "host_key" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let urls = text(&args.args[0].to_array(args.number_rows)?)?;
        let mut keys = StringBuilder::with_capacity(urls.len(), urls.len() * 16);
        for row in 0..urls.len() {
            let url = if urls.is_valid(row) { urls.value(row) } else { "" };
            let host = authority(url).to_ascii_lowercase();
            let key = if self.domain { key_of(&host, PolitenessKey::Domain) } else { &host };
            keys.append_value(format!("{:016x}", xxh3_64(key.as_bytes())));
        }
        Ok(ColumnarValue::Array(Arc::new(keys.finish())))
    }
}

/// The host as it stands in the url, without a full parse: for grouping, not for judging.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let host = &rest[..end];
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(host, _)| host)
}

/// `draw(seed, stage, uid)`: a number in [0, 1) that depends on nothing else.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Draw {
    signature: Signature,
}

impl Draw {
    fn new() -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Draw {
    fn name(&self) -> &str {
        "draw"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|arg| text(&arg.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let mut draws = Float64Builder::with_capacity(rows);
        let mut buffer = Vec::with_capacity(64);
        for row in 0..rows {
            buffer.clear();
            for column in &columns {
                buffer.extend_from_slice(if column.is_null(row) { b"" } else { column.value(row).as_bytes() });
                buffer.push(0);
            }
            // The 53 bits that a double holds exactly.
            draws.append_value((xxh3_64(&buffer) >> 11) as f64 / (1_u64 << 53) as f64);
        }
        Ok(ColumnarValue::Array(Arc::new(draws.finish())))
    }
}

/// `order_key` over sort expressions: bytes that compare as the expressions do. `directions` holds one `a` or `d` each,
/// nulls last.
pub fn order_key(directions: &str) -> ScalarUDF {
    ScalarUDF::new_from_impl(OrderKey {
        name: format!("order_key_{directions}"),
        signature: Signature::variadic_any(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OrderKey {
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for OrderKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let directions = self.name.trim_start_matches("order_key_").bytes();
        let fields = columns.iter().zip(directions).map(|(column, direction)| {
            SortField::new_with_options(column.data_type().clone(), SortOptions { descending: direction == b'd', nulls_first: false })
        });
        let converter = RowConverter::new(fields.collect())?;
        let encoded = converter.convert_columns(&columns)?;
        let mut keys = BinaryBuilder::new();
        for row in &encoded {
            keys.append_value(row.as_ref());
        }
        Ok(ColumnarValue::Array(Arc::new(keys.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn the_host_is_found_in_odd_urls() {
        for (url, host) in [
            ("http://a.test/x@y", "a.test"),
            ("https://u:p@a.test:80/", "a.test"),
            ("http://a.test", "a.test"),
            ("http://[::1]:80/", "[::1]"),
            ("x", "x"),
        ] {
            assert_eq!(authority(url), host, "{url}");
        }
    }
}
