//! Flags, headers, windows.

use super::super::flow::flag;
use super::{Column, Value, count, int};

macro_rules! flagged {
    ($name:literal, $flag:ident) => {
        int($name, "packets", concat!("packets with ", stringify!($flag), ", both directions"), |row| {
            count(row.flagged(flag::$flag))
        })
    };
    ($name:literal, $direction:ident, $flag:ident) => {
        int($name, "packets", concat!(stringify!($direction), " packets with ", stringify!($flag)), |row| {
            count(row.$direction.flagged(flag::$flag))
        })
    };
}

pub(super) const BY_DIRECTION: &[Column] = &[
    flagged!("Fwd PSH Flags", forward, PSH),
    flagged!("Bwd PSH Flags", backward, PSH),
    flagged!("Fwd URG Flags", forward, URG),
    flagged!("Bwd URG Flags", backward, URG),
    flagged!("Fwd RST Flags", forward, RST),
    flagged!("Bwd RST Flags", backward, RST),
    int("Fwd Header Length", "bytes", "Σ hdr, forward", |row| count(row.forward.header_bytes)),
    int("Bwd Header Length", "bytes", "Σ hdr, backward", |row| count(row.backward.header_bytes)),
];

pub(super) const FLAGS: &[Column] = &[
    flagged!("FIN Flag Count", FIN),
    flagged!("SYN Flag Count", SYN),
    flagged!("RST Flag Count", RST),
    flagged!("PSH Flag Count", PSH),
    flagged!("ACK Flag Count", ACK),
    flagged!("URG Flag Count", URG),
    flagged!("CWR Flag Count", CWR),
    flagged!("ECE Flag Count", ECE),
];

pub(super) const WINDOWS: &[Column] = &[
    int("FWD Init Win Bytes", "bytes", "window of the first packet if that went forward, else 0", |row| {
        Value::Int(row.forward_window.into())
    }),
    int("Bwd Init Win Bytes", "bytes", "window of the first backward packet in which it is not 0", |row| {
        Value::Int(row.backward_window.into())
    }),
    int("Fwd Act Data Pkts", "packets", "forward packets with len ≥ 1", |row| count(row.forward.data_packets)),
    int("Bwd Act Data Pkts", "packets", "backward packets with len ≥ 1", |row| count(row.backward.data_packets)),
    int("Fwd Seg Size Min", "bytes", "min hdr, forward; 0 if the first packet went backward", |row| {
        Value::Int(if row.began_forward { row.forward.header_bytes_min.into() } else { 0 })
    }),
    int("Bwd Seg Size Min", "bytes", "min hdr, backward; 0 if the first packet went forward", |row| {
        Value::Int(if row.began_forward { 0 } else { row.backward.header_bytes_min.into() })
    }),
];
