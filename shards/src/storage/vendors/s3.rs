//! Amazon S3 and what speaks its language: MinIO, Ceph, R2, Wasabi, …

use std::sync::Arc;

use object_store::Certificate;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::HttpConnector;

use super::profile::Profile;
use super::{Client, host_of, options, retry};
use crate::storage::address::Address;
use crate::storage::client::{Facts, Manners};
use crate::storage::uploads::OpenUploads;
use crate::storage::{Settings, StorageError};

const LOOKED: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

pub(super) fn open(address: &Address, settings: &Settings) -> Result<Client, StorageError> {
    let place = address.base.trim_end_matches('/');
    let anonymous = settings.is_true("AWS_SKIP_SIGNATURE");
    let profile = Profile::read(settings)?;

    // The environment goes before the files, as for the AWS tools.
    let region = settings.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).or_else(|| profile.get("region")).unwrap_or("us-east-1").to_owned();
    let endpoint = settings.first(&ENDPOINTS).or_else(|| profile.get("endpoint_url")).map(|url| url.trim_end_matches('/').to_owned());
    let host = match &endpoint {
        Some(endpoint) => host_of("AWS_ENDPOINT_URL", endpoint)?,
        None => "amazonaws.com".to_owned(),
    };

    let mut options = options(settings)?;
    if endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) {
        options = options.with_allow_http(true);
    }
    if let Some(path) = settings.get("AWS_CA_BUNDLE") {
        let pem = std::fs::read(path).map_err(|e| StorageError::io(path, e))?;
        let bundle = Certificate::from_pem_bundle(&pem).map_err(|e| StorageError::settings("AWS_CA_BUNDLE", e.to_string()))?;
        options = bundle.into_iter().fold(options, object_store::ClientOptions::with_root_certificate);
    }

    let mut builder = AmazonS3Builder::new().with_client_options(options.clone());
    for (name, value) in settings.with_prefix("AWS_") {
        if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let key = (settings.get("AWS_ACCESS_KEY_ID"), settings.get("AWS_SECRET_ACCESS_KEY"));
    let identity = settings.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() && settings.get("AWS_ROLE_ARN").is_some();
    match key {
        _ if anonymous => {}
        (Some(_), None) => return Err(StorageError::settings("AWS_SECRET_ACCESS_KEY", "not set, but AWS_ACCESS_KEY_ID is".to_owned())),
        (None, Some(_)) => return Err(StorageError::settings("AWS_ACCESS_KEY_ID", "not set, but AWS_SECRET_ACCESS_KEY is".to_owned())),
        (None, None) if !identity => {
            if let (Some(id), Some(secret)) = (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret);
                if let Some(token) = profile.get("aws_session_token") {
                    builder = builder.with_token(token);
                }
            } else if let Some(way) = profile.unsupported().filter(|_| profile.asked) {
                let problem = format!(
                    "the profile `{}` gets its credentials by `{way}`, which is not read here; `aws configure export-credentials --format env` \
                     gives them as variables",
                    profile.name
                );
                return Err(StorageError::settings("AWS_PROFILE", problem));
            } else if settings.is_true("AWS_EC2_METADATA_DISABLED") && settings.get(LOOKED[4]).is_none() {
                let said = "there are none, and the instance's own are switched off".to_owned();
                return Err(StorageError::Credentials { place: place.to_owned(), said, looked: looked(settings, &profile) });
            }
        }
        _ => {}
    }
    let virtual_hosted = settings.is_true("AWS_VIRTUAL_HOSTED_STYLE_REQUEST");
    if let Some(endpoint) = &endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, bucket_endpoint(endpoint, &address.bucket, virtual_hosted));
    }

    let limits = settings.limits_for(&host)?;
    let facts = Facts {
        bucket: address.bucket.clone(),
        hosts: vec![host],
        looked: if anonymous { "AWS_SKIP_SIGNATURE (set: asked without a name)".to_owned() } else { looked(settings, &profile) },
        region: Some(region.clone()),
    };
    let manners = Manners::new(Arc::new(facts), limits.clone());
    let fail = |e| StorageError::store(place, e);
    let store = builder
        .with_bucket_name(&address.bucket)
        .with_region(&region)
        .with_skip_signature(anonymous)
        .with_retry(retry(&limits))
        .with_http_connector(manners.clone())
        .build()
        .map_err(fail)?;
    let root = match (&endpoint, virtual_hosted) {
        (Some(endpoint), true) => bucket_endpoint(endpoint, &address.bucket, true),
        (Some(endpoint), false) => format!("{endpoint}/{}", address.bucket),
        (None, true) => format!("https://{}.s3.{region}.amazonaws.com", address.bucket),
        (None, false) => format!("https://s3.{region}.amazonaws.com/{}", address.bucket),
    };
    let uploads = OpenUploads::s3(store.clone(), manners.connect(&options).map_err(fail)?, root, region, anonymous);
    Ok(Client { store: Arc::new(store), limits, uploads: Some(uploads) })
}

/// The bucket stands before the host or after it. Who already wrote it before the host keeps it.
fn bucket_endpoint(endpoint: &str, bucket: &str, virtual_hosted: bool) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) if virtual_hosted && !rest.starts_with(&format!("{bucket}.")) => format!("{scheme}://{bucket}.{rest}"),
        _ => endpoint.to_owned(),
    }
}

fn looked(settings: &Settings, profile: &Profile) -> String {
    let files = if profile.looked.is_empty() { "no files, for HOME is not set".to_owned() } else { profile.looked.clone() };
    format!("{}, profile `{}` in {files}, and the instance's own credentials", settings.looked(&LOOKED), profile.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(vars: &[(&str, &str)]) -> String {
        let address = Address::parse("s3://bucket/x").unwrap().unwrap();
        open(&address, &Settings::of(vars.iter().copied())).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn half_a_key_is_named() {
        assert_eq!(error(&[("AWS_ACCESS_KEY_ID", "x")]), "`AWS_SECRET_ACCESS_KEY`: not set, but AWS_ACCESS_KEY_ID is");
        assert_eq!(error(&[("AWS_SECRET_ACCESS_KEY", "x")]), "`AWS_ACCESS_KEY_ID`: not set, but AWS_SECRET_ACCESS_KEY is");
        assert_eq!(error(&[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")]), "");
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_named() {
        assert_eq!(error(&[("AWS_ENDPOINT_URL", "localhost:9000")]), "`AWS_ENDPOINT_URL`: `localhost:9000` is no http or https url");
    }

    #[test]
    fn without_credentials_and_without_an_instance_nothing_is_asked() {
        let text = error(&[("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nowhere")]);
        assert!(text.starts_with("`s3://bucket`: the credentials are refused: there are none"), "{text}");
        assert!(text.contains("AWS_ACCESS_KEY_ID (not set)"), "{text}");
        assert!(text.contains("profile `default` in `/nowhere/.aws/config` (not there)"), "{text}");
    }

    #[test]
    fn the_bucket_goes_before_the_host_when_asked() {
        assert_eq!(bucket_endpoint("https://r2.example", "b", true), "https://b.r2.example");
        assert_eq!(bucket_endpoint("https://b.r2.example", "b", true), "https://b.r2.example");
        assert_eq!(bucket_endpoint("http://127.0.0.1:1", "b", false), "http://127.0.0.1:1");
    }
}
