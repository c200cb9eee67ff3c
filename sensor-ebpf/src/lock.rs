//! A try-lock in the first word of a map value. Unlike `bpf_spin_lock` it permits helper calls inside and
//! works for programs and kernels that refuse that one; a packet that does not get it is counted.

use core::intrinsics::{AtomicOrdering, atomic_xchg};

const TRIES: u32 = 64;

/// Releases the lock when dropped.
pub struct Guard(*mut u32);

/// Takes the lock at `word`, or gives up after a bounded number of tries.
#[inline(always)]
pub fn try_lock(word: *mut u32) -> Option<Guard> {
    let mut i = 0;
    while i < TRIES {
        // SAFETY: `word` points at the first, aligned word of a live map value.
        if unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(word, 1) } == 0 {
            return Some(Guard(word));
        }
        i += 1;
    }
    None
}

impl Drop for Guard {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: as above. An exchange, not a store: it also orders the writes before it on every machine.
        unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(self.0, 0) };
    }
}
