//! What labels, filters and writing rows cost, in ns on one core, and how large the file gets:
//! `cargo run --release -p ganglion-extract --example write -- FILE…`. The rows are those of the `cicflowmeter`
//! profile, repeated up to a million cells of each kind.

use ganglion_extract::capture::{Capture, Frame, LinkType};
use ganglion_extract::cicflowmeter::{self, Engine, Row};
use ganglion_extract::filter::Filter;
use ganglion_extract::ganglion;
use ganglion_extract::labels::Labels;
use ganglion_extract::table::{Batch, Cells, Field, Kind};
use ganglion_extract::write::{Encoded, Encoder, Format, Spelling, WriteError};
use std::error::Error;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const ROWS: usize = 16 * 1024;
const BATCHES: usize = 8;
/// The best of so many counts: others use the machine too.
const REPEATS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let names: Vec<_> = std::env::args().skip(1).collect();
    whole(&names)?;
    let mut rows: Vec<Row> = Vec::new();
    for name in names {
        let mut capture = Capture::open(Path::new(&name))?;
        let mut engine = Engine::new();
        while let Ok(Some(frame)) = capture.next() {
            engine.frame(&frame, &mut |row| rows.push(row));
        }
        engine.finish(&mut |row| rows.push(row));
    }
    println!("{} rows", rows.len());
    let rows: Vec<_> = rows.iter().cycle().take(ROWS * BATCHES).copied().collect();
    let start = busy()?;
    let batches: Vec<_> = rows.chunks(ROWS).map(cicflowmeter::batch).collect();
    let cells = rows.len() * cicflowmeter::COLUMNS.len();
    println!("{:44} {:6.2} ns/cell", "rows to batches", (busy()? - start).as_secs_f64() * 1e9 / cells as f64);
    let mut fields = cicflowmeter::fields();
    label(&mut fields, &batches)?;
    filter()?;
    for kinds in [&[Kind::Float, Kind::Int][..], &[Kind::Text, Kind::Time]] {
        println!("columns of {kinds:?}");
        measure(&fields, &batches, kinds)?;
    }
    Ok(())
}

/// What labels cost by number of rules, of which most match nothing.
fn label(fields: &mut Vec<Field>, batches: &[Batch]) -> Result<(), Box<dyn Error>> {
    for rules in [1, 100, 1_000, 5_000] {
        let rule = |number: usize| {
            let (a, b) = (number / 250, number % 250);
            format!(
                "  - {{label: x, host: 10.{a}.{b}.0/28, peer: 192.168.{b}.{a}, from: {number}, port: [80, {number}]}}\n"
            )
        };
        let text = format!("rules:\n{}", (0..rules).map(rule).collect::<String>());
        let start = busy()?;
        let labels = Labels::read(&text, "rules")?;
        let compiled = busy()? - start;
        let places = Labels::prepare(fields)?;
        let mut rows = 0;
        let mut all = batches.to_vec();
        let start = busy()?;
        for batch in &mut all {
            labels.label(batch, &places);
            rows += batch.rows;
        }
        let ns = (busy()? - start).as_secs_f64() * 1e9 / rows as f64;
        println!("labels, {rules} rules: {ns:.0} ns/row, read in {compiled:?}");
    }
    Ok(())
}

/// What a filter costs.
fn filter() -> Result<(), Box<dyn Error>> {
    let mut bytes = vec![0; 12];
    bytes.extend([8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, 1, 187, 16, 0]);
    bytes.resize(74, 0);
    let frame =
        Frame { time_ns: 0, link: LinkType::Ethernet, interface: 0, original_bytes: 74, bytes: &bytes, offset: 0 };
    for expression in ["tcp", "tcp port 443 and not net 10.0.0.0/8", "host 198.18.7.7 or (udp portrange 1000-2000)"] {
        let filter = Filter::new(expression)?;
        let start = busy()?;
        let mut passed = 0_u64;
        for _ in 0..10_000_000 {
            passed += u64::from(filter.passes(std::hint::black_box(&frame))?);
        }
        println!("filter {expression:?}: {:.1} ns/frame, {passed} passed", (busy()? - start).as_secs_f64() * 1e9 / 1e7);
    }
    Ok(())
}

