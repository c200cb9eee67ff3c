use super::{LITTLE, LinkType, ORDERS, Order, read, small_pcapng, whole};
use crate::capture::{Capture, CaptureError, Damage, MAX_PACKET_BYTES};
use std::io::Cursor;

#[test]
fn sections_of_either_byte_order_with_packets_of_every_kind() {
    let frames = whole(&small_pcapng());
    assert_eq!(frames.len(), 8);
    for (section, four) in frames.chunks(4).enumerate() {
        let first = 2 * section as u32;
        let [enhanced, raw, simple, obsolete] = four else { panic!() };
        assert_eq!((enhanced.time_ns, enhanced.interface, enhanced.bytes.len()), (1_000_001_000, first, 60));
        assert_eq!((raw.time_ns, raw.interface, raw.link), (2_000_000_001, first + 1, LinkType::RawIp));
        assert_eq!((raw.original_bytes, raw.bytes.as_slice()), (1500, &[2; 33][..]));
        assert_eq!((simple.time_ns, simple.interface, simple.bytes.as_slice()), (0, first, &[3; 5][..]));
        assert_eq!((obsolete.time_ns, obsolete.interface, obsolete.original_bytes), (3, first + 1, 90));
    }
}

fn time_ns(order: Order, options: &[u8], units: u64) -> i64 {
    let packet = order.packet(0, units, 1, &[0]);
    whole(&[order.section(), order.interface(1, 0, options), packet].concat())[0].time_ns
}

#[test]
fn clock_resolutions() {
    for order in ORDERS {
        let at = |resolution, units| time_ns(order, &order.option(9, &[resolution]), units);
        assert_eq!(time_ns(order, &[], 7), 7_000, "microseconds unless told");
        assert_eq!(at(0, 7), 7_000_000_000);
        assert_eq!(at(3, 7), 7_000_000);
        assert_eq!(at(9, 7), 7);
        assert_eq!(at(12, 7_999), 7);
        assert_eq!(at(28, u64::MAX), 1);
        assert_eq!(at(29, u64::MAX), 0);
        assert_eq!(at(127, u64::MAX), 0);
        assert_eq!(at(0x80, 7), 7_000_000_000, "whole seconds as a power of two");
        assert_eq!(at(0x80 | 10, 1536), 1_500_000_000);
        assert_eq!(at(0x80 | 32, 3 << 31), 1_500_000_000);
        assert_eq!(at(0x80 | 64, u64::MAX), 999_999_999);
        assert_eq!(at(0xff, u64::MAX), 0);
        assert_eq!(at(0, u64::MAX), i64::MAX, "beyond 2262: the largest there is");
        assert_eq!(at(0x80, u64::MAX), i64::MAX);
    }
}

#[test]
fn clock_offsets() {
    for order in ORDERS {
        let at = |offset: i64, units| time_ns(order, &order.option(14, &order.u64(offset as u64)), units);
        assert_eq!(at(1_700_000_000, 5), 1_700_000_000_000_005_000);
        assert_eq!(at(-1, 5), -999_995_000);
        assert_eq!(at(i64::MIN, 5), i64::MIN + 5_000);
        assert_eq!(at(i64::MAX, 5), i64::MAX);
    }
}

#[test]
fn options_before_and_after_those_of_time_are_read_over() {
    let options = [
        LITTLE.option(2, b"eth0"),
        LITTLE.option(9, &[9]),
        LITTLE.option(12, b"Linux 6.1"),
        LITTLE.option(0, &[]),
        LITTLE.option(9, &[3]),
    ]
    .concat();
    assert_eq!(time_ns(LITTLE, &options, 7), 7, "what follows the end of options is none");
    let overrun = [LITTLE.option(9, &[9]), vec![2, 0, 0xff, 0xff, 0, 0, 0, 0]].concat();
    assert_eq!(time_ns(LITTLE, &overrun, 7), 7);
}

#[test]
fn simple_packets_end_at_the_snap_length() {
    let simple = LITTLE.block(3, &[&LITTLE.u32(1500)[..], &[3; 64]].concat());
    let frames = whole(&[LITTLE.section(), LITTLE.interface(1, 64, &[]), simple].concat());
    assert_eq!((frames[0].bytes.len(), frames[0].original_bytes), (64, 1500));
}

