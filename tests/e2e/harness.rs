//! What the tests are made of: a network, an agent in it, a brain that says what the test wants, traffic.

pub(crate) mod agent;
pub(crate) mod brain;
pub(crate) mod connections;
pub(crate) mod flood;
pub(crate) mod net;
pub(crate) mod traffic;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use agent::Agent;
pub(crate) use brain::FakeBrain;
pub(crate) use connections::Connections;
pub(crate) use net::Net;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The binary under test, built once.
pub(crate) fn ganglion() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built =
            Command::new(cargo).current_dir(root()).args(["build", "--quiet", "--package", "ganglion"]).status();
        assert!(built.unwrap().success(), "the binary does not build");
        // target/debug/deps/e2e-… → target/debug/ganglion
        let tests = std::env::current_exe().unwrap();
        tests.ancestors().nth(2).unwrap().join("ganglion")
    })
}

/// Waits until `done` holds, at most for `patience`; says what was waited for when it does not.
pub(crate) fn eventually(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "after {patience:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Both streams of a finished process, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
