//! What the sensor counts is what the wire carried, merged trains or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::net::{FRIEND, SERVER, WATCHED, WORLD_END, dropped, in_namespace};
use crate::harness::{Agent, Net};

const BYTES: usize = 20_000_000;
/// On a busy machine the cable's queue of 256 frames may overflow, between the one count and the other.
const ATTEMPTS: u32 = 5;

/// The server sends 20 MB to a peer; the connection stays open, so that the flow stays live.
fn transfer(net: &Net) -> (TcpListener, (TcpStream, TcpStream)) {
    let server: SocketAddr = format!("{SERVER}:0").parse().unwrap();
    let listener = in_namespace(&net.server(), move || TcpListener::bind(server).unwrap());
    let to = listener.local_addr().unwrap();
    let mut receiver = in_namespace(&net.world(), move || TcpStream::connect(to).unwrap());
    let (mut sender, _) = listener.accept().unwrap();
    let sending = std::thread::spawn(move || {
        sender.write_all(&vec![0x55; BYTES]).unwrap();
        sender
    });
    receiver.read_exact(&mut vec![0; BYTES]).unwrap();
    // The last acknowledgement is still under way.
    std::thread::sleep(Duration::from_millis(200));
    (listener, (receiver, sending.join().unwrap()))
}

/// Packets and bytes that a sensor counted from the server to the peer.
fn counted(agent: &Agent, port: u16) -> (u64, u64) {
    let flows = agent.json(&["flows"]);
    let flow = flows["flows"].as_array().unwrap().iter().find(|f| f["destination_port"] == port);
    let flow = flow.unwrap_or_else(|| panic!("the transfer is a live flow: {flows:#}"));
    assert_eq!(flow["source_address"], FRIEND);
    assert!(flow["community_id"].as_str().unwrap().starts_with("1:"), "{flow:#}");
    (flow["backward_packets"].as_u64().unwrap(), flow["backward_bytes"].as_u64().unwrap())
}

#[test]
fn a_20_mb_transfer_with_offloads_on_has_the_wires_counts_at_egress() {
    let net = Net::new();
    let agent = Agent::start(&net, &[]);
    // Native XDP at the other end meets every packet of the wire by itself.
    let witness = Agent::witness(&net);
    assert_eq!(witness.status()["interfaces"][0]["ingress"], "xdp native");

    let agree = (0..ATTEMPTS).any(|_| {
        let before = lost_on_the_cable(&net);
        let (listener, receiver) = transfer(&net);
        let port = listener.local_addr().unwrap().port();
        let (packets, bytes) = counted(&agent, port);
        assert!(bytes > BYTES as u64 && packets > BYTES as u64 / 1500, "{packets} packets, {bytes} bytes");
        let wire = counted(&witness, port);
        drop(receiver);
        if lost_on_the_cable(&net) > before {
            return false;
        }
        assert_eq!((packets, bytes), wire, "egress and wire differ");
        true
    });
    assert!(agree, "the cable lost frames in each of {ATTEMPTS} transfers");
    agent.assert_nothing_is_lost();
}

/// Frames that the kernel dropped between the two ends.
pub(crate) fn lost_on_the_cable(net: &Net) -> u64 {
    dropped(&net.server(), WATCHED, 11) + dropped(&net.world(), WORLD_END, 3)
}
