//! Reading all partitions of a folder as one sequence.

use parquet::file::reader::Length;
use tokio::runtime::Handle;

use super::super::columns::NameReader;
use super::super::npy::ArrayReader;
use super::super::{Precision, VectorBlock, VectorFileError};
use crate::source::{Input, expand, expand_local};
use crate::storage::remote_url;

/// The subfolders that hold vectors.
const KINDS: [&str; 2] = ["img_emb", "text_emb"];

/// The partitions of one kind of vectors, in the order of their numbers.
pub(crate) struct Folder {
    parts: std::vec::IntoIter<Part>,
    now: Option<(ArrayReader, Option<NameReader>)>,
    next: u64,
    block_rows: usize,
    pub(crate) dim: usize,
    pub(crate) rows: u64,
    pub(crate) precision: Precision,
}

struct Part {
    number: u64,
    vectors: String,
    metadata: Option<String>,
}

/// Opens a folder. The headers of all partitions are read at once, so that a wrong one is found before the first row.
pub(crate) fn open_folder(uri: &str, kind: Option<&str>, block_rows: usize) -> Result<Folder, VectorFileError> {
    let files = files(uri)?;
    let of_kind = |kind: &str| numbered(&files, &format!("{kind}/{kind}_"), ".npy");
    let present: Vec<String> = KINDS.iter().filter(|kind| !of_kind(kind).is_empty()).map(|&kind| kind.to_owned()).collect();
    let kind = match (kind, &present[..]) {
        (Some(kind), _) if present.iter().any(|name| name == kind) => kind.to_owned(),
        (Some(kind), _) => return Err(VectorFileError::no_column(uri, kind, &present)),
        (None, [only]) => only.clone(),
        (None, []) => return Err(VectorFileError::UnknownFormat(uri.to_owned())),
        (None, _) => return Err(VectorFileError::ambiguous(uri, &present)),
    };
    let tables = numbered(&files, "metadata/metadata_", ".parquet");
    let parts: Vec<Part> = of_kind(&kind)
        .into_iter()
        .map(|(number, vectors)| {
            let table = tables.iter().find(|(of, _)| *of == number);
            if table.is_none() && !tables.is_empty() {
                return Err(VectorFileError::content(&vectors, "has no metadata, while other partitions have"));
            }
            Ok(Part { number, vectors, metadata: table.map(|(_, uri)| uri.clone()) })
        })
        .collect::<Result<_, _>>()?;
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].number == pair[1].number) {
        return Err(VectorFileError::content(uri, format!("`{}` and `{}` are the same partition", pair[0].vectors, pair[1].vectors)));
    }
    let (mut rows, mut seen) = (0_u64, None);
    for part in &parts {
        let (array, _) = open_part(part, 1)?;
        let (dim, _) = *seen.get_or_insert((array.dim(), array.precision()));
        if array.dim() != dim {
            return Err(VectorFileError::content(&part.vectors, format!("vectors of {} components among vectors of {dim}", array.dim())));
        }
        rows += array.rows();
    }
    let (dim, precision) = seen.unwrap_or((0, Precision::F16));
    Ok(Folder { parts: parts.into_iter(), now: None, next: 0, block_rows, dim, rows, precision })
}

fn files(uri: &str) -> Result<Vec<String>, VectorFileError> {
    let files = match remote_url(uri) {
        None => expand_local(uri)?,
        Some(_) => Handle::current().block_on(expand(uri))?,
    };
    Ok(files.into_iter().map(|file| file.uri).collect())
}

/// Files whose path ends in `{start}{number}{end}`, by number.
fn numbered(files: &[String], start: &str, end: &str) -> Vec<(u64, String)> {
    let number = |uri: &String| {
        let label = uri.strip_suffix(end)?.rsplit_once(start)?.1;
        let digits = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| label.parse().ok()).flatten()
    };
    let mut found: Vec<(u64, String)> = files.iter().filter_map(|uri| Some((number(uri)?, uri.clone()))).collect();
    found.sort();
    found
}

fn open_part(part: &Part, block_rows: usize) -> Result<(ArrayReader, Option<NameReader>), VectorFileError> {
    let input = Input::open(&part.vectors)?;
    let total = input.len();
    let array = ArrayReader::open(&part.vectors, None, input.into_read(), total, block_rows)?;
    let Some(metadata) = &part.metadata else { return Ok((array, None)) };
    let names = NameReader::open(metadata, "image_path")?;
    if names.rows != array.rows() {
        return Err(VectorFileError::content(&part.vectors, format!("has {} rows, `{metadata}` has {}", array.rows(), names.rows)));
    }
    Ok((array, Some(names)))
}

impl Folder {
    pub(crate) fn next_block(&mut self) -> Result<Option<VectorBlock>, VectorFileError> {
        loop {
            if let Some((array, names)) = &mut self.now {
                if let Some(mut block) = array.next_block()? {
                    if let Some(names) = names {
                        names.name(&mut block)?;
                    }
                    block.start = self.next;
                    self.next += block.rows as u64;
                    return Ok(Some(block));
                }
                self.now = None;
            }
            match self.parts.next() {
                Some(part) => self.now = Some(open_part(&part, self.block_rows)?),
                None => return Ok(None),
            }
        }
    }
}
