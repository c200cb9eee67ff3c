//! The transfer, the sensors around it, and what each says of it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use ganglion_features::{COUNT, Context};
use ganglion_flow::record::Record;

use ganglion_flow::Stage;
use ganglion_flow::state::{DirState, endpoints};

use crate::egress::lost_on_the_cable;
use crate::harness::net::{FRIEND, SERVER, in_namespace};
use crate::harness::{Agent, FakeBrain, Net, eventually};

/// Payload of a transfer.
pub(crate) const BYTES: usize = 20_000_000;
/// Transfers that may be repeated because packets were missed: on a busy machine a queue overflows, or whoever holds a
/// flow's lock loses its processor.
const ATTEMPTS: usize = 40;

/// Who opened the connection: the one who gets the data, or the one who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Download,
    Upload,
}

/// What the direction with the data counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) packets: u64,
    pub(crate) wire_bytes: u64,
    pub(crate) payload_bytes: u64,
}

impl From<&DirState> for Data {
    fn from(direction: &DirState) -> Self {
        let DirState { packets, wire_bytes, payload_bytes, .. } = *direction;
        Self { packets, wire_bytes, payload_bytes }
    }
}

impl std::fmt::Display for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packets of {} bytes", self.packets, self.wire_bytes)
    }
}

/// A transfer as one hook saw it.
pub(crate) struct View {
    pub(crate) data: Data,
    pub(crate) values: [f32; COUNT],
}

/// A sensor at each hook, and a brain for each.
pub(crate) struct Hooks {
    /// Native XDP where the data arrives; TC ingress there; TC egress where it leaves.
    sensors: [(Agent, FakeBrain); 3],
}

impl Hooks {
    pub(crate) fn start(net: &Net) -> Self {
        let sensor = |name: &str, options: &[&str]| {
            let socket = net.file(&format!("{name}-brain.sock"));
            let brain = FakeBrain::listen(&socket);
            let options = [options, &["--brain", socket.to_str().unwrap()]].concat();
            let agent =
                if name == "egress" { Agent::start(net, &options) } else { Agent::in_world(net, name, &options) };
            brain.connected();
            (agent, brain)
        };
        let xdp = sensor("xdp", &["--ingress", "xdp"]);
        let tc = sensor("tc", &["--ingress", "tcx", "--metrics", "127.0.0.1:9481"]);
        Self { sensors: [xdp, tc, sensor("egress", &[])] }
    }

    /// So many transfers, each seen at all three hooks and counted whole.
    pub(crate) fn transfers(&self, net: &Net, way: Way, count: usize) -> Vec<[View; 3]> {
        let mut before = self.missed(net);
        let one = |_| {
            let port = transfer(net, way);
            let views = self.sensors.each_ref().map(|(_, brain)| view(brain, port, way));
            let missed = self.missed(net) - before;
            before += missed;
            if missed > 0 {
                println!("{way:?}: {missed} packets lost on the cable or skipped at a lock, once more");
            }
            (missed == 0).then_some(views)
        };
        let views: Vec<_> = (0..count + ATTEMPTS).filter_map(one).take(count).collect();
        assert_eq!(views.len(), count, "packets were missed too often");
        views
    }

    /// Packets that the cable lost between two hooks, and those that a sensor counts as skipped.
    fn missed(&self, net: &Net) -> u64 {
        lost_on_the_cable(net) + self.sensors.iter().map(|(agent, _)| agent.counter("skip_lock")).sum::<u64>()
    }
}

/// Sends the bytes from the server's end to the other, and closes the connection; the port that was listened on.
fn transfer(net: &Net, way: Way) -> u16 {
    let (at, listening, connecting) = match way {
        Way::Download => (SERVER, net.server(), net.world()),
        Way::Upload => (FRIEND, net.world(), net.server()),
    };
    let at: SocketAddr = format!("{at}:0").parse().unwrap();
    let listener = in_namespace(&listening, move || TcpListener::bind(at).unwrap());
    let to = listener.local_addr().unwrap();
    let connected = in_namespace(&connecting, move || TcpStream::connect(to).unwrap());
    let (accepted, _) = listener.accept().unwrap();
    let (mut sender, mut receiver) = match way {
        Way::Download => (accepted, connected),
        Way::Upload => (connected, accepted),
    };
    let sending = std::thread::spawn(move || sender.write_all(&vec![0x55; BYTES]).unwrap());
    let mut received = Vec::with_capacity(BYTES);
    receiver.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), BYTES);
    sending.join().unwrap();
    to.port()
}

/// What a brain was told of the end of the connection to this port.
fn view(brain: &FakeBrain, port: u16, way: Way) -> View {
    let mut records = HashMap::new();
    eventually("the end of the transfer", Duration::from_secs(10), || {
        for record in brain.take_records() {
            if let Record::Flow(flow) = record
                && flow.header.stage == Stage::End as u8
            {
                records.insert(endpoints(&flow.key, &flow.state).1.1, flow);
            }
        }
        records.contains_key(&port)
    });
    let flow = records[&port];
    let data = if way == Way::Download { &flow.state.bwd } else { &flow.state.fwd };
    let values = Context::default().observe(&Record::Flow(flow)).values;
    View { data: data.into(), values }
}
