//! Functions on addresses.

use std::sync::Arc;

use super::{Function, Kernel};
use crate::urls;

pub(super) fn group() -> Vec<Function> {
    const URL: &[&str] = &["url"];
    vec![
        Function::option(
            "canonical_url",
            URL,
            urls::canonical_url,
            "the one spelling of an http(s) url, without its fragment; null for other urls",
        ),
        Function::option("strip_tracking", URL, urls::strip_tracking, "canonical_url without utm_*, gclid, fbclid and the like"),
        Function::option("host", URL, urls::host, "the host in lower-case ASCII; null where the url is not http(s)"),
        Function::option("domain", URL, urls::domain, "the registered domain by the Public Suffix List; null for IP addresses"),
        Function::option("tld", URL, urls::tld, "the last label of the host; null for IP addresses"),
        Function::option("url_ext", URL, urls::url_ext, "the file extension of the path in lower case, or null"),
        Function::new(
            "uid",
            &["url", "text"],
            Kernel::Pair(Arc::new(crate::uid)),
            "the key of a pair: 32 hex digits of BLAKE3 over url, a zero byte, text",
        ),
    ]
}
