//! The data files of a dataset.

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::marker::Output;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// A tar shard.
    Tar,
    /// A parquet table.
    Parquet,
    /// JSON.
    Json,
    /// Anything else: npy, npz.
    Binary,
}

impl FileFormat {
    /// The media type, as Croissant's `encodingFormat` has it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Tar => "application/x-tar",
            Self::Parquet => "application/x-parquet",
            Self::Json => "application/json",
            Self::Binary => "application/octet-stream",
        }
    }
}

/// One data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Name relative to the folder of the card, with slashes.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// How it is written.
    pub format: FileFormat,
    /// The table that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

impl DataFile {
    /// A file as a unit's marker lists it. Parquet files are a part of the table `pairs`, or of the table that is named
    /// like the folder that they lie in (`vectors`, `excluded`).
    pub fn of_output(name: &str, output: &Output) -> Self {
        let format = match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("tar") => FileFormat::Tar,
            Some("parquet") => FileFormat::Parquet,
            Some("json") => FileFormat::Json,
            _ => FileFormat::Binary,
        };
        let table = (format == FileFormat::Parquet).then(|| name.split_once('/').map_or("pairs", |(folder, _)| folder).to_owned());
        Self { name: name.to_owned(), bytes: output.bytes, sha256: output.sha256.clone(), format, table }
    }
}

/// The digests of all data files, sorted by name, as `sha256sum --check` reads them.
pub fn manifest(facts: &Facts) -> String {
    sorted(facts).iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect()
}

/// The data files, sorted by name.
pub(super) fn sorted(facts: &Facts) -> Vec<&DataFile> {
    let mut files: Vec<&DataFile> = facts.files.iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}
