//! A try-lock in the first word of a map value. Unlike `bpf_spin_lock` it permits helper calls inside and
//! works for programs and kernels that refuse that one; a packet that does not get it is counted.
//!
//! The word also says whose value it is: a deleted entry of `FLOWS` may be given to another flow while a CPU still
//! holds its address. Whoever takes the lock names the tag it expects, and takes nothing where another one stands.

use core::intrinsics::{AtomicOrdering, atomic_cxchg};

const TRIES: u32 = 64;
/// The word's lowest bit; the others are the tag.
const TAKEN: u32 = 1;
/// Stands in the word of an entry that is being deleted: nobody's tag.
const BURIED: u32 = u32::MAX;
/// The tag of values that never change hands.
pub const UNTAGGED: u32 = 0;

/// Releases the lock when dropped.
pub struct Guard {
    word: *mut u32,
    tag: u32,
}

/// Why there is no lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Others held it too long.
    Busy,
    /// The value is another flow's by now, or about to be deleted.
    Foreign,
}

/// Takes the lock at `word` of the value tagged `tag`, or gives up after a bounded number of tries.
#[inline(always)]
pub fn try_lock(word: *mut u32, tag: u32) -> Result<Guard, Refused> {
    let mut i = 0;
    while i < TRIES {
        // SAFETY: `word` points at the first, aligned word of a live map value.
        let (found, _) = unsafe {
            atomic_cxchg::<u32, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(word, tag, tag | TAKEN)
        };
        if found == tag {
            return Ok(Guard { word, tag });
        }
        if found != tag | TAKEN {
            return Err(Refused::Foreign);
        }
        i += 1;
    }
    Err(Refused::Busy)
}

/// The word of a value that is inserted with its lock taken.
#[inline(always)]
pub fn taken(tag: u32) -> u32 {
    tag | TAKEN
}

/// Whether the value whose word lies at `word` carries `tag`, locked or not.
///
/// # Safety
/// `word` is the first, aligned word of a live map value.
#[inline(always)]
pub unsafe fn carries(word: *const u32, tag: u32) -> bool {
    // SAFETY: the caller vouches; volatile, because other CPUs write it.
    unsafe { word.read_volatile() & !TAKEN == tag }
}

impl Guard {
    /// The lock of a value that this CPU inserted with [`taken`].
    ///
    /// # Safety
    /// `word` is the first, aligned word of that value, and nobody released it since.
    #[inline(always)]
    pub unsafe fn inserted(word: *mut u32, tag: u32) -> Self {
        Self { word, tag }
    }

    /// Leaves the lock so that nobody takes it any more: for a value that is to be deleted.
    #[inline(always)]
    pub fn bury(self) {
        release(self.word, BURIED);
        core::mem::forget(self);
    }
}

impl Drop for Guard {
    #[inline(always)]
    fn drop(&mut self) {
        release(self.word, self.tag);
    }
}

/// Writes `value` after all that was written under the lock. x86 keeps the order of stores by itself, so that holding
/// back the compiler is enough.
#[cfg(feature = "ordered-stores")]
#[inline(always)]
fn release(word: *mut u32, value: u32) {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    // SAFETY: as in `try_lock`; the lock is held.
    unsafe { word.write_volatile(value) };
}

/// Writes `value` after all that was written under the lock: by an exchange, which orders stores on every machine.
#[cfg(not(feature = "ordered-stores"))]
#[inline(always)]
fn release(word: *mut u32, value: u32) {
    // SAFETY: as in `try_lock`; the lock is held.
    unsafe { core::intrinsics::atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(word, value) };
}
