//! Builds the captures of `cargo xtask bench extract` out of real ones: many repetitions of each, with addresses of
//! their own, woven into one timeline. `… --example bench_capture -- FOLDER PACKETS`; the same input gives the same
//! bytes.

mod pool;
mod rewrite;
mod timeline;
mod write;

use std::error::Error;
use std::path::Path;

use pool::{Choice, Pool};
use timeline::Timeline;
use write::{Written, write};

/// Packets of the capture that slow peers get: the first ones of the large one.
const PREFIX: usize = 20_000;
/// Times that the repeated capture has the large one, one after the other.
const REPEATS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, packets] = arguments.as_slice() else {
        return Err("what to build: FOLDER PACKETS".into());
    };
    let (folder, packets): (&Path, usize) = (folder.as_ref(), packets.parse()?);
    std::fs::create_dir_all(folder)?;
    let source = pool::Source::find()?;
    let mixed = Pool::read(&source, Choice::LongFlows)?;
    let timeline = Timeline::new(&mixed, packets);
    say("mixed", &source, &write(&folder.join("mixed.pcap"), &mixed, &timeline, 1, usize::MAX)?);
    say("prefix", &source, &write(&folder.join("prefix.pcap"), &mixed, &timeline, 1, PREFIX)?);
    let repeated = write(&folder.join("repeated.pcap"), &mixed, &timeline, REPEATS, usize::MAX)?;
    say("repeated", &source, &repeated);
    let heavy = Pool::read(&source, Choice::FirstPackets)?;
    let timeline = Timeline::new(&heavy, packets);
    say("flow-heavy", &source, &write(&folder.join("flow-heavy.pcap"), &heavy, &timeline, 1, usize::MAX)?);
    Ok(())
}

/// A line of JSON for each capture.
fn say(name: &str, source: &pool::Source, written: &Written) {
    println!(
        r#"{{"name":"{name}","from":"{}","captures":{},"packets":{},"flows":{},"bytes":{},"seconds":{:.1}}}"#,
        source.name, written.captures, written.packets, written.flows, written.bytes, written.seconds
    );
}
