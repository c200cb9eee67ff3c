//! Connections to the sensor's control socket and to the brain.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ganglion_proto::MAX_MESSAGE_BYTES;
use ganglion_proto::v1::brain_client::BrainClient;
use ganglion_proto::v1::models_client::ModelsClient;
use ganglion_proto::v1::sensor_client::SensorClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::exit::{Error, Result};

/// Where the sensor listens.
pub(crate) const CONTROL_SOCKET: &str = "/run/ganglion/sensor.sock";
/// Where the brain listens.
pub(crate) const BRAIN_SOCKET: &str = "/run/ganglion/brain.sock";

/// Largest list that a sensor answers with: 10 000 flows.
const MAX_LIST_BYTES: usize = 4 * MAX_MESSAGE_BYTES;

/// Connects to the sensor.
pub(crate) async fn sensor(socket: &Path) -> Result<SensorClient<Channel>> {
    let channel = channel(socket, "sensor", "ganglion run --interface eth0", "--control").await?;
    Ok(SensorClient::new(channel).max_decoding_message_size(MAX_LIST_BYTES))
}

/// Connects to the brain.
pub(crate) async fn brain(socket: &Path) -> Result<BrainClient<Channel>> {
    let channel = channel(socket, "brain", "ganglion run --interface eth0", "--brain").await?;
    Ok(BrainClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// Connects to the brain, to order models.
pub(crate) async fn models(socket: &Path) -> Result<ModelsClient<Channel>> {
    let channel = channel(socket, "brain", "ganglion run --interface eth0", "--brain").await?;
    Ok(ModelsClient::new(channel))
}

async fn channel(socket: &Path, who: &str, start: &str, option: &str) -> Result<Channel> {
    // A first connection of our own, because its error says more than the transport's.
    UnixStream::connect(socket).await.map_err(|error| unreachable(socket, who, start, option, &error))?;
    let path = PathBuf::from(socket);
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The connector ignores the name.
    Endpoint::from_static("http://ganglion.invalid")
        .connect_with_connector(connector)
        .await
        .map_err(|error| Error::Unreachable(format!("{who} at {}: {error}", socket.display())))
}

fn unreachable(socket: &Path, who: &str, start: &str, option: &str, error: &std::io::Error) -> Error {
    let at = socket.display();
    match error.kind() {
        ErrorKind::NotFound => Error::Unreachable(format!(
            "no socket at {at}: is the {who} running? Start it with `{start}`, or name its socket with {option}"
        )),
        ErrorKind::ConnectionRefused => Error::Unreachable(format!(
            "nobody listens at {at}: the {who} that made the socket has ended. Start it with `{start}`"
        )),
        ErrorKind::PermissionDenied => Error::Privilege(format!(
            "no permission for {at}: run as root, or as a member of the socket's group (`ls -l {at}`)"
        )),
        _ => Error::Unreachable(format!("{who} at {at}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_socket_says_what_to_start() {
        let error = sensor(Path::new("/nonexistent/control.sock")).await.expect_err("no socket");
        assert_eq!(
            error.to_string(),
            "no socket at /nonexistent/control.sock: is the sensor running? Start it with `ganglion run \
             --interface eth0`, or name its socket with --control"
        );
    }

    #[tokio::test]
    async fn a_stale_socket_is_told_from_a_missing_one() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
        let error = sensor(&path).await.expect_err("stale");
        assert!(error.to_string().contains("the sensor that made the socket has ended"), "{error}");
    }
}
