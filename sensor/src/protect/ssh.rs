//! The SSH sessions open on this machine, by their 5-tuples.
//!
//! A brute-forcer is an SSH peer too, so an established connection is not enough: it must be named by a
//! session that exists. The environment of a session's processes names it exactly; where it can't be read
//! (other users' processes, once privileges are dropped) logind names the peer.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ganglion_flow::packet::TCP;

use crate::target::{Exemption, Tuple};

const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
const SSH_PORT: u16 = 22;

/// A line of `/proc/net/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    uid: u32,
}

/// Exemptions for every session, each with what it is. `known` ones stay as long as their connection: their
/// environment may have been readable only before privileges were dropped.
pub(crate) fn sessions(domain: u16, known: &HashSet<Exemption>) -> HashMap<Exemption, String> {
    let sockets = sockets();
    // Anyone may set the variable; only the system listens as root.
    let ports: HashSet<u16> =
        sockets.iter().filter(|s| s.state == LISTEN && s.uid == 0).map(|s| s.local.port()).chain([SSH_PORT]).collect();
    let named = environments();
    let peers = logind_peers(Path::new("/run/systemd/sessions"));
    let is_session = |s: &Socket, exemption: &Exemption| {
        known.contains(exemption)
            || (ports.contains(&s.local.port()) && named.contains(&(s.remote, s.local)))
            || (s.local.port() == SSH_PORT && peers.contains(&s.remote.ip()))
    };
    let exempt = |s: &Socket| {
        let tuple = Tuple {
            source: (s.remote.ip().into(), s.remote.port()),
            destination: (s.local.ip().into(), s.local.port()),
            protocol: TCP,
            domain,
        };
        let exemption = Exemption::Flow(tuple.key());
        is_session(s, &exemption).then(|| (exemption, format!("SSH session from {}", s.remote)))
    };
    sockets.iter().filter(|s| s.state == ESTABLISHED).filter_map(exempt).collect()
}

/// (client, server) of every session whose processes show it.
fn environments() -> HashSet<(SocketAddr, SocketAddr)> {
    let own = std::env::var("SSH_CONNECTION").ok().and_then(|v| parse_connection(&v));
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        connection_of(&std::fs::read(entry.path().join("environ")).ok()?)
    });
    own.into_iter().chain(others).collect()
}

fn connection_of(environ: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let value = environ.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(b"SSH_CONNECTION="))?;
    parse_connection(std::str::from_utf8(value).ok()?)
}

/// `SSH_CONNECTION`: client address and port, server address and port.
fn parse_connection(text: &str) -> Option<(SocketAddr, SocketAddr)> {
    let mut words = text.split_ascii_whitespace();
    let mut end = || {
        let ip: IpAddr = words.next()?.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), words.next()?.parse().ok()?))
    };
    Some((end()?, end()?))
}

/// Peers of remote sessions that logind knows.
fn logind_peers(folder: &Path) -> HashSet<IpAddr> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let peer = |text: String| {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        (value("SERVICE") == Some("sshd") && value("STATE") != Some("closing"))
            .then(|| value("REMOTE_HOST")?.parse::<IpAddr>().ok())
            .flatten()
    };
    files.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).filter_map(peer).collect()
}

fn sockets() -> Vec<Socket> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let text = read("/proc/net/tcp") + &read("/proc/net/tcp6");
    text.lines().filter_map(parse_socket).collect()
}

/// Columns: number, local, remote, state, queues, timer, retransmits, uid.
fn parse_socket(line: &str) -> Option<Socket> {
    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
    Some(Socket {
        local: parse_end(columns.get(1)?)?,
        remote: parse_end(columns.get(2)?)?,
        state: u8::from_str_radix(columns.get(3)?, 16).ok()?,
        uid: columns.get(7)?.parse().ok()?,
    })
}

/// An address as 32-bit words in host order, and a port.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (addr, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match addr.len() {
        8 => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(addr, 16).ok()?.to_ne_bytes())),
        32 => {
            let mut octets = [0u8; 16];
            for (i, word) in octets.chunks_exact_mut(4).enumerate() {
                let digits = addr.get(8 * i..8 * i + 8)?;
                word.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn connections_are_read() {
        let expected = ("198.18.0.9:50000".parse().unwrap(), "198.18.0.1:22".parse().unwrap());
        assert_eq!(parse_connection("198.18.0.9 50000 198.18.0.1 22"), Some(expected));
        assert_eq!(connection_of(b"A=b\0SSH_CONNECTION=198.18.0.9 50000 198.18.0.1 22\0C=d"), Some(expected));
        assert_eq!(parse_connection("::ffff:198.18.0.9 50000 198.18.0.1 22"), Some(expected));
        assert_eq!(parse_connection("198.18.0.9 50000"), None);
    }

    #[test]
    fn socket_lines_are_read() {
        let line = "   1: 010012C6:0016 090012C6:C350 01 00000000:00000000 00:00000000 00000000     0        0 1 1";
        let socket = parse_socket(line).unwrap();
        assert_eq!(socket.local, "198.18.0.1:22".parse().unwrap());
        assert_eq!(socket.remote, "198.18.0.9:50000".parse().unwrap());
        assert_eq!((socket.state, socket.uid), (ESTABLISHED, 0));
        let mapped = "0000000000000000FFFF0000010012C6:0016";
        assert_eq!(parse_end(mapped).unwrap(), "198.18.0.1:22".parse().unwrap());
    }

    #[test]
    fn logind_names_peers_of_ssh_sessions_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("1", "SERVICE=sshd\nREMOTE_HOST=198.18.0.9\nSTATE=active\n");
        write("2", "SERVICE=vsftpd\nREMOTE_HOST=198.18.0.10\n");
        write("3", "SERVICE=sshd\nREMOTE_HOST=198.18.0.11\nSTATE=closing\n");
        assert_eq!(logind_peers(folder.path()), HashSet::from(["198.18.0.9".parse().unwrap()]));
    }

    proptest! {
        #[test]
        fn any_line_is_read(text in "[ -~]{0,160}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse_socket(&text), parse_connection(&text), connection_of(&bytes), parse_end(&text));
        }
    }
}
