//! What an index is built from.

use trommel_shards::subset::Uid128;

use crate::scores::VectorSource;

type ReadUids<'a> = dyn Fn() -> Result<Vec<Uid128>, Box<dyn std::error::Error + Send + Sync>> + Sync + 'a;

/// One shard of vectors: mapped files for one, which cost nothing until they are read.
pub struct IndexShard<'a> {
    pub(super) name: String,
    pub(super) digest: String,
    pub(super) vectors: &'a dyn VectorSource,
    pub(super) uids: Option<Box<ReadUids<'a>>>,
}

impl<'a> IndexShard<'a> {
    /// A shard without uids. `name` says where the vectors come from.
    pub fn new(name: impl Into<String>, vectors: &'a dyn VectorSource) -> Self {
        Self { name: name.into(), digest: String::new(), vectors, uids: None }
    }

    /// With a digest of the contents: an index that was begun with another digest is not resumed.
    #[must_use]
    pub fn with_digest(mut self, digest: impl Into<String>) -> Self {
        self.digest = digest.into();
        self
    }

    /// With the uids of all rows, null ones included. They are asked for when the shard is added, and not kept.
    #[must_use]
    pub fn with_uids(mut self, uids: impl Fn() -> Result<Vec<Uid128>, Box<dyn std::error::Error + Send + Sync>> + Sync + 'a) -> Self {
        self.uids = Some(Box::new(uids));
        self
    }
}