#[test]
fn a_long_block_of_an_unknown_kind_is_read_over() {
    let secrets = LITTLE.block(10, &vec![1; 5_000_000]);
    let file = [LITTLE.section(), secrets, LITTLE.interface(1, 0, &[]), LITTLE.packet(0, 1, 1, &[0])].concat();
    assert_eq!(whole(&file).len(), 1);
}

fn damage(block: &[u8]) -> Damage {
    let good = [LITTLE.section(), LITTLE.interface(1, 0, &[]), LITTLE.packet(0, 1, 1, &[0])].concat();
    let (frames, error) = read(&[&good, block].concat());
    assert_eq!(frames.len(), 1, "the frame before");
    match error {
        Some(CaptureError::Damaged { offset, damage, .. }) => {
            assert_eq!(offset, good.len() as u64);
            damage
        }
        error => panic!("{error:?}"),
    }
}

#[test]
fn blocks_that_cannot_be_are_damage() {
    let packet = LITTLE.packet(0, 1, 60, &[0; 60]);
    let with = |at: usize, number: u32| {
        let mut block = packet.clone();
        block[at..at + 4].copy_from_slice(&LITTLE.u32(number));
        block
    };
    let bytes = packet.len() as u32;
    for length in [0, 4, 12, 32 - 4, bytes + 1, 0x10_0000, u32::MAX] {
        assert_eq!(damage(&with(4, length)), Damage::BlockLength { kind: 6, bytes: length });
    }
    assert_eq!(damage(&with(packet.len() - 4, 8)), Damage::BlockTail { head: bytes, tail: 8 });
    assert_eq!(damage(&with(8, 1)), Damage::UnknownInterface { interface: 1, described: 1 });
    let long = MAX_PACKET_BYTES + 1;
    assert_eq!(damage(&with(20, long)), Damage::PacketTooLong { captured: long });
    assert_eq!(damage(&with(20, 77)), Damage::PacketBeyondBlock { captured: 77, room: 72 });
    for length in [0, 8, 13, 17 << 20] {
        let mut unknown = LITTLE.block(99, &[0; 8]);
        unknown[4..8].copy_from_slice(&LITTLE.u32(length));
        assert_eq!(damage(&unknown), Damage::BlockLength { kind: 99, bytes: length });
    }
    let mut section = LITTLE.section();
    section[8] = 0;
    assert_eq!(damage(&section), Damage::ByteOrder(0x003c_2b1a));
}

#[test]
fn interfaces_of_a_section_are_forgotten_with_it() {
    let file = [LITTLE.section(), LITTLE.interface(1, 0, &[]), LITTLE.section(), LITTLE.packet(0, 1, 1, &[0])].concat();
    let (_, error) = read(&file);
    let Some(CaptureError::Damaged { damage, .. }) = error else { panic!("{error:?}") };
    assert_eq!(damage, Damage::UnknownInterface { interface: 0, described: 0 });
}

#[test]
fn interfaces_are_bounded() {
    let mut file = LITTLE.section();
    for _ in 0..=65_536 {
        file.extend(LITTLE.interface(1, 0, &[]));
    }
    let (_, error) = read(&file);
    let Some(CaptureError::Damaged { damage, .. }) = error else { panic!("{error:?}") };
    assert_eq!(damage, Damage::TooManyInterfaces);
}

#[test]
fn an_interface_of_a_refused_link_type_is_refused_when_it_gives_a_packet_and_the_rest_goes_on() {
    let mut file = [LITTLE.section(), LITTLE.interface(127, 0, &[]), LITTLE.interface(1, 0, &[])].concat();
    file.extend(LITTLE.packet(1, 1, 1, &[1]));
    let offset = file.len();
    file.extend(LITTLE.packet(0, 2, 1, &[2]));
    file.extend(LITTLE.packet(1, 3, 1, &[3]));
    let mut capture = Capture::from_reader(Cursor::new(file), "test").unwrap();
    assert_eq!(capture.next().unwrap().unwrap().bytes, [1]);
    match capture.next() {
        Err(CaptureError::LinkType { number: 127, interface: 0, offset: at, .. }) => assert_eq!(at, offset as u64),
        other => panic!("{other:?}"),
    }
    assert_eq!(capture.next().unwrap().unwrap().bytes, [3]);
    assert_eq!(capture.next().unwrap(), None);
}
