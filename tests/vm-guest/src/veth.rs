//! Pairs of interfaces, without the tools that an initramfs does not have.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

/// Both ends of a pair, up.
pub(crate) struct Pair {
    /// The end that the sensor watches.
    pub(crate) near: String,
    /// The end that plays the rest of the world.
    pub(crate) far: String,
}

impl Pair {
    /// Makes `{name}0` and `{name}1`.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let pair = Self { near: format!("{name}0"), far: format!("{name}1") };
        create(&pair.near, &pair.far).with_context(|| format!("veth {} and {}", pair.near, pair.far))?;
        for end in [&pair.near, &pair.far] {
            set_up(end).with_context(|| format!("{end} up"))?;
        }
        Ok(pair)
    }
}

// rtnetlink(7), linux/if_link.h, linux/veth.h.
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = 4 + payload.len();
    let mut out = Vec::with_capacity(length + 3);
    out.extend((length as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(payload);
    out.resize(length.next_multiple_of(4), 0);
    out
}

fn name(text: &str) -> Vec<u8> {
    attribute(IFLA_IFNAME, format!("{text}\0").as_bytes())
}

fn create(near: &str, far: &str) -> Result<()> {
    // An empty ifinfomsg: 16 bytes.
    let peer = attribute(VETH_INFO_PEER, &[vec![0; 16], name(far)].concat());
    let info = [attribute(IFLA_INFO_KIND, b"veth\0"), attribute(IFLA_INFO_DATA, &peer)].concat();
    let body = [vec![0; 16], name(near), attribute(IFLA_LINKINFO, &info)].concat();
    request(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL, &body)
}

/// Removes an interface; its peer goes with it.
pub(crate) fn remove(interface: &str) -> Result<()> {
    request(libc::RTM_DELLINK, 0, &[vec![0; 16], name(interface)].concat())
}

fn request(kind: u16, flags: libc::c_int, body: &[u8]) -> Result<()> {
    let flags = flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK;
    let mut message = Vec::new();
    message.extend((16 + body.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 4096];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    ensure!(length >= 20, "an answer of {length} bytes");
    // nlmsgerr: the error stands behind the header, negative.
    let [a, b, c, d] = [answer[16], answer[17], answer[18], answer[19]];
    match i32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code).into()),
    }
}

fn control_socket() -> Result<OwnedFd> {
    Ok(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?)
}

fn interface_request(interface: &str) -> libc::ifreq {
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    request
}

fn order(what: libc::Ioctl, mut request: libc::ifreq) -> Result<()> {
    let socket = control_socket()?;
    // SAFETY: the kernel reads the request, which lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

/// `ip link set NAME up`.
fn set_up(interface: &str) -> Result<()> {
    let mut request = interface_request(interface);
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    order(libc::SIOCSIFFLAGS, request)
}

/// `ip addr add ADDRESS dev NAME`, with the netmask of its class.
pub(crate) fn set_address(interface: &str, address: Ipv4Addr) -> Result<()> {
    let mut request = interface_request(interface);
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: address.to_bits().to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: a sockaddr_in is made to stand in the place of a sockaddr; both have 16 bytes.
    request.ifr_ifru.ifru_addr = unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
    order(libc::SIOCSIFADDR, request)
}
