//! Vectors that lie beside the metadata, row for row with it.

use std::collections::HashMap;

use parking_lot::Mutex;
use trommel_shards::vectors::{VectorReader, open_vectors};

use super::error::{Result, SelectError};
use super::inputs::Inputs;
use super::scan::Judging;

/// Rows of vectors that are read at a time.
pub(super) const BLOCK_ROWS: usize = 4096;

/// Where the vectors of a file of metadata may lie, and what they are called there.
fn places<'a>(uri: &str, key: &'a str) -> [(String, Option<&'a str>); 4] {
    let stem = uri.strip_suffix(".parquet").unwrap_or(uri);
    let (folder, name) = stem.rsplit_once('/').map_or((".", stem), |(folder, name)| (folder, name));
    [
        (format!("{stem}.npz"), Some(key)),
        (format!("{folder}/vectors/{name}.parquet"), Some(key)),
        (format!("{folder}/vectors/{name}.{key}.npy"), None),
        (uri.to_owned(), Some(key)),
    ]
}

/// The vectors of a file of metadata: an npz or npy of the same stem, a table in `vectors/`, or a column of the file itself.
pub(crate) fn open_beside(stage: &str, uri: &str, key: &str) -> Result<VectorReader> {
    let mut tried = Vec::new();
    for (place, key) in places(uri, key) {
        match open_vectors(&place, key, BLOCK_ROWS) {
            Ok(reader) => return Ok(reader),
            Err(error) => tried.push(error.to_string()),
        }
    }
    Err(SelectError::stage(stage, format!("no vectors `{key}` for `{uri}`: {}", tried.join("; "))))
}

/// What changes when the files in which a file's vectors may lie do: lengths and times of last modification. (Of the file itself its own identity
/// tells.)
pub(crate) fn beside_identity(uri: &str, key: &str) -> String {
    let said = |(place, _): (String, Option<&str>)| {
        let meta = std::fs::metadata(&place).ok()?;
        let modified = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(format!("{}@{}", meta.len(), modified.as_nanos()))
    };
    places(uri, key).into_iter().take(3).filter_map(said).collect::<Vec<_>>().join(" ")
}

/// Where a piece's vectors are read.
struct Cursor {
    reader: VectorReader,
    /// Vectors that were read and not asked for, from `at` on.
    data: Vec<f32>,
    valid: Vec<bool>,
    at: usize,
    /// Row of the file that comes next.
    row: u64,
}

impl Cursor {
    /// The vectors of rows `from..from + count` of the file, which lie behind those that were asked for before.
    fn rows(&mut self, from: u64, count: usize, place: &str) -> Result<(Vec<f32>, Vec<bool>)> {
        let dim = self.reader.dim();
        let (mut data, mut valid) = (Vec::with_capacity(count * dim), Vec::with_capacity(count));
        while valid.len() < count {
            if self.at == self.valid.len() {
                let block = self.reader.next_block().map_err(|e| SelectError::file(place, e))?;
                let Some(block) = block else { return Err(SelectError::file(place, format!("its vectors end at row {}", self.row))) };
                let rows = block.rows().map_err(|e| SelectError::file(place, e))?;
                self.valid = (0..rows.len()).map(|row| rows.is_valid(row)).collect();
                self.data = rows.data().to_vec();
                self.at = 0;
            }
            let left = self.valid.len() - self.at;
            if self.row < from {
                let skipped = left.min(usize::try_from(from - self.row).unwrap_or(left));
                self.at += skipped;
                self.row += skipped as u64;
                continue;
            }
            let taken = left.min(count - valid.len());
            data.extend_from_slice(&self.data[self.at * dim..(self.at + taken) * dim]);
            valid.extend_from_slice(&self.valid[self.at..self.at + taken]);
            self.at += taken;
            self.row += taken as u64;
        }
        Ok((data, valid))
    }
}

/// The vectors of the rows that a scan has in hand.
pub(super) struct VectorsOfRows {
    stage: String,
    key: String,
    /// Components of a vector.
    pub(super) dim: usize,
    /// The model that the files name; empty where they name none.
    pub(super) model: String,
    /// File and first row of each piece.
    pieces: Vec<(String, u64)>,
    cursors: Mutex<HashMap<usize, Cursor>>,
}

impl VectorsOfRows {
    /// Finds the vectors of every file of the metadata, and checks that there are as many as rows.
    pub(super) fn open(stage: &str, key: &str, inputs: &Inputs) -> Result<Self> {
        let mut dim = None;
        let mut model = String::new();
        for file in &inputs.files {
            let reader = open_beside(stage, &file.uri, key)?;
            let made = reader.provenance().map_or("", |made| made.model.as_str());
            if !made.is_empty() && !model.is_empty() && made != model {
                return Err(SelectError::file(
                    &file.uri,
                    format!("vectors `{key}` of model `{made}`, those of other files are of `{model}`"),
                ));
            }
            if model.is_empty() {
                made.clone_into(&mut model);
            }
            let (rows, found) = (file.rows, reader.rows());
            if rows != found {
                return Err(SelectError::file(&file.uri, format!("{found} vectors `{key}` for {rows} rows of metadata")));
            }
            let (expected, found) = (*dim.get_or_insert(reader.dim()), reader.dim());
            if expected != found {
                return Err(SelectError::file(
                    &file.uri,
                    format!("vectors `{key}` of {found} components, those of other files have {expected}"),
                ));
            }
        }
        let pieces = inputs.pieces.iter().map(|piece| (inputs.files[piece.file].uri.clone(), piece.first)).collect();
        Ok(Self { stage: stage.to_owned(), key: key.to_owned(), dim: dim.unwrap_or(1), model, pieces, cursors: Mutex::default() })
    }

    /// Vectors of the rows of a batch, one after the other, and which of them are vectors. Batches of a piece come in order.
    pub(super) fn of(&self, rows: &Judging<'_>) -> Result<(Vec<f32>, Vec<bool>)> {
        let (file, first) = &self.pieces[rows.piece];
        // One thread has a piece: taken out, its cursor is nobody else's.
        let known = self.cursors.lock().remove(&rows.piece).filter(|cursor| cursor.row <= first + rows.first as u64);
        let mut cursor = match known {
            Some(cursor) => cursor,
            None => Cursor { reader: open_beside(&self.stage, file, &self.key)?, data: Vec::new(), valid: Vec::new(), at: 0, row: 0 },
        };
        let found = cursor.rows(first + rows.first as u64, rows.batch.num_rows(), file)?;
        self.cursors.lock().insert(rows.piece, cursor);
        Ok(found)
    }
}
