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

/// A boot of the machine, and the offset of its wall clock.
fn epoch(boot_tag: u16, boot_to_wall_offset_us: i64) -> Epoch {
    Epoch { boot_to_wall_offset_us, boot_tag }
}

#[test]
fn what_was_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gnlr");
    let mut writer = Writer::open(&path, epoch(7, 42)).unwrap();
    writer.append(&[flow_bytes(), source_bytes()].concat()).unwrap();
    drop(writer);
    let mut again = Writer::open(&path, epoch(7, 43)).unwrap();
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
    let mut writer = Writer::open(&path, epoch(0, 0)).unwrap();
    writer.append(&source_bytes()).unwrap();
    writer.append(&flow_bytes()[..100]).unwrap();
    drop(writer);
    let last = Reader::open(&path).unwrap().last().unwrap();
    assert!(matches!(last, Err(RecordingError::Torn { .. })));
    Writer::open(&path, epoch(0, 0)).unwrap().append(&source_bytes()).unwrap();
    assert_eq!(Reader::open(&path).unwrap().filter(Result::is_ok).count(), 2);
}

#[test]
fn other_files_other_boots_and_versions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "not a recording, but long enough").unwrap();
    assert!(matches!(Writer::open(&path, epoch(0, 0)), Err(RecordingError::NotOne { .. })));
    assert!(matches!(Reader::open(&path), Err(RecordingError::NotOne { .. })));
    let mut bytes = header(epoch(0, 0));
    bytes[5] = 99;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Writer::open(&path, epoch(0, 0)), Err(RecordingError::Version { found: 99, .. })));
    std::fs::write(&path, header(epoch(0, 0))).unwrap();
    assert!(matches!(Writer::open(&path, epoch(0, 1 << 40)), Err(RecordingError::OtherBoot { .. })));
    std::fs::write(&path, header(epoch(7, 0))).unwrap();
    assert!(matches!(Writer::open(&path, epoch(8, 0)), Err(RecordingError::OtherBoot { .. })), "a quick reboot");
}

#[test]
fn a_step_of_the_wall_clock_is_followed() {
    const HOUR_US: i64 = 3_600_000_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gnlr");
    let offset = || Reader::open(&path).unwrap().boot_to_wall_offset_us();
    let mut writer = Writer::open(&path, epoch(7, 5)).unwrap();
    writer.append(&flow_bytes()).unwrap();
    writer.follow(500).unwrap();
    assert_eq!(offset(), 5, "less than a millisecond is no step");
    writer.follow(5 + HOUR_US).unwrap();
    writer.append(&flow_bytes()).unwrap();
    assert_eq!(offset(), 5 + HOUR_US);
    drop(writer);
    // The same boot, whatever its wall clock says by now.
    let mut again = Writer::open(&path, epoch(7, 5 - HOUR_US)).unwrap();
    again.append(&source_bytes()).unwrap();
    assert_eq!(offset(), 5 - HOUR_US);
    assert_eq!(Reader::open(&path).unwrap().filter(Result::is_ok).count(), 3);
}

#[test]
fn boots_have_tags() {
    assert_eq!(boot_tag(b""), 0);
    assert_ne!(boot_tag(b"52b6cbd5-0d5e-4ae0-9b36-b3ad1a2ed1d9"), boot_tag(b"52b6cbd5-0d5e-4ae0-9b36-b3ad1a2ed1d8"));
    assert_ne!(Epoch::now().boot_tag, 0);
}

#[test]
fn a_full_disk_leaves_a_readable_file() {
    // /dev/full refuses every write.
    let file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let mut writer = Writer { file, path: "/dev/full".into(), good: 0, offset_us: 0 };
    assert!(writer.append(&flow_bytes()).is_err());
    assert_eq!(writer.good, 0);
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut all = header(epoch(0, 0)).to_vec();
        all.extend(bytes);
        std::fs::write(&path, all).unwrap();
        let _ = Reader::open(&path).unwrap().count();
    }
}
