//! Expiry: iterator programs that userspace runs every so often. They can be interrupted between entries,
//! unlike a walk inside a packet program, and mark an entry under its lock before they export and delete it. Where the
//! ring buffer is half full they stop and wait for userspace, so that a sweep loses no record of its own making.

use aya_ebpf::cty::c_void;
use ganglion_flow::half_open::{HalfOpen, HalfOpenSet, WAYS};
use ganglion_flow::lifecycle::{self, Due, Timeouts};
use ganglion_flow::state::status;
use ganglion_flow::{FlowKey, FlowState, Hook, Reason, Stage};

use crate::export::{self, Cause, now_us};
use crate::lock::{Refused, UNTAGGED, try_lock};
use crate::maps::{FLOWS, HALF_OPEN, SCRATCH, setting};
use crate::{flows, memory, sources};

/// `struct bpf_iter__bpf_map_elem`.
#[repr(C)]
pub struct MapElement {
    meta: *mut c_void,
    map: *mut c_void,
    key: *mut c_void,
    pub(crate) value: *mut c_void,
}

/// Stops the walk before this entry; userspace goes on with it when it has taken records out.
const AGAIN: i32 = 1;

/// Ends flows that timed out, removes markers, exports old flows early.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
pub extern "C" fn ganglion_sweep_flows(ctx: *mut MapElement) -> i32 {
    // SAFETY: the kernel's context for this kind of iterator.
    let (key, value) = unsafe { ((*ctx).key.cast::<FlowKey>(), (*ctx).value.cast::<FlowState>()) };
    if key.is_null() || value.is_null() {
        return 0;
    }
    let now_us = now_us();
    // SAFETY: the iterator's buffers have the map's key and value size. Unlocked reads: decided again below.
    if let Some(due) = unsafe { due(&*key, &*value, now_us) } {
        // A marker makes no record.
        if !matches!(due, Due::Forget) && export::is_crowded() {
            return AGAIN;
        }
        // The iterator's key buffer can't be handed to helpers.
        // SAFETY: as above.
        let key = unsafe { copy_key(key) };
        flow(&key, now_us);
    }
    0
}

#[inline(always)]
unsafe fn copy_key(key: *const FlowKey) -> FlowKey {
    // SAFETY: the caller vouches for the pointer.
    let key = unsafe { &*key };
    FlowKey {
        addr_a: key.addr_a,
        addr_b: key.addr_b,
        port_a: key.port_a,
        port_b: key.port_b,
        protocol: key.protocol,
        zero: 0,
        domain: key.domain,
    }
}

#[inline(always)]
fn timeouts() -> Timeouts {
    Timeouts {
        idle_us: setting!(idle_us),
        active_us: setting!(active_us),
        half_open_us: setting!(half_open_us),
        linger_us: setting!(linger_us),
    }
}

#[inline(always)]
fn due(key: &FlowKey, flow: &FlowState, now_us: u64) -> Option<Due> {
    lifecycle::due(flow, key.protocol, timeouts(), setting!(flush_reason), now_us)
}

#[inline(always)]
fn flow(key: &FlowKey, now_us: u64) {
    let Some(at) = FLOWS.get_ptr_mut(key) else {
        return;
    };
    // SAFETY: a live map value; its fields are changed under its lock alone.
    let guard = match try_lock(unsafe { &raw mut (*at).lock }, key.tag()) {
        Ok(guard) => guard,
        Err(Refused::Busy) => return,
        // Buried before, but the kernel refused to delete it then.
        Err(Refused::Foreign) => return forget(key),
    };
    // SAFETY: the lock is held.
    let flow = unsafe { &mut *at };
    match due(key, flow, now_us) {
        Some(Due::Early(stage)) => {
            flow.stages |= stage.bit();
            export::flow(key, flow, Cause { stage, reason: Reason::Early, hook: Hook::Sweep as u8, now_us });
        }
        Some(Due::Cut) => {
            export_end(key, flow, Reason::Active, now_us);
            flows::cut(flow);
        }
        Some(Due::Forget) => {
            guard.bury();
            forget(key);
        }
        Some(Due::End(reason)) => {
            flow.status |= status::CLOSING;
            if flow.packets() > 0 {
                export_end(key, flow, reason, now_us);
            }
            sources::ended(key, flow, false, now_us);
            guard.bury();
            forget(key);
        }
        None => {}
    }
}

#[inline(always)]
fn export_end(key: &FlowKey, flow: &FlowState, reason: Reason, now_us: u64) {
    export::flow(key, flow, Cause { stage: Stage::End, reason, hook: Hook::Sweep as u8, now_us });
}

#[inline(always)]
fn forget(key: &FlowKey) {
    let _ = FLOWS.remove(key);
}

/// Exports single-packet flows that stayed unanswered.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
pub extern "C" fn ganglion_sweep_half_open(ctx: *mut MapElement) -> i32 {
    // SAFETY: the kernel's context for this kind of iterator.
    let (key, value) = unsafe { ((*ctx).key.cast::<u32>(), (*ctx).value.cast::<HalfOpenSet>()) };
    if key.is_null() || value.is_null() {
        return 0;
    }
    let now_us = now_us();
    let mut any = false;
    let mut i = 0;
    while i < WAYS {
        // SAFETY: the iterator's buffer has the map's value size. Unlocked reads: decided again below.
        let seen_us = unsafe { (*(&raw const (*value).ways).cast::<HalfOpen>().add(i)).seen_us };
        any |= over(seen_us, now_us).is_some();
        i += 1;
    }
    if any {
        if export::is_crowded() {
            return AGAIN;
        }
        // SAFETY: as above.
        half_open_set(unsafe { *key }, now_us);
    }
    0
}

#[inline(always)]
fn over(seen_us: u64, now_us: u64) -> Option<Reason> {
    // An empty slot.
    if seen_us == 0 {
        return None;
    }
    lifecycle::half_open_due(seen_us, setting!(half_open_us), setting!(flush_reason), now_us)
}

#[inline(always)]
fn half_open_set(index: u32, now_us: u64) {
    let Some(set) = HALF_OPEN.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: a live map value; its entries are changed under its lock alone.
    let Ok(guard) = try_lock(unsafe { &raw mut (*set).lock }, UNTAGGED) else {
        return;
    };
    let mut i = 0;
    while i < WAYS {
        // SAFETY: `i` is below `WAYS`, and the lock is held.
        let slot = unsafe { &mut *(&raw mut (*set).ways).cast::<HalfOpen>().add(i) };
        if let Some(reason) = over(slot.seen_us, now_us) {
            expire(slot, reason, now_us);
        }
        i += 1;
    }
    drop(guard);
}

#[inline(always)]
fn expire(slot: &mut HalfOpen, reason: Reason, now_us: u64) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own entry. Another sweep on it can't run at the same time: userspace starts one.
    let state = unsafe {
        memory::zero(scratch.cast(), size_of::<FlowState>() / 8);
        &mut *scratch
    };
    slot.open(state);
    export::flow(&raw const slot.key, state, Cause { stage: Stage::End, reason, hook: Hook::Sweep as u8, now_us });
    slot.seen_us = 0;
}
