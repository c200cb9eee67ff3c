//! Why the brain can't start or go on.

use crate::bundle::BundleError;
use crate::listen::ListenError;
use crate::models::DeskError;
use crate::playbook::PlaybookError;
use crate::runtime::RuntimeError;
use std::net::SocketAddr;

/// Any of them, in one clear line.
#[derive(Debug, thiserror::Error)]
pub enum BrainError {
    /// ONNX Runtime can't be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The bundle can't be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The models can't be used together.
    #[error(transparent)]
    Models(#[from] DeskError),
    /// The playbook can't be used.
    #[error(transparent)]
    Playbook(#[from] PlaybookError),
    /// The socket can't be used.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The address for metrics is taken or not ours.
    #[error("can't serve metrics on {address}: {source}")]
    Metrics {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A metric was declared twice or badly.
    #[error("metric refused: {0}")]
    Registry(#[from] prometheus::Error),
    /// The system gave no thread.
    #[error("can't start a thread: {0}")]
    Thread(std::io::Error),
    /// The server stopped by itself.
    #[error("the server stopped: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The judging thread is gone.
    #[error("the judging thread ended early; see the log")]
    ThreadEnded,
}
