mod classic;
mod compression;
mod damage;
mod files;
mod link;
mod pcapng;
mod pieces;
mod reading;

use super::{Capture, CaptureError, LinkType};
use std::io::{Cursor, Read};

/// A frame with bytes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    time_ns: i64,
    link: LinkType,
    interface: u32,
    original_bytes: u32,
    bytes: Vec<u8>,
    offset: u64,
}

/// Every frame, and the error that ended them.
fn read_from(reader: impl Read + Send + 'static) -> (Vec<Owned>, Option<CaptureError>) {
    let mut frames = Vec::new();
    let mut capture = match Capture::from_reader(reader, "test") {
        Ok(capture) => capture,
        Err(error) => return (frames, Some(error)),
    };
    loop {
        match capture.next() {
            Ok(Some(frame)) => frames.push(Owned {
                time_ns: frame.time_ns,
                link: frame.link,
                interface: frame.interface,
                original_bytes: frame.original_bytes,
                bytes: frame.bytes.to_vec(),
                offset: frame.offset,
            }),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

fn read(bytes: &[u8]) -> (Vec<Owned>, Option<CaptureError>) {
    read_from(Cursor::new(bytes.to_vec()))
}

/// The frames of a capture that must be whole.
fn whole(bytes: &[u8]) -> Vec<Owned> {
    let (frames, error) = read(bytes);
    assert!(error.is_none(), "{}", error.unwrap());
    frames
}

/// Writes numbers in either byte order.
#[derive(Clone, Copy)]
struct Order {
    big: bool,
}

const ORDERS: [Order; 2] = [Order { big: false }, Order { big: true }];
const LITTLE: Order = ORDERS[0];

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    fn u64(self, number: u64) -> [u8; 8] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// A classic file's header.
    fn pcap(self, magic: u32, snap: u32, network: u32) -> Vec<u8> {
        let (magic, version) = (self.u32(magic), [self.u16(2), self.u16(4)].concat());
        [&magic[..], &version, &[0; 8], &self.u32(snap), &self.u32(network)].concat()
    }

    /// A classic record; `more` stands between the lengths and the packet.
    fn record(self, time: (u32, u32), original: u32, more: &[u8], packet: &[u8]) -> Vec<u8> {
        let numbers = [time.0, time.1, packet.len() as u32, original].map(|number| self.u32(number)).concat();
        [&numbers, more, packet].concat()
    }

    /// A pcapng block.
    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let length = self.u32((12 + body.len() + padding.len()) as u32);
        [&self.u32(kind)[..], &length, body, &padding, &length].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.u32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat())
    }

    fn interface(self, link: u16, snap: u32, options: &[u8]) -> Vec<u8> {
        self.block(1, &[&self.u16(link)[..], &[0; 2], &self.u32(snap), options].concat())
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&self.u16(code)[..], &self.u16(value.len() as u16), value, &padding].concat()
    }

    /// An enhanced packet block.
    fn packet(self, interface: u32, time: u64, original: u32, packet: &[u8]) -> Vec<u8> {
        let numbers = [interface, (time >> 32) as u32, time as u32, packet.len() as u32, original];
        let padding = vec![0; packet.len().next_multiple_of(4) - packet.len()];
        // An option behind the packet: its flags.
        let options = [self.option(2, &[1, 0, 0, 0]), vec![0; 4]].concat();
        self.block(6, &[numbers.map(|number| self.u32(number)).concat(), packet.to_vec(), padding, options].concat())
    }
}

/// Three packets of different lengths, one second apart.
fn small_pcap(order: Order) -> Vec<u8> {
    let mut file = order.pcap(0xa1b2_c3d4, 65_535, 1);
    for (index, bytes) in [60_u32, 0, 61].into_iter().enumerate() {
        file.extend(order.record((index as u32, 1), bytes, &[], &vec![index as u8; bytes as usize]));
    }
    file
}

/// Two sections of different byte order with packets of all three kinds and a block of another kind.
fn small_pcapng() -> Vec<u8> {
    let mut file = Vec::new();
    for order in ORDERS {
        file.extend(order.section());
        file.extend(order.interface(1, 0, &[]));
        file.extend(order.interface(101, 0, &order.option(9, &[9])));
        file.extend(order.packet(0, 1_000_001, 60, &[1; 60]));
        file.extend(order.block(0x0bad, &[7; 40]));
        file.extend(order.packet(1, 2_000_000_001, 1500, &[2; 33]));
        file.extend(order.block(3, &[&order.u32(5)[..], &[3; 5]].concat()));
        let obsolete = [order.u16(1), order.u16(0xffff)].concat();
        let numbers = [0, 3, 4, 90].map(|number| order.u32(number)).concat();
        file.extend(order.block(2, &[&obsolete[..], &numbers, &[4; 4]].concat()));
    }
    file
}
