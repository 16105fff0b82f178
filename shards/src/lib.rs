//! What is stored: shards, columns, images, url lists, commit markers, and the one door to storage.
//!
//! The crate knows nothing of pipelines. It answers how bytes lie on a disk or in an object store, and how they are
//! read back:
//!
//! - [`storage`]: local folders and object stores behind one type, with atomic, durable writes;
//! - [`source`]: input files named by path, glob or url;
//! - [`lists`]: url lists (parquet, csv, tsv, json, jsonl, txt, each also compressed) as Arrow batches;
//! - [`samples`]: the samples of a webdataset shard, streamed;
//! - [`tar`]: plain ustar shards and the reader for what others write;
//! - [`table`]: parquet tables with row groups of a sensible size;
//! - [`vectors`]: npy, npz, parquet columns, DataComp's and clip-retrieval's layouts;
//! - [`marker`]: the file that says that a unit of work is done;
//! - [`columns`]: the names and types of the columns that the parts agree on;
//! - [`image`] and [`digest`]: decoding, judging, resizing, encoding and hashing pictures.
//!
//! ```
//! use trommel_shards::tar::{TarWriter, read_members};
//!
//! let mut tar = TarWriter::new();
//! tar.append("000000000.txt", b"a red circle")?;
//! let bytes = tar.finish();
//! let members = read_members(&bytes[..])?;
//! assert_eq!(members[0].name, "000000000.txt");
//! # Ok::<(), trommel_shards::tar::TarError>(())
//! ```

pub mod columns;
pub mod digest;
pub mod image;
pub mod lists;
pub mod marker;
pub mod reshard;
pub mod samples;
pub mod source;
pub mod storage;
pub mod subset;
pub mod table;
pub mod tar;
pub mod vectors;
