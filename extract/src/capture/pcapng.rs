//! pcapng: blocks of a type, a length and the length again; sections, interfaces, packets; the rest is read over.

mod interface;

use super::classic::{half, word};
use super::error::{Damage, Stop};
use super::input::Input;
use super::{Found, MAX_PACKET_BYTES};
use interface::Interface;

/// Type of the block that begins a section; the same in either byte order.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Interfaces that a section may describe.
pub(super) const MAX_INTERFACES: usize = 65_536;
/// Blocks that are read are held whole: a packet of the longest kind and options of as many bytes.
const MAX_HELD_BYTES: u32 = 2 * MAX_PACKET_BYTES;
/// Longest block that is read over; libpcap's bound.
const MAX_BLOCK_BYTES: u32 = 16 * 1024 * 1024;

/// Type and length, and the length at the end.
const HEAD_BYTES: usize = 8;
const TAIL_BYTES: usize = 4;
/// Bytes before the data, from the block's begin on.
const SIMPLE_DATA_AT: usize = 12;
const PACKET_DATA_AT: usize = 28;

/// Where an open file stands.
pub(super) struct PcapNg {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Interfaces that earlier sections described.
    interfaces_before: u32,
}

/// What a packet block says of its packet, in any of the three kinds.
struct Packet {
    /// Number in the section.
    interface: u32,
    /// Units of the interface's clock; none in simple packet blocks.
    time: Option<u64>,
    /// As the block says; the simple kind leaves it to the snap length.
    captured: Option<u32>,
    original: u32,
    data_at: usize,
}

impl PcapNg {
    /// Reads the first section's header.
    pub(super) fn open(input: &mut Input) -> Result<Self, Stop> {
        let mut pcapng = Self { big_endian: false, interfaces: Vec::new(), interfaces_before: 0 };
        pcapng.section(input)?;
        Ok(pcapng)
    }

    /// Puts the next packet's place in `found`, and says whether there is one.
    pub(super) fn next(&mut self, input: &mut Input, found: &mut Found) -> Result<bool, Stop> {
        loop {
            if !input.has(HEAD_BYTES) {
                return if input.is_over() { Ok(false) } else { Err(input.short(HEAD_BYTES)) };
            }
            let Some(head) = input.window().first_chunk::<HEAD_BYTES>() else {
                return Err(input.short(HEAD_BYTES));
            };
            let kind = word(head, 0, self.big_endian);
            let bytes = word(head, 4, self.big_endian);
            match kind {
                ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => {
                    *found = self.packet(kind, bytes, input)?;
                    return Ok(true);
                }
                SECTION_HEADER => self.section(input)?,
                INTERFACE_DESCRIPTION => self.interface(bytes, input)?,
                _ => skip(kind, bytes, self.big_endian, input)?,
            }
        }
    }

    fn packet(&mut self, kind: u32, bytes: u32, input: &mut Input) -> Result<Found, Stop> {
        let offset = input.offset();
        let shortest = if kind == SIMPLE_PACKET { SIMPLE_DATA_AT } else { PACKET_DATA_AT } + TAIL_BYTES;
        let block = held(kind, bytes, shortest, self.big_endian, input)?;
        let packet = Packet::of(kind, block, self.big_endian).ok_or_else(|| input.short(shortest))?;
        let room = bytes - (packet.data_at + TAIL_BYTES) as u32;
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            let (interface, described) = (packet.interface, self.interfaces.len() as u32);
            return Err(Stop::damaged(offset, Damage::UnknownInterface { interface, described }));
        };
        let captured = packet.captured.unwrap_or(packet.original.min(interface.snap_bytes));
        if captured > MAX_PACKET_BYTES {
            return Err(Stop::damaged(offset, Damage::PacketTooLong { captured }));
        }
        if captured > room {
            return Err(Stop::damaged(offset, Damage::PacketBeyondBlock { captured, room }));
        }
        let at = input.consume(bytes as usize) + packet.data_at;
        let number = self.interfaces_before.saturating_add(packet.interface);
        // The block is left behind: whoever can do without such interfaces may go on.
        let link = interface.link.map_err(|link| Stop::LinkType { number: link, interface: number, at: offset })?;
        Ok(Found {
            time_ns: packet.time.map_or(0, |time| interface.time_ns(time)),
            link,
            interface: number,
            original_bytes: packet.original,
            at,
            bytes: captured.min(interface.snap_bytes) as usize,
            offset,
        })
    }

    /// A section begins: its byte order holds for it alone, and its interfaces are counted from 0.
    fn section(&mut self, input: &mut Input) -> Result<(), Stop> {
        const SHORTEST: usize = 28;
        let offset = input.offset();
        if !input.has(SHORTEST) {
            return Err(input.short(SHORTEST));
        }
        let Some(header) = input.window().first_chunk::<SHORTEST>() else {
            return Err(input.short(SHORTEST));
        };
        self.big_endian = match word(header, 8, true) {
            BYTE_ORDER => true,
            magic if magic.swap_bytes() == BYTE_ORDER => false,
            magic => return Err(Stop::damaged(offset, Damage::ByteOrder(magic))),
        };
        let bytes = word(header, 4, self.big_endian);
        let (major, minor) = (half(header, 12, self.big_endian), half(header, 14, self.big_endian));
        if major != 1 {
            return Err(Stop::damaged(offset, Damage::Version { major, minor }));
        }
        held(SECTION_HEADER, bytes, SHORTEST, self.big_endian, input)?;
        input.consume(bytes as usize);
        self.interfaces_before = self.interfaces_before.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, bytes: u32, input: &mut Input) -> Result<(), Stop> {
        const SHORTEST: usize = 20;
        let offset = input.offset();
        let block = held(INTERFACE_DESCRIPTION, bytes, SHORTEST, self.big_endian, input)?;
        let interface = Interface::of(block, self.big_endian).ok_or_else(|| input.short(SHORTEST))?;
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Stop::damaged(offset, Damage::TooManyInterfaces));
        }
        self.interfaces.push(interface);
        input.consume(bytes as usize);
        Ok(())
    }
}

