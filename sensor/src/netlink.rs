//! The two link messages aya has no call for: which XDP program an interface carries, and taking it off.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const NLMSG_ERROR: u16 = 2;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_XDP: u16 = 43;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const NLA_F_NESTED: u16 = 1 << 15;
/// `struct nlmsghdr` and `struct ifinfomsg`.
const HEADERS: usize = 32;

/// What the kernel says of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    /// Largest packet, bytes.
    pub(crate) mtu: u32,
    /// "veth", "bridge"; empty for most hardware.
    pub(crate) kind: String,
    /// Identifier of the XDP program it carries.
    pub(crate) xdp_program: Option<u32>,
}

/// Asks for an interface by its index.
pub(crate) fn link_info(index: u32) -> io::Result<LinkInfo> {
    let answer = talk(&request(RTM_GETLINK, NLM_F_REQUEST, index, &[]))?;
    parse_link(&answer)
}

/// Takes an XDP program off that was attached without a link.
pub(crate) fn clear_xdp(index: u32) -> io::Result<()> {
    let mut nest = attribute(IFLA_XDP_FD, &(-1i32).to_ne_bytes());
    nest = attribute(IFLA_XDP | NLA_F_NESTED, &nest);
    let answer = talk(&request(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, index, &nest))?;
    error_of(&answer).map_or(Ok(()), Err)
}

fn request(kind: u16, flags: u16, index: u32, attributes: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADERS + attributes.len());
    message.extend(((HEADERS + attributes.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // family, pad, type
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]); // flags, change
    message.extend(attributes);
    message
}

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + payload.len().next_multiple_of(4));
    out.extend(((4 + payload.len()) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(payload);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn talk(message: &[u8]) -> io::Result<Vec<u8>> {
    let socket: OwnedFd =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    send(socket.as_raw_fd(), message, MsgFlags::empty())?;
    let mut buffer = vec![0; 64 << 10];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

/// The error in an answer that is one.
fn error_of(answer: &[u8]) -> Option<io::Error> {
    if u16_at(answer, 4)? != NLMSG_ERROR {
        return None;
    }
    let code = u32_at(answer, 16)?.cast_signed();
    (code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & !NLA_F_NESTED;
        let payload = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

fn parse_link(answer: &[u8]) -> io::Result<LinkInfo> {
    if let Some(error) = error_of(answer) {
        return Err(error);
    }
    let mut info = LinkInfo::default();
    for (kind, payload) in attributes(answer.get(HEADERS..).unwrap_or_default()) {
        match kind {
            IFLA_MTU => info.mtu = u32_at(payload, 0).unwrap_or(0),
            IFLA_LINKINFO => {
                let name = attributes(payload).find(|(kind, _)| *kind == IFLA_INFO_KIND).map_or(&[][..], |(_, n)| n);
                info.kind = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
            }
            IFLA_XDP => {
                let attached =
                    attributes(payload).any(|(k, v)| k == IFLA_XDP_ATTACHED && v.first().is_some_and(|m| *m != 0));
                let id = attributes(payload).find(|(k, _)| *k == IFLA_XDP_PROG_ID).and_then(|(_, v)| u32_at(v, 0));
                info.xdp_program = id.filter(|_| attached);
            }
            _ => {}
        }
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn loopback_answers() {
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        let info = link_info(index).unwrap();
        assert!(info.mtu >= 1500, "{info:?}");
        assert_eq!(info.xdp_program, None);
    }

    #[test]
    fn an_unknown_index_is_an_error() {
        assert_eq!(link_info(0x7fff_fff0).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn an_attached_program_is_found() {
        let inner = [attribute(IFLA_XDP_ATTACHED, &[1]), attribute(IFLA_XDP_PROG_ID, &77u32.to_ne_bytes())].concat();
        let body = [attribute(IFLA_MTU, &9000u32.to_ne_bytes()), attribute(IFLA_XDP, &inner)].concat();
        let info = parse_link(&request(16, 0, 1, &body)).unwrap();
        assert_eq!((info.mtu, info.xdp_program), (9000, Some(77)));
    }

    proptest! {
        #[test]
        fn any_answer_is_parsed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse_link(&bytes);
        }
    }
}
