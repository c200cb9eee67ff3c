use super::{LITTLE, LinkType, ORDERS, read, small_pcap, whole};
use crate::capture::{CaptureError, Damage, MAX_PACKET_BYTES};

#[test]
fn both_byte_orders_and_units() {
    for order in ORDERS {
        for (magic, more, unit_ns) in [(0xa1b2_c3d4, 0, 1_000), (0xa1b2_3c4d, 0, 1), (0xa1b2_cd34, 8, 1_000)] {
            let mut file = order.pcap(magic, 65_535, 1);
            file.extend(order.record((1_700_000_000, 123), 1500, &vec![9; more], &[5; 60]));
            file.extend(order.record((4_000_000_000, 999_999), 3, &vec![9; more], &[1, 2, 3]));
            let frames = whole(&file);
            assert_eq!(frames.len(), 2, "magic {magic:#x}");
            assert_eq!(frames[0].time_ns, 1_700_000_000_000_000_000 + 123 * unit_ns);
            assert_eq!((frames[0].original_bytes, frames[0].bytes.as_slice()), (1500, &[5; 60][..]));
            assert_eq!((frames[0].offset, frames[0].interface, frames[0].link), (24, 0, LinkType::Ethernet));
            // Beyond 2038: seconds are unsigned.
            assert_eq!(frames[1].time_ns, 4_000_000_000_000_000_000 + 999_999 * unit_ns);
            assert_eq!((frames[1].offset, frames[1].bytes.as_slice()), (24 + 16 + more as u64 + 60, &[1, 2, 3][..]));
        }
    }
}

#[test]
fn a_packet_is_cut_at_the_snap_length() {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 10, 1);
    file.extend(LITTLE.record((0, 0), 60, &[], &[5; 60]));
    file.extend(LITTLE.record((0, 0), 4, &[], &[6; 4]));
    let frames = whole(&file);
    assert_eq!((frames[0].bytes.len(), frames[0].original_bytes), (10, 60));
    assert_eq!(frames[1].bytes, [6; 4]);
}

#[test]
fn a_snap_length_of_zero_or_of_nonsense_is_none() {
    for snap in [0, u32::MAX] {
        let mut file = LITTLE.pcap(0xa1b2_c3d4, snap, 1);
        file.extend(LITTLE.record((0, 0), MAX_PACKET_BYTES, &[], &vec![5; MAX_PACKET_BYTES as usize]));
        assert_eq!(whole(&file)[0].bytes.len(), MAX_PACKET_BYTES as usize);
    }
}

#[test]
fn before_version_2_4_lengths_may_stand_the_other_way_round() {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 100, 1);
    file[6] = 3;
    file.extend([0, 0, 60, 4].map(|number| LITTLE.u32(number)).concat());
    file.extend([6; 4]);
    let frames = whole(&file);
    assert_eq!((frames[0].original_bytes, frames[0].bytes.as_slice()), (60, &[6; 4][..]));
}

#[test]
fn the_bits_above_the_link_type_are_left_out() {
    let file = LITTLE.pcap(0xa1b2_c3d4, 100, 0x2400_0001);
    assert_eq!(whole(&file), []);
}

#[test]
fn a_packet_beyond_the_bound_is_damage_after_good_frames() {
    let mut file = small_pcap(LITTLE);
    let good = file.len() as u64;
    file.extend([0, 0, MAX_PACKET_BYTES + 1, 60].map(|number| LITTLE.u32(number)).concat());
    file.extend(vec![0; MAX_PACKET_BYTES as usize + 1]);
    let (frames, error) = read(&file);
    assert_eq!(frames.len(), 3);
    let Some(CaptureError::Damaged { offset, damage, .. }) = error else { panic!("{error:?}") };
    assert_eq!((offset, damage), (good, Damage::PacketTooLong { captured: MAX_PACKET_BYTES + 1 }));
}

#[test]
fn an_unknown_version_is_said() {
    let mut file = small_pcap(LITTLE);
    file[4] = 3;
    let (_, error) = read(&file);
    let words = error.unwrap().to_string();
    assert_eq!(words, "test: damaged at byte 0: version 3.4 of the format is not known; what came before is good");
}

#[test]
fn times_that_run_backwards_are_delivered_as_they_stand() {
    let mut file = LITTLE.pcap(0xa1b2_c3d4, 100, 1);
    for second in [5, 3, 4] {
        file.extend(LITTLE.record((second, 0), 1, &[], &[0]));
    }
    let times: Vec<_> = whole(&file).iter().map(|frame| frame.time_ns / 1_000_000_000).collect();
    assert_eq!(times, [5, 3, 4]);
}
