//! Frames by hand: the guest has neither addresses on the far side nor tools.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::net::if_::if_nametoindex;

use crate::veth::Pair;

/// The address of the near end.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Port that [`listen`] takes.
pub(crate) const PORT: u16 = 9;

/// A socket that sends whole frames out of one interface.
pub(crate) struct Wire {
    socket: OwnedFd,
    to: libc::sockaddr_ll,
    receiver: [u8; 6],
}

impl Wire {
    /// Sends out of `from`, to the hardware address of `to`.
    pub(crate) fn new(from: &str, to: &str) -> Result<Self> {
        // SAFETY: socket(2) takes numbers alone.
        let raw = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        ensure!(raw >= 0, "packet socket: {}", io::Error::last_os_error());
        // SAFETY: the descriptor was just made, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: an all-zero sockaddr_ll is valid.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = i32::try_from(if_nametoindex(from)?)?;
        address.sll_halen = 6;
        Ok(Self { socket, to: address, receiver: hardware_address(to)? })
    }

    /// Sends a UDP datagram from `source`.
    pub(crate) fn udp(&self, source: Ipv4Addr, port: u16, to: (Ipv4Addr, u16)) -> Result<()> {
        let segment = udp_segment(port, to.1, &[0x55; 18]);
        self.send(&ipv4_frame(self.receiver, (source, to.0), (0, 0), &segment))
    }

    /// Sends a datagram from `source` in two fragments; where `first` says so, the first one too.
    pub(crate) fn fragments(&self, source: Ipv4Addr, identification: u16, first: bool) -> Result<()> {
        // Nobody listens there.
        let segment = udp_segment(4000, PORT + 1, &[0x55; 24]);
        let ends = (source, SERVER);
        if first {
            self.send(&ipv4_frame(self.receiver, ends, (identification, 0x2000), &segment[..16]))?;
        }
        self.send(&ipv4_frame(self.receiver, ends, (identification, 2), &segment[16..]))
    }

    /// Sends a datagram from `source` in VXLAN network 7.
    pub(crate) fn vxlan(&self, source: Ipv4Addr) -> Result<()> {
        let inner = ipv4_frame(self.receiver, (source, SERVER), (0, 0), &udp_segment(4000, PORT, &[0x55; 18]));
        let segment = udp_segment(50_000, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0], &inner[..]].concat());
        self.send(&ipv4_frame(self.receiver, (source, SERVER), (0, 0), &segment))
    }

    /// Sends an IPv6 datagram behind three extension headers.
    pub(crate) fn extensions(&self) -> Result<()> {
        let segment = udp_segment(4000, PORT, &[0x55; 18]);
        // Options of a hop, options of the destination, a route: each says what comes next.
        let headers = [[60, 0, 1, 4, 0, 0, 0, 0], [43, 0, 1, 4, 0, 0, 0, 0], [17, 0, 0, 0, 0, 0, 0, 0]].concat();
        let mut frame = [self.receiver.as_slice(), &[2, 0, 0, 0, 0, 9], &[0x86, 0xdd]].concat();
        frame.extend([0x60, 0, 0, 0, 0, (headers.len() + segment.len()) as u8, 0, 64]);
        for host in [1, 2] {
            frame.extend([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        self.send(&[frame, headers, segment].concat())
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        let address = (&raw const self.to).cast();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: frame and address live through the call, and their lengths are right.
        let sent =
            unsafe { libc::sendto(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, address, length) };
        ensure!(sent >= 0, "sending a frame: {}", io::Error::last_os_error());
        Ok(())
    }
}

fn hardware_address(interface: &str) -> Result<[u8; 6]> {
    let text = std::fs::read_to_string(format!("/sys/class/net/{interface}/address"))?;
    let bytes: Result<Vec<u8>, _> = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    bytes?.try_into().ok().context("a hardware address has six bytes")
}

fn udp_segment(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    // A checksum of 0 means: none.
    let mut segment = [from, to, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    segment.extend(payload);
    segment
}

/// A UDP segment or, by identification and fragment field, a part of one.
fn ipv4_frame(receiver: [u8; 6], ends: (Ipv4Addr, Ipv4Addr), fragment: (u16, u16), segment: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    for half in [20 + segment.len() as u16, fragment.0, fragment.1] {
        ip.extend(half.to_be_bytes());
    }
    ip.extend([64, 17, 0, 0]);
    ip.extend([ends.0.octets(), ends.1.octets()].concat());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    [receiver.as_slice(), &[2, 0, 0, 0, 0, 9], &[8, 0], &ip, segment].concat()
}

/// A socket of the machine's own stack.
pub(crate) fn listen() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((SERVER, PORT)).context("listening")?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    Ok(socket)
}

/// How many of `count` datagrams from `source` reach the machine's own stack.
pub(crate) fn delivered(pair: &Pair, socket: &UdpSocket, source: Ipv4Addr, count: usize) -> Result<usize> {
    let wire = Wire::new(&pair.far, &pair.near)?;
    let mut arrived = 0;
    for _ in 0..count {
        wire.udp(source, 4000, (SERVER, PORT))?;
        arrived += usize::from(socket.recv(&mut [0; 64]).is_ok());
    }
    Ok(arrived)
}