impl Packet {
    /// Reads the numbers before the data; `None` if the block is too short for them.
    #[inline]
    fn of(kind: u32, block: &[u8], big_endian: bool) -> Option<Self> {
        if kind == SIMPLE_PACKET {
            let head = block.first_chunk::<SIMPLE_DATA_AT>()?;
            let original = word(head, 8, big_endian);
            return Some(Self { interface: 0, time: None, captured: None, original, data_at: SIMPLE_DATA_AT });
        }
        let head = block.first_chunk::<PACKET_DATA_AT>()?;
        let interface =
            // The obsolete kind has a count of drops in the other half.
            if kind == ENHANCED_PACKET { word(head, 8, big_endian) } else { half(head, 8, big_endian).into() };
        let (high, low) = (word(head, 12, big_endian), word(head, 16, big_endian));
        Some(Self {
            interface,
            time: Some(u64::from(high) << 32 | u64::from(low)),
            captured: Some(word(head, 20, big_endian)),
            original: word(head, 24, big_endian),
            data_at: PACKET_DATA_AT,
        })
    }
}

/// The whole block at the window's begin, after a check of its two lengths.
#[inline]
fn held(kind: u32, bytes: u32, shortest: usize, big_endian: bool, input: &mut Input) -> Result<&[u8], Stop> {
    if !bytes.is_multiple_of(4) || (bytes as usize) < shortest || bytes > MAX_HELD_BYTES {
        return Err(Stop::damaged(input.offset(), Damage::BlockLength { kind, bytes }));
    }
    if !input.has(bytes as usize) {
        return Err(input.short(bytes as usize));
    }
    let block = &input.window()[..bytes as usize];
    let tail = block.last_chunk::<TAIL_BYTES>().map_or(0, |tail| word(tail, 0, big_endian));
    if tail != bytes {
        return Err(Stop::damaged(input.offset(), Damage::BlockTail { head: bytes, tail }));
    }
    Ok(block)
}

/// Reads over a block without holding it.
fn skip(kind: u32, bytes: u32, big_endian: bool, input: &mut Input) -> Result<(), Stop> {
    let at = input.offset();
    if !bytes.is_multiple_of(4) || (bytes as usize) < HEAD_BYTES + TAIL_BYTES || bytes > MAX_BLOCK_BYTES {
        return Err(Stop::damaged(at, Damage::BlockLength { kind, bytes }));
    }
    let body = u64::from(bytes) - TAIL_BYTES as u64;
    let short = |present| Stop::Short { at, needed: bytes.into(), present };
    let skipped = input.skip(body);
    if skipped < body || !input.has(TAIL_BYTES) {
        return Err(short(skipped + input.window().len() as u64));
    }
    let tail = input.window().first_chunk::<TAIL_BYTES>().map_or(0, |tail| word(tail, 0, big_endian));
    if tail != bytes {
        return Err(Stop::damaged(at, Damage::BlockTail { head: bytes, tail }));
    }
    input.consume(TAIL_BYTES);
    Ok(())
}
