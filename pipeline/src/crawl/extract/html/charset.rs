//! From the bytes of a page to text, as browsers do.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// Bytes that the pre-scan looks at. The standard's 1,024, and then as many as a `head` may have: a browser that meets a
/// `meta` later on begins again with that encoding.
const PRESCAN_BYTES: [usize; 2] = [1024, 64 << 10];
/// Bytes that the detector looks at.
const DETECT_BYTES: usize = 256 << 10;

/// Decodes a page: byte order mark, then `charset` of the `Content-Type` header, then `meta` elements in the first 64 KiB, then UTF-8 if
/// the bytes are UTF-8, then what `chardetng` finds likely. Never fails; what cannot be decoded becomes U+FFFD.
pub fn decode_html<'a>(bytes: &'a [u8], content_type: Option<&str>) -> (Cow<'a, str>, &'static Encoding) {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return (encoding.decode_without_bom_handling(&bytes[mark..]).0, encoding);
    }
    let declared = content_type
        .and_then(charset_parameter)
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .or_else(|| PRESCAN_BYTES.iter().find_map(|most| prescan(&bytes[..bytes.len().min(*most)])));
    let encoding = match declared {
        Some(encoding) => encoding,
        None => {
            if let Ok(text) = std::str::from_utf8(bytes) {
                return (Cow::Borrowed(text), UTF_8);
            }
            detect(bytes)
        }
    };
    (encoding.decode_without_bom_handling(bytes).0, encoding)
}

fn detect(bytes: &[u8]) -> &'static Encoding {
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(&bytes[..bytes.len().min(DETECT_BYTES)], true);
    detector.guess(None, chardetng::Utf8Detection::Allow)
}

/// The value of `charset=` in a content type.
pub(crate) fn charset_parameter(content_type: &str) -> Option<&str> {
    let mut rest = content_type;
    loop {
        let at = rest.as_bytes().windows(7).position(|window| window.eq_ignore_ascii_case(b"charset"))?;
        rest = rest.get(at + 7..)?.trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start();
        for quote in ['"', '\''] {
            if let Some(inner) = value.strip_prefix(quote) {
                return inner.split(quote).next().map(str::trim).filter(|_| inner.contains(quote));
            }
        }
        return value.split(|c: char| c == ';' || c.is_ascii_whitespace()).next().filter(|value| !value.is_empty());
    }
}

/// The standard's *prescan a byte stream to determine its encoding*.
pub(crate) fn prescan(bytes: &[u8]) -> Option<&'static Encoding> {
    // `<?x` in UTF-16.
    if bytes.starts_with(b"<\0?\0x\0") {
        return Some(UTF_16LE);
    }
    if bytes.starts_with(b"\0<\0?\0x") {
        return Some(UTF_16BE);
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(b"<!--") {
            // `<!-->` is a whole comment.
            at += 2 + memchr::memmem::find(&rest[2..], b"-->").map_or(rest.len(), |end| end + 3);
        } else if rest.len() > 5 && rest[..5].eq_ignore_ascii_case(b"<meta") && matches!(rest[5], b'\t' | b'\n' | 0xc | b'\r' | b' ' | b'/')
        {
            at += 5;
            if let Some(encoding) = meta(bytes, &mut at) {
                return Some(encoding);
            }
        } else if rest.len() > 2 && rest[0] == b'<' && (rest[1].is_ascii_alphabetic() || (rest[1] == b'/' && rest[2].is_ascii_alphabetic()))
        {
            at += rest.iter().position(|byte| matches!(byte, b'\t' | b'\n' | 0xc | b'\r' | b' ' | b'>')).unwrap_or(rest.len());
            while attribute(bytes, &mut at).is_some() {}
        } else if rest.len() > 1 && rest[0] == b'<' && matches!(rest[1], b'!' | b'/' | b'?') {
            at += memchr::memchr(b'>', rest).map_or(rest.len(), |end| end + 1);
        } else {
            at += 1;
        }
    }
    None
}

fn meta(bytes: &[u8], at: &mut usize) -> Option<&'static Encoding> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut pragma = false;
    let mut need_pragma = None;
    let mut charset: Option<Option<&'static Encoding>> = None;
    while let Some((name, value)) = attribute(bytes, at) {
        if names.contains(&name) {
            continue;
        }
        match name.as_slice() {
            b"http-equiv" => pragma |= value == b"content-type",
            b"content" if charset.is_none() => {
                let text = String::from_utf8_lossy(&value).into_owned();
                if let Some(encoding) = charset_parameter(&text).and_then(|label| Encoding::for_label(label.as_bytes())) {
                    charset = Some(Some(encoding));
                    need_pragma = Some(true);
                }
            }
            b"charset" => {
                charset = Some(Encoding::for_label(&value));
                need_pragma = Some(false);
            }
            _ => {}
        }
        names.push(name);
    }
    let encoding = match need_pragma? {
        true if !pragma => return None,
        _ => charset??,
    };
    // A page that could be read so far is not UTF-16.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    })
}

/// The standard's *get an attribute*: name and value in lower case.
fn attribute(bytes: &[u8], at: &mut usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let space = |byte: u8| matches!(byte, b'\t' | b'\n' | 0xc | b'\r' | b' ');
    while bytes.get(*at).is_some_and(|byte| space(*byte) || *byte == b'/') {
        *at += 1;
    }
    let first = *bytes.get(*at)?;
    if first == b'>' {
        return None;
    }
    let mut name = Vec::new();
    loop {
        match bytes.get(*at).copied() {
            None => return None,
            Some(b'=') if !name.is_empty() => {
                *at += 1;
                break;
            }
            Some(byte) if space(byte) => {
                while bytes.get(*at).is_some_and(|byte| space(*byte)) {
                    *at += 1;
                }
                if bytes.get(*at) != Some(&b'=') {
                    return Some((name, Vec::new()));
                }
                *at += 1;
                break;
            }
            Some(b'/' | b'>') => return Some((name, Vec::new())),
            Some(byte) => {
                name.push(byte.to_ascii_lowercase());
                *at += 1;
            }
        }
    }
    while bytes.get(*at).is_some_and(|byte| space(*byte)) {
        *at += 1;
    }
    let mut value = Vec::new();
    match bytes.get(*at).copied()? {
        quote @ (b'"' | b'\'') => {
            *at += 1;
            loop {
                let byte = *bytes.get(*at)?;
                *at += 1;
                if byte == quote {
                    return Some((name, value));
                }
                value.push(byte.to_ascii_lowercase());
            }
        }
        b'>' => return Some((name, value)),
        _ => {}
    }
    loop {
        let byte = *bytes.get(*at)?;
        if space(byte) || byte == b'>' {
            return Some((name, value));
        }
        value.push(byte.to_ascii_lowercase());
        *at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_order_is_mark_header_meta_guess() {
        let page = b"<meta charset=windows-1251>\xef\xf0\xe8";
        assert_eq!(decode_html(page, None).0, "<meta charset=windows-1251>при");
        assert_eq!(decode_html(b"\xe9", Some("text/html; charset=\"iso-8859-1\"")).0, "é");
        assert_eq!(decode_html(b"\xef\xbb\xbf\xc3\xa9", Some("text/html; charset=iso-8859-1")).0, "é");
        assert_eq!(decode_html("é".as_bytes(), None).0, "é");
        assert_eq!(decode_html(b"\xff\xfea\0", None).0, "a");
    }

    proptest! {
        #[test]
        fn any_bytes_decode(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_html(&bytes, None);
        }
    }
}
