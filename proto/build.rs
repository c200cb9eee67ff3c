//! Compiles the protocol without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["common", "brain", "models", "sensor"].map(|name| format!("proto/ganglion/v1/{name}.proto"));
    for file in &files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().bytes(".ganglion.v1.RecordBatch.records").compile_fds(descriptors)?;
    Ok(())
}
