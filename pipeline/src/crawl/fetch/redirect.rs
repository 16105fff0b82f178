//! Where a redirect leads. The target goes through the guard like any URL; that is the caller's part.

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use super::outcome::FetchFailure;

/// Whether a status is one of the five redirects that a GET follows.
pub(crate) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The target named by `headers` of an answer from `base`, without fragment and credentials.
pub(crate) fn target(base: &Url, headers: &HeaderMap, max_url_bytes: usize) -> Result<Url, FetchFailure> {
    let bad = |why: String| FetchFailure::new("bad_redirect", why);
    let mut values = headers.get_all(LOCATION).iter();
    let Some(value) = values.next() else {
        return Err(bad("a redirect without a location".to_owned()));
    };
    if values.any(|other| other != value) {
        return Err(bad("a redirect with two locations".to_owned()));
    }
    let value = value.as_bytes();
    if value.len() > max_url_bytes {
        return Err(bad(format!("a location of {} bytes", value.len())));
    }
    let value = value.trim_ascii();
    if value.is_empty() {
        return Err(bad("a redirect with an empty location".to_owned()));
    }
    // Browsers take octets outside ASCII as they are; percent-encoded they mean the same in paths.
    let text: String = match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|b| if b.is_ascii() { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect(),
    };
    let mut url = base.join(&text).map_err(|e| bad(format!("the location is not a url: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchFailure::new("blocked_scheme", format!("redirect to scheme `{}`", url.scheme())));
    }
    clean(&mut url);
    if url.as_str().len() > max_url_bytes {
        return Err(bad(format!("a location of {} bytes", url.as_str().len())));
    }
    Ok(url)
}

/// Takes out what is never sent: the fragment, and user and password, which would become credentials.
pub(crate) fn clean(url: &mut Url) {
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        // Fails only for URLs without a host, which have no credentials either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
}
