//! The rules: what userspace exempted, blocked or limited. The kernel judges their time to live.

use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use ganglion_flow::rules::{Action, Rule, ServiceKey};
use ganglion_flow::settings::flag;
use ganglion_flow::{Addr, Counter};

use crate::counters::Count;
use crate::maps::{
    ALLOW_FLOWS, ALLOW_NETS, ALLOW_SERVICES, BLOCK_NETS, BLOCKS, NEW_FLOW_LIMITS, RULE_HITS, RULE_RATES, VERDICTS,
    setting,
};
use crate::path::{Decision, Passing};

const NS_PER_S: u64 = 1_000_000_000;

/// What a rule is held against.
struct Case<'a> {
    passing: &'a Passing,
    flags: u64,
    count: Count,
}

impl Case<'_> {
    /// The other end, seen from this machine.
    #[inline(always)]
    fn remote(&self) -> &Addr {
        if self.passing.outbound != 0 { &self.passing.packet.dst } else { &self.passing.packet.src }
    }
}

/// Looks the packet up in all rules, exemptions first, whatever path made the block. A [`Decision`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ganglion_judge(passing: *const Passing) -> u32 {
    let Some(count) = Count::get() else {
        return Decision::Pass as u32;
    };
    if passing.is_null() {
        return Decision::Pass as u32;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    let passing = unsafe { &*passing };
    judge(&Case { passing, flags: setting!(flags), count }) as u32
}

#[inline(always)]
fn judge(case: &Case<'_>) -> Decision {
    let flags = case.flags;
    let remote = case.remote();
    if flags & flag::ANY_ALLOW != 0 && is_allowed(case, remote) {
        case.count.add(Counter::Allowed, case.passing.packet.segments as u64);
        return Decision::Pass;
    }
    if flags & flag::BLOCKS != 0
        // SAFETY: the entry is read field by field; userspace replaces values whole.
        && let Some(rule) = unsafe { BLOCKS.get(remote) }
        && apply(case, rule, Counter::DropBlock) == Decision::Drop
    {
        return Decision::Drop;
    }
    if flags & flag::BLOCK_NETS != 0
        && let Some(rule) = BLOCK_NETS.get(&Key::new(128, remote.words()))
        && apply(case, rule, Counter::DropBlockNet) == Decision::Drop
    {
        return Decision::Drop;
    }
    if flags & flag::VERDICTS != 0
        // SAFETY: as above.
        && let Some(rule) = unsafe { VERDICTS.get(&case.passing.key) }
    {
        return apply(case, rule, Counter::DropVerdict);
    }
    Decision::Pass
}

#[inline(always)]
fn is_allowed(case: &Case<'_>, remote: &Addr) -> bool {
    let packet = &case.passing.packet;
    if case.flags & flag::ALLOW_NETS != 0 && ALLOW_NETS.get(&Key::new(128, remote.words())).is_some() {
        return true;
    }
    if case.flags & flag::ALLOW_SERVICES != 0 {
        let port = if case.passing.outbound != 0 { packet.dst_port } else { packet.src_port };
        let service = ServiceKey { addr: *remote, port, protocol: packet.protocol, zero: [0; 5] };
        // SAFETY: only presence is asked.
        if unsafe { ALLOW_SERVICES.get(&service) }.is_some() {
            return true;
        }
    }
    // SAFETY: only presence is asked.
    case.flags & flag::ALLOW_FLOWS != 0 && unsafe { ALLOW_FLOWS.get(&case.passing.key) }.is_some()
}

#[inline(always)]
fn coarse_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_coarse_ns() }
}

#[inline(always)]
fn apply(case: &Case<'_>, rule: &Rule, counter: Counter) -> Decision {
    let now_ns = coarse_ns();
    if now_ns >= rule.expires_ns {
        return Decision::Pass;
    }
    let drops = if rule.action == Action::Drop as u8 {
        true
    } else if rule.action == Action::RateLimit as u8 {
        is_over(rule.slot, rule.limit, case.passing.packet.segments, now_ns)
    } else {
        false
    };
    let counter = if rule.action == Action::RateLimit as u8 { Counter::DropRate } else { counter };
    finish(case, rule.slot, drops, counter)
}

/// Whether the packet, the first of a new flow of an unknown peer, is over its destination's limit.
#[inline(always)]
pub fn limit_new_flow(passing: &Passing, flags: u64, count: Count) -> Decision {
    let case = Case { passing, flags, count };
    // SAFETY: the entry is read field by field; userspace replaces values whole.
    let Some(limit) = (unsafe { NEW_FLOW_LIMITS.get(&passing.packet.dst) }) else {
        return Decision::Pass;
    };
    let now_ns = coarse_ns();
    if now_ns >= limit.expires_ns {
        return Decision::Pass;
    }
    let drops = is_over(limit.slot, limit.limit, 1, now_ns);
    finish(&case, limit.slot, drops, Counter::DropNewFlow)
}

/// Counts `packets` against the rate of a slot; true when this second's share is used up.
#[inline(always)]
fn is_over(slot: u32, limit: u32, packets: u32, now_ns: u64) -> bool {
    let Some(rate) = RULE_RATES.get_ptr_mut(slot) else {
        return false;
    };
    let second = now_ns / NS_PER_S;
    // SAFETY: a live entry of an array map. CPUs that meet at the turn of a second may each start it; the
    // share is then off by the packets of that moment, at most one per CPU.
    unsafe {
        if (*rate).second != second {
            (*rate).second = second;
            (*rate).passed = 0;
        }
        let before = atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(&raw mut (*rate).passed, packets as u64);
        before >= limit as u64
    }
}

#[inline(always)]
fn finish(case: &Case<'_>, slot: u32, drops: bool, counter: Counter) -> Decision {
    let segments = case.passing.packet.segments as u64;
    let enforced = drops && case.flags & flag::ENFORCE != 0;
    if let Some(hits) = RULE_HITS.get_ptr_mut(slot) {
        // SAFETY: a live entry of this CPU's array.
        unsafe {
            (*hits).packets += segments;
            (*hits).bytes += case.passing.packet.wire_bytes as u64;
            if enforced {
                if (*hits).first_drop_ns == 0 {
                    (*hits).first_drop_ns = bpf_ktime_get_boot_ns();
                }
                (*hits).dropped += segments;
            }
        }
    }
    if enforced {
        case.count.add(counter, segments);
        return Decision::Drop;
    }
    if drops {
        case.count.add(Counter::WouldDrop, segments);
    }
    Decision::Pass
}
