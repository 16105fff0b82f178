//! Reading the answers of S3, Google Cloud Storage, Azure and their many likenesses.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use super::refusal::Why;

/// The status line and what the body said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: u16,
    /// `NoSuchBucket`, `ServerBusy`, … where the vendor gives one.
    pub(crate) code: Option<String>,
    /// The vendor's sentence, cut to 300 characters.
    pub(crate) message: Option<String>,
    /// Where the bucket lies, when the answer says so.
    pub(crate) region: Option<String>,
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answer {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(message) = &self.message {
            write!(f, " ({message})")?;
        }
        Ok(())
    }
}

/// What to do with an answer that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The caller knows what it means: not found, not modified, already there.
    Pass,
    /// Ask again. `true` when the store surely did nothing.
    Again { untouched: bool },
    /// Asking again does not change it.
    Stop(Why),
}

impl Said {
    /// Reads an answer; `body` may be cut.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (mut code, mut message) = (between(&text, "Code"), between(&text, "Message"));
        if code.is_none()
            && let Ok(json) = serde_json::from_slice::<serde_json::Value>(body)
        {
            // {"error": {"code": 403, "message": "…", "errors": [{"reason": "forbidden"}]}}, or an OAuth answer.
            let error = json.get("error").unwrap_or(&json);
            let text = |value: Option<&serde_json::Value>| value.and_then(|v| v.as_str()).map(str::to_owned);
            code = text(error.pointer("/errors/0/reason")).or_else(|| text(error.get("code"))).or_else(|| text(Some(error)));
            message = text(error.get("message")).or_else(|| text(json.get("error_description")));
        }
        let code = code.or_else(|| header("x-ms-error-code"));
        let region = header("x-amz-bucket-region").or_else(|| between(&text, "Region"));
        let message = message.map(|m| m.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect());
        Self { status: status.as_u16(), code, message, region }
    }

    /// What the answer means. `asked_region` is the one that the request was signed for.
    pub(super) fn verdict(&self, asked_region: Option<&str>) -> Verdict {
        use Verdict::{Again, Pass, Stop};
        match self.code.as_deref().unwrap_or_default() {
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "RequestTimeTooSkewed"
            | "InvalidSecurity"
            | "AuthenticationFailed"
            | "InvalidAuthenticationInfo"
            | "NoAuthenticationInformation"
            | "MissingSecurityHeader" => return Stop(Why::Credentials),
            "NoSuchBucket" | "ContainerNotFound" | "InvalidBucketName" | "InvalidResourceName" => return Stop(Why::NoBucket),
            "QuotaExceeded"
            | "InsufficientStorage"
            | "InsufficientStorageSpace"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "StorageQuotaExceeded" => return Stop(Why::Full),
            "PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException" => return Stop(Why::Region),
            "AuthorizationHeaderMalformed" if self.region.is_some() => return Stop(Why::Region),
            "AuthorizationHeaderMalformed" => return Stop(Why::Credentials),
            // With 400: the body came too slowly. With 409: somebody else writes the same name right now.
            "RequestTimeout" | "ConditionalRequestConflict" | "OperationAborted" => return Again { untouched: true },
            "SlowDown"
            | "ServerBusy"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "rateLimitExceeded"
            | "userRateLimitExceeded" => return Again { untouched: true },
            "NotImplemented" => return Stop(Why::NotSupported),
            _ => {}
        }
        match self.status {
            404 if self.message.as_deref().is_some_and(|m| m.contains("bucket does not exist")) => Stop(Why::NoBucket),
            304 | 404 | 409 | 412 | 416 => Pass,
            401 => Stop(Why::Credentials),
            // Azurite's answer to a wrong key has the code of a right one without rights.
            403 if self.message.as_deref().is_some_and(|m| m.contains("failed to authenticate")) => Stop(Why::Credentials),
            403 => Stop(Why::Denied),
            301 | 307 if self.region.as_deref().is_some_and(|region| Some(region) != asked_region) => Stop(Why::Region),
            501 => Stop(Why::NotSupported),
            507 => Stop(Why::Full),
            429 | 503 => Again { untouched: true },
            408 | 500 | 502 | 504 | 520..=524 => Again { untouched: false },
            _ => Stop(Why::Refused),
        }
    }
}

