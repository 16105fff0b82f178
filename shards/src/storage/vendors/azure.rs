//! Azure Blob Storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::{Client, host_of, options, retry};
use crate::storage::address::Address;
use crate::storage::client::{Facts, Manners};
use crate::storage::{Settings, StorageError};

const ACCOUNTS: [&str; 2] = ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"];
const KEYS: [&str; 3] = ["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"];
const CONNECTION: &str = "AZURE_STORAGE_CONNECTION_STRING";
const LOOKED: [&str; 8] = [
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
];
/// The account that every Azurite and every older emulator has; the key is in Microsoft's documentation.
const EMULATOR: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

pub(super) fn open(address: &Address, settings: &Settings) -> Result<Client, StorageError> {
    let place = address.base.trim_end_matches('/');
    let connection = settings.get(CONNECTION).map(Connection::parse).transpose()?.unwrap_or_default();
    // The url goes before the variables, and a variable before the string that bundles them.
    let account = address.account.as_deref().or_else(|| settings.first(&ACCOUNTS)).or(connection.account.as_deref());
    let Some(account) = account else {
        let problem = format!("names no storage account: write az://CONTAINER@ACCOUNT/…, or set {} or {CONNECTION}", ACCOUNTS[0]);
        return Err(StorageError::settings(place, problem));
    };
    let endpoint = settings.first(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]).or(connection.endpoint.as_deref());
    let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned());
    let host = match &endpoint {
        Some(url) => host_of("AZURE_STORAGE_ENDPOINT", url)?,
        None => format!("{account}.blob.core.windows.net"),
    };
    let mut options = options(settings)?;
    if endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) {
        options = options.with_allow_http(true);
    }

    let mut builder = MicrosoftAzureBuilder::new().with_client_options(options);
    for (name, value) in settings.with_prefix("AZURE_") {
        if let Ok(key) = name.parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let set = |builder: MicrosoftAzureBuilder, key, value: Option<&str>| match value {
        Some(value) => builder.with_config(key, value),
        None => builder,
    };
    builder = set(builder, AzureConfigKey::AccessKey, settings.first(&KEYS).or(connection.key.as_deref()));
    builder = set(builder, AzureConfigKey::SasKey, settings.get("AZURE_STORAGE_SAS_TOKEN").or(connection.sas.as_deref()));
    builder = set(builder, AzureConfigKey::Endpoint, endpoint.as_deref());

    let limits = settings.limits_for(&host)?;
    let looked = match settings.is_true("AZURE_SKIP_SIGNATURE") {
        true => "AZURE_SKIP_SIGNATURE (set: asked without a name)".to_owned(),
        false => format!("account `{account}`, {}, and the instance's own identity", settings.looked(&LOOKED)),
    };
    let mut hosts = vec![host, "blob.fabric.microsoft.com".to_owned()];
    if settings.is_true("AZURE_STORAGE_USE_EMULATOR") {
        hosts.push("127.0.0.1".to_owned());
    }
    let facts = Arc::new(Facts { bucket: address.bucket.clone(), hosts, looked: looked.clone(), region: None });
    let store = builder
        .with_account(account)
        .with_container_name(&address.bucket)
        .with_retry(retry(&limits))
        .with_http_connector(Manners::new(facts, limits.clone()))
        .build()
        .map_err(|e| StorageError::Credentials { place: place.to_owned(), said: e.to_string(), looked })?;
    // Blocks that were never committed vanish by themselves after a week; there is nothing to look for.
    Ok(Client { store: Arc::new(store), limits, uploads: None })
}

/// What a connection string says, as the portal gives it.
#[derive(Debug, Default, PartialEq)]
struct Connection {
    account: Option<String>,
    key: Option<String>,
    sas: Option<String>,
    endpoint: Option<String>,
}

impl Connection {
    fn parse(text: &str) -> Result<Self, StorageError> {
        let mut parts = BTreeMap::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            // Keys end in `=`, so only the first one separates.
            let Some((name, value)) = part.split_once('=') else {
                return Err(StorageError::settings(CONNECTION, "is not of the form NAME=VALUE;NAME=VALUE".to_owned()));
            };
            parts.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut take = |name: &str| parts.remove(name).filter(|value| !value.is_empty());
        if take("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let (account, key) = EMULATOR;
            let endpoint = format!("http://127.0.0.1:10000/{account}");
            return Ok(Self { account: Some(account.to_owned()), key: Some(key.to_owned()), sas: None, endpoint: Some(endpoint) });
        }
        let account = take("accountname");
        let (protocol, suffix) = (take("defaultendpointsprotocol"), take("endpointsuffix"));
        let built = || {
            let (account, suffix) = (account.as_ref()?, suffix.as_ref()?);
            Some(format!("{}://{account}.blob.{suffix}", protocol.as_deref().unwrap_or("https")))
        };
        let endpoint = take("blobendpoint").or_else(built);
        Ok(Self { key: take("accountkey"), sas: take("sharedaccesssignature"), endpoint, account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_says_it_all() {
        let text = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5==;EndpointSuffix=core.chinacloudapi.cn";
        let connection = Connection::parse(text).unwrap();
        assert_eq!(connection.account.as_deref(), Some("acc"));
        assert_eq!(connection.key.as_deref(), Some("a2V5=="));
        assert_eq!(connection.endpoint.as_deref(), Some("https://acc.blob.core.chinacloudapi.cn"));
        let text = "BlobEndpoint=http://127.0.0.1:9/acc;AccountName=acc;SharedAccessSignature=sv=1&sig=x%3D;";
        let connection = Connection::parse(text).unwrap();
        assert_eq!(connection.sas.as_deref(), Some("sv=1&sig=x%3D"));
        assert_eq!(connection.endpoint.as_deref(), Some("http://127.0.0.1:9/acc"));
        assert_eq!(Connection::parse("UseDevelopmentStorage=true").unwrap().account.as_deref(), Some("devstoreaccount1"));
        assert!(Connection::parse("nonsense").is_err());
    }

    #[test]
    fn an_account_that_is_nowhere_is_named() {
        let address = Address::parse("az://box/x").unwrap().unwrap();
        let error = open(&address, &Settings::default()).err().unwrap().to_string();
        assert!(error.starts_with("`az://box`: names no storage account: write az://CONTAINER@ACCOUNT/"), "{error}");
        let settings = Settings::of([("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_KEY", "a2V5")]);
        assert!(open(&address, &settings).is_ok());
    }
}
