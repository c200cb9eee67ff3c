//! Transport layer: ports, flags, sizes.

use super::{ICMP, ICMPV6, Network, NotAFlow, Packet, SCTP, TCP, TCP_BYTES, UDP};
use crate::cursor::{Cursor, Frame};

const UDP_BYTES: u16 = 8;
/// SCTP's common header; chunks are payload.
const SCTP_BYTES: u16 = 12;
const ICMP_BYTES: u16 = 8;

impl Packet {
    /// Reads the transport header of a frame whose network layer was read.
    ///
    /// # Errors
    /// Says why the frame belongs to no flow. [`NotAFlow::Fragment`] of a later fragment, of which everything but ports
    /// and protocol is known by then: [`crate::fragments`] may know those.
    #[inline(always)]
    pub fn transport<C: Cursor + ?Sized>(
        &mut self,
        cursor: &C,
        frame: Frame,
        network: Network,
    ) -> Result<(), NotAFlow> {
        let at = network.at;
        if !network.part().is_whole() {
            if network.part().is_unread() {
                return Err(NotAFlow::TooManyHeaders);
            }
            if network.part().is_later() {
                self.without_header();
                self.sizes(frame, network);
                return Err(NotAFlow::Fragment);
            }
        }
        match self.protocol {
            TCP => self.tcp(cursor, at)?,
            UDP => self.ports(cursor, at, UDP_BYTES)?,
            SCTP => self.ports(cursor, at, SCTP_BYTES)?,
            ICMP | ICMPV6 => self.icmp(cursor, at)?,
            _ => self.without_header(),
        }
        self.sizes(frame, network);
        Ok(())
    }

    #[inline(always)]
    fn tcp<C: Cursor + ?Sized>(&mut self, cursor: &C, at: usize) -> Result<(), NotAFlow> {
        let header = cursor.tcp(at).ok_or(NotAFlow::Truncated)?;
        self.src_port = header.src_port;
        self.dst_port = header.dst_port;
        (self.seq, self.ack) = (header.seq, header.ack);
        self.window = header.window;
        self.icmp = 0;
        self.flags = header.offset_flags as u8;
        self.header_bytes = (header.offset_flags >> 12) * 4;
        if self.header_bytes < TCP_BYTES {
            return Err(NotAFlow::Malformed);
        }
        Ok(())
    }

    #[inline(always)]
    fn without_tcp(&mut self) {
        (self.flags, self.window, self.seq, self.ack) = (0, 0, 0, 0);
    }

    #[inline(always)]
    fn without_header(&mut self) {
        (self.src_port, self.dst_port) = (0, 0);
        (self.header_bytes, self.icmp) = (0, 0);
        self.without_tcp();
    }

    /// Ports where UDP has them.
    #[inline(always)]
    fn ports<C: Cursor + ?Sized>(&mut self, cursor: &C, at: usize, header_bytes: u16) -> Result<(), NotAFlow> {
        self.src_port = cursor.be16(at).ok_or(NotAFlow::Truncated)?;
        self.dst_port = cursor.be16(at + 2).ok_or(NotAFlow::Truncated)?;
        (self.header_bytes, self.icmp) = (header_bytes, 0);
        self.without_tcp();
        Ok(())
    }

    #[inline(always)]
    fn icmp<C: Cursor + ?Sized>(&mut self, cursor: &C, at: usize) -> Result<(), NotAFlow> {
        self.icmp = cursor.be16(at).ok_or(NotAFlow::Truncated)?;
        (self.src_port, self.dst_port) = (0, 0);
        self.header_bytes = ICMP_BYTES;
        self.without_tcp();
        let kind = self.icmp >> 8;
        let echo = if self.protocol == ICMP { kind == 8 || kind == 0 } else { kind == 128 || kind == 129 };
        if echo {
            let id = cursor.be16(at + 4).ok_or(NotAFlow::Truncated)?;
            self.src_port = id;
            self.dst_port = id;
        }
        Ok(())
    }

    #[inline(always)]
    fn sizes(&mut self, frame: Frame, network: Network) {
        self.payload_bytes = network.bytes.saturating_sub(self.header_bytes as u32);
        self.wire_bytes = frame.len;
        self.segments = frame.segments;
        self.segment_bytes = frame.segment_bytes;
        if frame.segments > 1 {
            let headers = network.at as u32 + self.header_bytes as u32;
            self.wire_bytes = frame.len + (frame.segments - 1) * headers;
            // Some drivers hand over trains without saying how they were cut.
            if self.segment_bytes == 0 || self.segment_bytes * (frame.segments - 1) > self.payload_bytes {
                self.segment_bytes = self.payload_bytes / frame.segments;
            }
        }
    }
}
