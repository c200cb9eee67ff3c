//! The rules: what userspace exempted, blocked or limited. The kernel judges their time to live.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use ganglion_flow::rules::{Action, Rule, ServiceKey};
use ganglion_flow::settings::flag;
use ganglion_flow::{Addr, Counter};

use crate::maps::{
    ALLOW_FLOWS, ALLOW_NETS, ALLOW_SERVICES, BLOCK_NETS, BLOCKS, NEW_FLOW_LIMITS, RULE_HITS, RULE_RATES, VERDICTS,
};
use crate::path::{Decision, Direction, Passing};

const NS_PER_S: u64 = 1_000_000_000;

/// Looks the packet up in all rules: exemptions first, whatever path made the block.
#[inline(always)]
pub fn judge(passing: &Passing<'_>) -> Decision {
    let flags = passing.flags;
    let remote = match passing.direction {
        Direction::In => &passing.packet.src,
        Direction::Out => &passing.packet.dst,
    };
    if flags & (flag::ANY_BLOCK | flag::VERDICTS) == 0 {
        return Decision::Pass;
    }
    if flags & flag::ANY_ALLOW != 0 && is_allowed(passing, remote) {
        passing.count.add(Counter::Allowed, passing.packet.segments as u64);
        return Decision::Pass;
    }
    if flags & flag::BLOCKS != 0
        // SAFETY: the entry is read field by field; userspace replaces values whole.
        && let Some(rule) = unsafe { BLOCKS.get(remote) }
        && apply(passing, rule, Counter::DropBlock) == Decision::Drop
    {
        return Decision::Drop;
    }
    if flags & flag::BLOCK_NETS != 0
        && let Some(rule) = BLOCK_NETS.get(&Key::new(128, remote.words()))
        && apply(passing, rule, Counter::DropBlockNet) == Decision::Drop
    {
        return Decision::Drop;
    }
    if flags & flag::VERDICTS != 0
        // SAFETY: as above.
        && let Some(rule) = unsafe { VERDICTS.get(passing.key) }
        && apply(passing, rule, Counter::DropVerdict) == Decision::Drop
    {
        return Decision::Drop;
    }
    Decision::Pass
}

#[inline(always)]
fn is_allowed(passing: &Passing<'_>, remote: &Addr) -> bool {
    let packet = passing.packet;
    if passing.flags & flag::ALLOW_NETS != 0 && ALLOW_NETS.get(&Key::new(128, remote.words())).is_some() {
        return true;
    }
    if passing.flags & flag::ALLOW_SERVICES != 0 {
        let port = match passing.direction {
            Direction::In => packet.src_port,
            Direction::Out => packet.dst_port,
        };
        let service = ServiceKey { addr: *remote, port, protocol: packet.protocol, zero: [0; 5] };
        // SAFETY: only presence is asked.
        if unsafe { ALLOW_SERVICES.get(&service) }.is_some() {
            return true;
        }
    }
    // SAFETY: only presence is asked.
    passing.flags & flag::ALLOW_FLOWS != 0 && unsafe { ALLOW_FLOWS.get(passing.key) }.is_some()
}

#[inline(always)]
fn coarse_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_coarse_ns() }
}

#[inline(always)]
fn apply(passing: &Passing<'_>, rule: &Rule, counter: Counter) -> Decision {
    let now_ns = coarse_ns();
    if now_ns >= rule.expires_ns {
        return Decision::Pass;
    }
    let drops = if rule.action == Action::Drop as u8 {
        true
    } else if rule.action == Action::RateLimit as u8 {
        is_over(rule.slot, rule.limit, passing.packet.segments, now_ns)
    } else {
        false
    };
    let counter = if rule.action == Action::RateLimit as u8 { Counter::DropRate } else { counter };
    finish(passing, rule.slot, drops, counter)
}

/// Whether the packet, the first of a new flow of an unknown peer, is over its destination's limit.
#[inline(always)]
pub fn limit_new_flow(passing: &Passing<'_>) -> Decision {
    // SAFETY: the entry is read field by field; userspace replaces values whole.
    let Some(limit) = (unsafe { NEW_FLOW_LIMITS.get(&passing.packet.dst) }) else {
        return Decision::Pass;
    };
    let now_ns = coarse_ns();
    if now_ns >= limit.expires_ns {
        return Decision::Pass;
    }
    let drops = is_over(limit.slot, limit.limit, 1, now_ns);
    finish(passing, limit.slot, drops, Counter::DropNewFlow)
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
fn finish(passing: &Passing<'_>, slot: u32, drops: bool, counter: Counter) -> Decision {
    let segments = passing.packet.segments as u64;
    let enforced = drops && passing.flags & flag::ENFORCE != 0;
    if let Some(hits) = RULE_HITS.get_ptr_mut(slot) {
        // SAFETY: a live entry of this CPU's array.
        unsafe {
            (*hits).packets += segments;
            (*hits).bytes += passing.packet.wire_bytes as u64;
            if enforced {
                if (*hits).first_drop_ns == 0 {
                    (*hits).first_drop_ns = bpf_ktime_get_boot_ns();
                }
                (*hits).dropped += segments;
            }
        }
    }
    if enforced {
        passing.count.add(counter, segments);
        return Decision::Drop;
    }
    if drops {
        passing.count.add(Counter::WouldDrop, segments);
    }
    Decision::Pass
}