/// Captures to rows of the `ganglion` profile, in each format.
fn whole(names: &[String]) -> Result<(), Box<dyn Error>> {
    let options = ganglion::Options::default();
    for format in [None, Some(Format::Parquet), Some(Format::Csv), Some(Format::Jsonl)] {
        let start = busy()?;
        let encoder = Encoder::new(format.unwrap_or(Format::Csv), ganglion::fields(&options), Spelling::Shortest, &[])?;
        let mut writer = encoder.writer(Vec::new())?;
        let encode = |batch: &mut Batch| format.map(|_| encoder.encode(batch));
        let sink = |rows: Option<Result<Encoded, WriteError>>| match rows.map(|rows| writer.append(rows?)) {
            None | Some(Ok(())) => ControlFlow::Continue(()),
            Some(Err(_)) => ControlFlow::Break(()),
        };
        let ((), counts) = ganglion::extract(&options, NonZeroUsize::MIN, encode, sink, |extraction| {
            for name in names {
                let Ok(mut capture) = Capture::open(Path::new(name)) else { continue };
                while let Ok(Some(frame)) = capture.next() {
                    if extraction.frame(&frame).is_break() {
                        return;
                    }
                }
            }
        });
        let bytes = writer.finish()?.len();
        let ns = (busy()? - start).as_secs_f64() * 1e9;
        let (frames, rows) = (counts.frames(), counts.rows);
        println!(
            "ganglion profile, {format:?}: {:.0} ns/frame, {:.0} ns/row, {} bytes/row, {frames} frames, {rows} rows",
            ns / frames as f64,
            ns / rows as f64,
            bytes / rows.max(1) as usize
        );
    }
    Ok(())
}

fn measure(fields: &[Field], batches: &[Batch], kinds: &[Kind]) -> Result<(), Box<dyn Error>> {
    let chosen: Vec<_> = (0..fields.len()).filter(|at| kinds.contains(&fields[*at].kind)).collect();
    let fields: Vec<_> = chosen.iter().map(|at| fields[*at].clone()).collect();
    let batches: Vec<_> = batches
        .iter()
        .map(|batch| {
            let columns = chosen.iter().map(|at| batch.columns[*at].clone()).map(only_floats).collect();
            Batch { columns, rows: batch.rows }
        })
        .collect();
    for format in [Format::Parquet, Format::Csv, Format::Jsonl] {
        for spelling in [Spelling::Shortest, Spelling::Java] {
            run(&format!("{format:?} {spelling:?}"), &Encoder::new(format, fields.clone(), spelling, &[])?, &batches)?;
        }
    }
    Ok(())
}

fn only_floats(cells: Cells) -> Cells {
    match cells {
        Cells::FloatOrWhole { values, .. } => Cells::Float(values),
        other => other,
    }
}

fn run(name: &str, encoder: &Encoder, batches: &[Batch]) -> Result<(), Box<dyn Error>> {
    let cells: usize = batches.iter().map(|batch| batch.rows * batch.columns.len()).sum();
    let (mut ns, mut bytes) = (f64::MAX, 0);
    for _ in 0..REPEATS {
        let start = busy()?;
        let mut writer = encoder.writer(Vec::new())?;
        for batch in batches {
            writer.append(encoder.encode(batch)?)?;
        }
        bytes = writer.finish()?.len();
        ns = ns.min((busy()? - start).as_secs_f64() * 1e9 / cells as f64);
    }
    println!("{name:44} {ns:6.2} ns/cell {:6.3} bytes/cell", bytes as f64 / cells as f64);
    Ok(())
}

/// What this thread had of a processor, however many others wait for it.
fn busy() -> Result<Duration, Box<dyn Error>> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns = line.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(ns))
}
