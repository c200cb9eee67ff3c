//! Where the brain listens: a unix socket, or TCP on loopback.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};

/// Owner and group may connect.
const SOCKET_MODE: u32 = 0o660;

/// Why the brain can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Neither a path nor an address.
    #[error("can't listen on \"{0}\": give a path (/run/ganglion/brain.sock) or a loopback address (127.0.0.1:9467)")]
    Syntax(String),
    /// TCP without TLS off loopback.
    #[error(
        "refusing to listen on {0}: a verdict stream without TLS off loopback would let anyone block anyone; use a \
         unix socket or 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// Another brain is alive behind the socket.
    #[error("another brain listens on {0} already")]
    InUse(PathBuf),
    /// Something else has the socket's name.
    #[error("{0} exists and is no socket")]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error("can't listen on {at}: {source}")]
    Io {
        /// Where.
        at: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket; its file goes with it.
    Unix(UnixListener, SocketFile),
    /// Loopback TCP.
    Tcp(TcpListener),
}

/// Removes the socket's file when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds `listen`. A socket left behind by a dead brain is replaced.
///
/// # Errors
/// In one line, why not.
pub async fn bind(listen: &str) -> Result<Listener, ListenError> {
    let path = listen.strip_prefix("unix:").unwrap_or(listen);
    if path.starts_with('/') || path.starts_with('.') {
        return unix(Path::new(path));
    }
    let address: SocketAddr = listen.parse().map_err(|_| ListenError::Syntax(listen.into()))?;
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    let listener = TcpListener::bind(address).await;
    listener.map(Listener::Tcp).map_err(|source| ListenError::Io { at: listen.into(), source })
}

fn unix(path: &Path) -> Result<Listener, ListenError> {
    let failed = |source| ListenError::Io { at: path.display().to_string(), source };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket(path.into())),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(ListenError::InUse(path.into())),
        Ok(_) => {
            tracing::info!(socket = %path.display(), "replacing the socket of a dead brain");
            std::fs::remove_file(path).map_err(failed)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let file = SocketFile(path.into());
    std::fs::set_permissions(path, PermissionsExt::from_mode(SOCKET_MODE)).map_err(failed)?;
    Ok(Listener::Unix(listener, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn off_loopback_is_refused() {
        let error = bind("0.0.0.0:9467").await.unwrap_err().to_string();
        assert!(error.contains("TLS") && error.contains("0.0.0.0:9467"));
        assert!(matches!(bind("nonsense").await, Err(ListenError::Syntax(_))));
        assert!(matches!(bind("127.0.0.1:0").await, Ok(Listener::Tcp(_))));
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brain.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listen = path.display().to_string();
        let alive = bind(&listen).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
        assert!(matches!(bind(&listen).await, Err(ListenError::InUse(_))));
        drop(alive);
        assert!(!path.exists());
        std::fs::write(&path, "x").unwrap();
        assert!(matches!(bind(&listen).await, Err(ListenError::NotASocket(_))));
    }
}
