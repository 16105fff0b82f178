//! US social security numbers.

/// The end of the number `AAA-GG-SSSS` at byte `i`; the areas 000, 666 and 900 to 999, the group 00 and the serial
/// 0000 are never given out (Social Security Administration, 2011).
pub(super) fn at(bytes: &[u8], i: usize, before: Option<u8>) -> Option<usize> {
    if matches!(before, Some(b'-' | b'.' | b'/' | b'+' | b'#' | b'$')) {
        return None;
    }
    let number = bytes.get(i..i + 11)?;
    let shaped = number.iter().enumerate().all(|(k, b)| match k {
        3 | 6 => *b == b'-',
        _ => b.is_ascii_digit(),
    });
    let after = bytes.get(i + 11);
    if !shaped || after.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-') {
        return None;
    }
    let (area, group, serial) = (&number[..3], &number[4..6], &number[7..]);
    let given = area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000";
    given.then_some(i + 11)
}
