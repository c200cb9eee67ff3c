//! Rows per second: `cargo run --release -p ganglion-brain --example throughput -- BUNDLE [ROWS]`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let bundle = args.next().map_or_else(|| PathBuf::from("brain/tests/bundle"), PathBuf::from);
    let rows = args.next().map_or(Ok(100_000), |rows| rows.parse())?;
    print!("{}", ganglion_brain::bench::throughput(&bundle, rows)?);
    Ok(())
}
