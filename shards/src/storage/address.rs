//! What a url of a store names.

use object_store::path::Path;
use url::Url;

use super::StorageError;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    S3,
    Gcs,
    Azure,
    Http,
    Memory,
}

/// A url, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) vendor: Vendor,
    /// Bucket, container, or host of a server.
    pub(crate) bucket: String,
    /// Azure's storage account, when the url names it.
    pub(crate) account: Option<String>,
    /// Key in the store. Keys of object stores are taken as they are written; only http urls are percent-decoded.
    pub(crate) key: Path,
    /// Everything before the key, with a slash at the end.
    pub(crate) base: String,
    /// Query of an http url: a signature, say.
    pub(crate) query: Option<String>,
}

impl Address {
    /// Takes a url apart; `None` for a path on this machine.
    ///
    /// # Errors
    /// When it names no store that this program knows, or names it badly.
    pub(crate) fn parse(uri: &str) -> Result<Option<Self>, StorageError> {
        let Some((scheme, rest)) = uri.split_once("://") else { return Ok(None) };
        // `C://` is a folder on some machines, and `file://` on all.
        if scheme.len() < 2 || scheme == "file" || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
            return Ok(None);
        }
        let vendor = match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => Vendor::S3,
            "gs" | "gcs" => Vendor::Gcs,
            "az" | "azure" | "adl" | "abfs" | "abfss" => Vendor::Azure,
            "http" | "https" => return Self::http(uri).map(Some),
            "memory" => Vendor::Memory,
            _ => {
                let known = "a path, s3://, gs://, az://, abfss://, https:// or http:// is";
                return Err(StorageError::settings(uri, format!("`{scheme}://` is no kind of store known here; {known}")));
            }
        };
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (bucket, account) = match host.split_once('@') {
            Some((container, account)) if vendor == Vendor::Azure => (container, Some(account)),
            _ => (host, None),
        };
        if bucket.is_empty() && vendor != Vendor::Memory {
            return Err(StorageError::settings(uri, "names no bucket".to_owned()));
        }
        let account = account.map(|account| account.split('.').next().unwrap_or(account).to_owned());
        let key = key_of(key).map_err(|e| StorageError::settings(uri, e.to_string()))?;
        Ok(Some(Self { vendor, bucket: bucket.to_owned(), account, key, base: format!("{scheme}://{host}/"), query: None }))
    }

    fn http(uri: &str) -> Result<Self, StorageError> {
        let url = Url::parse(uri).map_err(|e| StorageError::settings(uri, e.to_string()))?;
        let bucket = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(StorageError::settings(uri, "names no host".to_owned())),
        };
        let key = Path::from_url_path(url.path()).map_err(|e| StorageError::settings(uri, e.to_string()))?;
        let base = format!("{}/", &url[..url::Position::BeforePath]);
        Ok(Self { vendor: Vendor::Http, bucket, account: None, key, base, query: url.query().map(str::to_owned) })
    }

    /// The url under which a query engine knows the store.
    pub(crate) fn registration(&self) -> Option<Url> {
        Url::parse(&self.base).ok()
    }
}

/// A key as it is written. Empty parts are left out: `a//b` is `a/b`.
pub(super) fn key_of(text: &str) -> Result<Path, object_store::path::Error> {
    if text.split('/').all(|part| !part.is_empty()) {
        return Path::parse(text);
    }
    Path::parse(text.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Address {
        Address::parse(uri).unwrap().unwrap()
    }

    #[test]
    fn urls_name_a_store_and_a_key() {
        for (uri, vendor, bucket, account, key, base) in [
            ("s3://bucket/a/b.tar", Vendor::S3, "bucket", None, "a/b.tar", "s3://bucket/"),
            ("s3a://bucket", Vendor::S3, "bucket", None, "", "s3a://bucket/"),
            ("s3://bucket//a//b/", Vendor::S3, "bucket", None, "a/b", "s3://bucket/"),
            ("s3://bucket/a%20b?/*.tar#1", Vendor::S3, "bucket", None, "a%20b?/*.tar#1", "s3://bucket/"),
            ("gs://bucket/ä b", Vendor::Gcs, "bucket", None, "ä b", "gs://bucket/"),
            ("az://container/x", Vendor::Azure, "container", None, "x", "az://container/"),
            ("abfss://box@acc.dfs.core.windows.net/x", Vendor::Azure, "box", Some("acc"), "x", "abfss://box@acc.dfs.core.windows.net/"),
            ("https://host.example/a%20b.gz", Vendor::Http, "host.example", None, "a b.gz", "https://host.example/"),
            ("http://127.0.0.1:8080/x", Vendor::Http, "127.0.0.1:8080", None, "x", "http://127.0.0.1:8080/"),
        ] {
            let address = parse(uri);
            assert_eq!((address.vendor, address.bucket.as_str(), address.account.as_deref()), (vendor, bucket, account), "{uri}");
            assert_eq!((address.key.as_ref(), address.base.as_str()), (key, base), "{uri}");
        }
        assert_eq!(parse("https://h.example/x?sig=a%2Fb").query.as_deref(), Some("sig=a%2Fb"));
    }

    #[test]
    fn paths_are_no_urls() {
        for path in ["/a/b", "a/b", "file:///a", "C://a", "weird://"] {
            if path != "weird://" {
                assert_eq!(Address::parse(path).unwrap(), None, "{path}");
            }
        }
    }

    #[test]
    fn what_names_no_store_is_refused() {
        for uri in ["ftp://host/x", "hdfs://host/x", "s3:///x", "gs://", "s3://bucket/../x", "https:///x y"] {
            let error = Address::parse(uri).map(|address| assert_eq!(address, None)).map_or_else(|e| e.to_string(), |()| String::new());
            assert!(error.starts_with(&format!("`{uri}`: ")), "{uri}: {error}");
        }
    }
}
