//! What crosses the ring buffer, byte for byte.

use crate::key::FlowKey;
use crate::source::SourceState;
use crate::state::FlowState;
use crate::wire::{Wire, wire_struct};

/// Layout number of everything in this module; both ends of every hop compare it.
pub const VERSION: u8 = 1;

/// The first byte of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// A [`FlowRecord`].
    Flow = 1,
    /// A [`SourceRecord`].
    Source = 2,
}

/// How far a flow was when the record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// It is over.
    End = 0,
    /// After 8 packets.
    Packets8 = 1,
    /// After 32 packets.
    Packets32 = 2,
    /// After 128 packets.
    Packets128 = 3,
    /// Older than a second.
    Age1s = 4,
    /// Older than 5 seconds.
    Age5s = 5,
    /// Older than 30 seconds.
    Age30s = 6,
    /// Not a flow: an address reached a level.
    Source = 7,
}

/// Why the record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The flow goes on; see the stage.
    Early = 0,
    /// A FIN from each side.
    Fin = 1,
    /// A reset.
    Rst = 2,
    /// Silent for the idle timeout.
    Idle = 3,
    /// Lasted for the active timeout. A cut, not an end: the next record of the flow has the same initiator.
    Active = 4,
    /// Its one packet, or its opener alone, stayed without an answer.
    HalfOpen = 5,
    /// The same 5-tuple was opened anew.
    Reopened = 6,
    /// The sensor went away for good.
    Shutdown = 7,
    /// The sensor changed its layout.
    Upgrade = 8,
    /// An address reached a level.
    Level = 9,
}

/// Where packets were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Hook {
    /// XDP: every wire packet.
    Xdp = 0,
    /// TC ingress: merged trains.
    TcIngress = 1,
    /// TC egress: trains not yet split.
    TcEgress = 2,
    /// The sweep or the sensor, not a packet.
    Sweep = 3,
    /// A capture file.
    Offline = 4,
}

macro_rules! from_u8 {
    ($name:ident: $($variant:ident),*) => {
        impl $name {
            /// The value with this number.
            pub const fn from_u8(number: u8) -> Option<Self> {
                $(if number == Self::$variant as u8 { return Some(Self::$variant); })*
                None
            }
        }
    };
}

from_u8!(RecordKind: Flow, Source);
from_u8!(Stage: End, Packets8, Packets32, Packets128, Age1s, Age5s, Age30s, Source);
from_u8!(Reason: Early, Fin, Rst, Idle, Active, HalfOpen, Reopened, Shutdown, Upgrade, Level);
from_u8!(Hook: Xdp, TcIngress, TcEgress, Sweep, Offline);

impl Stage {
    /// The bit of [`FlowState::stages`] that says this stage was exported.
    #[inline(always)]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The early stage that `packets` packets reach and `done` does not hold yet, the furthest first.
    #[inline(always)]
    pub fn by_packets(packets: u64, done: u8) -> Option<Self> {
        if packets < 8 {
            None
        } else if packets >= 128 {
            (done & Self::Packets128.bit() == 0).then_some(Self::Packets128)
        } else if packets >= 32 {
            (done & Self::Packets32.bit() == 0).then_some(Self::Packets32)
        } else {
            (done & Self::Packets8.bit() == 0).then_some(Self::Packets8)
        }
    }

    /// The early stage that an age of `age_us` reaches and `done` does not hold yet, the furthest first.
    #[inline(always)]
    pub fn by_age(age_us: u64, done: u8) -> Option<Self> {
        if age_us < crate::US_PER_S {
            None
        } else if age_us >= 30 * crate::US_PER_S {
            (done & Self::Age30s.bit() == 0).then_some(Self::Age30s)
        } else if age_us >= 5 * crate::US_PER_S {
            (done & Self::Age5s.bit() == 0).then_some(Self::Age5s)
        } else {
            (done & Self::Age1s.bit() == 0).then_some(Self::Age1s)
        }
    }

    /// The age of the stage by age that comes after those of `done`, µs. One that was passed over does not come any more.
    pub const fn next_age_us(done: u8) -> Option<u64> {
        if done & Self::Age30s.bit() != 0 {
            None
        } else if done & Self::Age5s.bit() != 0 {
            Some(30 * crate::US_PER_S)
        } else if done & Self::Age1s.bit() != 0 {
            Some(5 * crate::US_PER_S)
        } else {
            Some(crate::US_PER_S)
        }
    }
}

