//! The rules: what userspace exempted, blocked or limited. The kernel judges their time to live.

use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_coarse_ns};
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use ganglion_flow::rules::{Action, Rule, ServiceKey};
use ganglion_flow::settings::flag;
use ganglion_flow::{Addr, Counter};

use crate::counters::Count;
use crate::maps::{
    ALLOW_FLOWS, ALLOW_NETS, ALLOW_SERVICES, BLOCK_NETS, BLOCKS, NEW_FLOW_LIMITS, RULE_HITS, RULE_RATES, VERDICTS,
    setting,
};
use crate::path::Passing;

const NS_PER_S: u64 = 1_000_000_000;
/// Network rules around one address that are looked at: all but the last may have expired.
const NESTED: u32 = 4;

/// No rule touches the packet.
pub const PASS: u32 = 0;
/// Drop it.
pub const DROP: u32 = 1;
/// A rule matches, and an exemption may: the ports decide.
pub const ASK: u32 = 2;
/// An exemption holds: nothing may drop the packet.
pub const EXEMPT: u32 = 3;

/// What a rule is held against.
#[derive(Clone, Copy)]
struct Case {
    flags: u64,
    segments: u32,
    bytes: u32,
    count: Count,
}

/// Looks an address up in the rules: [`PASS`], [`DROP`], or [`ASK`] where the rule has no proof that its address
/// is in no exemption. `segments` packets of `bytes` bytes ask.
#[inline(always)]
pub fn address(addr: &Addr, flags: u64, segments: u32, bytes: u32, clock: &mut Tick, count: Count) -> u32 {
    if flags & flag::BLOCKS != 0
        // SAFETY: the entry is read field by field; userspace replaces values whole.
        && let Some(rule) = unsafe { BLOCKS.get(addr) }
    {
        let now_ns = clock.now_ns();
        if now_ns < rule.expires_ns {
            if flags & flag::ANY_ALLOW != 0 && rule.proof != setting!(allow_generation) {
                return ASK;
            }
            if apply(Case { flags, segments, bytes, count }, rule, now_ns, Counter::DropBlock) {
                return DROP;
            }
        }
    }
    if flags & flag::BLOCK_NETS != 0 && network(addr, || clock.now_ns()).is_some() {
        return ASK;
    }
    PASS
}

/// The rule in force on the narrowest network around the address. The map knows the narrowest alone, which may have
/// expired and not be removed yet.
#[inline(always)]
fn network(addr: &Addr, mut now_ns: impl FnMut() -> u64) -> Option<&'static Rule> {
    let mut prefix = 128;
    let mut i = 0;
    while i < NESTED {
        let rule = BLOCK_NETS.get(&Key::new(prefix, addr.words()))?;
        if now_ns() < rule.expires_ns {
            return Some(rule);
        }
        if rule.prefix == 0 {
            return None;
        }
        prefix = rule.prefix as u32 - 1;
        i += 1;
    }
    None
}

/// Looks the packet up in all rules, exemptions first, whatever path made the block: [`PASS`], [`DROP`] or
/// [`EXEMPT`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ganglion_judge(passing: *const Passing) -> u32 {
    let Some(count) = Count::get() else {
        return PASS;
    };
    if passing.is_null() {
        return PASS;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    let passing = unsafe { &*passing };
    let packet = &passing.packet;
    let case = Case { flags: setting!(flags), segments: packet.segments, bytes: packet.wire_bytes, count };
    let remote = if passing.outbound != 0 { &packet.dst } else { &packet.src };
    if case.flags & flag::ANY_ALLOW != 0 && is_allowed(passing, case.flags, remote) {
        count.add(Counter::Allowed, packet.segments as u64);
        return EXEMPT;
    }
    judge(passing, case, remote) as u32
}

/// Looks the flow of a packet in a tunnel up in the verdicts, exemptions first: [`PASS`] or [`DROP`]. The rules on
/// addresses were held against the tunnel's ends.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn ganglion_verdict(passing: *const Passing) -> u32 {
    let Some(count) = Count::get() else {
        return PASS;
    };
    if passing.is_null() {
        return PASS;
    }
    // SAFETY: the caller's packet; the verifier proved the pointer.
    let passing = unsafe { &*passing };
    let packet = &passing.packet;
    let case = Case { flags: setting!(flags), segments: packet.segments, bytes: packet.wire_bytes, count };
    let remote = if passing.outbound != 0 { &packet.dst } else { &packet.src };
    if case.flags & flag::ANY_ALLOW != 0 && is_allowed(passing, case.flags, remote) {
        count.add(Counter::Allowed, packet.segments as u64);
        return PASS;
    }
    verdict(passing, case, coarse_ns()) as u32
}

