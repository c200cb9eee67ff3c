//! The gate before every rule: what must not be blocked is refused before it reaches a map.
//!
//! The kernel looks exemptions up before any block, so that this gate is the second line, and the one that
//! explains itself. An address that is infrastructure, or the peer of an operator's session, may be blocked:
//! its exempt services and flows stay open in the kernel, while the rest of its traffic (which may be
//! spoofed) does not.

use std::collections::HashSet;
use std::net::IpAddr;

use ganglion_flow::rules::ServiceKey;
use ganglion_flow::{Addr, FlowKey};

use crate::target::{Exemption, Net, Target};

/// Widest IPv4 network a rule may name, as a prefix length.
pub const WIDEST_V4: u8 = 8;
/// Widest IPv6 network a rule may name, as a prefix length.
pub const WIDEST_V6: u8 = 19;

/// Why the gate refuses a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would cut off this machine.
    #[error("own address: {0} belongs to this machine")]
    OwnAddress(Addr),
    /// An exemption covers it.
    #[error("allow list: {0} is exempt")]
    Allowed(Exemption),
    /// A service this machine needs.
    #[error("infrastructure: {0} is exempt")]
    Infrastructure(Exemption),
    /// Someone operates the machine through it.
    #[error("operator's session: {0} is exempt")]
    Session(Exemption),
    /// Not the address of one machine.
    #[error("{0} is not the address of a single machine")]
    NotAHost(Addr),
    /// Too many addresses at once.
    #[error("network {0} is too wide: /{WIDEST_V4} (IPv4) and /{WIDEST_V6} (IPv6) are the widest")]
    TooWide(Net),
}

/// Where an exemption comes from; its number is the entry's value in the kernel's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Origin {
    /// Added over the control socket.
    Operator = 1,
    /// From the settings.
    Settings = 2,
    /// A service of a gateway or resolver.
    Infrastructure = 3,
    /// An SSH session.
    Session = 4,
}

impl Origin {
    /// As it is shown.
    pub fn label(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Settings => "settings",
            Self::Infrastructure => "infrastructure",
            Self::Session => "ssh-session",
        }
    }

    /// The origin with this number; an unknown one counts as the operator's.
    pub fn from_number(number: u32) -> Self {
        match number {
            2 => Self::Settings,
            3 => Self::Infrastructure,
            4 => Self::Session,
            _ => Self::Operator,
        }
    }
}

/// What the gate looks at.
pub(crate) struct Gate<'a> {
    pub(crate) own: &'a HashSet<Addr>,
    pub(crate) exemption: &'a dyn Fn(&Exemption) -> Option<Origin>,
    pub(crate) networks: &'a dyn Fn() -> Vec<Net>,
}

impl Gate<'_> {
    /// Whether a rule on `target` may be made.
    pub(crate) fn check(&self, target: &Target) -> Result<(), Refusal> {
        match target {
            Target::Address(addr) => self.address(*addr),
            Target::Network(net) => self.network(net),
            Target::Flow(key) => self.flow(key),
            // Towards an address of our own is what such a limit is for.
            Target::NewFlows(addr) => host(*addr),
        }
    }

    fn address(&self, addr: Addr) -> Result<(), Refusal> {
        host(addr)?;
        if self.own.contains(&addr) {
            return Err(Refusal::OwnAddress(addr));
        }
        self.not_covered(&Net::host(addr))
    }

    fn not_covered(&self, net: &Net) -> Result<(), Refusal> {
        match (self.networks)().into_iter().find(|allowed| allowed.covers(net)) {
            Some(allowed) => Err(Refusal::Allowed(Exemption::Network(allowed))),
            None => Ok(()),
        }
    }

    fn network(&self, net: &Net) -> Result<(), Refusal> {
        let mapped = Addr::v4(0);
        let is_v4 = net.prefix >= 96 && net.addr.is_v4();
        let widest = if is_v4 { 96 + WIDEST_V4 } else { WIDEST_V6 };
        // A prefix of IPv6 that reaches into the mapped IPv4 addresses would block all of IPv4.
        if net.prefix < widest || (!is_v4 && net.contains(mapped)) {
            return Err(Refusal::TooWide(*net));
        }
        if let Some(own) = self.own.iter().find(|own| net.contains(**own)) {
            return Err(Refusal::OwnAddress(*own));
        }
        self.not_covered(net)
    }

    fn flow(&self, key: &FlowKey) -> Result<(), Refusal> {
        let flow = Exemption::Flow(*key);
        match (self.exemption)(&flow) {
            Some(Origin::Session) => return Err(Refusal::Session(flow)),
            Some(_) => return Err(Refusal::Allowed(flow)),
            None => {}
        }
        for (addr, port) in [(key.addr_a, key.port_a), (key.addr_b, key.port_b)] {
            let service = Exemption::Service(ServiceKey { addr, port, protocol: key.protocol, zero: [0; 5] });
            match (self.exemption)(&service) {
                Some(Origin::Infrastructure) => return Err(Refusal::Infrastructure(service)),
                Some(_) => return Err(Refusal::Allowed(service)),
                None => {}
            }
            if !self.own.contains(&addr) {
                self.not_covered(&Net::host(addr))?;
            }
        }
        Ok(())
    }
}

