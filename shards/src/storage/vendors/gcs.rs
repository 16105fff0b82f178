//! Google Cloud Storage.

use std::path::Path;
use std::sync::Arc;

use object_store::client::HttpConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

use super::{Client, host_of, options, retry};
use crate::storage::address::Address;
use crate::storage::client::{Facts, Manners};
use crate::storage::uploads::OpenUploads;
use crate::storage::{Settings, StorageError};

const LOOKED: [&str; 4] =
    ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"];
const BASE: &str = "https://storage.googleapis.com";

pub(super) fn open(address: &Address, settings: &Settings) -> Result<Client, StorageError> {
    let place = address.base.trim_end_matches('/');
    // The variable by which Google's own libraries find an emulator; those take any request without a signature.
    let emulator = settings.get("STORAGE_EMULATOR_HOST").map(|host| match host.contains("://") {
        true => host.trim_end_matches('/').to_owned(),
        false => format!("http://{host}"),
    });
    let root = settings.get("GOOGLE_BASE_URL").map(|url| url.trim_end_matches('/').to_owned()).or_else(|| emulator.clone());
    let anonymous = settings.is_true("GOOGLE_SKIP_SIGNATURE") || emulator.is_some();
    let host = host_of("GOOGLE_BASE_URL", root.as_deref().unwrap_or(BASE))?;
    let mut options = options(settings)?;
    if root.as_ref().is_some_and(|url| url.starts_with("http://")) {
        options = options.with_allow_http(true);
    }

    let mut builder = GoogleCloudStorageBuilder::new().with_client_options(options.clone());
    for (name, value) in settings.with_prefix("GOOGLE_") {
        match name.parse::<GoogleConfigKey>() {
            Ok(GoogleConfigKey::BaseUrl) | Err(_) => {}
            // With no signature the files are not wanted, and need not be there.
            Ok(GoogleConfigKey::ServiceAccount | GoogleConfigKey::ApplicationCredentials) if anonymous => {}
            Ok(key) => builder = builder.with_config(key, value),
        }
    }
    if let Some(root) = &root {
        builder = builder.with_config(GoogleConfigKey::BaseUrl, root);
    }
    if !anonymous {
        for name in &LOOKED[..3] {
            if let Some(path) = settings.get(name).filter(|path| !Path::new(path).is_file()) {
                return Err(StorageError::settings(*name, format!("there is no file `{path}`")));
            }
        }
    }

    let limits = settings.limits_for(&host)?;
    let looked = if anonymous {
        "GOOGLE_SKIP_SIGNATURE or STORAGE_EMULATOR_HOST (set: asked without a name)".to_owned()
    } else {
        format!("{}, the file of `gcloud auth application-default login`, and the instance's own credentials", settings.looked(&LOOKED))
    };
    let facts = Arc::new(Facts { bucket: address.bucket.clone(), hosts: vec![host], looked: looked.clone(), region: None });
    let manners = Manners::new(facts, limits.clone());
    let store = builder
        .with_bucket_name(&address.bucket)
        .with_skip_signature(anonymous)
        .with_retry(retry(&limits))
        .with_http_connector(manners.clone())
        .build()
        .map_err(|e| StorageError::Credentials { place: place.to_owned(), said: e.to_string(), looked })?;
    let root = format!("{}/{}", root.as_deref().unwrap_or(BASE), address.bucket);
    let client = manners.connect(&options).map_err(|e| StorageError::store(place, e))?;
    let uploads = OpenUploads::gcs(store.clone(), client, root, anonymous);
    Ok(Client { store: Arc::new(store), limits, uploads: Some(uploads) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_that_is_not_there_is_named() {
        let address = Address::parse("gs://bucket/x").unwrap().unwrap();
        let settings = Settings::of([("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")]);
        let error = open(&address, &settings).err().unwrap().to_string();
        assert_eq!(error, "`GOOGLE_APPLICATION_CREDENTIALS`: there is no file `/nowhere/key.json`");
        let anonymous = Settings::of([("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json"), ("GOOGLE_SKIP_SIGNATURE", "true")]);
        assert!(open(&address, &anonymous).is_ok());
    }
}
