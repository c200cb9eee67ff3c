//! Where the brain is.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Uri};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const WINDOW_BYTES: u32 = 8 << 20;

/// A socket of this machine. Whoever can speak on it can block anyone, so nothing else is taken without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A loopback TCP port.
    Loopback(SocketAddr),
}

/// Why text names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// TCP beyond this machine.
    #[error("{0} is not a loopback address, and the connection has no TLS: anyone on the way could block anyone")]
    NotLoopback(String),
    /// TLS is asked for.
    #[error("{0}: TLS to the brain is not built in yet; use a Unix socket or a loopback port")]
    Tls(String),
    /// Neither.
    #[error("{0:?} is no endpoint: write unix:///run/ganglion/brain.sock or http://127.0.0.1:9470")]
    Unknown(String),
}

impl Endpoint {
    /// Reads `unix:///path`, a bare path, or `http://loopback:port`.
    ///
    /// # Errors
    /// Says what is wrong, and for TCP off loopback, why.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let unknown = || EndpointError::Unknown(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")) {
            return if path.is_empty() { Err(unknown()) } else { Ok(Self::Unix(path.into())) };
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        if text.starts_with("https://") {
            return Err(EndpointError::Tls(text.to_owned()));
        }
        let rest = text.strip_prefix("http://").ok_or_else(unknown)?.trim_end_matches('/');
        let rest = rest.strip_prefix("localhost:").map_or_else(|| rest.to_owned(), |port| format!("127.0.0.1:{port}"));
        match rest.parse::<SocketAddr>() {
            Ok(address) if address.ip().to_canonical().is_loopback() => Ok(Self::Loopback(address)),
            Ok(_) => Err(EndpointError::NotLoopback(text.to_owned())),
            // A name may mean any address.
            Err(_) if rest.contains(':') => Err(EndpointError::NotLoopback(text.to_owned())),
            Err(_) => Err(unknown()),
        }
    }

    pub(super) async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        let endpoint = |uri: Uri| {
            tonic::transport::Endpoint::from(uri)
                .connect_timeout(CONNECT_TIMEOUT)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES)
                .tcp_nodelay(true)
        };
        match self {
            Self::Unix(path) => {
                let path = path.clone();
                let connector = tower::service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
                });
                endpoint(Uri::from_static("http://ganglion")).connect_with_connector(connector).await
            }
            Self::Loopback(address) => {
                let uri = Uri::builder().scheme("http").authority(address.to_string()).path_and_query("/").build();
                endpoint(uri.unwrap_or_else(|_| Uri::from_static("http://127.0.0.1"))).connect().await
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Loopback(address) => write!(f, "http://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn local_endpoints_are_taken() {
        assert_eq!(Endpoint::parse("unix:///run/b.sock").unwrap(), Endpoint::Unix("/run/b.sock".into()));
        assert_eq!(Endpoint::parse("/run/b.sock").unwrap(), Endpoint::Unix("/run/b.sock".into()));
        for text in ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9/"] {
            assert!(matches!(Endpoint::parse(text), Ok(Endpoint::Loopback(_))), "{text}");
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        for text in ["http://198.18.0.1:9", "http://brain.example:9", "http://0.0.0.0:9", "http://[2001:2::1]:9"] {
            assert!(matches!(Endpoint::parse(text), Err(EndpointError::NotLoopback(_))), "{text}");
        }
        assert!(matches!(Endpoint::parse("https://127.0.0.1:9"), Err(EndpointError::Tls(_))));
        for text in ["", "ftp://x", "unix://", "http://x"] {
            assert!(matches!(Endpoint::parse(text), Err(EndpointError::Unknown(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_endpoint_or_an_error(text in ".{0,60}") {
            let _ = Endpoint::parse(&text);
        }
    }
}
