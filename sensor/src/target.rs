//! What a rule or an exemption is about: an address, a network, a flow, a service.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ganglion_flow::rules::ServiceKey;
use ganglion_flow::{Addr, FlowKey};
use ganglion_proto::v1;

/// A network; IPv4 ones are mapped, with a prefix length from 96.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    /// First address.
    pub addr: Addr,
    /// Prefix length, 0 to 128.
    pub prefix: u8,
}

/// Why text names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an address.
    #[error("{0:?} is not an IP address")]
    Address(String),
    /// Not a network.
    #[error("{0:?} is not a network: write 198.18.0.0/15 or 2001:2::/48")]
    Network(String),
    /// A network with host bits.
    #[error("{given} has bits outside its prefix: did you mean {meant}?")]
    HostBits {
        /// As written.
        given: String,
        /// Without the bits.
        meant: String,
    },
    /// A port, protocol or domain beyond its range.
    #[error("{what} {value} is out of range")]
    Range {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// The message names nothing.
    #[error("the request names no target")]
    Missing,
}

impl Net {
    /// The network of one address.
    pub fn host(addr: Addr) -> Self {
        Self { addr, prefix: 128 }
    }

    /// Whether `addr` lies in it.
    pub fn contains(&self, addr: Addr) -> bool {
        mask(addr, self.prefix) == mask(self.addr, self.prefix)
    }

    /// Whether all of `other` lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.addr)
    }
}

fn mask(addr: Addr, prefix: u8) -> u128 {
    let bits = u128::from_be_bytes(addr.octets());
    let host = 128 - u32::from(prefix.min(128));
    bits.checked_shr(host).unwrap_or(0).checked_shl(host).unwrap_or(0)
}

impl FromStr for Net {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let bad = || TargetError::Network(text.to_owned());
        let (addr, prefix) = match text.split_once('/') {
            Some((addr, prefix)) => (addr, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = addr.parse().map_err(|_| bad())?;
        let (width, base) = if ip.is_ipv4() { (32, 96) } else { (128, 0) };
        let prefix = prefix.map_or(Ok(width), |p| p.parse::<u8>().map_err(|_| bad()))?;
        if prefix > width {
            return Err(bad());
        }
        let net = Self { addr: ip.into(), prefix: base + prefix };
        let meant = Addr::from_octets(mask(net.addr, net.prefix).to_be_bytes());
        if meant != net.addr {
            let meant = Self { addr: meant, ..net }.to_string();
            return Err(TargetError::HostBits { given: text.to_owned(), meant });
        }
        Ok(net)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.addr.is_v4() && self.prefix >= 96 { self.prefix - 96 } else { self.prefix };
        write!(f, "{}/{prefix}", self.addr)
    }
}

/// One flow, with the direction in which it was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Sender and its port.
    pub source: (Addr, u16),
    /// Receiver and its port.
    pub destination: (Addr, u16),
    /// IP protocol number.
    pub protocol: u8,
    /// Address space.
    pub domain: u16,
}

impl Tuple {
    /// The key of both its directions.
    pub fn key(&self) -> FlowKey {
        let ((src, src_port), (dst, dst_port)) = (self.source, self.destination);
        FlowKey::new(src, dst, src_port, dst_port, self.protocol, self.domain).0
    }

    /// A tuple from a key, endpoint A as the source.
    pub fn from_key(key: &FlowKey) -> Self {
        Self {
            source: (key.addr_a, key.port_a),
            destination: (key.addr_b, key.port_b),
            protocol: key.protocol,
            domain: key.domain,
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((src, sport), (dst, dport)) = (self.source, self.destination);
        write!(f, "protocol {} {src} port {sport} to {dst} port {dport}", self.protocol)
    }
}

/// What a rule matches; one entry of one of the kernel's rule maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// All packets of an address (`BLOCKS`).
    Address(Addr),
    /// All packets of a network (`BLOCK_NETS`).
    Network(Net),
    /// One flow (`VERDICTS`).
    Flow(FlowKey),
    /// New flows towards an address (`NEW_FLOW_LIMITS`).
    NewFlows(Addr),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(addr) => write!(f, "{addr}"),
            Self::Network(net) => write!(f, "{net}"),
            Self::Flow(key) => write!(f, "flow {}", Tuple::from_key(key)),
            Self::NewFlows(addr) => write!(f, "new flows to {addr}"),
        }
    }
}

/// An exemption; one entry of one of the kernel's allow maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exemption {
    /// All packets of a network (`ALLOW_NETS`).
    Network(Net),
    /// A service of one host (`ALLOW_SERVICES`).
    Service(ServiceKey),
    /// One flow (`ALLOW_FLOWS`).
    Flow(FlowKey),
}

impl std::hash::Hash for Exemption {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Network(net) => (0, net).hash(state),
            Self::Service(s) => (1, s.addr, s.port, s.protocol).hash(state),
            Self::Flow(key) => (2, key).hash(state),
        }
    }
}

impl fmt::Display for Exemption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(net) => write!(f, "{net}"),
            Self::Service(s) => write!(f, "protocol {} port {} of {}", s.protocol, s.port, s.addr),
            Self::Flow(key) => write!(f, "flow {}", Tuple::from_key(key)),
        }
    }
}

/// Parses an address.
///
/// # Errors
/// Repeats the text.
pub(crate) fn parse_addr(text: &str) -> Result<Addr, TargetError> {
    text.parse::<IpAddr>().map(Addr::from).map_err(|_| TargetError::Address(text.to_owned()))
}

