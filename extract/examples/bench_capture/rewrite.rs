//! Gives a frame's addresses other low bits, so that repetitions of a capture are flows of their own. Private stays
//! private, multicast multicast; checksums stay as right or wrong as they were.

const ETHERNET: usize = 12;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// What the low 24 bits of each IPv4 address, and bits 40 to 63 of each IPv6 address, are combined with: a number for
/// each instance, different for any two below 2^24.
pub(crate) fn mask(instance: u32) -> [u8; 3] {
    // An odd factor permutes the numbers below 2^24.
    let [_, mask @ ..] = instance.wrapping_mul(0x009e_3779 | 1).to_be_bytes();
    mask
}

/// Rewrites a frame. What has no IP addresses stays.
pub(crate) fn rewrite(frame: &mut [u8], mask: [u8; 3]) {
    let mut at = ETHERNET;
    while let Some(0x8100 | 0x88a8) = be16(frame, at) {
        at += 4;
    }
    match be16(frame, at) {
        Some(0x0800) => ipv4(frame, at + 2, mask),
        Some(0x86dd) => ipv6(frame, at + 2, mask),
        _ => {}
    }
}

fn ipv4(frame: &mut [u8], ip: usize, mask: [u8; 3]) {
    let (Some(&first), Some(fragment), Some(&protocol)) = (frame.get(ip), be16(frame, ip + 6), frame.get(ip + 9))
    else {
        return;
    };
    let change = combine(frame, ip + 13, mask) + combine(frame, ip + 17, mask);
    adjust(frame, ip + 10, change, false);
    // A later fragment has no transport header.
    if fragment & 0x1fff == 0 {
        transport(frame, ip + usize::from(first & 0x0f) * 4, protocol, change);
    }
}

fn ipv6(frame: &mut [u8], ip: usize, mask: [u8; 3]) {
    let Some(&protocol) = frame.get(ip + 6) else { return };
    let change = combine(frame, ip + 13, mask) + combine(frame, ip + 29, mask);
    transport(frame, ip + 40, protocol, change);
}

/// The checksum of a transport header that has the addresses in it.
fn transport(frame: &mut [u8], at: usize, protocol: u8, change: u32) {
    match protocol {
        TCP => adjust(frame, at + 16, change, false),
        UDP => adjust(frame, at + 6, change, true),
        ICMPV6 => adjust(frame, at + 2, change, false),
        _ => {}
    }
}

/// Combines three bytes at an odd place of an address with the mask: new less old, in ones' complement.
fn combine(frame: &mut [u8], at: usize, mask: [u8; 3]) -> u32 {
    let Some(bytes) = at.checked_sub(1).and_then(|from| frame.get_mut(from..from + 4)) else { return 0 };
    let sum = |bytes: &[u8]| bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
    let old = sum(bytes);
    for (byte, mask) in bytes.iter_mut().skip(1).zip(mask) {
        *byte ^= mask;
    }
    sum(bytes) + 2 * 0xffff - old
}

/// Brings a checksum up to date (RFC 1624, equation 3); a UDP checksum of 0 is none.
fn adjust(frame: &mut [u8], at: usize, change: u32, zero_is_none: bool) {
    let Some(old) = be16(frame, at) else { return };
    if zero_is_none && old == 0 {
        return;
    }
    let mut sum = u32::from(!old) + change;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let new = !(sum as u16);
    let new = if zero_is_none && new == 0 { 0xffff } else { new };
    if let Some(field) = frame.get_mut(at..at + 2) {
        field.copy_from_slice(&new.to_be_bytes());
    }
}

fn be16(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of all 16-bit words: 0xffff where the checksum is right.
    fn folded(bytes: &[u8]) -> u16 {
        let words = bytes.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w.get(1).copied().unwrap_or(0)])));
        let mut sum: u32 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn with_checksum(bytes: &mut [u8], at: usize, pseudo: &[u8]) {
        let sum = !folded(&[pseudo, bytes].concat());
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    #[test]
    fn masks_are_different() {
        let masks: std::collections::HashSet<_> = (0..100_000).map(mask).collect();
        assert_eq!(masks.len(), 100_000);
    }

    #[test]
    fn ipv4_behind_a_tag_keeps_right_checksums() {
        let mut ip = vec![0x45, 0, 0, 40, 1, 2, 0x40, 0, 64, 6, 0, 0, 192, 168, 1, 77, 10, 3, 255, 9];
        with_checksum(&mut ip, 10, &[]);
        let pseudo = |ip: &[u8]| [&ip[12..20], &[0, 6, 0, 20]].concat();
        let mut tcp = vec![0x9c, 0x40, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 2, 0, 0, 0, 0, 0];
        with_checksum(&mut tcp, 16, &pseudo(&ip));
        let head = [&[2; 12][..], &[0x81, 0, 0, 7, 8, 0]].concat();
        for instance in [0, 1, 2, 77, 12_345, 0xff_ffff] {
            let mut frame = [&head[..], &ip, &tcp].concat();
            rewrite(&mut frame, mask(instance));
            let (ip, tcp) = (&frame[18..38], &frame[38..]);
            assert_eq!(folded(ip), 0xffff, "IP of {instance}");
            assert_eq!(folded(&[&pseudo(ip)[..], tcp].concat()), 0xffff, "TCP of {instance}");
            assert_eq!((ip[12], ip[16]), (192, 10));
            assert_eq!([ip[13] ^ 168, ip[14] ^ 1, ip[15] ^ 77], mask(instance));
        }
    }

    #[test]
    fn ipv6_udp_keeps_its_checksum_and_none_stays_none() {
        let mut ip = vec![0x60, 0, 0, 0, 0, 12, 17, 64];
        ip.extend(
            [
                [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
                [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb],
            ]
            .concat(),
        );
        let mut udp = vec![0x14, 0xe9, 0x14, 0xe9, 0, 12, 0, 0, 1, 2, 3, 4];
        let pseudo = |ip: &[u8]| [&ip[8..40], &[0, 0, 0, 12, 0, 0, 0, 17]].concat();
        let head = [&[2; 12][..], &[0x86, 0xdd]].concat();
        let mut none = [&head[..], &ip, &udp].concat();
        rewrite(&mut none, mask(9));
        assert_eq!(none[60..62], [0, 0]);
        with_checksum(&mut udp, 6, &pseudo(&ip));
        let mut frame = [&head[..], &ip, &udp].concat();
        rewrite(&mut frame, mask(9));
        assert_eq!(folded(&[&pseudo(&frame[14..54])[..], &frame[54..]].concat()), 0xffff);
        assert_eq!((frame[22], frame[23], frame[38]), (0xfe, 0x80, 0xff));
    }

    #[test]
    fn cut_and_foreign_frames_are_no_trouble() {
        let whole =
            [&[2; 12][..], &[8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]].concat();
        for len in 0..whole.len() {
            rewrite(&mut whole[..len].to_vec(), mask(3));
        }
        let mut arp = [&[2; 12][..], &[8, 6], &[1; 28]].concat();
        let before = arp.clone();
        rewrite(&mut arp, mask(3));
        assert_eq!(arp, before);
    }
}
