//! Link types, and the way from a frame of any of them to what `flow/` parses.

use super::Frame;
use ganglion_flow::cursor::{self, Cursor};
use ganglion_flow::packet::{NotAFlow, Packet};

const ETHERNET_BYTES: usize = 14;
const ETHER_TYPE_AT: usize = 12;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Hardware types (ARPHRD_) whose cooked frames have something else than an EtherType as protocol: netlink,
/// 802.11 with radiotap, frame relay.
const NO_ETHER_TYPE: [u16; 3] = [824, 803, 770];

/// How the frames of an interface begin; only what flows can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet (1).
    Ethernet,
    /// An IPv4 or IPv6 header (101; 12 and 14 of some systems; 228 for IPv4 alone, 229 for IPv6 alone).
    RawIp,
    /// Linux cooked capture, version 1 (113): a header of 16 bytes in the place of whatever the device has.
    LinuxCooked1,
    /// Linux cooked capture, version 2 (276): 20 bytes, with the interface's index.
    LinuxCooked2,
    /// BSD and Windows loopback (0, 108): the address family in 4 bytes of either order.
    Loopback,
}

impl LinkType {
    /// The link type of a number of tcpdump.org's LINKTYPE_ registry; `None` for one that is refused.
    pub const fn new(number: u32) -> Option<Self> {
        match number {
            0 | 108 => Some(Self::Loopback),
            1 => Some(Self::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Self::RawIp),
            113 => Some(Self::LinuxCooked1),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }
}

/// What a refused link type is called.
pub(super) fn refused_name(number: u32) -> &'static str {
    match number {
        105 | 119 | 127 | 163 => "802.11, wireless in monitor mode",
        192 => "per-packet information, mostly around 802.11",
        9 | 50 | 51 | 166 => "PPP",
        104 => "Cisco HDLC",
        107 => "frame relay",
        147..=162 => "user-defined",
        187 | 201 | 251 | 255 | 256 => "Bluetooth",
        189 | 220 | 249 => "USB",
        190 | 227 => "CAN bus",
        195 | 215 | 230 | 283 => "802.15.4",
        239 => "netfilter log",
        252 => "exported Wireshark data",
        253 => "netlink",
        _ => "not a type that carries IP as Ganglion reads it",
    }
}

/// Where a frame's network layer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// What it is, as Ethernet would say: 0x0800 IPv4, 0x86dd IPv6, 0x8100 and 0x88a8 a VLAN tag that comes first.
    pub ether_type: u16,
    /// Bytes of the frame before it.
    pub offset: usize,
}

impl<'a> Frame<'a> {
    /// The EtherType behind the link header; `None` where the frame is cut before it or carries something else.
    ///
    /// VLAN tags are left to the reader, on every link type: an ether type of 0x8100 or 0x88a8 says that a tag's two
    /// bytes and the next ether type lie at `offset`. In Linux cooked frames of version 1 a tag stands so where
    /// libpcap put back the one that the driver took out; version 2 has no place for it, so the VLAN is unknown.
    #[inline]
    pub fn network(&self) -> Option<Network> {
        match self.link {
            LinkType::Ethernet => Some(Network { ether_type: self.bytes.be16(ETHER_TYPE_AT)?, offset: ETHERNET_BYTES }),
            LinkType::RawIp => Some(Network { ether_type: ip_version(self.bytes)?, offset: 0 }),
            LinkType::LinuxCooked1 => cooked(self.bytes, 2, 14, 16),
            LinkType::LinuxCooked2 => cooked(self.bytes, 8, 0, 20),
            LinkType::Loopback => Some(Network { ether_type: address_family(self.bytes)?, offset: 4 }),
        }
    }

    /// The frame as if Ethernet had carried it, without a copy: something that [`Packet`] parses, and its length on
    /// the wire. An IP packet so has the same bytes on every link type. The addresses of the header are zero.
    /// `None` as in [`Self::network`]; for an Ethernet frame the bytes themselves are cheaper.
    pub fn as_ethernet(&self) -> Option<(AsEthernet<'a>, cursor::Frame)> {
        let network = self.network()?;
        let rest = self.bytes.get(network.offset..)?;
        let link_bytes = u32::try_from(network.offset).ok()?;
        let bytes = self.original_bytes.saturating_sub(link_bytes).saturating_add(ETHERNET_BYTES as u32);
        Some((AsEthernet { ether_type: network.ether_type, rest }, cursor::Frame::plain(bytes)))
    }

    /// What the kernel would have read of this frame alone: [`super::Reading`] knows fragments and tunnels too.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    #[inline]
    pub fn packet(&self) -> Result<Packet, NotAFlow> {
        if self.link == LinkType::Ethernet {
            return Packet::parse(self.bytes, cursor::Frame::plain(self.original_bytes));
        }
        let (cursor, frame) = self.as_ethernet().ok_or(NotAFlow::NotIp)?;
        Packet::parse(&cursor, frame)
    }
}

fn ip_version(bytes: &[u8]) -> Option<u16> {
    match bytes.first()? >> 4 {
        4 => Some(IPV4),
        6 => Some(IPV6),
        _ => None,
    }
}

fn cooked(bytes: &[u8], hardware_at: usize, protocol_at: usize, offset: usize) -> Option<Network> {
    if NO_ETHER_TYPE.contains(&bytes.be16(hardware_at)?) {
        return None;
    }
    Some(Network { ether_type: bytes.be16(protocol_at)?, offset })
}

/// The capturing machine's AF_INET or AF_INET6, in its byte order, which is not always the file's.
fn address_family(bytes: &[u8]) -> Option<u16> {
    let number = bytes.be32(0)?;
    let number = if number > 0xffff { number.swap_bytes() } else { number };
    match number {
        2 => Some(IPV4),
        // Linux 10, Windows 23, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30.
        10 | 23 | 24 | 28 | 30 => Some(IPV6),
        _ => None,
    }
}

/// A network layer behind an Ethernet header that isn't there.
#[derive(Clone, Copy, Debug)]
pub struct AsEthernet<'a> {
    ether_type: u16,
    rest: &'a [u8],
}

impl AsEthernet<'_> {
    fn chunk<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if let Some(at) = offset.checked_sub(ETHERNET_BYTES) {
            return self.rest.get(at..)?.first_chunk().copied();
        }
        // Inside the header or across its end: rare, byte by byte.
        let mut bytes = [0; N];
        for (byte, at) in bytes.iter_mut().zip(offset..) {
            *byte = match at.checked_sub(ETHER_TYPE_AT) {
                None => 0,
                Some(0) => (self.ether_type >> 8) as u8,
                Some(1) => self.ether_type as u8,
                Some(after) => *self.rest.get(after - 2)?,
            };
        }
        Some(bytes)
    }
}

impl Cursor for AsEthernet<'_> {
    fn u8(&self, offset: usize) -> Option<u8> {
        self.chunk(offset).map(|[byte]| byte)
    }

    fn be16(&self, offset: usize) -> Option<u16> {
        self.chunk(offset).map(u16::from_be_bytes)
    }

    fn be32(&self, offset: usize) -> Option<u32> {
        self.chunk(offset).map(u32::from_be_bytes)
    }

    fn ne64(&self, offset: usize) -> Option<u64> {
        self.chunk(offset).map(u64::from_ne_bytes)
    }
}
