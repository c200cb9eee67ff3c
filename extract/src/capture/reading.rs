//! Packets out of frames, where one frame alone does not say all: later fragments, and the inside of tunnels.

use super::{Frame, LinkType};
use ganglion_flow::Wire;
use ganglion_flow::cursor::{self, Cursor};
use ganglion_flow::fragments::{DatagramKey, DatagramSet, Outcome, SETS};
use ganglion_flow::packet::{NotAFlow, Packet, Part};

/// Not random, so that the same capture gives the same packets each time.
const SEED: u64 = 0x6761_6e67_6c69_6f6e;

/// How packets are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parsing {
    /// The flow of a tunnelled packet is the inner one.
    pub inner: bool,
    /// VLAN identifiers separate flows.
    pub vlan_domain: bool,
    /// Domain of what has none of its own.
    pub domain: u16,
}

impl Parsing {
    /// Reads the packet in the frame that is counted, into one that may hold anything before, as the kernel does. Returns its
    /// domain and which part of a datagram it is: of a fragment that is not the first, no port was read.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    #[inline(always)]
    pub fn read(&self, frame: &Frame<'_>, packet: &mut Packet) -> Result<(u16, Part), NotAFlow> {
        if frame.link == LinkType::Ethernet {
            return self.parse(frame.bytes, cursor::Frame::plain(frame.original_bytes), packet);
        }
        self.read_other(frame, packet)
    }

    #[inline(never)]
    fn read_other(&self, frame: &Frame<'_>, packet: &mut Packet) -> Result<(u16, Part), NotAFlow> {
        let (bytes, plain) = frame.as_ethernet().ok_or(NotAFlow::NotIp)?;
        self.parse(&bytes, plain, packet)
    }

    #[inline(always)]
    fn parse<C: Cursor + ?Sized>(
        &self,
        bytes: &C,
        frame: cursor::Frame,
        packet: &mut Packet,
    ) -> Result<(u16, Part), NotAFlow> {
        let network = packet.network(bytes, frame)?;
        let read = packet.transport(bytes, frame, network);
        let domain = if self.vlan_domain { packet.vlan } else { self.domain };
        if network.part().is_whole() {
            read?;
            if self.inner
                && let Some(inner) = packet.inner(bytes, frame, network, domain)
            {
                *packet = inner.packet;
                return Ok((inner.domain, inner.part));
            }
            return Ok((domain, Part::WHOLE));
        }
        match read {
            Ok(()) | Err(NotAFlow::Fragment) => Ok((domain, network.part())),
            Err(why) => Err(why),
        }
    }
}

/// The datagrams under way: as many as the kernel keeps.
pub(crate) struct Datagrams {
    sets: Vec<DatagramSet>,
    replaced: u64,
}

impl Datagrams {
    pub(crate) fn new() -> Self {
        Self { sets: vec![DatagramSet::ZERO; SETS], replaced: 0 }
    }

    /// Gives a fragment its ports, or keeps them for others.
    ///
    /// # Errors
    /// Nothing is known of its first fragment.
    pub(crate) fn fragment(
        &mut self,
        packet: &mut Packet,
        part: Part,
        domain: u16,
        time_ns: i64,
    ) -> Result<(), NotAFlow> {
        let now_us = u64::try_from(time_ns / 1000).unwrap_or(0);
        let index = DatagramKey::of(packet, domain).hash(SEED) as usize & (SETS - 1);
        let set = self.sets.get_mut(index).ok_or(NotAFlow::Fragment)?;
        match set.fragment(packet, part, domain, now_us) {
            Outcome::Unknown => return Err(NotAFlow::Fragment),
            Outcome::Replaced => self.replaced += 1,
            Outcome::Known => {}
        }
        Ok(())
    }

    /// Datagrams forgotten for others although fragments of theirs could still come.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }
}

/// Packets of frames in their order, fragments too.
pub struct Reading {
    parsing: Parsing,
    datagrams: Datagrams,
}

impl Reading {
    /// Reads packets, and looks into tunnels where `inner` says so.
    pub fn new(inner: bool) -> Self {
        Self::by(Parsing { inner, ..Parsing::default() })
    }

    /// Reads packets so.
    pub fn by(parsing: Parsing) -> Self {
        Self { parsing, datagrams: Datagrams::new() }
    }

    /// The packet in the frame that is counted, and its domain; as in the kernel. Fragments need their frames in order
    /// of time, which is what they are told by.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow.
    pub fn packet(&mut self, frame: &Frame<'_>) -> Result<(Packet, u16), NotAFlow> {
        let mut packet = Packet::ZERO;
        let domain = self.read(frame, &mut packet)?;
        Ok((packet, domain))
    }

    /// As [`Self::packet`], into a packet that may hold anything before. Returns its domain.
    ///
    /// # Errors
    /// As [`Self::packet`].
    #[inline(always)]
    pub fn read(&mut self, frame: &Frame<'_>, packet: &mut Packet) -> Result<u16, NotAFlow> {
        let (domain, part) = self.parsing.read(frame, packet)?;
        if !part.is_whole() {
            self.datagrams.fragment(packet, part, domain, frame.time_ns)?;
        }
        Ok(domain)
    }

    /// Datagrams forgotten for others although fragments of theirs could still come.
    pub fn replaced(&self) -> u64 {
        self.datagrams.replaced()
    }
}
