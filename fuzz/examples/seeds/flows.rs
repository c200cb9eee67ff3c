//! Rows of packets as the target `flows` takes them: options, then of each packet shift and length of the gap before
//! it, who sent it, flags, number, payload.

use super::{Seeds, frames};

const CLIENT: u8 = 0;
const SERVER: u8 = 1;
const UDP: u8 = 1 << 6;
const ICMP: u8 = 2 << 6;
const RAW: u8 = 3 << 6;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN: u8 = 0x01;
const RST: u8 = 0x04;

/// 255 units of such a shift are 4 ms, and 137 s.
const SHORT: u8 = 12;
const LONG: u8 = 27;
const BACK: u8 = 0xe0;
/// 32 of them.
const MANY: u8 = 6 << 5;

pub(super) fn seeds() -> Seeds {
    let open = [[SHORT, 9, CLIENT, SYN, 0, 0], [SHORT, 9, SERVER, SYN | ACK, 0, 0], [SHORT, 9, CLIENT, ACK, 1, 0]];
    let data = |packets: u8| (0..packets).map(|n| [SHORT, n, n & 1, ACK, n, 100]).collect::<Vec<_>>();
    let close =
        [[SHORT, 9, CLIENT, FIN | ACK, 9, 0], [SHORT, 9, SERVER, FIN | ACK, 9, 0], [SHORT, 9, CLIENT, ACK, 9, 0]];
    let reset = [[SHORT, 9, SERVER, RST, 9, 0]];
    let raw =
        frames::all().into_iter().find(|(name, _)| *name == "ipv6_tcp").map(|(_, frame)| frame).unwrap_or_default();
    let row = |options: u8, packets: &[&[[u8; 6]]]| [vec![options], packets.concat().concat()].concat();
    let named = |name: &str, bytes| (name.to_owned(), bytes);
    vec![
        named("connection", row(0, &[&open, &data(8), &close])),
        named("with_context", row(1, &[&open, &data(4), &reset, &open])),
        named("snapshots", row(2, &[&open, &data(4), &[[MANY | SHORT, 9, SERVER, ACK, 4, 200]; 4], &close])),
        named("cut", row(4, &[&open, &data(4), &[[LONG - 4, 200, CLIENT, ACK, 5, 9]], &data(4)])),
        named("reopened", row(0, &[&open, &data(4), &open, &close, &open])),
        named("datagrams", row(0, &[&[[SHORT, 1, UDP, 0, 0, 50], [SHORT, 1, UDP | 1, 0, 0, 200]]])),
        named("echo", row(0, &[&[[SHORT, 1, ICMP, 0, 3, 50], [SHORT, 1, ICMP | 1, 0, 3, 50]]])),
        named("silence", row(0, &[&open, &[[LONG, 200, CLIENT, ACK, 2, 1]], &open, &[[LONG, 255, SERVER, RST, 0, 0]]])),
        named(
            "clock_steps_back",
            row(1, &[&open, &[[BACK | SHORT, 200, CLIENT, ACK, 2, 1]], &[[BACK | LONG, 200, 0, ACK, 3, 1]]]),
        ),
        named("raw", [row(0, &[&[[SHORT, 1, RAW, 0, 0, raw.len() as u8]]]), raw, row(0, &[])].concat()),
    ]
}
