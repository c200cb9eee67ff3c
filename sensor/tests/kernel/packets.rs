//! Frames for the tests, built by etherparse.

use etherparse::PacketBuilder;
use ganglion_flow::packet::tcp_flag;

pub(crate) const CLIENT: [u8; 4] = [198, 18, 0, 1];
pub(crate) const SERVER: [u8; 4] = [198, 18, 0, 2];
const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A TCP segment to be built.
#[derive(Clone, Copy)]
pub(crate) struct Tcp {
    pub(crate) src: [u8; 4],
    pub(crate) dst: [u8; 4],
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) payload: usize,
}

impl Tcp {
    pub(crate) fn to_server(sport: u16, dport: u16, flags: u8) -> Self {
        Self { src: CLIENT, dst: SERVER, sport, dport, flags, seq: 1000, ack: 9001, payload: 0 }
    }

    pub(crate) fn to_client(sport: u16, dport: u16, flags: u8) -> Self {
        Self { src: SERVER, dst: CLIENT, sport: dport, dport: sport, flags, seq: 9000, ack: 1001, payload: 0 }
    }

    pub(crate) fn payload(self, payload: usize) -> Self {
        Self { payload, ..self }
    }

    pub(crate) fn build(self) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(MAC_A, MAC_B)
            .ipv4(self.src, self.dst, 64)
            .tcp(self.sport, self.dport, self.seq, 512);
        let mut builder = builder;
        for (bit, set) in [
            (tcp_flag::FIN, "fin"),
            (tcp_flag::SYN, "syn"),
            (tcp_flag::RST, "rst"),
            (tcp_flag::PSH, "psh"),
            (tcp_flag::ACK, "ack"),
            (tcp_flag::URG, "urg"),
        ] {
            if self.flags & bit != 0 {
                builder = match set {
                    "fin" => builder.fin(),
                    "syn" => builder.syn(),
                    "rst" => builder.rst(),
                    "psh" => builder.psh(),
                    "ack" => builder.ack(self.ack),
                    _ => builder.urg(0),
                };
            }
        }
        let payload = vec![7; self.payload];
        let mut out = Vec::new();
        builder.write(&mut out, &payload).unwrap();
        out
    }
}

/// A UDP datagram over IPv4.
pub(crate) fn udp(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16, payload: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let builder = PacketBuilder::ethernet2(MAC_A, MAC_B).ipv4(src, dst, 64).udp(sport, dport);
    builder.write(&mut out, &vec![7; payload]).unwrap();
    out
}

/// A UDP datagram over IPv6 behind two VLAN tags.
pub(crate) fn udp6_qinq(sport: u16, dport: u16, payload: usize) -> Vec<u8> {
    let (a, b) =
        ([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    let mut out = Vec::new();
    PacketBuilder::ethernet2(MAC_A, MAC_B)
        .double_vlan(100.try_into().unwrap(), 200.try_into().unwrap())
        .ipv6(a, b, 64)
        .udp(sport, dport)
        .write(&mut out, &vec![7; payload])
        .unwrap();
    out
}

/// An ICMP echo request.
pub(crate) fn ping(src: [u8; 4], dst: [u8; 4], id: u16, seq: u16) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(src, dst, 64)
        .icmpv4_echo_request(id, seq)
        .write(&mut out, &[7; 56])
        .unwrap();
    out
}

/// An ARP request.
pub(crate) fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(MAC_A);
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.resize(60, 0);
    frame
}
