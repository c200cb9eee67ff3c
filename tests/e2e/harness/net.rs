//! Two namespaces and a veth pair: the server, and the rest of the world.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

/// The server's address.
pub(crate) const SERVER: &str = "198.18.0.1";
/// A peer that means no harm.
pub(crate) const FRIEND: &str = "198.18.0.2";
/// A peer that does.
pub(crate) const ATTACKER: &str = "198.18.0.66";
/// The same three in IPv6.
pub(crate) const SERVER6: &str = "2001:2::1";
pub(crate) const FRIEND6: &str = "2001:2::2";
pub(crate) const ATTACKER6: &str = "2001:2::66";
/// The interface that the agent watches, in the server's namespace.
pub(crate) const WATCHED: &str = "ge0";
/// The other end.
pub(crate) const WORLD_END: &str = "ge1";

static TURN: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The network of one test; everything of it goes away when it is dropped.
pub(crate) struct Net {
    name: String,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Net {
    /// Makes the network, when it is this test's turn.
    pub(crate) fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "end-to-end tests need root");
        // A test that failed before must not fail this one.
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let name = format!("ge-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix(&name).tempdir().unwrap();
        let net = Self { name, folder, _turn: turn };
        net.build();
        net
    }

    fn build(&self) {
        let (server, world) = (self.server(), self.world());
        ip(&["netns", "add", &server]);
        ip(&["netns", "add", &world]);
        let pair = ["link", "add", WATCHED, "netns", &server, "type", "veth", "peer", "name", WORLD_END];
        ip(&[&pair[..], &["netns", &world]].concat());
        // IPv6 would otherwise chatter into the counters.
        for (namespace, end) in [(&server, WATCHED), (&world, WORLD_END)] {
            let quiet = format!("/proc/sys/net/ipv6/conf/{end}");
            in_namespace(namespace, move || {
                std::fs::write(format!("{quiet}/router_solicitations"), "0").unwrap();
                std::fs::write(format!("{quiet}/addr_gen_mode"), "1").unwrap();
            });
        }
        let addresses: [(&String, &str, &[&str]); 2] =
            [(&server, WATCHED, &[SERVER, SERVER6]), (&world, WORLD_END, &[FRIEND, ATTACKER, FRIEND6, ATTACKER6])];
        for (namespace, end, addresses) in addresses {
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
            for address in addresses {
                if address.contains(':') {
                    ip(&["-n", namespace, "addr", "add", &format!("{address}/48"), "dev", end, "nodad"]);
                } else {
                    ip(&["-n", namespace, "addr", "add", &format!("{address}/15"), "dev", end]);
                }
            }
            ip(&["-n", namespace, "link", "set", end, "up"]);
        }
    }

    /// Name of the server's namespace.
    pub(crate) fn server(&self) -> String {
        format!("{}-s", self.name)
    }

    /// Name of the namespace of everybody else.
    pub(crate) fn world(&self) -> String {
        format!("{}-w", self.name)
    }

    /// A file of this test.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// This test's folder in bpffs.
    pub(crate) fn pins(&self) -> PathBuf {
        PathBuf::from("/sys/fs/bpf").join(&self.name)
    }

    /// `program` in the server's namespace. Not by `ip netns exec`: that mounts a new /sys, and bpffs vanishes.
    pub(crate) fn on_server(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        enter(&self.server(), program.as_ref())
    }

    /// `program` on the other side.
    pub(crate) fn in_world(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        enter(&self.world(), program.as_ref())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _none_pinned = std::fs::remove_dir_all(self.pins());
        for namespace in [self.server(), self.world()] {
            let _not_made = Command::new("ip").args(["netns", "del", &namespace]).status();
        }
    }
}

fn enter(namespace: &str, program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).arg("--").arg(program);
    command
}

/// `ip`, which must succeed.
pub(crate) fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {}: {}", args.join(" "), super::said(&output));
}

/// Runs `work` in a namespace, on a thread of its own: sockets made there stay there.
pub(crate) fn in_namespace<T: Send + 'static>(namespace: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let handle = File::open(format!("/run/netns/{namespace}")).unwrap();
    let thread = std::thread::spawn(move || {
        setns(handle, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    });
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A column of `/proc/net/dev`: 3 is received and dropped, 11 sent and dropped.
pub(crate) fn dropped(namespace: &str, interface: &'static str, column: usize) -> u64 {
    let table = in_namespace(namespace, || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let line = table.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().nth(column)?.parse().ok()).unwrap()
}
