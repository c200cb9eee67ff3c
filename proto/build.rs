//! Compiles the protocol without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["proto/ganglion/v1/common.proto", "proto/ganglion/v1/brain.proto", "proto/ganglion/v1/sensor.proto"];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().bytes(".ganglion.v1.RecordBatch.records").compile_fds(descriptors)?;
    Ok(())
}
