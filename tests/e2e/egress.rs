//! What the sensor counts is what the wire carried, merged trains or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::net::{FRIEND, SERVER, WATCHED, WORLD_END, dropped, in_namespace};
use crate::harness::{Agent, Net};

const BYTES: usize = 20_000_000;
/// On a busy machine the cable's queue of 256 frames may overflow, between the one count and the other, and a train
/// may find the flow's lock held by the CPU that counts the acknowledgements, which is counted.
const ATTEMPTS: u32 = 5;
/// Bytes of a full frame.
const LARGEST: u64 = 1514;

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

/// What a sensor counted of the transfer, in a live flow.
#[derive(Debug, PartialEq)]
struct Counted {
    /// From the server to the peer.
    packets: u64,
    bytes: u64,
    acknowledgements: u64,
}

impl Counted {
    /// The packets of both directions.
    fn all(&self) -> u64 {
        self.packets + self.acknowledgements
    }
}

fn counted(agent: &Agent, port: u16) -> Counted {
    let flows = agent.json(&["flows"]);
    let flow = flows["flows"].as_array().unwrap().iter().find(|f| f["destination_port"] == port);
    let flow = flow.unwrap_or_else(|| panic!("the transfer is a live flow: {flows:#}"));
    assert_eq!(flow["source_address"], FRIEND);
    assert!(flow["community_id"].as_str().unwrap().starts_with("1:"), "{flow:#}");
    let number = |field: &str| flow[field].as_u64().unwrap();
    Counted {
        packets: number("backward_packets"),
        bytes: number("backward_bytes"),
        acknowledgements: number("forward_packets"),
    }
}

#[test]
fn a_20_mb_transfer_with_offloads_on_has_the_wires_counts_at_egress() {
    let net = Net::new();
    let agent = Agent::start(&net, &[]);
    // Native XDP at the other end meets every packet of the wire by itself.
    let witness = Agent::witness(&net);
    assert_eq!(witness.status()["interfaces"][0]["ingress"], "xdp native");

    let skipped = || [agent.counter("skip_lock"), witness.counter("skip_lock")];
    let mut compared = 0;
    for _ in 0..ATTEMPTS {
        let (lost_before, skipped_before) = (lost_on_the_cable(&net), skipped());
        let (listener, receiver) = transfer(&net);
        let port = listener.local_addr().unwrap().port();
        let egress = counted(&agent, port);
        let wire = counted(&witness, port);
        assert!(egress.bytes > BYTES as u64 && egress.packets > BYTES as u64 / 1500, "{egress:?}");
        drop(receiver);
        if lost_on_the_cable(&net) > lost_before {
            continue;
        }
        let now = skipped();
        let missing = [0, 1].map(|i| now[i] - skipped_before[i]);
        assert_eq!(egress.all() + missing[0], wire.all() + missing[1], "{egress:?} {wire:?}, skipped {missing:?}");
        let bytes = egress.bytes.abs_diff(wire.bytes);
        assert!(bytes <= LARGEST * missing.iter().sum::<u64>(), "{egress:?} {wire:?}, skipped {missing:?}");
        compared += 1;
        if missing == [0, 0] {
            assert_eq!(egress, wire, "egress and wire differ");
            break;
        }
        println!("skipped at the lock, of {wire:?}: {missing:?}; once more");
    }
    assert!(compared > 0, "the cable lost frames in each of {ATTEMPTS} transfers");
    agent.assert_nothing_is_lost();
}

/// Frames that the kernel dropped between the two ends.
pub(crate) fn lost_on_the_cable(net: &Net) -> u64 {
    dropped(&net.server(), WATCHED, 11) + dropped(&net.world(), WORLD_END, 3)
}
