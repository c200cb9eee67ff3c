//! Records into the ring buffer.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE};
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::helpers::generated::bpf_ringbuf_query;
use ganglion_flow::record::{FlowRecord, SourceRecord, VERSION};
use ganglion_flow::{Counter, FlowKey, FlowState, Hook, Reason, RecordHeader, RecordKind, SourceState, Stage, Wire};

use crate::counters::Count;
use crate::maps::{RECORDS, setting};
use crate::memory;

const HEADER_WORDS: usize = RecordHeader::LEN / 8;
const KEY_WORDS: usize = FlowKey::LEN / 8;
const FLOW_WORDS: usize = FlowState::LEN / 8;
const SOURCE_WORDS: usize = SourceState::LEN / 8;

/// Why and where a record is made.
#[derive(Clone, Copy)]
pub struct Cause {
    pub stage: Stage,
    pub reason: Reason,
    /// A [`ganglion_flow::Hook`].
    pub hook: u8,
    pub now_us: u64,
}

/// Microseconds since boot, suspended time included.
#[inline(always)]
pub fn now_us() -> u64 {
    // SAFETY: a helper without arguments.
    let ns = unsafe { bpf_ktime_get_boot_ns() };
    (ns / 1_000).wrapping_shr(setting!(clock_shift)).wrapping_add(setting!(clock_offset_us))
}

/// Whether so many records wait that the sweep shall wait too: what it exports is in no hurry, what packets export is.
#[inline(always)]
pub fn is_crowded() -> bool {
    const WAITING: u64 = BPF_RB_AVAIL_DATA as u64;
    const SIZE: u64 = BPF_RB_RING_SIZE as u64;
    let ring = (&raw const RECORDS).cast_mut().cast();
    // SAFETY: the ring buffer's map, and questions that every kernel with ring buffers knows.
    unsafe { bpf_ringbuf_query(ring, WAITING) > bpf_ringbuf_query(ring, SIZE) / 2 }
}

/// Exports the flow; its lock is held. An ended flow's packets are counted as exported or lost.
#[inline(always)]
pub fn flow(key: *const FlowKey, state: *const FlowState, cause: Cause) {
    let what = (cause.hook as u64) << 16 | (cause.reason as u64) << 8 | cause.stage as u64;
    ganglion_export_flow(key, state, what, cause.now_us);
}

#[inline(always)]
fn header(kind: RecordKind, what: u64, now_us: u64) -> RecordHeader {
    RecordHeader {
        kind: kind as u8,
        version: VERSION,
        stage: what as u8,
        reason: (what >> 8) as u8,
        hook: (what >> 16) as u8,
        zero: [0; 3],
        time_us: now_us,
    }
}

/// Writes a flow record; `what` holds stage, reason and hook, a byte each. Proved once by the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ganglion_export_flow(key: *const FlowKey, state: *const FlowState, what: u64, now_us: u64) -> u32 {
    let Some(count) = Count::get() else {
        return 0;
    };
    if key.is_null() || state.is_null() {
        return 0;
    }
    let written = write_flow(key, state, header(RecordKind::Flow, what, now_us));
    count.add_whole(if written { Counter::Records } else { Counter::RecordsLost }, 1);
    if what as u8 == Stage::End as u8 {
        // SAFETY: the caller holds the flow's lock.
        let packets = unsafe { (*state).packets() };
        count.add_whole(if written { Counter::Exported } else { Counter::ExportLost }, packets);
        count.add_whole(Counter::FlowsEnded, 1);
    }
    written as u32
}

#[inline(always)]
fn write_flow(key: *const FlowKey, state: *const FlowState, header: RecordHeader) -> bool {
    let Some(mut entry) = RECORDS.reserve_untyped::<[u64; FlowRecord::LEN / 8]>(0) else {
        return false;
    };
    let at = entry.as_mut_ptr().cast::<u64>();
    // SAFETY: the entry has room for header, key and state, all multiples of eight bytes.
    unsafe {
        at.cast::<RecordHeader>().write(header);
        memory::copy(at.add(HEADER_WORDS), key.cast(), KEY_WORDS);
        memory::copy(at.add(HEADER_WORDS + KEY_WORDS), state.cast(), FLOW_WORDS);
        // The lock word: taken while copying.
        at.add(HEADER_WORDS + KEY_WORDS).cast::<u32>().write_volatile(0);
    }
    entry.submit(0);
    true
}

/// Exports what is known of an address; its set's lock is held.
#[inline(always)]
pub fn source(count: Count, state: *const SourceState, now_us: u64) {
    let what = (Hook::Sweep as u64) << 16 | (Reason::Level as u64) << 8 | Stage::Source as u64;
    let Some(mut entry) = RECORDS.reserve_untyped::<[u64; SourceRecord::LEN / 8]>(0) else {
        count.add_whole(Counter::RecordsLost, 1);
        return;
    };
    let at = entry.as_mut_ptr().cast::<u64>();
    // SAFETY: the entry has room for header and state, both multiples of eight bytes.
    unsafe {
        at.cast::<RecordHeader>().write(header(RecordKind::Source, what, now_us));
        memory::copy(at.add(HEADER_WORDS), state.cast(), SOURCE_WORDS);
    }
    entry.submit(0);
    count.add_whole(Counter::Records, 1);
}
