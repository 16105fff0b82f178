//! The 512 bytes before a member.

use super::{BLOCK, MAX_NAME, TarError, checksum};

/// A plain ustar header: mode 0444, time 0, root as owner. The name has at most 100 bytes, the size less than 8 GiB.
pub(super) fn ustar(name: &[u8], size: u64, kind: u8) -> [u8; BLOCK] {
    let mut header = [0_u8; BLOCK];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000444\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&header);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// The header of a member of any name. A name over 100 bytes goes into a PAX header before it, which every reader of
/// webdataset shards understands: 1024 bytes more.
///
/// # Errors
/// [`TarError::TooLarge`] from 8 GiB.
pub fn member_header(name: &str, size: u64) -> Result<Vec<u8>, TarError> {
    if size >= 1 << 33 {
        return Err(TarError::TooLarge(name.to_owned(), size));
    }
    if name.len() <= MAX_NAME {
        return Ok(ustar(name.as_bytes(), size, b'0').to_vec());
    }
    let record = pax_record("path", name);
    let mut bytes = ustar(b"././@PaxHeader", record.len() as u64, b'x').to_vec();
    bytes.extend_from_slice(record.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    // What a reader without PAX sees; cut where a character ends.
    let cut = (0..=MAX_NAME).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
    bytes.extend_from_slice(&ustar(&name.as_bytes()[..cut], size, b'0'));
    Ok(bytes)
}

/// `length key=value\n`, where the length counts its own digits.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    loop {
        let with_digits = rest + length.to_string().len();
        if with_digits == length {
            return format!("{length} {key}={value}\n");
        }
        length = with_digits;
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_members;
    use super::*;

    #[test]
    fn a_long_name_is_read_back() {
        for length in [99, 100, 101, 200, 980, 995, 1005, 5000] {
            let name = format!("{}.jpg", "ü".repeat(length / 2));
            let mut bytes = member_header(&name, 2).unwrap();
            bytes.extend_from_slice(b"hi");
            bytes.resize(bytes.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
            let members = read_members(&bytes).unwrap();
            assert_eq!((members[0].name.as_str(), members[0].content), (name.as_str(), &b"hi"[..]));
        }
    }
}
