//! Packets, and whether they arrive.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::Net;
use super::net::{SERVER, SERVER6, in_namespace};

fn server_of(from: &str) -> IpAddr {
    if from.contains(':') { SERVER6.parse().unwrap() } else { SERVER.parse().unwrap() }
}

/// A socket of the server.
pub(crate) fn listen(net: &Net, like: &str) -> UdpSocket {
    let at = SocketAddr::new(server_of(like), 0);
    let socket = in_namespace(&net.server(), move || UdpSocket::bind(at).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    socket
}

/// A socket of a peer.
pub(crate) fn peer(net: &Net, from: &str) -> UdpSocket {
    let at = SocketAddr::new(from.parse().unwrap(), 0);
    in_namespace(&net.world(), move || UdpSocket::bind(at).unwrap())
}

/// How many of `count` datagrams from `from` reach the server.
pub(crate) fn delivered(net: &Net, from: &str, count: usize) -> usize {
    let server = listen(net, from);
    let to = server.local_addr().unwrap();
    let peer = peer(net, from);
    let mut arrived = 0;
    for number in 0..count {
        peer.send_to(&(number as u64).to_le_bytes(), to).unwrap();
        let mut buffer = [0; 16];
        arrived += usize::from(server.recv_from(&mut buffer).is_ok());
    }
    arrived
}

/// A datagram to each of `ports` ports of the server: a scan.
pub(crate) fn scan(net: &Net, from: &str, ports: std::ops::Range<u16>) {
    let peer = peer(net, from);
    let server = server_of(from);
    for port in ports {
        // A port without a listener answers with ICMP, which the next send reports.
        let _refused = peer.send_to(b"?", SocketAddr::new(server, port));
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// A connection attempt to each of `ports` ports of the server, as `nmap -sT` makes them.
pub(crate) fn connect_scan(net: &Net, from: &str, ports: std::ops::Range<u16>) {
    let (from, server) = (SocketAddr::new(from.parse().unwrap(), 0), server_of(from));
    in_namespace(&net.world(), move || {
        for port in ports {
            let socket = Socket::new(Domain::for_address(from), Type::STREAM, None).unwrap();
            socket.bind(&from.into()).unwrap();
            // A closed port refuses at once; a dropped attempt is not waited for.
            let _refused = socket.connect_timeout(&SocketAddr::new(server, port).into(), Duration::from_millis(2));
        }
    });
}

/// Datagrams from one peer, about a thousand a second, until dropped.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Begins.
    pub(crate) fn start(net: &Net, from: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (peer, to) = (peer(net, from), SocketAddr::new(server_of(from), 7));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let _refused = peer.send_to(&[0; 64], to);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}
