use super::super::{Frame, LinkType, Reading};
use ganglion_flow::packet::NotAFlow;

const MS: i64 = 1_000_000;

/// UDP over IPv4 from 192.0.2.1:53 to 192.0.2.2:4660, as a fragment.
fn part(identification: u16, fragment: u16) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 36];
    ip.extend([identification.to_be_bytes(), fragment.to_be_bytes()].concat());
    ip.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 53, 0x12, 0x34, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    ip
}

fn read(reading: &mut Reading, link: LinkType, bytes: &[u8], time_ns: i64) -> Result<(u16, u32, u16), NotAFlow> {
    let frame = Frame { time_ns, link, interface: 0, original_bytes: bytes.len() as u32, bytes, offset: 0 };
    reading.packet(&frame).map(|(packet, domain)| (packet.dst_port, packet.payload_bytes, domain))
}

fn ethernet(rest: &[u8]) -> Vec<u8> {
    [&[0; 12][..], &[8, 0], rest].concat()
}

#[test]
fn later_fragments_get_the_ports_of_the_first_on_any_link() {
    let mut reading = Reading::new(false);
    assert_eq!(read(&mut reading, LinkType::RawIp, &part(7, 5), 0), Err(NotAFlow::Fragment));
    assert_eq!(read(&mut reading, LinkType::RawIp, &part(7, 0x2000), MS), Ok((4660, 8, 0)));
    assert_eq!(read(&mut reading, LinkType::RawIp, &part(7, 0x2002), 2 * MS), Ok((4660, 16, 0)));
    assert_eq!(read(&mut reading, LinkType::Ethernet, &ethernet(&part(7, 4)), 3 * MS), Ok((4660, 16, 0)));
    assert_eq!(read(&mut reading, LinkType::RawIp, &part(8, 4), 4 * MS), Err(NotAFlow::Fragment));
    assert_eq!(read(&mut reading, LinkType::RawIp, &part(7, 0x2002), 30_001 * MS), Err(NotAFlow::Fragment));
    assert_eq!(reading.replaced(), 0);
}

#[test]
fn a_tunnel_is_looked_into_when_asked() {
    // VXLAN, network 0x010203.
    let inner = ethernet(&part(9, 0x2000));
    let mut ip = vec![0x45, 0];
    ip.extend((36 + inner.len() as u16).to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, 0xc3, 0x50, 0x12, 0xb5]);
    ip.extend((16 + inner.len() as u16).to_be_bytes());
    ip.extend([0, 0, 8, 0, 0, 0, 1, 2, 3, 0]);
    ip.extend(&inner);
    let mut reading = Reading::new(false);
    reading.domain = 5;
    assert_eq!(read(&mut reading, LinkType::RawIp, &ip, 0), Ok((4789, 8 + inner.len() as u32, 5)));
    reading.inner = true;
    assert_eq!(read(&mut reading, LinkType::RawIp, &ip, 0), Ok((4660, 8, 0x0203)));
    let mut later = ip.clone();
    // The inner fragment field.
    let at = 36 + 14 + 6;
    later[at..at + 2].copy_from_slice(&[0, 2]);
    assert_eq!(read(&mut reading, LinkType::RawIp, &later, MS), Ok((4660, 16, 0x0203)));
    later[at - 2] = 1;
    assert_eq!(read(&mut reading, LinkType::RawIp, &later, MS), Err(NotAFlow::Fragment));
}
