//! Tables on large pages.
//!
//! Each lookup goes to another page of a table of many megabytes. On pages of 4 KB the processor does not know where they all are,
//! and must first read that from memory too, which not even a prefetch does in the background.

/// As many times `value`, on pages of 2 MB where the system has them to give and the list is longer than that.
pub(super) fn list<T: Clone>(value: T, len: usize) -> Vec<T> {
    let mut list = Vec::with_capacity(len);
    // Before the first write: what is there already stays on the pages that it is on.
    #[cfg(target_os = "linux")]
    advise(&mut list);
    list.resize(len, value);
    list
}

/// Asks for large pages behind the memory that `list` has reserved. Where the system refuses, nothing is different.
#[cfg(target_os = "linux")]
fn advise<T>(list: &mut Vec<T>) {
    const LARGE: usize = 2 << 20;
    /// A multiple of the small pages of every processor.
    const PAGE: usize = 64 << 10;
    let memory = list.spare_capacity_mut();
    let bytes = size_of_val(memory);
    if bytes < LARGE {
        return;
    }
    let start: *mut u8 = memory.as_mut_ptr().cast();
    let skipped = start.align_offset(PAGE);
    let len = bytes.saturating_sub(skipped) & !(PAGE - 1);
    // SAFETY: the range is inside of the memory that the list owns, and this advice changes neither what is in it nor who may
    // use it, only the size of the pages that the system gives.
    let _refused = unsafe { libc::madvise(start.wrapping_add(skipped).cast(), len, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_holds_its_values() {
        for len in [0, 1, 1000, (2 << 20) / 8 - 1, (2 << 20) / 8, 1_000_003] {
            let list = list(7u64, len);
            assert!(list.len() == len && list.iter().all(|value| *value == 7));
        }
    }
}
