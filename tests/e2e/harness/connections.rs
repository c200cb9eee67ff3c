//! Real TCP connections that exchange data, and what the server's kernel says of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::Net;
use super::net::{SERVER, in_namespace};

/// Segments that a socket received and sent: all of them, whatever they carried.
pub(crate) type Segments = (u64, u64);

/// Established connections from a few peers to one port of the server.
pub(crate) struct Connections {
    /// A client's end and the server's.
    pairs: Vec<(TcpStream, TcpStream)>,
    /// The server's port.
    pub(crate) service: u16,
    _listener: TcpListener,
}

impl Connections {
    /// Opens `count` connections, from `peers` in turn.
    pub(crate) fn open(net: &Net, peers: &[&str], count: usize) -> Self {
        let server: SocketAddr = format!("{SERVER}:0").parse().unwrap();
        let listener = in_namespace(&net.server(), move || TcpListener::bind(server).unwrap());
        let to = listener.local_addr().unwrap();
        let peers: Vec<SocketAddr> = peers.iter().map(|peer| SocketAddr::new(peer.parse().unwrap(), 0)).collect();
        let accepting = listener.try_clone().unwrap();
        let pairs = in_namespace(&net.world(), move || {
            let open = |peer: SocketAddr| {
                let client = connect(peer, to);
                (client, accepting.accept().unwrap().0)
            };
            peers.iter().copied().cycle().take(count).map(open).collect::<Vec<_>>()
        });
        for (client, server) in &pairs {
            for end in [client, server] {
                end.set_nodelay(true).unwrap();
                end.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            }
        }
        Self { pairs, service: to.port(), _listener: listener }
    }

    /// A question and an answer on every connection; the answers of some take more than one segment.
    pub(crate) fn exchange(&mut self) {
        for (number, (client, server)) in self.pairs.iter_mut().enumerate() {
            let (mut question, mut answer) = (vec![1; 100 + number], vec![2; 500 + 20 * number]);
            client.write_all(&question).unwrap();
            server.read_exact(&mut question).unwrap();
            server.write_all(&answer).unwrap();
            client.read_exact(&mut answer).unwrap();
        }
    }

    /// The clients' ends.
    pub(crate) fn clients(&self) -> Vec<SocketAddr> {
        self.pairs.iter().map(|(client, _)| client.local_addr().unwrap()).collect()
    }

    /// What the server's sockets received and sent, by client.
    pub(crate) fn segments(&self, net: &Net) -> BTreeMap<SocketAddr, Segments> {
        let service = format!("sport = :{}", self.service);
        let output = net.on_server("ss").args(["-tinOH", "state", "established", &service]).output().unwrap();
        assert!(output.status.success(), "{}", super::said(&output));
        String::from_utf8_lossy(&output.stdout).lines().map(socket).collect()
    }

    /// Ends every connection with one reset from the client.
    pub(crate) fn reset(self) {
        for (client, _server) in &self.pairs {
            socket2::SockRef::from(client).set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

fn connect(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// A line of `ss -tinOH`.
fn socket(line: &str) -> (SocketAddr, Segments) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let peer = words.get(3).and_then(|peer| peer.parse().ok());
    let value = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.parse().ok());
    let found = peer.zip(value("segs_in:").zip(value("segs_out:")));
    found.unwrap_or_else(|| panic!("not a line of a socket: {line}"))
}
