//! The control socket's file: made, or taken over from an agent that is dead.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why the control socket can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Someone answers on it.
    #[error("another agent answers on {0}: stop it, or give this one another control_socket")]
    Live(PathBuf),
    /// Something else has its name.
    #[error("{0} exists and is no socket: move it away, or choose another control_socket")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("can't {what} control socket {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Binds `path` with mode 0660. A socket that nobody answers on is replaced.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |what| move |source| SocketError::Io { what, path: path.to_path_buf(), source };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty() && !f.exists()) {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
        made.map_err(failed("make the folder of"))?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_path_buf())),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => return Err(SocketError::Live(path.to_path_buf())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                tracing::info!(path = %path.display(), "removing the control socket of an agent that is gone");
                std::fs::remove_file(path).map_err(failed("replace"))?;
            }
            Err(error) => return Err(failed("try")(error)),
        },
        Err(_) => {}
    }
    // Bound under another name first: at no time does the socket stand there with other permissions.
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let listener = UnixListener::bind(&fresh).map_err(failed("bind"))?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o660)).map_err(failed("set the mode of"))?;
    std::fs::rename(&fresh, path).map_err(failed("put in place"))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_agents_socket_is_replaced_a_live_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/s.sock");
        let first = bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(bind(&path), Err(SocketError::Live(_))));
        drop(first);
        bind(&path).unwrap();
    }

    #[test]
    fn other_files_are_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(bind(file.path()), Err(SocketError::NotASocket(_))));
    }
}
