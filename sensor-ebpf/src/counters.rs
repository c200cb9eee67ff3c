//! Counting, one map look-up per packet.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use crate::maps::COUNTERS;
use ganglion_flow::Counter;
use ganglion_flow::counter::Counters;

/// This CPU's counters.
#[derive(Clone, Copy)]
pub struct Count(*mut Counters);

impl Count {
    /// Looks them up; `None` can't happen for index 0 of a map with one entry, the verifier wants it said.
    #[inline(always)]
    pub fn get() -> Option<Self> {
        COUNTERS.get_ptr_mut(0).map(Self)
    }

    /// Adds `n`.
    #[inline(always)]
    pub fn add(self, counter: Counter, n: u64) {
        // SAFETY: the index is a constant below the array's length, the entry belongs to this CPU, and a
        // program is not preempted by itself on it.
        unsafe { *(*self.0).as_mut_ptr().add(counter as usize) += n };
    }

    /// Adds `n` in one instruction: for what the sweep may count too, which a packet on the same CPU interrupts.
    #[inline(always)]
    pub fn add_whole(self, counter: Counter, n: u64) {
        // SAFETY: as above; the exchange is atomic.
        unsafe {
            let at = (*self.0).as_mut_ptr().add(counter as usize);
            atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(at, n);
        }
    }

    /// Adds 1.
    #[inline(always)]
    pub fn one(self, counter: Counter) {
        self.add(counter, 1);
    }
}
