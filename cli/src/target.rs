//! What people write for addresses, networks, services and flows, and how these are shown.

use std::net::{IpAddr, SocketAddr};

use ganglion_proto::v1::{Allow, FlowTuple, Service, Target, allow, target};

/// The notations, for `--help`.
pub(crate) const NOTATIONS: &str = "\
Targets:
  198.18.3.4                                  one address (2001:2::1 as well)
  198.18.3.0/24                               a network
  198.18.0.53:53/udp                          a service of a host
  198.18.3.4:40000-198.18.0.1:22/tcp          one flow ([2001:2::1]:40000-[2001:2::2]:22/tcp)";

/// A parsed target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Spec {
    /// One address.
    Address(IpAddr),
    /// A network: its first address and prefix length.
    Network(IpAddr, u8),
    /// A service of a host.
    Service(SocketAddr, u8),
    /// One flow, source first.
    Flow(SocketAddr, SocketAddr, u8),
}

impl std::str::FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let Some((head, tail)) = text.rsplit_once('/') else {
            return Err(format!("`{text}` is no address; networks, services and flows end in /24, /udp or /tcp"));
        };
        if tail.bytes().all(|b| b.is_ascii_digit()) {
            return network(head, tail);
        }
        let protocol = protocol(tail)?;
        match head.split_once('-') {
            None => Ok(Self::Service(end(head)?, protocol)),
            Some((source, destination)) => Ok(Self::Flow(end(source)?, end(destination)?, protocol)),
        }
    }
}

fn network(head: &str, tail: &str) -> Result<Spec, String> {
    let address: IpAddr = head.parse().map_err(|_| format!("`{head}` is no address"))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = tail.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(|| {
        format!("/{tail} is no prefix of an IPv{} address: 0 to {bits}", if bits == 32 { 4 } else { 6 })
    })?;
    if prefix == bits {
        return Ok(Spec::Address(address));
    }
    let first = masked(address, prefix);
    if first != address {
        return Err(format!("{address}/{prefix} has bits set behind its prefix: did you mean {first}/{prefix}?"));
    }
    Ok(Spec::Network(address, prefix))
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((v4.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::from((v6.to_bits() & mask).to_be_bytes())
        }
    }
}

fn end(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no address with port, as in 198.18.0.1:53 or [2001:2::1]:53"))
}

/// Number of an IP protocol by its name.
fn protocol(text: &str) -> Result<u8, String> {
    match text {
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "sctp" => Ok(132),
        "icmp" => Ok(1),
        "icmpv6" => Ok(58),
        _ => Err(format!("`{text}` is no protocol: tcp, udp, sctp, icmp or icmpv6")),
    }
}

/// Name of an IP protocol, or its number.
pub(crate) fn protocol_name(number: u32) -> String {
    match number {
        6 => "tcp".into(),
        17 => "udp".into(),
        132 => "sctp".into(),
        1 => "icmp".into(),
        58 => "icmpv6".into(),
        _ => number.to_string(),
    }
}

fn tuple(source: SocketAddr, destination: SocketAddr, protocol: u8) -> FlowTuple {
    FlowTuple {
        source_address: source.ip().to_string(),
        source_port: source.port().into(),
        destination_address: destination.ip().to_string(),
        destination_port: destination.port().into(),
        protocol: protocol.into(),
        domain: 0,
    }
}

impl Spec {
    /// As the target of a block.
    pub(crate) fn to_target(&self) -> Result<Target, String> {
        let of = match self {
            Self::Address(address) => target::Of::Address(address.to_string()),
            Self::Network(address, prefix) => target::Of::Network(format!("{address}/{prefix}")),
            Self::Flow(source, destination, protocol) => target::Of::Flow(tuple(*source, *destination, *protocol)),
            Self::Service(..) => return Err("a service can be allowed, not blocked: name an address or a flow".into()),
        };
        Ok(Target { of: Some(of) })
    }

    /// As an exemption.
    pub(crate) fn to_allow(&self, comment: &str) -> Allow {
        let of = match self {
            Self::Address(address) => {
                allow::Of::Network(format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }))
            }
            Self::Network(address, prefix) => allow::Of::Network(format!("{address}/{prefix}")),
            Self::Service(host, protocol) => allow::Of::Service(Service {
                address: host.ip().to_string(),
                port: host.port().into(),
                protocol: (*protocol).into(),
            }),
            Self::Flow(source, destination, protocol) => allow::Of::Flow(tuple(*source, *destination, *protocol)),
        };
        Allow { of: Some(of), origin: "operator".into(), comment: comment.into() }
    }
}

fn with_port(address: &str, port: u32) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// A flow in the notation that [`Spec`] reads.
pub(crate) fn show_flow(flow: &FlowTuple) -> String {
    format!(
        "{}-{}/{}",
        with_port(&flow.source_address, flow.source_port),
        with_port(&flow.destination_address, flow.destination_port),
        protocol_name(flow.protocol)
    )
}

/// A target in the notation that [`Spec`] reads.
pub(crate) fn show_target(target: Option<&Target>) -> String {
    match target.and_then(|target| target.of.as_ref()) {
        Some(target::Of::Address(text) | target::Of::Network(text)) => text.clone(),
        Some(target::Of::Flow(flow)) => show_flow(flow),
        None => "-".into(),
    }
}

/// An exemption in the notation that [`Spec`] reads.
pub(crate) fn show_allow(allow: &Allow) -> String {
    match &allow.of {
        Some(allow::Of::Network(text)) => text.clone(),
        Some(allow::Of::Service(service)) => {
            format!("{}/{}", with_port(&service.address, service.port), protocol_name(service.protocol))
        }
        Some(allow::Of::Flow(flow)) => show_flow(flow),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Spec, String> {
        text.parse()
    }

    #[test]
    fn every_notation_of_the_help_is_read_back() {
        for text in [
            "198.18.3.4",
            "2001:2::1",
            "198.18.3.0/24",
            "2001:2::/48",
            "198.18.3.4:40000-198.18.0.1:22/tcp",
            "[2001:2::1]:40000-[2001:2::2]:22/tcp",
        ] {
            let target = parse(text).and_then(|spec| spec.to_target()).expect(text);
            assert_eq!(show_target(Some(&target)), text);
        }
        let service = parse("198.18.0.53:53/udp").expect("service");
        assert_eq!(show_allow(&service.to_allow("")), "198.18.0.53:53/udp");
        assert!(service.to_target().expect_err("no block").contains("allowed, not blocked"));
    }

    #[test]
    fn a_full_prefix_is_an_address() {
        assert_eq!(parse("198.18.3.4/32"), parse("198.18.3.4"));
        assert_eq!(parse("::ffff:198.18.3.4"), parse("198.18.3.4"));
        assert_eq!(show_allow(&parse("198.18.3.4").expect("address").to_allow("")), "198.18.3.4/32");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            ("198.18.3.4/24", "did you mean 198.18.3.0/24?"),
            ("198.18.3.0/33", "0 to 32"),
            ("2001:2::/129", "0 to 128"),
            ("example.org", "`example.org` is no address"),
            ("198.18.0.1:53/gre", "`gre` is no protocol"),
            ("198.18.0.1/tcp", "is no address with port"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(parse("0.0.0.0/0"), Ok(Spec::Network(IpAddr::from([0; 4]), 0)));
    }
}
