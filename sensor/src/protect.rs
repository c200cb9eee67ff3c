//! Who may never be cut off: what this machine needs, and who operates it.

mod ssh;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ganglion_flow::Addr;
use ganglion_flow::packet::{ICMPV6, TCP, UDP};
use ganglion_flow::rules::ServiceKey;

pub(crate) use ssh::sessions;

use crate::target::Exemption;

/// Addresses of this machine in this network namespace.
pub(crate) fn own_addresses() -> HashSet<Addr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return HashSet::new() };
    let ips = all.filter_map(|interface| interface.address).filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    });
    ips.map(Addr::from).collect()
}

/// The services of gateways and resolvers this machine lives on, each with what it is.
pub(crate) fn infrastructure() -> HashMap<Exemption, String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut services = HashMap::new();
    for resolver in resolvers(&read("/etc/resolv.conf")) {
        for (protocol, port) in [(UDP, 53), (TCP, 53), (TCP, 853)] {
            services.insert(service(resolver, protocol, port), format!("name service of {resolver}"));
        }
    }
    for gateway in gateways_v4(&read("/proc/net/route")) {
        services.insert(service(gateway.into(), UDP, 67), format!("DHCP of gateway {gateway}"));
    }
    for gateway in gateways_v6(&read("/proc/net/ipv6_route")) {
        services.insert(service(gateway.into(), UDP, 547), format!("DHCP of gateway {gateway}"));
        // Without neighbour discovery there is no gateway.
        services.insert(service(gateway.into(), ICMPV6, 0), format!("neighbour discovery of gateway {gateway}"));
    }
    services
}

fn service(host: IpAddr, protocol: u8, port: u16) -> Exemption {
    Exemption::Service(ServiceKey { addr: host.into(), port, protocol, zero: [0; 5] })
}

fn resolvers(resolv_conf: &str) -> Vec<IpAddr> {
    let servers = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let ips = servers.filter_map(|rest| rest.trim().split('%').next()?.parse::<IpAddr>().ok());
    ips.filter(|ip| !ip.is_loopback()).collect()
}

/// Gateways of default routes in `/proc/net/route`: columns interface, destination, gateway, flags.
fn gateways_v4(route: &str) -> Vec<Ipv4Addr> {
    let parse = |line: &str| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let destination = u32::from_str_radix(columns.next()?, 16).ok()?;
        let gateway = u32::from_str_radix(columns.next()?, 16).ok()?;
        (destination == 0 && gateway != 0).then(|| Ipv4Addr::from(gateway.to_le_bytes()))
    };
    route.lines().skip(1).filter_map(parse).collect()
}

/// Gateways of default routes in `/proc/net/ipv6_route`: destination, its length, source, its length, next hop.
fn gateways_v6(route: &str) -> Vec<Ipv6Addr> {
    let parse = |line: &str| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let hop = u128::from_str_radix(columns.get(4)?, 16).ok()?;
        (columns.get(1) == Some(&"00") && hop != 0).then(|| Ipv6Addr::from(hop))
    };
    route.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn loopback_is_our_own() {
        assert!(own_addresses().contains(&Addr::from(IpAddr::V4(Ipv4Addr::LOCALHOST))));
    }

    #[test]
    fn resolvers_are_read() {
        let text = "# x\nsearch lan\nnameserver 198.18.0.53\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\n";
        assert_eq!(resolvers(text), ["198.18.0.53".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
    }

    #[test]
    fn default_gateways_are_read() {
        let text =
            "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t010012C6\t0003\neth0\t000012C6\t00000000\t0001\n";
        assert_eq!(gateways_v4(text), [Ipv4Addr::new(198, 18, 0, 1)]);
        let zeros = "0".repeat(32);
        let text = format!("{zeros} 00 {zeros} 00 20010002000000000000000000000001 00000400 0 0 0 eth0\n");
        assert_eq!(gateways_v6(&text), ["2001:2::1".parse::<Ipv6Addr>().unwrap()]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let _ = (resolvers(&text), gateways_v4(&text), gateways_v6(&text));
        }
    }
}
