use super::libpcap::offline_filter;
use super::*;

/// A few frames of each kind, whole and cut, with random bytes in between.
fn packets(skip: usize) -> Vec<(Vec<u8>, u32)> {
    let mut all = Vec::new();
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    for number in 0..4000_u32 {
        let protocol = [6_u8, 17, 1, 132, 47][number as usize % 5];
        let mut frame = vec![0_u8; 14];
        frame[5] = (random() % 4) as u8;
        if number % 7 == 0 {
            frame[12..14].copy_from_slice(&[0x81, 0]);
            frame.extend([0, (random() % 8) as u8]);
            frame.extend([8, 0]);
        } else {
            frame[12..14].copy_from_slice(if number % 11 == 0 { &[0x86, 0xdd] } else { &[8, 0] });
        }
        if number % 11 == 0 && number % 7 != 0 {
            frame.extend([0x60, 0, 0, 0, 0, 40, protocol, 64]);
            frame.extend((0..32).map(|_| (random() % 3) as u8));
        } else {
            let words = 5 + (random() % 3) as u8;
            let fragment = if number % 13 == 0 { random() % 3 } else { 0 } as u8;
            frame.extend([0x40 | words, 0, 0, 80, 0, 0, 0, fragment, 64, protocol, 0, 0]);
            frame.extend([10, 0, 0, (random() % 4) as u8, 192, 168, 0, (random() % 4) as u8]);
            frame.extend(std::iter::repeat_n(1, usize::from(words) * 4 - 20));
        }
        let ports = [53_u16, 80, 443, 22, 8080];
        for _ in 0..2 {
            frame.extend(ports[random() as usize % 5].to_be_bytes());
        }
        frame.extend((0..40).map(|_| (random() % 256) as u8));
        let original = frame.len() as u32 + random() % 1000;
        if number % 5 == 0 {
            frame.truncate(random() as usize % (frame.len() + 1));
        }
        all.push((frame.get(skip..).unwrap_or(&[]).to_vec(), original));
    }
    all
}

const EXPRESSIONS: [&str; 25] = [
    "",
    "ip",
    "ip6",
    "tcp",
    "udp port 53",
    "tcp port 443 or tcp port 80",
    "portrange 20-100",
    "src host 10.0.0.1",
    "net 192.168.0.0/30 and not dst port 22",
    "icmp[icmptype] != icmp-echo",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "ip[6:2] & 0x1fff != 0",
    "len > 300",
    "greater 200 and less 700",
    "ip[0] & 0xf != 5",
    "tcp[((tcp[12] & 0xf0) >> 2):4] > 0x10000",
    "ip proto 132",
    "sctp",
    "ip6[39] = 1",
    "ip[2:2] - 20 * 3 > 18",
    "ip[2:2] / 3 = 26",
    "ip[19] % 3 = 1",
    "tcp[4:4] ^ 0xffff < tcp[8:4] | 1",
    "len - ip[19] * 100 < 500",
    "ip[ip[19]:1] = 69",
];

#[test]
fn verdicts_are_libpcaps_own() {
    for (link, skip) in [(1, 0), (12, 14)] {
        let packets = packets(skip);
        for expression in EXPRESSIONS.iter().chain(&["vlan and tcp", "vlan 3 or ether dst 0:0:0:0:0:2"][..2 - skip / 7])
        {
            let theirs = offline_filter(expression, link, &packets).unwrap();
            let compiled = libpcap::compile(expression, &[link]).unwrap();
            let program = Program::new(compiled.programs[0].as_ref().unwrap()).unwrap();
            let ours: Vec<_> = packets.iter().map(|(bytes, original)| program.run(bytes, *original) != 0).collect();
            assert_eq!(ours, theirs, "{expression} on {link}");
            // A filter of no or of all packets would prove nothing.
            let pass = ours.iter().filter(|passes| **passes).count();
            assert!(expression.is_empty() || (1..packets.len()).contains(&pass), "{expression}: {pass}");
        }
    }
}