wire_struct! {
    /// What every record begins with.
    pub struct RecordHeader {
        /// A [`RecordKind`].
        pub kind: u8,
        /// [`VERSION`].
        pub version: u8,
        /// A [`Stage`].
        pub stage: u8,
        /// A [`Reason`].
        pub reason: u8,
        /// A [`Hook`]: where the packet that caused the record was seen.
        pub hook: u8,
        /// Always zero.
        pub zero: [u8; 3],
        /// When the record was made, µs since boot.
        pub time_us: u64,
    }
}

wire_struct! {
    /// A flow, ended or as it is.
    pub struct FlowRecord {
        /// Kind, stage, reason.
        pub header: RecordHeader,
        /// The flow.
        pub key: FlowKey,
        /// What is known of it.
        pub state: FlowState,
    }
}

wire_struct! {
    /// An address that reached a level of new, unanswered or open flows.
    pub struct SourceRecord {
        /// Kind, stage, reason.
        pub header: RecordHeader,
        /// What is known of it.
        pub state: SourceState,
    }
}

impl RecordHeader {
    /// A header of this version.
    #[inline(always)]
    pub const fn new(kind: RecordKind, stage: Stage, reason: Reason, hook: Hook, time_us: u64) -> Self {
        Self {
            kind: kind as u8,
            version: VERSION,
            stage: stage as u8,
            reason: reason as u8,
            hook: hook as u8,
            zero: [0; 3],
            time_us,
        }
    }
}

/// A decoded record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "decoded one at a time, never stored in numbers; no allocator here")]
pub enum Record {
    /// A flow.
    Flow(FlowRecord),
    /// An address.
    Source(SourceRecord),
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not even a header.
    TooShort {
        /// Bytes there are.
        len: usize,
    },
    /// Made by another version.
    Version {
        /// The version found.
        found: u8,
    },
    /// A kind, stage, reason or hook that does not exist.
    Unknown {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u8,
    },
    /// The length is not that of the kind.
    Length {
        /// Bytes the kind takes.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooShort { len } => write!(f, "record of {len} bytes is shorter than a header"),
            Self::Version { found } => {
                write!(
                    f,
                    "record of version {found}, this program reads version {VERSION}: run the same release on both ends"
                )
            }
            Self::Unknown { field, value } => write!(f, "record with unknown {field} {value}"),
            Self::Length { expected, found } => {
                write!(f, "record of {found} bytes where {expected} are due")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

impl Record {
    /// Decodes exactly one record.
    ///
    /// # Errors
    /// Says what is wrong with the bytes; never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let header = RecordHeader::get(bytes).ok_or(DecodeError::TooShort { len: bytes.len() })?;
        if header.version != VERSION {
            return Err(DecodeError::Version { found: header.version });
        }
        let unknown = |field, value| DecodeError::Unknown { field, value };
        let kind = RecordKind::from_u8(header.kind).ok_or(unknown("kind", header.kind))?;
        Stage::from_u8(header.stage).ok_or(unknown("stage", header.stage))?;
        Reason::from_u8(header.reason).ok_or(unknown("reason", header.reason))?;
        Hook::from_u8(header.hook).ok_or(unknown("hook", header.hook))?;
        let expected = kind.len();
        let length = DecodeError::Length { expected, found: bytes.len() };
        if bytes.len() != expected {
            return Err(length);
        }
        match kind {
            RecordKind::Flow => FlowRecord::get(bytes).map(Self::Flow).ok_or(length),
            RecordKind::Source => {
                let record = SourceRecord::get(bytes).ok_or(length)?;
                crate::Role::from_u8(record.state.role).ok_or(unknown("role", record.state.role))?;
                Ok(Self::Source(record))
            }
        }
    }

    /// The header.
    pub fn header(&self) -> &RecordHeader {
        match self {
            Self::Flow(flow) => &flow.header,
            Self::Source(source) => &source.header,
        }
    }
}

impl RecordKind {
    /// Encoded length of a record of this kind, in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a size, not a container")]
    pub const fn len(self) -> usize {
        match self {
            Self::Flow => FlowRecord::LEN,
            Self::Source => SourceRecord::LEN,
        }
    }
}

#[cfg(test)]
mod tests;
