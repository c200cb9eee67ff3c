//! Packets out of frames, where one frame alone does not say all: later fragments, and the inside of tunnels.

use super::{Frame, LinkType};
use ganglion_flow::Wire;
use ganglion_flow::cursor::{self, Cursor};
use ganglion_flow::fragments::{DatagramKey, DatagramSet, Outcome, SETS};
use ganglion_flow::packet::{NotAFlow, Packet, Part};

/// Not random, so that the same capture gives the same packets each time.
const SEED: u64 = 0x6761_6e67_6c69_6f6e;

/// How packets are read, and the datagrams under way: as many as the kernel keeps.
pub struct Reading {
    /// The flow of a tunnelled packet is the inner one.
    pub inner: bool,
    /// VLAN identifiers separate flows.
    pub vlan_domain: bool,
    /// Domain of what has none of its own.
    pub domain: u16,
    datagrams: Vec<DatagramSet>,
    replaced: u64,
}

impl Reading {
    /// Reads packets, and looks into tunnels where `inner` says so.
    pub fn new(inner: bool) -> Self {
        Self { inner, vlan_domain: false, domain: 0, datagrams: vec![DatagramSet::ZERO; SETS], replaced: 0 }
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
    #[inline]
    pub fn read(&mut self, frame: &Frame<'_>, packet: &mut Packet) -> Result<u16, NotAFlow> {
        if frame.link == LinkType::Ethernet {
            return self.parse(frame.bytes, cursor::Frame::plain(frame.original_bytes), frame.time_ns, packet);
        }
        let (bytes, plain) = frame.as_ethernet().ok_or(NotAFlow::NotIp)?;
        self.parse(&bytes, plain, frame.time_ns, packet)
    }

    /// Datagrams forgotten for others although fragments of theirs could still come.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    #[inline(always)]
    fn parse<C: Cursor + ?Sized>(
        &mut self,
        bytes: &C,
        frame: cursor::Frame,
        time_ns: i64,
        packet: &mut Packet,
    ) -> Result<u16, NotAFlow> {
        let network = packet.network(bytes, frame)?;
        let read = packet.transport(bytes, frame, network);
        let domain = if self.vlan_domain { packet.vlan } else { self.domain };
        if network.part().is_whole() {
            read?;
            if self.inner
                && let Some(inner) = packet.inner(bytes, frame, network, domain)
            {
                *packet = inner.packet;
                return self.fragment(packet, inner.part, inner.domain, time_ns);
            }
            return Ok(domain);
        }
        match read {
            Ok(()) | Err(NotAFlow::Fragment) => self.fragment(packet, network.part(), domain, time_ns),
            Err(why) => Err(why),
        }
    }

    /// Gives the packet its ports, whatever part of a datagram it is.
    fn fragment(&mut self, packet: &mut Packet, part: Part, domain: u16, time_ns: i64) -> Result<u16, NotAFlow> {
        if part.is_whole() {
            return Ok(domain);
        }
        let now_us = u64::try_from(time_ns / 1000).unwrap_or(0);
        let index = DatagramKey::of(packet, domain).hash(SEED) as usize & (SETS - 1);
        let set = self.datagrams.get_mut(index).ok_or(NotAFlow::Fragment)?;
        match set.fragment(packet, part, domain, now_us) {
            Outcome::Unknown => return Err(NotAFlow::Fragment),
            Outcome::Replaced => self.replaced += 1,
            Outcome::Known => {}
        }
        Ok(domain)
    }
}
