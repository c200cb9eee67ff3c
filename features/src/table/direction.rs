//! One direction: "fwd" is what the initiator sent, "bwd" what the responder sent.

use crate::feature::{Feature, flow};
use crate::moments::{per_second, ratio};
use crate::view::{flag, gaps, minimum, payloads};

macro_rules! direction {
    ($name:ident, $d:ident, $p:literal, $cap:literal, $packets:literal, $bytes:literal, $window:literal) => {
        pub(super) const $name: &[Feature] = &[
            flow(concat!($p, "_packets"), "packets", concat!($p, ": packets"), "packets", Some($packets), &|v| {
                v.flow.$d.packets as f64
            }),
            flow(
                concat!($p, "_payload_bytes"),
                "bytes",
                concat!($p, ": payload_bytes"),
                "payload bytes",
                Some($bytes),
                &|v| v.flow.$d.payload_bytes as f64,
            ),
            flow(
                concat!($p, "_wire_bytes"),
                "bytes",
                concat!($p, ": wire_bytes"),
                "bytes from the Ethernet header on",
                None,
                &|v| v.flow.$d.wire_bytes as f64,
            ),
            flow(
                concat!($p, "_payload_max_bytes"),
                "bytes",
                concat!($p, ": payload_max"),
                "largest payload",
                Some(concat!($cap, " Packet Length Max")),
                &|v| v.flow.$d.payload_max.into(),
            ),
            flow(
                concat!($p, "_payload_min_bytes"),
                "bytes",
                concat!($p, ": payload_min"),
                "smallest payload",
                Some(concat!($cap, " Packet Length Min")),
                &|v| v.flow.$d.payload_min.into(),
            ),
            flow(
                concat!($p, "_payload_mean_bytes"),
                "bytes",
                concat!($p, ": payload_bytes, packets"),
                "payload bytes / packets",
                Some(concat!($cap, " Packet Length Mean; ", $cap, " Segment Size Avg")),
                &|v| payloads(&v.flow.$d).mean(),
            ),
            flow(
                concat!($p, "_payload_std_bytes"),
                "bytes",
                concat!($p, ": payload_sq_bytes2, payload_bytes, packets"),
                "sample deviation of payloads",
                Some(concat!($cap, " Packet Length Std")),
                &|v| payloads(&v.flow.$d).deviation(),
            ),
            flow(
                concat!($p, "_iat_total_us"),
                "µs",
                concat!($p, ": first_us, last_us"),
                "last − first",
                Some(concat!($cap, " IAT Total")),
                &|v| gaps(&v.flow.$d).sum as f64,
            ),
            flow(
                concat!($p, "_iat_mean_us"),
                "µs",
                concat!($p, ": first_us, last_us, arrivals"),
                "total / gaps",
                Some(concat!($cap, " IAT Mean")),
                &|v| gaps(&v.flow.$d).mean(),
            ),
            flow(
                concat!($p, "_iat_std_us"),
                "µs",
                concat!($p, ": iat_sq_us2, arrivals, first_us, last_us"),
                "sample deviation of gaps",
                Some(concat!($cap, " IAT Std")),
                &|v| gaps(&v.flow.$d).deviation(),
            ),
            flow(
                concat!($p, "_iat_max_us"),
                "µs",
                concat!($p, ": iat_max_us"),
                "longest gap",
                Some(concat!($cap, " IAT Max")),
                &|v| v.flow.$d.iat_max_us.into(),
            ),
            flow(
                concat!($p, "_iat_min_us"),
                "µs",
                concat!($p, ": iat_min_us"),
                "shortest gap, 0 without gaps",
                Some(concat!($cap, " IAT Min")),
                &|v| minimum(v.flow.$d.iat_min_us, v.flow.$d.arrivals.into()),
            ),
            flow(concat!($p, "_fin_packets"), "packets", concat!($p, ": flags[0]"), "packets with FIN", None, &|v| {
                flag(&v.flow.$d, 0)
            }),
            flow(concat!($p, "_syn_packets"), "packets", concat!($p, ": flags[1]"), "packets with SYN", None, &|v| {
                flag(&v.flow.$d, 1)
            }),
            flow(
                concat!($p, "_rst_packets"),
                "packets",
                concat!($p, ": flags[2]"),
                "packets with RST",
                Some(concat!($cap, " RST Flags")),
                &|v| flag(&v.flow.$d, 2),
            ),
            flow(
                concat!($p, "_psh_packets"),
                "packets",
                concat!($p, ": flags[3]"),
                "packets with PSH",
                Some(concat!($cap, " PSH Flags")),
                &|v| flag(&v.flow.$d, 3),
            ),
            flow(concat!($p, "_ack_packets"), "packets", concat!($p, ": flags[4]"), "packets with ACK", None, &|v| {
                flag(&v.flow.$d, 4)
            }),
            flow(
                concat!($p, "_urg_packets"),
                "packets",
                concat!($p, ": flags[5]"),
                "packets with URG",
                Some(concat!($cap, " URG Flags")),
                &|v| flag(&v.flow.$d, 5),
            ),
            flow(concat!($p, "_ece_packets"), "packets", concat!($p, ": flags[6]"), "packets with ECE", None, &|v| {
                flag(&v.flow.$d, 6)
            }),
            flow(concat!($p, "_cwr_packets"), "packets", concat!($p, ": flags[7]"), "packets with CWR", None, &|v| {
                flag(&v.flow.$d, 7)
            }),
            flow(
                concat!($p, "_header_bytes"),
                "bytes",
                concat!($p, ": header_bytes"),
                "sum of transport headers",
                Some(concat!($cap, " Header Length")),
                &|v| v.flow.$d.header_bytes.into(),
            ),
            flow(
                concat!($p, "_header_min_bytes"),
                "bytes",
                concat!($p, ": header_min"),
                "smallest transport header",
                Some(concat!($cap, " Seg Size Min")),
                &|v| v.flow.$d.header_min.into(),
            ),
            flow(
                concat!($p, "_packets_per_s"),
                "packets/s",
                concat!($p, ": packets, first_us, last_us"),
                "packets / flow duration; 0 without duration",
                Some(concat!($cap, " Packets/s")),
                &|v| per_second(v.flow.$d.packets as f64, v.duration_us()),
            ),
            flow(
                concat!($p, "_bytes_per_s"),
                "bytes/s",
                concat!($p, ": payload_bytes, first_us, last_us"),
                "payload bytes / flow duration; 0 without duration",
                None,
                &|v| per_second(v.flow.$d.payload_bytes as f64, v.duration_us()),
            ),
            flow(
                concat!($p, "_data_packets"),
                "packets",
                concat!($p, ": data_packets"),
                "packets with payload",
                Some(concat!($cap, " Act Data Pkts")),
                &|v| v.flow.$d.data_packets.into(),
            ),
            flow(
                concat!($p, "_data_share"),
                "",
                concat!($p, ": data_packets, packets"),
                "packets with payload / packets",
                None,
                &|v| ratio(v.flow.$d.data_packets.into(), v.flow.$d.packets as f64),
            ),
            flow(
                concat!($p, "_window_first"),
                "",
                concat!($p, ": window_first"),
                "TCP window of the first packet, unscaled",
                Some($window),
                &|v| v.flow.$d.window_first.into(),
            ),
            flow(
                concat!($p, "_window_last"),
                "",
                concat!($p, ": window_last"),
                "TCP window of the last packet, unscaled",
                None,
                &|v| v.flow.$d.window_last.into(),
            ),
            flow(
                concat!($p, "_zero_windows"),
                "packets",
                concat!($p, ": zero_windows"),
                "packets that announced a window of 0",
                None,
                &|v| v.flow.$d.zero_windows.into(),
            ),
            flow(
                concat!($p, "_retransmissions"),
                "packets",
                concat!($p, ": retransmissions"),
                "packets behind the next sequence number",
                None,
                &|v| v.flow.$d.retransmissions.into(),
            ),
            flow(
                concat!($p, "_retransmission_share"),
                "",
                concat!($p, ": retransmissions, packets"),
                "retransmissions / packets",
                None,
                &|v| ratio(v.flow.$d.retransmissions.into(), v.flow.$d.packets as f64),
            ),
            flow(concat!($p, "_bulks"), "", concat!($p, ": bulks"), "runs of at least 4 data packets", None, &|v| {
                v.flow.$d.bulks.into()
            }),
            flow(
                concat!($p, "_bulk_bytes_mean"),
                "bytes",
                concat!($p, ": bulk_bytes, bulks"),
                "bytes in bulks / bulks",
                Some(concat!($cap, " Bytes/Bulk Avg")),
                &|v| ratio(v.flow.$d.bulk_bytes as f64, v.flow.$d.bulks.into()),
            ),
            flow(
                concat!($p, "_bulk_packets_mean"),
                "packets",
                concat!($p, ": bulk_packets, bulks"),
                "packets in bulks / bulks",
                Some(concat!($cap, " Packet/Bulk Avg")),
                &|v| ratio(v.flow.$d.bulk_packets.into(), v.flow.$d.bulks.into()),
            ),
            flow(
                concat!($p, "_bulk_bytes_per_s"),
                "bytes/s",
                concat!($p, ": bulk_bytes, bulk_duration_us"),
                "bytes in bulks / time in bulks",
                Some(concat!($cap, " Bulk Rate Avg")),
                &|v| per_second(v.flow.$d.bulk_bytes as f64, v.flow.$d.bulk_duration_us),
            ),
            flow(
                concat!($p, "_subflow_packets"),
                "packets",
                concat!($p, ": packets, subflow_gaps"),
                "packets / gaps above 1 s, 0 without such gaps",
                Some(concat!("Subflow ", $cap, " Packets")),
                &|v| ratio(v.flow.$d.packets as f64, v.flow.subflow_gaps.into()),
            ),
            flow(
                concat!($p, "_subflow_bytes"),
                "bytes",
                concat!($p, ": payload_bytes, subflow_gaps"),
                "payload bytes / gaps above 1 s, 0 without such gaps",
                Some(concat!("Subflow ", $cap, " Bytes")),
                &|v| ratio(v.flow.$d.payload_bytes as f64, v.flow.subflow_gaps.into()),
            ),
        ];
    };
}

direction!(FORWARD, fwd, "fwd", "Fwd", "Total Fwd Packet", "Total Length of Fwd Packet", "FWD Init Win Bytes");
direction!(BACKWARD, bwd, "bwd", "Bwd", "Total Bwd packets", "Total Length of Bwd Packet", "Bwd Init Win Bytes");
