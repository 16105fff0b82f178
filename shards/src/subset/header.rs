//! The npy header of a subset file.

pub(crate) use crate::vectors::MAGIC;
use crate::vectors::frame;

/// Longest header that is read.
const MAX_HEADER: usize = 64 << 10;
/// The header that numpy writes for `numpy.empty(rows, numpy.dtype("u8,u8"))`, byte for byte (version 1.0, 64-byte
/// aligned): 128 bytes for every number of rows.
pub(crate) fn render(rows: u64) -> Vec<u8> {
    frame("[('f0', '<u8'), ('f1', '<u8')]", rows, "")
}

/// Reads a header: where the first uid lies, and how many there are. Taken are `(n,)` of two little-endian u8, whatever
/// their names, and `(n, 2)` of `<u8`.
pub(crate) fn read(file: &[u8]) -> Result<(usize, u64), String> {
    let short = || "ends inside its npy header".to_owned();
    let major = *file.get(6).ok_or_else(short)?;
    let (length, start) = match major {
        1 => (usize::from(u16::from_le_bytes(file.get(8..10).and_then(|two| two.try_into().ok()).ok_or_else(short)?)), 10),
        2 | 3 => (u32::from_le_bytes(file.get(8..12).and_then(|four| four.try_into().ok()).ok_or_else(short)?) as usize, 12),
        other => return Err(format!("npy version {other} is unknown")),
    };
    if length > MAX_HEADER {
        return Err(format!("npy header of {length} bytes is longer than {MAX_HEADER}"));
    }
    let text = file.get(start..start + length).ok_or_else(short)?;
    let rows = parse(&String::from_utf8_lossy(text))?;
    let body = rows.checked_mul(16).and_then(|body| usize::try_from(body).ok()).ok_or("npy header has an impossible shape")?;
    let found = file.len() - start - length;
    if found != body {
        return Err(format!("{rows} uids make {body} bytes, there are {found}"));
    }
    Ok((start + length, rows))
}

fn parse(text: &str) -> Result<u64, String> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| if c == '"' { '\'' } else { c }).collect();
    let inner = plain.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or("npy header is no Python dictionary")?;
    let value = |key: &str| inner.split_once(&format!("'{key}':")).map(|(_, rest)| rest).ok_or(format!("npy header has no `{key}`"));
    if !value("fortran_order")?.starts_with("False") {
        return Err("Fortran order is not taken; write it with `numpy.ascontiguousarray`".into());
    }
    let shape = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("npy header has an unreadable `shape`")?.0;
    let sizes: Option<Vec<u64>> =
        shape.split(',').filter(|size| !size.is_empty()).map(|size| size.trim_end_matches('L').parse().ok()).collect();
    let sizes = sizes.ok_or("npy header has a shape that is no tuple of sizes")?;
    let descr = value("descr")?;
    let structured = descr.strip_prefix("[(").and_then(|rest| rest.split_once(")]")).map(|(fields, _)| fields);
    let is_pair = structured.is_some_and(|fields| {
        let types: Vec<Option<&str>> = fields.split("),(").map(|field| field.rsplit_once(',').map(|(_, dtype)| dtype)).collect();
        types == [Some("'<u8'"), Some("'<u8'")]
    });
    match (is_pair, &sizes[..]) {
        (true, [rows]) => Ok(*rows),
        (false, [rows, 2]) if descr.starts_with("'<u8'") => Ok(*rows),
        _ => {
            let descr: String = descr.chars().take(60).collect();
            Err(format!(
                "holds no uids: dtype `u8,u8` of shape (n,), or `<u8` of shape (n, 2), is needed; it says {descr} of shape {sizes:?}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden bytes: `numpy.save` of `numpy.zeros(3, numpy.dtype("u8,u8"))`, numpy 2.
    #[test]
    fn the_header_is_the_one_that_numpy_writes() {
        let bytes = render(3);
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = String::from_utf8(bytes[10..].to_vec()).unwrap();
        assert_eq!(text.trim_end(), "{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': (3,), }");
        assert!(text.ends_with(" \n"));
        assert_eq!(render(u64::MAX).len(), 128);
    }

    #[test]
    fn other_spellings_are_read() {
        assert_eq!(parse("{\"shape\": (3L,), 'fortran_order': False, 'descr': [('a','<u8'), ('b', '<u8')]}"), Ok(3));
        assert_eq!(parse("{'descr': '<u8', 'fortran_order': False, 'shape': (7, 2), }"), Ok(7));
        assert_eq!(parse("{'descr': '<u8', 'fortran_order': False, 'shape': (0, 2), }"), Ok(0));
    }

    #[test]
    fn what_is_not_taken_is_named() {
        let with = |descr: &str, order: &str, shape: &str| {
            parse(&format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")).unwrap_err()
        };
        assert!(with("[('f0', '>u8'), ('f1', '>u8')]", "False", "(3,)").contains(">u8"));
        assert!(with("[('f0', '<u8')]", "False", "(3,)").contains("no uids"));
        assert!(with("'<f4'", "False", "(3, 2)").contains("'<f4'"));
        assert!(with("'<u8'", "False", "(3, 4)").contains("[3, 4]"));
        assert!(with("'<u8'", "True", "(3, 2)").contains("Fortran"));
        assert!(with("'<u8'", "False", "(-3, 2)").contains("no tuple of sizes"));
    }
}
