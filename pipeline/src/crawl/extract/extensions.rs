//! Which file a link points at, by its extension.

use super::CandidateKind;

/// cc2dataset 1.5's lists.
const AUDIO: [&str; 5] = ["ogg", "wav", "mp3", "flac", "m4a"];
const VIDEO: [&str; 8] = ["avi", "mp4", "mkv", "webm", "mov", "mpg", "mpeg", "m4v"];
const TEXT: [&str; 15] =
    ["pdf", "epub", "djvu", "mobi", "doc", "docx", "rtf", "txt", "odt", "ppt", "pptx", "pages", "keynote", "wps", "md"];

/// Kind by the extension of the url's path, without regard to case; query and fragment are not looked at.
pub(crate) fn kind_of(url: &[u8]) -> Option<CandidateKind> {
    let end = memchr::memchr2(b'?', b'#', url).unwrap_or(url.len());
    let path = &url[..end];
    // Nothing is longer than `keynote`.
    let tail = &path[path.len().saturating_sub(8)..];
    let dot = memchr::memrchr(b'.', tail)?;
    let extension = &tail[dot + 1..];
    let among = |list: &[&str]| list.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(extension));
    // A bare host is no file: `http://example.md`.
    let file = || {
        let after_scheme = memchr::memmem::find(path, b"//").map_or(path, |at| &path[at + 2..]);
        after_scheme.len() == path.len() || after_scheme.contains(&b'/')
    };
    let kind = if among(&AUDIO) {
        CandidateKind::Audio
    } else if among(&VIDEO) {
        CandidateKind::Video
    } else if among(&TEXT) {
        CandidateKind::Text
    } else {
        return None;
    };
    file().then_some(kind)
}

/// cc2dataset's tests: case-sensitive, on the whole url, a dot before the extension; for documents the part after the last dot.
pub(crate) fn cc2dataset_is(kind: CandidateKind, url: &str) -> bool {
    let Some(dot) = url.rfind('.') else {
        return false;
    };
    let extension = &url[dot + 1..];
    match kind {
        CandidateKind::Audio => AUDIO.contains(&extension),
        CandidateKind::Video => VIDEO.contains(&extension),
        CandidateKind::Text => TEXT.contains(&extension),
        CandidateKind::Image | CandidateKind::ImageOnly => false,
    }
}
