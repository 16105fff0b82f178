//! Keeps the files that were asked for last, up to a number of bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// A store of files by number that forgets what was not asked for the longest.
#[derive(Debug)]
pub(crate) struct Cache {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: HashMap<u64, (Bytes, u64)>,
    by_age: BTreeMap<u64, u64>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::default() }
    }

    pub(crate) fn get(&self, key: u64) -> Option<Bytes> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let (bytes, age) = inner.files.get_mut(&key)?;
        let (bytes, old) = (bytes.clone(), std::mem::replace(age, now));
        inner.by_age.remove(&old);
        inner.by_age.insert(now, key);
        Some(bytes)
    }

    /// Keeps `file`, and lets go of the oldest until all fit. A file larger than the whole store is not kept.
    pub(crate) fn put(&self, key: u64, file: Bytes) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if file.len() > self.limit || inner.files.contains_key(&key) {
            return;
        }
        while inner.bytes + file.len() > self.limit {
            let Some((_, oldest)) = inner.by_age.pop_first() else {
                break;
            };
            if let Some((gone, _)) = inner.files.remove(&oldest) {
                inner.bytes -= gone.len();
            }
        }
        inner.clock += 1;
        let now = inner.clock;
        inner.bytes += file.len();
        inner.by_age.insert(now, key);
        inner.files.insert(key, (file, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let cache = Cache::new(10);
        let file = |n| Bytes::from(vec![n; 4]);
        cache.put(1, file(1));
        cache.put(2, file(2));
        assert_eq!(cache.get(1), Some(file(1)));
        cache.put(3, file(3));
        assert_eq!((cache.get(1), cache.get(2), cache.get(3)), (Some(file(1)), None, Some(file(3))));
        cache.put(4, Bytes::from(vec![0; 11]));
        assert_eq!(cache.get(4), None);
        assert!(cache.get(1).is_some());
    }
}