/// Whether an answer asks for fewer requests, rather than being a fault.
pub(super) fn is_throttling(said: &Said) -> bool {
    matches!(said.status, 429 | 503)
        || said.code.as_deref().is_some_and(|code| {
            matches!(code, "SlowDown" | "ServerBusy") || code.starts_with("Throttling") || code.ends_with("LimitExceeded")
        })
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

/// The text of the first XML element of a name. The bodies are the vendors' small, flat error documents.
fn between(text: &str, name: &str) -> Option<String> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = text[start..].find(&format!("</{name}>"))?;
    Some(text[start..start + end].trim().to_owned()).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Said {
        Said::read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    fn xml(code: &str) -> String {
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>So  it\nis.</Message></Error>")
    }

    #[test]
    fn each_answer_has_one_meaning() {
        let untouched = Verdict::Again { untouched: true };
        let perhaps = Verdict::Again { untouched: false };
        let stop = Verdict::Stop;
        for (status, code, expected) in [
            (403, "InvalidAccessKeyId", stop(Why::Credentials)),
            (403, "SignatureDoesNotMatch", stop(Why::Credentials)),
            (400, "ExpiredToken", stop(Why::Credentials)),
            (403, "AuthenticationFailed", stop(Why::Credentials)),
            (401, "", stop(Why::Credentials)),
            (403, "AccessDenied", stop(Why::Denied)),
            (403, "AuthorizationFailure", stop(Why::Denied)),
            (404, "NoSuchBucket", stop(Why::NoBucket)),
            (404, "ContainerNotFound", stop(Why::NoBucket)),
            (404, "NoSuchKey", Verdict::Pass),
            (404, "BlobNotFound", Verdict::Pass),
            (404, "NoSuchUpload", Verdict::Pass),
            (304, "", Verdict::Pass),
            (409, "BlobAlreadyExists", Verdict::Pass),
            (409, "ConditionalRequestConflict", untouched),
            (412, "PreconditionFailed", Verdict::Pass),
            (416, "InvalidRange", Verdict::Pass),
            (301, "PermanentRedirect", stop(Why::Region)),
            (403, "QuotaExceeded", stop(Why::Full)),
            (507, "", stop(Why::Full)),
            (507, "XMinioStorageFull", stop(Why::Full)),
            (400, "XMinioAdminBucketQuotaExceeded", stop(Why::Full)),
            (400, "RequestTimeout", untouched),
            (429, "", untouched),
            (503, "SlowDown", untouched),
            (503, "ServerBusy", untouched),
            (403, "rateLimitExceeded", untouched),
            (500, "InternalError", perhaps),
            (500, "OperationTimedOut", perhaps),
            (502, "", perhaps),
            (504, "", perhaps),
            (501, "NotImplemented", stop(Why::NotSupported)),
            (400, "EntityTooLarge", stop(Why::Refused)),
            (405, "MethodNotAllowed", stop(Why::Refused)),
            (599, "", stop(Why::Refused)),
        ] {
            assert_eq!(read(status, &xml(code)).verdict(None), expected, "{status} {code}");
        }
    }

    #[test]
    fn what_was_said_is_one_line() {
        assert_eq!(read(503, &xml("SlowDown")).to_string(), "answer 503 SlowDown (So it is.)");
        assert_eq!(read(502, "<html>bad gateway").to_string(), "answer 502");
    }

    #[test]
    fn google_answers_in_json() {
        let body = r#"{"error": {"code": 404, "message": "The specified bucket does not exist.", "errors": [{"reason": "notFound"}]}}"#;
        let said = read(404, body);
        assert_eq!(said.verdict(None), Verdict::Stop(Why::NoBucket));
        assert_eq!(said.to_string(), "answer 404 notFound (The specified bucket does not exist.)");
        let said = read(400, r#"{"error": "invalid_grant", "error_description": "Invalid JWT"}"#);
        assert_eq!(said.to_string(), "answer 400 invalid_grant (Invalid JWT)");
    }

    #[test]
    fn a_region_in_the_answer_is_found() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-bucket-region", "eu-west-1".parse().unwrap());
        let said = Said::read(StatusCode::MOVED_PERMANENTLY, &headers, b"");
        assert_eq!(said.verdict(Some("us-east-1")), Verdict::Stop(Why::Region));
        assert_eq!(said.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(with("120"), Some(Duration::from_secs(120)));
        assert_eq!(with("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(with("soon"), None);
        assert!(with("Tue, 31 Dec 2999 23:59:59 GMT").unwrap() > Duration::from_secs(1 << 30));
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
