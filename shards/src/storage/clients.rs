//! One client per store for the whole process.
//!
//! A client owns connections, a bound on them, and what the store last asked for. Two clients of one store would know
//! half of it each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::address::{Address, Vendor};
use super::vendors::{self, Client};
use super::{Settings, StorageError};

/// The client of an address, opened when it is asked for the first time.
pub(crate) fn client(address: &Address, settings: &Settings) -> Result<Arc<Client>, StorageError> {
    // A memory store without a name belongs to nobody else.
    if address.vendor == Vendor::Memory && address.bucket.is_empty() {
        return vendors::open(address, settings).map(Arc::new);
    }
    static CLIENTS: OnceLock<Mutex<HashMap<String, Arc<Client>>>> = OnceLock::new();
    let account = address.account.as_deref().unwrap_or_default();
    let query = address.query.as_deref().unwrap_or_default();
    let scheme = if address.vendor == Vendor::Http { address.base.as_str() } else { "" };
    let key = format!("{:?} {scheme} {}@{account} ?{query} {}", address.vendor, address.bucket, settings.fingerprint());
    let mut clients = CLIENTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(&key) {
        return Ok(Arc::clone(client));
    }
    // Signed urls are as many as their objects; keeping a client for each would keep them for ever.
    let client = Arc::new(vendors::open(address, settings)?);
    if address.query.is_none() {
        clients.insert(key, Arc::clone(&client));
    }
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_opened_twice_is_one_store() {
        let settings = Settings::of([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")]);
        let open = |uri: &str, settings: &Settings| client(&Address::parse(uri).unwrap().unwrap(), settings).unwrap();
        let first = open("s3://bucket/a", &settings);
        assert!(Arc::ptr_eq(&first, &open("s3a://bucket/b/c", &settings)));
        assert!(!Arc::ptr_eq(&first, &open("s3://other/a", &settings)));
        let others = Settings::of([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "c")]);
        assert!(!Arc::ptr_eq(&first, &open("s3://bucket/a", &others)));
        assert!(!Arc::ptr_eq(&open("https://h.example/a", &settings), &open("http://h.example/a", &settings)));
        assert!(Arc::ptr_eq(&open("memory://m/a", &settings), &open("memory://m/b", &settings)));
    }
}
