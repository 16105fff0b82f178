//! Payment card numbers.

use super::number::{Gap, Run};

/// The end of the card number that the run is.
pub(super) fn at(run: &Run) -> Option<usize> {
    if run.plus || run.bracketed.is_some() {
        return None;
    }
    // A number may follow ("4111 1111 1111 1111 12/27"), so shorter runs of groups are tried too.
    (1..=run.groups.len().min(5)).rev().find_map(|groups| {
        let part = run.first(groups);
        let even = [Gap::Space, Gap::Hyphen].iter().any(|gap| part.gaps.iter().all(|g| g == gap));
        (even && shaped(part.groups) && issued(part.digits) && luhn(part.digits)).then(|| run.ends[groups - 1])
    })
}

/// The ways in which cards are printed: one block, fours with a rest, American Express, Diners Club.
fn shaped(groups: &[usize]) -> bool {
    match groups {
        [_] | [4, 6, 4 | 5] => true,
        [4, 4, 4, rest] => (1..=4).contains(rest),
        [4, 4, 4, 4, rest] => *rest <= 3,
        _ => false,
    }
}

/// Issuer prefixes and lengths (ISO/IEC 7812 ranges of the large networks).
fn issued(digits: &[u8]) -> bool {
    // 13 digits, which old Visa cards had, are article numbers (EAN-13) today.
    if digits.len() < 14 {
        return false;
    }
    let first = |n: usize| digits[..n].iter().fold(0u32, |x, d| x * 10 + u32::from(*d));
    let (two, three, four) = (first(2), first(3), first(4));
    match digits.len() {
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            digits[0] == 4
                || matches!(two, 51..=55 | 62 | 65)
                || matches!(four, 2221..=2720 | 6011 | 3528..=3589 | 2200..=2204)
                || matches!(three, 644..=649)
        }
        17 | 18 => two == 62,
        19 => digits[0] == 4 || matches!(two, 62 | 65),
        _ => false,
    }
}

/// Luhn's check digit (ISO/IEC 7812-1, annex B); a number of equal digits is never a card.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| match (i % 2, u32::from(d) * 2) {
            (0, double) => double / 2,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|d| *d != digits[0])
}
