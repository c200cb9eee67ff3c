//! Any bytes as records: as they are, and in a recording; rows of them are numbers.
#![no_main]

use ganglion_features::recording::{HEADER_LEN, Recording, header};
use ganglion_features::{Context, Row};
use ganglion_flow::record::{Record, RecordKind, VERSION};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = Record::decode(input);
    if let Ok(recording) = Recording::open(input) {
        rows(recording.map_while(Result::ok));
    }
    // Made whole, or few would get past the checks.
    let whole = recording(input);
    let recording = Recording::open(&whole).expect("its header is good");
    let mut read = 0;
    rows(recording.inspect(|_| read += 1).map_while(Result::ok));
    assert!(read <= 1 + whole.len() / RecordKind::Source.len());
});

/// `input` cut into records, of which each has a kind and the version.
fn recording(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = header(0).to_vec();
    bytes.reserve(HEADER_LEN + input.len());
    while let Some(&first) = input.first() {
        let kind = if first & 1 == 1 { RecordKind::Flow } else { RecordKind::Source };
        let Some((one, rest)) = input.split_at_checked(kind.len()) else { break };
        let at = bytes.len();
        bytes.extend(one);
        (bytes[at], bytes[at + 1]) = (kind as u8, VERSION);
        input = rest;
    }
    bytes
}

/// No value is NaN or infinite, whatever a record says.
fn rows(records: impl Iterator<Item = Record>) {
    let mut context = Context::default();
    for record in records {
        let row: Row = context.observe(&record);
        assert!(row.values.iter().all(|value| value.is_finite()), "{record:?}");
    }
}