/// Whether a rule drops the packet. An address rule that [`ganglion_address`] applied already does not ask.
#[inline(always)]
fn judge(passing: &Passing, case: Case, remote: &Addr) -> bool {
    let now_ns = coarse_ns();
    // On the stack: before 6.3 a key may not lie in a function's argument.
    let addr = *remote;
    if case.flags & flag::BLOCKS != 0
        && case.flags & flag::ANY_ALLOW != 0
        // SAFETY: the entry is read field by field; userspace replaces values whole.
        && let Some(rule) = unsafe { BLOCKS.get(&addr) }
        && rule.proof != setting!(allow_generation)
        && now_ns < rule.expires_ns
        && apply(case, rule, now_ns, Counter::DropBlock)
    {
        return true;
    }
    if case.flags & flag::BLOCK_NETS != 0
        && let Some(rule) = network(remote, || now_ns)
        && apply(case, rule, now_ns, Counter::DropBlockNet)
    {
        return true;
    }
    verdict(passing, case, now_ns)
}

/// Whether the verdict on the packet's flow drops it.
#[inline(always)]
fn verdict(passing: &Passing, case: Case, now_ns: u64) -> bool {
    // On the stack: before 6.3 a key may not lie in a function's argument.
    let key = passing.key;
    if case.flags & flag::VERDICTS != 0
        // SAFETY: the entry is read field by field; userspace replaces values whole.
        && let Some(rule) = unsafe { VERDICTS.get(&key) }
        && now_ns < rule.expires_ns
    {
        return apply(case, rule, now_ns, Counter::DropVerdict);
    }
    false
}

#[inline(always)]
fn is_allowed(passing: &Passing, flags: u64, remote: &Addr) -> bool {
    let packet = &passing.packet;
    if flags & flag::ALLOW_NETS != 0 && ALLOW_NETS.get(&Key::new(128, remote.words())).is_some() {
        return true;
    }
    if flags & flag::ALLOW_SERVICES != 0 {
        let port = if passing.outbound != 0 { packet.dst_port } else { packet.src_port };
        let service = ServiceKey { addr: *remote, port, protocol: packet.protocol, zero: [0; 5] };
        // SAFETY: only presence is asked.
        if unsafe { ALLOW_SERVICES.get(&service) }.is_some() {
            return true;
        }
    }
    let key = passing.key;
    // SAFETY: only presence is asked.
    flags & flag::ALLOW_FLOWS != 0 && unsafe { ALLOW_FLOWS.get(&key) }.is_some()
}

#[inline(always)]
fn coarse_ns() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The coarse clock, read once per tick of the kernel: it moves with `jiffies` alone, and reading those is a load where
/// reading the clock is a call. Behind by a tick at most.
#[repr(C)]
pub struct Tick {
    jiffies: u64,
    ns: u64,
}

impl Tick {
    #[inline(always)]
    fn now_ns(&mut self) -> u64 {
        // SAFETY: a helper without arguments.
        let jiffies = unsafe { bpf_jiffies64() };
        if self.jiffies != jiffies {
            self.ns = coarse_ns();
            self.jiffies = jiffies;
        }
        self.ns
    }
}

/// Whether the rule, in force, drops the packet; its hits are counted.
#[inline(always)]
fn apply(case: Case, rule: &Rule, now_ns: u64, counter: Counter) -> bool {
    if rule.action == Action::RateLimit as u8 {
        return finish(case, rule.slot, is_over(rule.slot, rule.limit, case.segments, now_ns), Counter::DropRate);
    }
    finish(case, rule.slot, rule.action == Action::Drop as u8, counter)
}

/// Whether the packet, the first of a new flow of an unknown peer, is over its destination's limit.
#[inline(always)]
pub fn refuses_new_flow(passing: &Passing, flags: u64, count: Count) -> bool {
    let packet = &passing.packet;
    // On the stack: before 6.3 a key may not lie in a function's argument.
    let addr = packet.dst;
    // SAFETY: the entry is read field by field; userspace replaces values whole.
    let Some(limit) = (unsafe { NEW_FLOW_LIMITS.get(&addr) }) else {
        return false;
    };
    let now_ns = coarse_ns();
    if now_ns >= limit.expires_ns {
        return false;
    }
    // An exempt network stays exempt here too.
    if flags & flag::ALLOW_NETS != 0 && ALLOW_NETS.get(&Key::new(128, packet.src.words())).is_some() {
        return false;
    }
    let case = Case { flags, segments: packet.segments, bytes: packet.wire_bytes, count };
    finish(case, limit.slot, is_over(limit.slot, limit.limit, 1, now_ns), Counter::DropNewFlow)
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

/// Counts the match; whether the packet is really dropped.
#[inline(always)]
fn finish(case: Case, slot: u32, drops: bool, counter: Counter) -> bool {
    let segments = case.segments as u64;
    let enforced = drops && case.flags & flag::ENFORCE != 0;
    if let Some(hits) = RULE_HITS.get_ptr_mut(slot) {
        // SAFETY: a live entry of this CPU's array.
        unsafe {
            (*hits).packets += segments;
            (*hits).bytes += case.bytes as u64;
            if enforced {
                if (*hits).first_drop_ns == 0 {
                    (*hits).first_drop_ns = bpf_ktime_get_boot_ns();
                }
                (*hits).dropped += segments;
            }
        }
    }
    if drops {
        case.count.add(if enforced { counter } else { Counter::WouldDrop }, segments);
    }
    enforced
}
