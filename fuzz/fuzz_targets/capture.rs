//! Any bytes as a capture, of whatever format and compression they look like; each frame into the parser and the
//! `cicflowmeter` profile.
#![no_main]

use std::io::{Cursor, sink};

use ganglion_extract::capture::{Capture, CaptureError, Frame, MAX_PACKET_BYTES, Reading};
use ganglion_extract::cicflowmeter::{COLUMNS, Engine, Row, Value};
use ganglion_flow::NotAFlow;
use libfuzzer_sys::fuzz_target;

/// Frames read of one input: zstd makes millions of empty ones out of 4 kB.
const MAX_FRAMES: u32 = 2_000;

fuzz_target!(|input: &[u8]| {
    let Ok(mut capture) = Capture::from_reader(Cursor::new(input.to_vec()), "fuzz") else { return };
    let mut reading = Reading::new(true);
    reading.vlan_domain = true;
    let mut engine = Engine::new();
    let mut rows = 0;
    let mut emit = |row: Row| {
        rows += 1;
        check(&row);
    };
    let mut offset = 0;
    for _ in 0..MAX_FRAMES {
        match capture.next() {
            Ok(Some(frame)) => {
                assert!(frame.bytes.len() <= MAX_PACKET_BYTES as usize);
                assert!(frame.offset > offset, "frames lie one after the other");
                offset = frame.offset;
                packets(&frame, &mut reading);
                engine.frame(&frame, &mut emit);
            }
            // One interface is refused, the others are not.
            Err(CaptureError::LinkType { .. }) => {}
            Ok(None) => break,
            Err(_) => {
                assert!(matches!(capture.next(), Ok(None)), "nothing follows damage");
                break;
            }
        }
    }
    assert!(capture.input_bytes_read() <= input.len() as u64);
    let counts = engine.finish(&mut emit);
    assert_eq!(counts.rows, rows);
});

/// A frame as the kernel reads it, alone and after those before it.
fn packets(frame: &Frame<'_>, reading: &mut Reading) {
    let alone = frame.packet();
    if let Ok(packet) = alone {
        assert!(packet.payload_bytes <= packet.wire_bytes, "{packet:?}");
    }
    match reading.packet(frame) {
        Ok((packet, _)) => assert!(packet.payload_bytes <= packet.wire_bytes, "{packet:?}"),
        // In a tunnel too, a fragment may come without its first one.
        Err(NotAFlow::Fragment) => {}
        Err(why) => assert_eq!(alone, Err(why)),
    }
}

/// A row has numbers in its cells and can be written.
fn check(row: &Row) {
    for column in COLUMNS {
        if let Value::Float(number) = (column.value)(row) {
            assert!(number.is_finite(), "{}", column.name);
        }
    }
    row.write_csv(&mut sink()).expect("a sink takes everything");
}
