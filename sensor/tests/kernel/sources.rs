//! The address table: levels, windows, and floods from everywhere.

use ganglion_flow::packet::tcp_flag::{ACK, RST, SYN};
use ganglion_flow::record::Record;
use ganglion_flow::source::status;
use ganglion_flow::{Counter, Role, SourceState};
use std::net::IpAddr;

use crate::harness::Kernel;
use crate::packets::{CLIENT, SERVER, Tcp, udp};

fn sources(kernel: &mut Kernel, role: Role) -> Vec<SourceState> {
    kernel
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Source(source) if source.state.role == role as u8 => Some(source.state),
            _ => None,
        })
        .collect()
}

#[test]
fn a_scan_is_reported_at_8_32_and_128_ports() {
    let mut kernel = Kernel::new();
    for port in 1..=200 {
        kernel.xdp(&Tcp::to_server(40000, port, SYN).build());
        kernel.egress(&Tcp::to_client(40000, port, RST | ACK).build());
    }
    let records = sources(&mut kernel, Role::Source);
    let new: Vec<_> = records.iter().map(|s| s.new_window).collect();
    assert_eq!(new, [8, 32, 128], "the window of ten seconds may turn in between");
    let last = records.last().unwrap();
    assert_eq!(IpAddr::from(last.addr), IpAddr::from(CLIENT));
    assert_eq!((last.answered_window, last.reset_window, last.tcp_window), (127, 127, 128));
    let set: u32 = last.ports.iter().map(|w| w.count_ones()).sum();
    assert!(set > 80, "{set} bits for 128 ports");
    assert_eq!(last.peers.iter().map(|w| w.count_ones()).sum::<u32>(), 1);
    kernel.assert_balanced();
}

#[test]
fn many_open_connections_are_reported() {
    let mut kernel = Kernel::new();
    for sport in 1..=40 {
        kernel.xdp(&Tcp::to_server(sport, 80, SYN).build());
        kernel.egress(&Tcp::to_client(sport, 80, SYN | ACK).build());
        kernel.xdp(&Tcp::to_server(sport, 80, ACK).build());
    }
    let open: Vec<_> = sources(&mut kernel, Role::Destination).iter().map(|s| s.open).collect();
    assert!(open.contains(&8) && open.contains(&32), "{open:?}");
    for sport in 1..=40 {
        kernel.xdp(&Tcp::to_server(sport, 80, RST).build());
    }
    kernel.xdp(&Tcp::to_server(41, 80, SYN).build());
    kernel.assert_balanced();
}

#[test]
fn a_flood_from_everywhere_keeps_established_flows_and_known_peers() {
    let mut kernel = Kernel::new();
    kernel.xdp(&Tcp::to_server(1, 80, SYN).build());
    kernel.egress(&Tcp::to_client(1, 80, SYN | ACK).build());
    kernel.xdp(&Tcp::to_server(1, 80, ACK).build());
    let mut destination = Vec::new();
    for i in 0..20_000u32 {
        let [_, a, b, c] = (i.wrapping_mul(2_654_435_761) & 0x1_ffff).to_be_bytes();
        kernel.xdp(&udp([198, 18 + a, b, c], SERVER, i as u16, 80, 0));
        destination.extend(sources(&mut kernel, Role::Destination));
    }
    assert!(destination.iter().any(|s| s.new_window >= 8192), "the flood shows at its destination");
    let (key, _) = ganglion_flow::FlowKey::new(IpAddr::from(CLIENT).into(), IpAddr::from(SERVER).into(), 1, 80, 6, 0);
    assert_eq!(kernel.flow(&key).map(|s| s.packets()), Some(3));
    assert!(kernel.count(Counter::SkipFolded) > 10_000);
    assert!(kernel.count(Counter::SourcesReplaced) > 10_000);
    kernel.assert_balanced();
}

#[test]
fn a_forged_third_packet_makes_nobody_known() {
    let mut kernel = Kernel::new();
    let known = |kernel: &Kernel| {
        kernel.source(IpAddr::from(CLIENT).into(), Role::Source).unwrap().status & status::ESTABLISHED
    };
    kernel.xdp(&Tcp::to_server(1, 80, SYN).build());
    kernel.egress(&Tcp::to_client(1, 80, SYN | ACK).build());
    for forged in [Tcp { ack: 1, ..Tcp::to_server(1, 80, ACK) }, Tcp::to_server(1, 80, SYN)] {
        kernel.xdp(&forged.build());
        assert_eq!(known(&kernel), 0);
    }
    kernel.xdp(&Tcp::to_server(1, 80, ACK).build());
    assert_eq!(known(&kernel), status::ESTABLISHED);
    kernel.assert_balanced();
}
