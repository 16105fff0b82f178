//! Asking for memory before it is needed.

/// Starts to bring the line of `slice[at]` into the cache. Unlike a read it holds nothing up, so that the waits of many overlap.
#[inline]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(place) = slice.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is that of a live element, and a prefetch neither reads nor writes as far as the program can tell.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(slice.get(at).map(std::ptr::from_ref));
}
