//! Word-wise zeroing and copying: this target's `memset` and `memcpy` are byte loops.

/// Zeroes `words` 64-bit words at `to`.
///
/// # Safety
/// `to` is writable for so many words and aligned to eight bytes.
#[inline(always)]
pub unsafe fn zero(to: *mut u64, words: usize) {
    let mut i = 0;
    while i < words {
        // SAFETY: the caller vouches; volatile keeps the loop from becoming a call.
        unsafe { to.add(i).write_volatile(0) };
        i += 1;
    }
}

/// Copies `words` 64-bit words.
///
/// # Safety
/// Both are valid for so many words and aligned to eight bytes.
#[inline(always)]
pub unsafe fn copy(to: *mut u64, from: *const u64, words: usize) {
    let mut i = 0;
    while i < words {
        // SAFETY: the caller vouches; volatile keeps the loop from becoming a call.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
        i += 1;
    }
}
