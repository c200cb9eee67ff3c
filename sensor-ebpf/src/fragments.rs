//! Fragments: the first one's ports are remembered for the others of its datagram.

use ganglion_flow::Counter;
use ganglion_flow::fragments::{DatagramKey, Outcome, SETS};
use ganglion_flow::packet::Part;

use crate::counters::Count;
use crate::export;
use crate::lock::{UNTAGGED, try_lock};
use crate::maps::{FRAGMENTS, setting};
use crate::path::Passing;

/// The fragment's flow is known: its ports stand in the packet.
pub const KNOWN: u32 = 0;
/// Its first fragment was not seen, or is forgotten.
pub const UNKNOWN: u32 = 1;
/// Others held the table too long.
pub const BUSY: u32 = 2;

/// Remembers what a first fragment says, writes it into a later one: [`KNOWN`], [`UNKNOWN`] or [`BUSY`].
#[inline(always)]
pub fn see(passing: *mut Passing, part: Part, domain: u16) -> u32 {
    ganglion_fragment(passing, (part.bits() as u64) << 16 | domain as u64)
}

/// As [`see`], with part and domain in one word. Proved once by the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_fragment(passing: *mut Passing, what: u64) -> u32 {
    let Some(count) = Count::get() else {
        return UNKNOWN;
    };
    if passing.is_null() {
        return UNKNOWN;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    let passing = unsafe { &mut *passing };
    let domain = what as u16;
    let part = Part::from_bits((what >> 16) as u16);
    let index = DatagramKey::of(&passing.packet, domain).hash(setting!(seed)) & (SETS as u32 - 1);
    let Some(set) = FRAGMENTS.get_ptr_mut(index) else {
        return UNKNOWN;
    };
    // SAFETY: a live map value; its entries are changed under its lock alone.
    let Ok(guard) = try_lock(unsafe { &raw mut (*set).lock }, UNTAGGED) else {
        return BUSY;
    };
    // SAFETY: the lock is held.
    let outcome = unsafe { (*set).fragment(&mut passing.packet, part, domain, export::now_us()) };
    drop(guard);
    match outcome {
        Outcome::Unknown => UNKNOWN,
        Outcome::Known => KNOWN,
        Outcome::Replaced => {
            count.one(Counter::FragmentsReplaced);
            KNOWN
        }
    }
}
