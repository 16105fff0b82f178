//! Vectors as columns of a parquet table, beside `uid` and `key`.

mod lists;
mod names;
mod reader;
mod writer;

pub(crate) use names::NameReader;
pub(crate) use reader::{ColumnReader, open_column};
pub use writer::{VectorColumn, VectorTableWriter};
