//! Flags of `index` and `search`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `index`.
#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Metadata whose vectors are indexed: parquet files, globs, folders or urls, with npz, npy or parquet files of vectors beside them.
    #[arg(required_unless_present = "merge")]
    pub inputs: Vec<String>,
    /// Folder of the index.
    #[arg(long, short)]
    pub output: String,
    /// Key of the vectors, as `l14_img`.
    #[arg(long, required_unless_present = "merge", default_value = "")]
    pub key: String,
    /// Join these indexes, of one training, instead of building.
    #[arg(long, num_args = 1.., value_name = "INDEX", conflicts_with_all = ["inputs", "key"])]
    pub merge: Vec<PathBuf>,
    /// The kind, as faiss's index factory reads it; chosen by number and memory without it.
    #[arg(long)]
    pub factory: Option<String>,
    /// Memory that the index may take when it is searched, in MiB.
    #[arg(long, default_value_t = 4000)]
    pub index_memory_mib: u64,
    /// Choose a kind that can be searched from the disk.
    #[arg(long)]
    pub mapped: bool,
    /// cosine, ip (inner product) or l2.
    #[arg(long, default_value = "cosine")]
    pub metric: String,
    /// Vectors to train on at most.
    #[arg(long)]
    pub training: Option<usize>,
    /// An index whose training is taken, so that both can be merged.
    #[arg(long, value_name = "INDEX")]
    pub like: Option<PathBuf>,
    /// Rows between two checkpoints.
    #[arg(long, default_value_t = 1_000_000)]
    pub part_rows: usize,
    /// Seed of the training sample.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Start over: remove what an earlier run left in the output folder.
    #[arg(long)]
    pub fresh: bool,
}

/// Flags of `search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Folder of the index.
    pub index: String,
    /// Ask by text; may be given more than once.
    #[arg(long = "text", value_name = "TEXT", help_heading = "Queries")]
    pub texts: Vec<String>,
    /// Ask by a picture's file.
    #[arg(long = "image", value_name = "FILE", help_heading = "Queries")]
    pub images: Vec<PathBuf>,
    /// Ask by the vector of a row of the index.
    #[arg(long = "uid", value_name = "UID", help_heading = "Queries")]
    pub uids: Vec<String>,
    /// Ask by the vectors of a file: npy, npz or parquet.
    #[arg(long = "vectors", value_name = "FILE", help_heading = "Queries")]
    pub vectors: Vec<String>,
    /// The model of the index's vectors, for texts and pictures: a folder or a hub id.
    #[arg(long, help_heading = "Queries")]
    pub model: Option<String>,
    /// auto, cpu, or cuda:0.
    #[arg(long, default_value = "auto", help_heading = "Queries")]
    pub device: String,
    /// Results of each query at most.
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Results")]
    pub k: u32,
    /// Only rows that are at least so near.
    #[arg(long, value_name = "SIMILARITY", allow_hyphen_values = true, help_heading = "Results")]
    pub at_least: Option<f32>,
    /// SQL over the metadata: only rows for which it holds.
    #[arg(long = "where", value_name = "SQL", help_heading = "Results")]
    pub predicate: Option<String>,
    /// The metadata, where it is not any more where the index was made of it.
    #[arg(long, num_args = 1.., help_heading = "Results")]
    pub meta: Vec<String>,
    /// Columns to show; url and caption by default.
    #[arg(long, value_delimiter = ',', help_heading = "Results")]
    pub columns: Vec<String>,
    /// Write a page of pictures.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub html: Option<PathBuf>,
    /// Lists to look into, of an index with lists.
    #[arg(long, help_heading = "Results")]
    pub probes: Option<usize>,
    /// Nodes to follow, of a graph.
    #[arg(long, help_heading = "Results")]
    pub ef_search: Option<usize>,
    /// Search the index from the disk instead of reading it.
    #[arg(long, help_heading = "Results")]
    pub mapped: bool,
}
