//! The packets that are measured: 128 bytes of Ethernet each, longer by their VLAN tags.

/// A sender with a rule against it.
pub(crate) const BLOCKED: [u8; 4] = [198, 18, 0, 1];
/// A sender without one.
pub(crate) const FREE: [u8; 4] = [198, 19, 0, 1];
/// A sender with a rule against it and an exemption, where rules are loaded.
pub(crate) const EXEMPT: [u8; 4] = [198, 19, 200, 1];
/// Whom they send to.
pub(crate) const SERVER: [u8; 4] = [198, 18, 255, 2];

const LEN: usize = 128;
const ETHERNET: usize = 14;
const TCP_ACK: u8 = 0x10;

fn ethernet(ether_type: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ether_type.to_be_bytes());
    frame
}

fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(0x0800);
    let total = (LEN - ETHERNET) as u16;
    frame.extend([0x45, 0, (total >> 8) as u8, total as u8, 0, 0, 0, 0, 64, protocol, 0, 0]);
    frame.extend(src);
    frame.extend(dst);
    frame.extend(transport);
    frame.resize(LEN, 0);
    frame
}

fn tcp_header([src, dst]: [u16; 2], flags: u8) -> Vec<u8> {
    let mut header = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 2, 0, 0, 0, 0, 0]);
    header
}

/// TCP from `src` port 40,000 to the server's port 80.
pub(crate) fn tcp(src: [u8; 4]) -> Vec<u8> {
    ipv4(src, SERVER, 6, &tcp_header([40_000, 80], TCP_ACK))
}

/// The server's answer to [`tcp`].
pub(crate) fn tcp_reply(dst: [u8; 4]) -> Vec<u8> {
    ipv4(SERVER, dst, 6, &tcp_header([80, 40_000], TCP_ACK))
}

/// A TCP SYN; programs give it a sender of their own.
pub(crate) fn tcp_syn() -> Vec<u8> {
    ipv4(FREE, SERVER, 6, &tcp_header([40_000, 80], 0x02))
}

/// UDP from `src` to the server's port 53.
pub(crate) fn udp(src: [u8; 4]) -> Vec<u8> {
    ipv4(src, SERVER, 17, &[0x9c, 0x40, 0, 53, 0, 94, 0, 0])
}

/// TCP over IPv6.
pub(crate) fn tcp_v6() -> Vec<u8> {
    let mut frame = ethernet(0x86dd);
    let payload = (LEN - ETHERNET - 40) as u16;
    frame.extend([0x60, 0, 0, 0, (payload >> 8) as u8, payload as u8, 6, 64]);
    for last in [1, 2] {
        frame.extend([0x20, 0x01, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    frame.extend(tcp_header([40_000, 80], TCP_ACK));
    frame.resize(LEN, 0);
    frame
}

/// [`tcp`] behind these VLAN tags, the outer one first.
pub(crate) fn tagged(src: [u8; 4], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = tcp(src);
    let tags: Vec<u8> = tags.iter().flat_map(|(kind, id)| [kind.to_be_bytes(), id.to_be_bytes()].concat()).collect();
    frame.splice(12..12, tags);
    frame
}

/// An ARP request: no flow.
pub(crate) fn arp() -> Vec<u8> {
    let mut frame = ethernet(0x0806);
    frame.resize(LEN, 0);
    frame
}
