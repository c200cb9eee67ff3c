use super::*;
use ganglion_flow::record::{FlowRecord, RecordHeader};
use ganglion_flow::{Hook, Reason, SourceRecord, Stage, Wire};
use proptest::prelude::*;

fn flow_bytes() -> Vec<u8> {
    let header = RecordHeader::new(RecordKind::Flow, Stage::End, Reason::Fin, Hook::Xdp, 5);
    let mut bytes = vec![0; FlowRecord::LEN];
    assert!(FlowRecord { header, ..FlowRecord::ZERO }.put(&mut bytes));
    bytes
}

fn source_bytes() -> Vec<u8> {
    let header = RecordHeader::new(RecordKind::Source, Stage::Source, Reason::Level, Hook::Xdp, 6);
    let mut bytes = vec![0; SourceRecord::LEN];
    assert!(SourceRecord { header, ..SourceRecord::ZERO }.put(&mut bytes));
    bytes
}

#[test]
fn what_was_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gnlr");
    let mut writer = Writer::open(&path, 42).unwrap();
    writer.append(&[flow_bytes(), source_bytes()].concat()).unwrap();
    drop(writer);
    let mut again = Writer::open(&path, 43).unwrap();
    again.append(&flow_bytes()).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.boot_to_wall_offset_us(), 42);
    let kinds: Vec<u8> = reader.map(|r| r.unwrap().header().kind).collect();
    assert_eq!(kinds, [1, 2, 1]);
}

#[test]
fn a_torn_end_is_said_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gnlr");
    let mut writer = Writer::open(&path, 0).unwrap();
    writer.append(&source_bytes()).unwrap();
    writer.append(&flow_bytes()[..100]).unwrap();
    drop(writer);
    let last = Reader::open(&path).unwrap().last().unwrap();
    assert!(matches!(last, Err(RecordingError::Torn { .. })));
    Writer::open(&path, 0).unwrap().append(&source_bytes()).unwrap();
    assert_eq!(Reader::open(&path).unwrap().filter(Result::is_ok).count(), 2);
}

#[test]
fn other_files_other_boots_and_versions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "not a recording, but long enough").unwrap();
    assert!(matches!(Writer::open(&path, 0), Err(RecordingError::NotOne { .. })));
    assert!(matches!(Reader::open(&path), Err(RecordingError::NotOne { .. })));
    let mut bytes = header(0);
    bytes[5] = 99;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Writer::open(&path, 0), Err(RecordingError::Version { found: 99, .. })));
    std::fs::write(&path, header(0)).unwrap();
    assert!(matches!(Writer::open(&path, 1 << 40), Err(RecordingError::OtherBoot { .. })));
}

#[test]
fn a_full_disk_leaves_a_readable_file() {
    // /dev/full refuses every write.
    let file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let mut writer = Writer { file, path: "/dev/full".into(), good: 0 };
    assert!(writer.append(&flow_bytes()).is_err());
    assert_eq!(writer.good, 0);
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut all = header(0).to_vec();
        all.extend(bytes);
        std::fs::write(&path, all).unwrap();
        let _ = Reader::open(&path).unwrap().count();
    }
}
