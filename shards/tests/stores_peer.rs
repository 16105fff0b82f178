//! The promises of `Storage`, against servers that others wrote. `tests/peers/stores_check.py` starts them and says what
//! to set; without the variables nothing is checked.
#![allow(clippy::print_stderr, reason = "a skipped check has to be seen")]

#[cfg(test)]
mod support;

use support::conformance::conforms;
use trommel_shards::storage::{Limits, Settings, Storage, StorageError};

/// The smallest part that S3 takes.
const PART: usize = 5 << 20;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.part_bytes = PART;
    limits.retries = 3;
    limits
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_as_moto_speaks_it_keeps_the_promises() {
    let Ok(endpoint) = std::env::var("TROMMEL_S3_ENDPOINT") else {
        eprintln!("SKIPPED: TROMMEL_S3_ENDPOINT is not set");
        return;
    };
    let vars = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")];
    let settings = Settings::of(vars).with_limits(limits());
    let uri = format!("s3://trommel/conformance-{}", std::process::id());
    conforms(&Storage::open_with(&uri, &settings).unwrap(), &settings, PART).await;
    let error = Storage::open_with("s3://no-such-bucket/x", &settings).unwrap().get("y").await.unwrap_err();
    assert!(matches!(error, StorageError::NoBucket { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_as_azurite_speaks_it_keeps_the_promises() {
    let Ok(endpoint) = std::env::var("TROMMEL_AZURE_ENDPOINT") else {
        eprintln!("SKIPPED: TROMMEL_AZURE_ENDPOINT is not set");
        return;
    };
    // The account and key that every emulator has, from Microsoft's documentation of them.
    let key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    let connection =
        |key: &str| format!("DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};BlobEndpoint={endpoint}");
    let settings = |key: &str| Settings::of([("AZURE_STORAGE_CONNECTION_STRING", connection(key))]).with_limits(limits());
    let uri = format!("az://trommel/conformance-{}", std::process::id());
    conforms(&Storage::open_with(&uri, &settings(key)).unwrap(), &settings(key), PART).await;
    let error = Storage::open_with("az://no-such-box/x", &settings(key)).unwrap().get("y").await.unwrap_err();
    assert!(matches!(error, StorageError::NoBucket { .. }), "{error:?}");
    let error = Storage::open_with(&uri, &settings("d3Jvbmc=")).unwrap().get("y").await.unwrap_err();
    assert!(matches!(error, StorageError::Credentials { .. }), "{error:?}");
}