fn narrow<T: TryFrom<u32>>(what: &'static str, value: u32) -> Result<T, TargetError> {
    T::try_from(value).map_err(|_| TargetError::Range { what, value })
}

impl TryFrom<&v1::FlowTuple> for Tuple {
    type Error = TargetError;

    fn try_from(tuple: &v1::FlowTuple) -> Result<Self, TargetError> {
        Ok(Self {
            source: (parse_addr(&tuple.source_address)?, narrow("port", tuple.source_port)?),
            destination: (parse_addr(&tuple.destination_address)?, narrow("port", tuple.destination_port)?),
            protocol: narrow("protocol", tuple.protocol)?,
            domain: narrow("domain", tuple.domain)?,
        })
    }
}

impl From<&Tuple> for v1::FlowTuple {
    fn from(tuple: &Tuple) -> Self {
        Self {
            source_address: tuple.source.0.to_string(),
            source_port: u32::from(tuple.source.1),
            destination_address: tuple.destination.0.to_string(),
            destination_port: u32::from(tuple.destination.1),
            protocol: u32::from(tuple.protocol),
            domain: u32::from(tuple.domain),
        }
    }
}

impl Target {
    /// The target of a message; the action decides whether an address means its packets or new flows to it.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn from_proto(target: Option<&v1::Target>, action: v1::Action) -> Result<Self, TargetError> {
        use v1::target::Of;
        match target.and_then(|t| t.of.as_ref()).ok_or(TargetError::Missing)? {
            Of::Address(text) if action == v1::Action::LimitNewFlows => parse_addr(text).map(Self::NewFlows),
            Of::Address(text) => parse_addr(text).map(Self::Address),
            Of::Network(text) => {
                let net: Net = text.parse()?;
                Ok(if net.prefix == 128 { Self::Address(net.addr) } else { Self::Network(net) })
            }
            Of::Flow(tuple) => Ok(Self::Flow(Tuple::try_from(tuple)?.key())),
        }
    }

    /// As a message.
    pub fn to_proto(&self) -> v1::Target {
        use v1::target::Of;
        let of = match self {
            Self::Address(addr) | Self::NewFlows(addr) => Of::Address(addr.to_string()),
            Self::Network(net) => Of::Network(net.to_string()),
            Self::Flow(key) => Of::Flow((&Tuple::from_key(key)).into()),
        };
        v1::Target { of: Some(of) }
    }
}

impl Exemption {
    /// The exemption of a message.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn from_proto(allow: Option<&v1::Allow>) -> Result<Self, TargetError> {
        use v1::allow::Of;
        match allow.and_then(|a| a.of.as_ref()).ok_or(TargetError::Missing)? {
            Of::Network(text) => text.parse().map(Self::Network),
            Of::Service(s) => Ok(Self::Service(ServiceKey {
                addr: parse_addr(&s.address)?,
                port: narrow("port", s.port)?,
                protocol: narrow("protocol", s.protocol)?,
                zero: [0; 5],
            })),
            Of::Flow(tuple) => Ok(Self::Flow(Tuple::try_from(tuple)?.key())),
        }
    }

    /// As a message.
    pub fn to_proto(&self, origin: &str, comment: &str) -> v1::Allow {
        use v1::allow::Of;
        let of = match self {
            Self::Network(net) => Of::Network(net.to_string()),
            Self::Service(s) => Of::Service(v1::Service {
                address: s.addr.to_string(),
                port: u32::from(s.port),
                protocol: u32::from(s.protocol),
            }),
            Self::Flow(key) => Of::Flow((&Tuple::from_key(key)).into()),
        };
        v1::Allow { of: Some(of), origin: origin.to_owned(), comment: comment.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_read_as_they_are_written() {
        for text in ["198.18.0.0/15", "0.0.0.0/0", "2001:2::/48", "198.18.0.1/32", "::/0"] {
            assert_eq!(text.parse::<Net>().unwrap().to_string(), text);
        }
        assert_eq!("198.18.3.4".parse::<Net>().unwrap().prefix, 128);
    }

    #[test]
    fn host_bits_are_refused_with_the_network_meant() {
        let error = "198.18.3.4/24".parse::<Net>().unwrap_err().to_string();
        assert!(error.contains("198.18.3.0/24"), "{error}");
        for text in ["198.18.0.0/33", "::/129", "x/3", "", "198.18.0.0/-1", "/8"] {
            assert!(text.parse::<Net>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports_beyond_16_bits_are_refused() {
        let tuple = v1::FlowTuple { source_port: 70_000, source_address: "::1".into(), ..v1::FlowTuple::default() };
        let of = Some(v1::target::Of::Flow(tuple));
        let error = Target::from_proto(Some(&v1::Target { of }), v1::Action::Drop).unwrap_err();
        assert_eq!(error, TargetError::Range { what: "port", value: 70_000 });
    }

    proptest! {
        #[test]
        fn any_text_is_a_network_or_an_error(text in ".{0,40}") {
            let _ = text.parse::<Net>();
        }

        #[test]
        fn a_network_contains_its_addresses(bits: u128, prefix in 0u8..=128) {
            let addr = Addr::from_octets(bits.to_be_bytes());
            let net = Net { addr: Addr::from_octets(mask(addr, prefix).to_be_bytes()), prefix };
            prop_assert!(net.contains(addr));
            prop_assert!(net.covers(&Net::host(addr)));
        }
    }
}
