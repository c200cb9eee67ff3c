//! Each parse outcome, on all three programs.

use ganglion_flow::Counter;
use ganglion_flow::packet::tcp_flag::SYN;

use crate::harness::{Kernel, TC_PASS, XDP_PASS};
use crate::packets::{Tcp, arp, udp6_qinq};

fn patched(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

#[test]
fn frames_that_are_no_flow_pass_and_are_counted_by_reason() {
    let syn = Tcp::to_server(40000, 80, SYN).build();
    let cases = [
        (arp(), Counter::NotIp),
        (patched(syn.clone(), 14, &[0x55]), Counter::Malformed),
        (patched(syn.clone(), 14, &[0x43]), Counter::Malformed),
        (patched(syn.clone(), 16, &[0, 19]), Counter::Malformed),
        (patched(syn.clone(), 20, &[0x00, 0x10]), Counter::Fragment),
        (patched(syn.clone(), 46, &[0x10]), Counter::Malformed),
        (syn[..40].to_vec(), Counter::Truncated),
    ];
    let mut kernel = Kernel::new();
    for (i, (frame, counter)) in cases.iter().enumerate() {
        let before = kernel.count(*counter);
        assert_eq!(kernel.xdp(frame), XDP_PASS, "case {i}");
        assert_eq!(kernel.tc("ganglion_ingress_tc", frame), TC_PASS, "case {i}");
        assert_eq!(kernel.egress(frame), TC_PASS, "case {i}");
        assert_eq!(kernel.count(*counter), before + 3, "case {i}: {:?}", kernel.counters());
    }
    kernel.assert_balanced();
}

#[test]
fn seven_extension_headers_are_given_up() {
    let mut frame = udp6_qinq(1, 2, 8);
    let ip = 22;
    frame[ip + 6] = 60;
    let mut headers = Vec::new();
    for i in 0..7 {
        headers.extend([if i == 6 { 17 } else { 60 }, 0, 0, 0, 0, 0, 0, 0]);
    }
    frame.splice(ip + 40..ip + 40, headers.iter().copied());
    let payload = (frame.len() - ip - 40) as u16;
    frame[ip + 4..ip + 6].copy_from_slice(&payload.to_be_bytes());
    let mut kernel = Kernel::new();
    assert_eq!(kernel.xdp(&frame), XDP_PASS);
    assert_eq!(kernel.count(Counter::TooManyHeaders), 1, "{:?}", kernel.counters());
}

/// The verifier gives up after a million. Older kernels walk more: `cargo xtask test vm` prints theirs.
#[test]
fn the_verifiers_work_stays_far_below_its_bound() {
    let walked = Kernel::new().verified_instructions();
    println!("instructions that the verifier walked: {walked:?}");
    assert_eq!(walked.len(), 5, "{walked:?}");
    for (program, count) in walked {
        assert!(count > 0 && count < 600_000, "{program}: {count}");
    }
}
