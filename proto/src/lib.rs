//! The messages and services of `ganglion.v1`, generated from `proto/ganglion/v1/*.proto`.
//!
//! Sensor ↔ brain is one bidirectional stream ([`v1::brain_client`]); record batches carry the fixed layouts
//! of `ganglion_flow::record`, version-checked in the first message.

/// Package `ganglion.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the comments stand in the .proto files"
)]
pub mod v1 {
    tonic::include_proto!("ganglion.v1");
}

/// Largest message either side accepts, in bytes: a full record batch with room to spare.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;
