//! Takes the NetFlow that softflowd sends, on loopback, and counts its records.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the sink waits before it looks whether it is over.
const WAKE: Duration = Duration::from_millis(50);
/// Bytes before the number of records in a NetFlow header, version 5 or 9.
const COUNT_AT: usize = 2;

/// A socket that is read until dropped.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    records: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Sink {
    pub(super) fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(WAKE))?;
        let address = socket.local_addr()?;
        let (records, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (Arc::clone(&records), Arc::clone(&over));
        let reader = std::thread::spawn(move || {
            let mut datagram = [0; 65_536];
            while !ended.load(Ordering::Relaxed) {
                let received = socket.recv(&mut datagram).unwrap_or(0);
                let count = datagram.get(..received).and_then(|d| d.get(COUNT_AT..)?.first_chunk());
                counted.fetch_add(count.map_or(0, |count| u64::from(u16::from_be_bytes(*count))), Ordering::Relaxed);
            }
        });
        Ok(Self { address, records, over, reader: Some(reader) })
    }

    /// Records since the last call, once what is on its way has come.
    pub(super) fn take(&self) -> u64 {
        std::thread::sleep(2 * WAKE);
        self.records.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _it_has_nothing_to_say = reader.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted_by_their_headers() -> io::Result<()> {
        let sink = Sink::start()?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        for count in [30_u8, 12] {
            sender.send_to(&[0, 5, 0, count, 9, 9], sink.address)?;
        }
        assert_eq!((sink.take(), sink.take()), (42, 0));
        Ok(())
    }
}
