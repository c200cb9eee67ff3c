//! The sensor's recording of the run: when the kernel saw an attack's first packet, how many flows were benign.

use std::net::IpAddr;

use anyhow::{Result, bail};
use ganglion_flow::record::{Record, RecordHeader, RecordKind};
use ganglion_flow::{Stage, Wire, state};

/// Magic, format, record version, reserved, clock offset.
const HEADER_BYTES: usize = 16;

/// Flows and addresses of a recording.
pub(super) struct Recording {
    /// First packet (ns since boot), sender, receiver, whether the flow is over.
    seen: Vec<(u64, IpAddr, Option<IpAddr>, bool)>,
}

/// Reads a whole recording.
pub(super) fn read(bytes: &[u8]) -> Result<Recording> {
    if !bytes.starts_with(b"GNLR") || bytes.len() < HEADER_BYTES {
        bail!("the sensor's recording does not begin as one");
    }
    let mut rest = &bytes[HEADER_BYTES..];
    let mut seen = Vec::new();
    while let Some(header) = RecordHeader::get(rest) {
        let Some(kind) = RecordKind::from_u8(header.kind) else {
            bail!("the recording holds a record of kind {}", header.kind);
        };
        let Some((record, next)) = rest.split_at_checked(kind.len()) else { break };
        match Record::decode(record)? {
            Record::Flow(flow) => {
                let ((from, _), (to, _)) = state::endpoints(&flow.key, &flow.state);
                let over = header.stage == Stage::End as u8;
                seen.push((flow.state.first_us * 1000, from.into(), Some(to.into()), over));
            }
            Record::Source(source) if source.state.role == 0 => {
                seen.push((source.state.first_us * 1000, source.state.addr.into(), None, false));
            }
            Record::Source(_) => {}
        }
        rest = next;
    }
    Ok(Recording { seen })
}

impl Recording {
    /// The first packet that such an address sent after `start_ns`.
    pub(super) fn first_packet_ns(&self, start_ns: u64, sends: impl Fn(IpAddr) -> bool) -> Option<u64> {
        let of_attack = self.seen.iter().filter(|(first, from, ..)| *first >= start_ns && sends(*from));
        of_attack.map(|(first, ..)| *first).min()
    }

    /// Ended flows between such addresses.
    pub(super) fn flows(&self, is_benign: impl Fn(IpAddr) -> bool) -> usize {
        let ended = self.seen.iter().filter(|(.., over)| *over);
        ended.filter(|(_, from, to, _)| is_benign(*from) || to.is_some_and(&is_benign)).count()
    }
}
