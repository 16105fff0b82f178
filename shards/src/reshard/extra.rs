//! What a caller may add to samples on their way.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::{Map, Value};

use super::json;
use crate::subset::Uid128;

/// An error of a caller's own.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Columns that are looked up by uid: weights, scores, labels.
///
/// Called from several threads, once for some thousand samples. What is given for a uid must not depend on what else was
/// asked for, or in which order: output shards are written in any order, and again.
pub trait Extra: Send + Sync {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// A row for each uid, of that schema; nulls for a uid that is not known (or for a sample that has none).
    ///
    /// # Errors
    /// Whatever goes wrong with the lookup; the output shard fails.
    fn rows(&self, uids: &[Option<Uid128>]) -> Result<RecordBatch, BoxError>;

    /// The same as members of a JSON object; `None` for a uid that is not known: its JSON member is then copied as it is.
    ///
    /// # Errors
    /// As [`Extra::rows`].
    fn json(&self, uid: Uid128) -> Result<Option<Map<String, Value>>, BoxError> {
        let rows = self.rows(&[Some(uid)])?;
        let known = rows.columns().iter().any(|column| arrow::array::Array::is_valid(column, 0));
        Ok((rows.num_rows() == 1 && known).then(|| json::object(&rows, 0)))
    }
}

/// A picture on its way.
#[derive(Debug, Clone, Copy)]
pub struct ImageMember<'a> {
    /// Its sample.
    pub uid: Option<Uid128>,
    /// Key of the sample in the input.
    pub key: &'a str,
    /// Ending of the member: `jpg`, `png`, `webp`.
    pub ending: &'a str,
    /// The encoded picture.
    pub bytes: &'a [u8],
}

/// A picture that takes the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImage {
    /// Ending of the member.
    pub ending: String,
    /// The encoded picture.
    pub bytes: Vec<u8>,
}

/// Looks at a picture and gives another one, or `None` to have it copied as it is. The same picture must give the same
/// bytes each time.
pub type ImageHook = Box<dyn FnMut(ImageMember<'_>) -> Result<Option<NewImage>, BoxError> + Send>;
