//! What an interface description says of the packets that name it.

use crate::capture::classic::{half, snap_bytes, word};
use crate::capture::link::LinkType;

const OPTION_END: u16 = 0;
const OPTION_TIME_RESOLUTION: u16 = 9;
const OPTION_TIME_OFFSET: u16 = 14;
/// Bytes before the options, from the block's begin on.
const OPTIONS_AT: usize = 16;

/// An interface of a section.
pub(super) struct Interface {
    /// The link type, or the number of one that is refused.
    pub(super) link: Result<LinkType, u32>,
    /// Bytes of a packet that are delivered.
    pub(super) snap_bytes: u32,
    resolution: Resolution,
    offset_seconds: i64,
}

/// Units of an interface's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// Each so many ns.
    Multiply(u64),
    /// So many to a ns.
    Divide(u64),
    /// 2^n to a second.
    Binary(u32),
    /// So fine that all of 64 bits is less than a ns.
    Zero,
}

impl Interface {
    /// Reads a whole interface description block; `None` if it is too short to be one.
    pub(super) fn of(block: &[u8], big_endian: bool) -> Option<Self> {
        let head = block.first_chunk::<OPTIONS_AT>()?;
        let number = u32::from(half(head, 8, big_endian));
        let mut interface = Self {
            link: LinkType::new(number).ok_or(number),
            snap_bytes: snap_bytes(word(head, 12, big_endian)),
            resolution: Resolution::Multiply(1_000),
            offset_seconds: 0,
        };
        interface.options(block.get(OPTIONS_AT..block.len() - 4)?, big_endian);
        Some(interface)
    }

    /// Takes what tells of time. Options that overrun the block end there: what they are about is unknown, but its
    /// packets are whole.
    fn options(&mut self, mut options: &[u8], big_endian: bool) {
        while let Some((head, rest)) = options.split_first_chunk::<4>() {
            let (code, bytes) = (half(head, 0, big_endian), usize::from(half(head, 2, big_endian)));
            let Some(value) = rest.get(..bytes) else {
                return;
            };
            match (code, value) {
                (OPTION_END, _) => return,
                (OPTION_TIME_RESOLUTION, [resolution, ..]) => self.resolution = Resolution::of(*resolution),
                (OPTION_TIME_OFFSET, value) => {
                    if let Some(eight) = value.first_chunk() {
                        self.offset_seconds =
                            if big_endian { i64::from_be_bytes(*eight) } else { i64::from_le_bytes(*eight) };
                    }
                }
                _ => {}
            }
            options = rest.get(bytes.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    /// A packet's time in ns since 1970, the nearest one that there is.
    #[inline]
    pub(super) fn time_ns(&self, units: u64) -> i64 {
        let ns = match self.resolution {
            Resolution::Multiply(by) => units.saturating_mul(by),
            Resolution::Divide(by) => units / by,
            // 64 bits by 30: no overflow of 128.
            Resolution::Binary(bits) => u64::try_from((u128::from(units) * 1_000_000_000) >> bits).unwrap_or(u64::MAX),
            Resolution::Zero => 0,
        };
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        ns.saturating_add(self.offset_seconds.saturating_mul(1_000_000_000))
    }
}

impl Resolution {
    /// The option's byte: a negative power of ten, or of two with the highest bit set.
    fn of(byte: u8) -> Self {
        let power = u32::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            return Self::Binary(power);
        }
        if let Some(zeros) = 9_u32.checked_sub(power) {
            return Self::Multiply(10_u64.pow(zeros));
        }
        10_u64.checked_pow(power - 9).map_or(Self::Zero, Self::Divide)
    }
}