fn frame(link: LinkType, bytes: &[u8]) -> Frame<'_> {
    Frame { time_ns: 0, link, interface: 0, original_bytes: 1000, bytes, offset: 0 }
}

#[test]
fn each_link_type_has_its_program() {
    let mut ip = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip.extend([0, 80, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    let behind = |head: &[u8]| [head, &ip].concat();
    let mut ethernet = vec![0; 12];
    ethernet.extend([8, 0]);
    let mut cooked = vec![0; 14];
    cooked.extend([8, 0]);
    let mut cooked2 = vec![8, 0];
    cooked2.extend([0; 18]);
    let frames = [
        (LinkType::Ethernet, behind(&ethernet)),
        (LinkType::RawIp, ip.clone()),
        (LinkType::Loopback, behind(&[2, 0, 0, 0])),
        (LinkType::Loopback, behind(&[0, 0, 0, 2])),
        (LinkType::LinuxCooked1, behind(&cooked)),
        (LinkType::LinuxCooked2, behind(&cooked2)),
    ];
    for (expression, passes) in
        [("tcp src port 80", true), ("udp", false), ("host 10.0.0.2 and len = 1000", true), ("len < 1000", false)]
    {
        let filter = Filter::new(expression).unwrap();
        for (link, bytes) in &frames {
            assert_eq!(filter.passes(&frame(*link, bytes)), Ok(passes), "{expression} on {link:?}");
        }
    }
    let filter = Filter::new("ether host 0:0:0:0:0:1").unwrap();
    assert_eq!(filter.passes(&frame(LinkType::Ethernet, &frames[0].1)), Ok(false));
    let error = filter.passes(&frame(LinkType::RawIp, &ip)).unwrap_err().to_string();
    assert!(error.contains("can't be used on frames of link type raw IP") && error.contains("ether"), "{error}");
}

#[test]
fn what_is_no_filter_is_said_in_libpcaps_words() {
    let error = Filter::new("tcp prot 80").unwrap_err().to_string();
    assert!(error.contains("\"tcp prot 80\" is no filter: ") && error.contains("syntax error"), "{error}");
    let error = Filter::new("a\0b").unwrap_err().to_string();
    assert!(error.contains("zero byte"), "{error}");
}

#[test]
fn instructions_are_checked() {
    let one = |code, jump_true, k| {
        let instruction = Instruction { code, jump_true, jump_false: 0, k };
        Program::new(&[instruction, Instruction { code: 6, jump_true: 0, jump_false: 0, k: 1 }])
    };
    assert_eq!(Program::new(&[]).unwrap_err(), BadProgram::Empty);
    assert_eq!(one(0xffff, 0, 0).unwrap_err(), BadProgram::Code { at: 0, code: 0xffff });
    assert_eq!(one(0x15, 1, 0).unwrap_err(), BadProgram::Jump { at: 0 });
    assert_eq!(one(0x05, 0, u32::MAX).unwrap_err(), BadProgram::Jump { at: 0 });
    assert_eq!(one(0x60, 0, 16).unwrap_err(), BadProgram::Scratch { at: 0, register: 16 });
    assert_eq!(one(0x34, 0, 0).unwrap_err(), BadProgram::DivisionByZero { at: 0 });
    // A division by an index of 0, and running off the end.
    assert_eq!(one(0x3c, 0, 0).unwrap().run(&[], 0), 0);
    assert_eq!(Program::new(&[Instruction { code: 0, jump_true: 0, jump_false: 0, k: 9 }]).unwrap().run(&[], 0), 0);
    // No code and no number makes it panic.
    for code in 0..=0x1ff {
        for k in [0, 1, 15, u32::MAX] {
            let _ = one(code, 0, k).map(|program| program.run(&[1, 2, 3], 4));
        }
    }
}
