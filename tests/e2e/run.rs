//! `ganglion run`: both processes, as two users, kept running.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::net::{ATTACKER, FRIEND, WATCHED};
use crate::harness::traffic::{connect_scan, delivered};
use crate::harness::{Net, eventually, ganglion};
use crate::input::a_bundle;

struct Supervisor {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
}

impl Supervisor {
    fn start(net: &Net, options: &[&str]) -> Self {
        let folder = net.file("run");
        // The brain's user must be able to reach the bundle.
        let bundle = net.file("bundle");
        copy_for_everybody(&a_bundle(), &bundle);
        open_up(net.file("").as_path());
        let log = net.file("run.log");
        let mut command = net.on_server(ganglion());
        command.args(["run", "--interface", WATCHED, "--run-dir"]).arg(&folder);
        command.arg("--pin-root").arg(net.pins()).arg("--bundle").arg(&bundle).args(options);
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut this = Self { child: command.spawn().unwrap(), folder, log };
        eventually("both answer", Duration::from_secs(40), || {
            assert!(this.child.try_wait().unwrap().is_none(), "it ended at once:\n{}", this.said());
            this.status().is_some_and(|status| status["sensor"]["brain_connected"] == true)
        });
        this
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn status(&self) -> Option<Value> {
        let mut command = Command::new(ganglion());
        command.args(["status", "--json", "--control"]).arg(self.folder.join("sensor.sock"));
        command.arg("--brain").arg(self.folder.join("brain.sock"));
        serde_json::from_slice(&command.output().unwrap().stdout).ok()
    }

    /// Process identifier of "sensor" or "brain".
    fn child(&self, name: &str) -> Option<i32> {
        // nsenter replaces itself: the supervisor is the child.
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = std::fs::read_to_string(children).ok()?;
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(name.as_bytes())
        })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ended_already = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM);
        let _reaped_already = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of both:\n{}", self.said());
        }
    }
}

/// A folder's files in a new one that everybody can read.
pub(crate) fn copy_for_everybody(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn open_up(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn user_of(pid: i32) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/{pid}")).unwrap().uid()
}

#[test]
fn the_brain_has_no_privileges_and_both_come_back() {
    let net = Net::new();
    let run = Supervisor::start(&net, &["--mode", "enforce"]);
    let brain = run.child("brain").expect("a brain process");
    assert_ne!(user_of(brain), 0, "the brain is not root");
    let limits = std::fs::read_to_string(format!("/proc/{brain}/status")).unwrap();
    assert!(limits.contains("CapEff:\t0000000000000000"), "{limits}");

    kill(Pid::from_raw(brain), Signal::SIGKILL).unwrap();
    eventually("another brain, connected", Duration::from_secs(20), || {
        run.child("brain").is_some_and(|pid| pid != brain)
            && run.status().is_some_and(|status| status["sensor"]["brain_connected"] == true)
    });
    let sensor = run.child("sensor").expect("a sensor process");
    kill(Pid::from_raw(sensor), Signal::SIGKILL).unwrap();
    eventually("another sensor, connected", Duration::from_secs(20), || {
        run.child("sensor").is_some_and(|pid| pid != sensor)
            && run.status().is_some_and(|status| status["sensor"]["brain_connected"] == true)
    });
}

#[test]
fn a_scan_is_seen_judged_and_dropped() {
    let net = Net::new();
    let run = Supervisor::start(&net, &["--mode", "enforce"]);
    assert_eq!(delivered(&net, FRIEND, 10), 10);
    eventually("the scanner is dropped", Duration::from_secs(20), || {
        connect_scan(&net, ATTACKER, 1..1000);
        delivered(&net, ATTACKER, 2) == 0
    });
    assert_eq!(delivered(&net, FRIEND, 10), 10, "and nobody else");
    let status = run.status().unwrap();
    assert!(status["brain"]["verdicts"].as_u64() >= Some(1), "{status:#}");
}

#[test]
fn both_end_with_their_supervisor_even_when_it_is_killed() {
    let net = Net::new();
    let mut run = Supervisor::start(&net, &[]);
    let (brain, sensor) = (run.child("brain").unwrap(), run.child("sensor").unwrap());
    run.child.kill().unwrap();
    eventually("both are gone", Duration::from_secs(20), || {
        [brain, sensor].iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    });
}
