//! Object stores of an executor: opened when a plan first names them, with the executor's own credentials.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use object_store::ObjectStore;
use parking_lot::Mutex;
use trommel_shards::storage::Storage;
use url::Url;

/// A registry that opens stores through the program's one door to storage, and keeps them.
#[derive(Debug, Default)]
pub struct Stores {
    local: DefaultObjectStoreRegistry,
    remote: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// What a store is known by: scheme and bucket.
fn key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.remote.lock().insert(key(url), store)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == "file" {
            return self.local.get_store(url);
        }
        let mut remote = self.remote.lock();
        if let Some(store) = remote.get(&key(url)) {
            return Ok(Arc::clone(store));
        }
        let storage = Storage::open(&key(url)).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let Some((_, store)) = storage.registration() else {
            return Err(DataFusionError::Configuration(format!("`{url}` is no object store")));
        };
        remote.insert(key(url), Arc::clone(&store));
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_opened_once_and_folders_need_none() {
        let stores = Stores::default();
        let url = |text: &str| Url::parse(text).expect("a url");
        let first = stores.get_store(&url("memory://bucket/a")).expect("opened");
        let second = stores.get_store(&url("memory://bucket/b/c")).expect("known");
        assert!(Arc::ptr_eq(&first, &second));
        stores.get_store(&url("file:///tmp/x")).expect("the local file system");
        assert!(stores.get_store(&url("nonsense://bucket/x")).is_err());
    }
}