fn host(addr: Addr) -> Result<(), Refusal> {
    let ip = IpAddr::from(addr);
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast {
        return Err(Refusal::NotAHost(addr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Tuple, parse_addr};
    use std::collections::HashMap;

    struct Fixture {
        own: HashSet<Addr>,
        exempt: HashMap<Exemption, Origin>,
    }

    impl Fixture {
        fn new() -> Self {
            let own = ["198.18.0.1", "2001:2::1"].iter().map(|a| parse_addr(a).unwrap()).collect();
            let mut exempt = HashMap::new();
            exempt.insert(Exemption::Network("198.18.7.0/24".parse().unwrap()), Origin::Operator);
            let dns = ServiceKey { addr: parse_addr("198.18.0.53").unwrap(), port: 53, protocol: 17, zero: [0; 5] };
            exempt.insert(Exemption::Service(dns), Origin::Infrastructure);
            exempt.insert(Exemption::Flow(tuple("198.18.0.9", 50_000, 22).key()), Origin::Session);
            Self { own, exempt }
        }

        fn check(&self, target: Target) -> Result<(), Refusal> {
            let nets = || {
                self.exempt.keys().filter_map(|e| match e {
                    Exemption::Network(net) => Some(*net),
                    _ => None,
                })
            };
            let gate =
                Gate { own: &self.own, exemption: &|e| self.exempt.get(e).copied(), networks: &|| nets().collect() };
            gate.check(&target)
        }
    }

    fn tuple(peer: &str, peer_port: u16, port: u16) -> Tuple {
        let source = (parse_addr(peer).unwrap(), peer_port);
        Tuple { source, destination: (parse_addr("198.18.0.1").unwrap(), port), protocol: 6, domain: 0 }
    }

    fn address(text: &str) -> Target {
        Target::Address(parse_addr(text).unwrap())
    }

    fn network(text: &str) -> Target {
        Target::Network(text.parse().unwrap())
    }

    #[test]
    fn strangers_may_be_blocked() {
        let f = Fixture::new();
        for target in [address("198.18.5.5"), address("2001:2::5"), network("198.18.6.0/24"), network("2001:3::/32")] {
            f.check(target).unwrap();
        }
        f.check(Target::Flow(tuple("198.18.5.5", 1000, 80).key())).unwrap();
    }

    #[test]
    fn own_addresses_are_refused_alone_and_in_networks() {
        let f = Fixture::new();
        assert!(matches!(f.check(address("198.18.0.1")), Err(Refusal::OwnAddress(_))));
        assert!(matches!(f.check(network("198.18.0.0/24")), Err(Refusal::OwnAddress(_))));
        assert!(matches!(f.check(network("2001:2::/48")), Err(Refusal::OwnAddress(_))));
        f.check(Target::NewFlows(parse_addr("198.18.0.1").unwrap())).unwrap();
    }

    #[test]
    fn the_allow_list_covers_addresses_networks_and_flows() {
        let f = Fixture::new();
        assert!(matches!(f.check(address("198.18.7.9")), Err(Refusal::Allowed(_))));
        assert!(matches!(f.check(network("198.18.7.128/25")), Err(Refusal::Allowed(_))));
        assert!(matches!(f.check(Target::Flow(tuple("198.18.7.9", 1, 80).key())), Err(Refusal::Allowed(_))));
    }

    #[test]
    fn sessions_and_services_stay_but_their_hosts_may_be_blocked() {
        let f = Fixture::new();
        let session = f.check(Target::Flow(tuple("198.18.0.9", 50_000, 22).key())).unwrap_err();
        assert!(session.to_string().starts_with("operator's session"), "{session}");
        f.check(Target::Flow(tuple("198.18.0.9", 50_001, 22).key())).unwrap();
        f.check(address("198.18.0.9")).unwrap();
        f.check(address("198.18.0.53")).unwrap();
        let dns = Tuple { protocol: 17, ..tuple("198.18.0.53", 53, 40_000) };
        assert!(matches!(f.check(Target::Flow(dns.key())), Err(Refusal::Infrastructure(_))));
    }

    #[test]
    fn no_rule_is_about_everybody() {
        let f = Fixture::new();
        for text in ["0.0.0.0/0", "198.0.0.0/7", "::/0", "2000::/3", "::/64"] {
            assert!(matches!(f.check(network(text)), Err(Refusal::TooWide(_))), "{text}");
        }
        for text in ["255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.0", "ff02::1", "::1"] {
            assert!(matches!(f.check(address(text)), Err(Refusal::NotAHost(_))), "{text}");
        }
    }
}
