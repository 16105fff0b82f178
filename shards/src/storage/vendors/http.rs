//! Plain web servers, read only.

use std::sync::Arc;

use object_store::http::HttpBuilder;

use super::{Client, options, retry};
use crate::storage::address::Address;
use crate::storage::client::{Facts, Manners};
use crate::storage::{Settings, StorageError};

pub(super) fn open(address: &Address, settings: &Settings) -> Result<Client, StorageError> {
    let place = address.base.trim_end_matches('/');
    // A query (a signed url, say) belongs to the one object that it was made for: it stays with the base.
    let root = match &address.query {
        Some(query) => format!("{}?{query}", address.base),
        None => address.base.clone(),
    };
    let host = super::host_of(place, &address.base)?;
    let limits = settings.limits_for(&host)?;
    let facts = Facts {
        bucket: address.bucket.clone(),
        hosts: vec![host],
        looked: "nothing but the url: credentials are not sent to web servers".to_owned(),
        region: None,
    };
    let store = HttpBuilder::new()
        .with_url(root)
        .with_client_options(options(settings)?.with_allow_http(true))
        .with_retry(retry(&limits))
        .with_http_connector(Manners::new(Arc::new(facts), limits.clone()))
        .build()
        .map_err(|e| StorageError::store(place, e))?;
    Ok(Client { store: Arc::new(store), limits, uploads: None })
}
