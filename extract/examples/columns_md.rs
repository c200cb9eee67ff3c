//! Prints `docs/cicflowmeter.md`: `cargo run -p ganglion-extract --example columns_md > docs/cicflowmeter.md`.

fn main() {
    print!("{}", ganglion_extract::cicflowmeter::columns_markdown());
}
