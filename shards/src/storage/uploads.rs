//! Multipart uploads that were begun and never ended: found and aborted.
//!
//! A killed process cannot abort its uploads, and an answer that is lost on the way hides the number of one that was
//! begun. Their parts are invisible and cost money until somebody aborts them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method};
use object_store::aws::{AmazonS3, AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorage};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use url::Url;

use super::StorageError;

/// Lists and aborts the open uploads of one bucket (`ListMultipartUploads`, in both vendors' XML interface).
pub(crate) struct OpenUploads {
    store: Arc<dyn MultipartStore>,
    client: HttpClient,
    /// Url of the bucket.
    root: String,
    signer: Signer,
}

enum Signer {
    Nobody,
    S3 { credentials: AwsCredentialProvider, region: String },
    Gcs { credentials: GcpCredentialProvider },
}

/// One open upload.
#[derive(Debug, PartialEq, Eq)]
struct Open {
    key: String,
    id: String,
}

impl OpenUploads {
    pub(super) fn s3(store: AmazonS3, client: HttpClient, root: String, region: String, anonymous: bool) -> Self {
        let credentials = Arc::clone(store.credentials());
        let signer = if anonymous { Signer::Nobody } else { Signer::S3 { credentials, region } };
        Self { store: Arc::new(store), client, root, signer }
    }

    pub(super) fn gcs(store: GoogleCloudStorage, client: HttpClient, root: String, anonymous: bool) -> Self {
        let credentials = Arc::clone(store.credentials());
        let signer = if anonymous { Signer::Nobody } else { Signer::Gcs { credentials } };
        Self { store: Arc::new(store), client, root, signer }
    }

    /// Aborts all uploads whose keys begin so. Returns how many there were.
    pub(super) async fn abort_all(&self, prefix: &str, place: &str) -> Result<usize, StorageError> {
        let mut aborted = 0;
        let mut after: Option<Open> = None;
        loop {
            let text = self.page(prefix, after.as_ref(), place).await?;
            let (uploads, next) = parse(&text);
            for upload in &uploads {
                let path = Path::parse(&upload.key).map_err(|e| StorageError::settings(place, e.to_string()))?;
                match self.store.abort_multipart(&path, &upload.id).await {
                    Ok(()) => aborted += 1,
                    // Ended between the list and now.
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(e) => return Err(StorageError::store(place, e)),
                }
            }
            match next {
                Some(next) if !uploads.is_empty() => after = Some(next),
                _ => return Ok(aborted),
            }
        }
    }

    async fn page(&self, prefix: &str, after: Option<&Open>, place: &str) -> Result<String, StorageError> {
        let bad = |problem: String| StorageError::settings(place, problem);
        let mut url = Url::parse(&self.root).map_err(|e| bad(e.to_string()))?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("uploads", "");
            if !prefix.is_empty() {
                query.append_pair("prefix", prefix);
            }
            if let Some(after) = after {
                query.append_pair("key-marker", &after.key).append_pair("upload-id-marker", &after.id);
            }
        }
        // Signatures are made over `%20`, and a `+` for a space would be signed as a plus.
        let url = url.as_str().replace('+', "%20");
        let mut request = HttpRequest::new(HttpRequestBody::from(Bytes::new()));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = url.parse().map_err(|e: http::uri::InvalidUri| bad(e.to_string()))?;
        let fail = |e| StorageError::store(place, e);
        match &self.signer {
            Signer::Nobody => {}
            Signer::S3 { credentials, region } => {
                let credential = credentials.get_credential().await.map_err(fail)?;
                AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
            }
            Signer::Gcs { credentials } => {
                let credential = credentials.get_credential().await.map_err(fail)?;
                let value = HeaderValue::from_str(&format!("Bearer {}", credential.bearer)).map_err(|e| bad(e.to_string()))?;
                request.headers_mut().insert(http::header::AUTHORIZATION, value);
            }
        }
        let generic = |e| fail(object_store::Error::Generic { store: "uploads", source: Box::new(e) });
        let response = self.client.execute(request).await.map_err(generic)?;
        let bytes = response.into_body().bytes().await.map_err(generic)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The uploads of one page, and where the next one begins.
fn parse(text: &str) -> (Vec<Open>, Option<Open>) {
    let mut uploads = Vec::new();
    let mut rest = text;
    while let Some((upload, after)) = element(rest, "Upload") {
        rest = after;
        if let (Some((key, _)), Some((id, _))) = (element(upload, "Key"), element(upload, "UploadId")) {
            uploads.push(Open { key: plain(key), id: plain(id) });
        }
    }
    let value = |name| element(text, name).map(|(value, _)| plain(value));
    let more = value("IsTruncated").is_some_and(|value| value == "true");
    let next = value("NextKeyMarker").filter(|_| more).map(|key| Open { key, id: value("NextUploadIdMarker").unwrap_or_default() });
    (uploads, next)
}

/// The inside of the first element of a name, and what follows it.
fn element<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let length = text[start..].find(&format!("</{name}>"))?;
    Some((&text[start..start + length], &text[start + length + name.len() + 3..]))
}

/// XML's five entities, undone.
fn plain(text: &str) -> String {
    let text = text.trim();
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_uploads_is_read() {
        let text = "<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>z&amp;lt;</NextKeyMarker><NextUploadIdMarker>9</NextUploadIdMarker>\
                    <IsTruncated>true</IsTruncated><Upload><Key>a&amp;b.tar</Key><UploadId>1</UploadId></Upload><Upload><UploadId>2</UploadId>\
                    <Key>c</Key></Upload></ListMultipartUploadsResult>";
        let (uploads, next) = parse(text);
        let open = |key: &str, id: &str| Open { key: key.to_owned(), id: id.to_owned() };
        assert_eq!(uploads, [open("a&b.tar", "1"), open("c", "2")]);
        assert_eq!(next, Some(open("z&lt;", "9")));
        assert_eq!(parse("<ListMultipartUploadsResult/>"), (vec![], None));
    }
}
