//! The agent under test, and the questions one asks it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::net::{WATCHED, WORLD_END};
use super::{Net, eventually, ganglion, said};

/// A running `ganglion sensor`; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    control: PathBuf,
    log: PathBuf,
}

impl Agent {
    /// Starts a sensor on the watched interface and waits until it answers.
    pub(crate) fn start(net: &Net, options: &[&str]) -> Self {
        Self::launch(sensor(net, options), net, "sensor")
    }

    /// A second sensor, at the other end of the wire.
    pub(crate) fn witness(net: &Net) -> Self {
        Self::in_world(net, "witness", &[])
    }

    /// A sensor of another name at the other end of the wire.
    pub(crate) fn in_world(net: &Net, name: &str, options: &[&str]) -> Self {
        let mut command = net.in_world(ganglion());
        command.args(["sensor", "--interface", WORLD_END, "--group", name, "--control"]);
        command.arg(net.file(&format!("{name}.sock"))).arg("--pin-dir").arg(net.pins()).args(options);
        Self::launch(command, net, name)
    }

    fn launch(mut command: Command, net: &Net, name: &str) -> Self {
        let log = net.file(&format!("{name}.log"));
        let control = net.file(&format!("{name}.sock"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut agent = Self { child: command.spawn().unwrap(), control, log };
        eventually("the sensor answers", Duration::from_secs(20), || {
            if let Some(status) = agent.child.try_wait().unwrap() {
                panic!("the sensor ended at once ({status}):\n{}", agent.log());
            }
            agent.ask(&["mode"]).status.success()
        });
        agent
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Memory of its process, and of its maps in the kernel; bytes.
    pub(crate) fn memory_bytes(&self) -> (u64, u64) {
        let process = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = number_after(&status, "VmRSS:").expect("a resident size") * 1024;
        // A descriptor may close between listing and reading.
        let open = std::fs::read_dir(format!("{process}/fdinfo")).unwrap().flatten();
        let maps = open.filter_map(|file| {
            let text = std::fs::read_to_string(file.path()).ok()?;
            Some((number_after(&text, "map_id:")?, number_after(&text, "memlock:")?))
        });
        let maps: BTreeMap<u64, u64> = maps.collect();
        (resident, maps.values().sum())
    }

    /// SIGTERM; how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }

    /// Runs a command of the client against this agent.
    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        Command::new(ganglion()).args(words).arg("--control").arg(&self.control).output().unwrap()
    }

    /// The same, which must succeed.
    pub(crate) fn tell(&self, words: &[&str]) {
        let output = self.ask(words);
        assert!(output.status.success(), "ganglion {}: {}\n{}", words.join(" "), said(&output), self.log());
    }

    /// The same, answered as JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let output = self.ask(&[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", said(&output), self.log()))
    }

    /// The sensor's half of `ganglion status`.
    pub(crate) fn status(&self) -> Value {
        self.json(&["status"])["sensor"].clone()
    }

    /// One of its counters.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let status = self.status();
        status["counters"][name].as_u64().unwrap_or_else(|| panic!("no counter {name} in {status:#}"))
    }

    /// The block on a target, where there is one.
    pub(crate) fn block(&self, target: &str) -> Option<Value> {
        let blocks = self.json(&["block", "list"]);
        blocks.as_array().unwrap().iter().find(|block| block["target"] == target).cloned()
    }

    /// Invariant 1: both equations balance when nothing moves.
    pub(crate) fn assert_nothing_is_lost(&self) {
        let mut last = Value::Null;
        for _ in 0..40 {
            last = self.status()["equations"].clone();
            if last["packets"]["difference"] == 0 && last["records"]["difference"] == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the equations do not balance: {last:#}\n{}", self.log());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of the sensor:\n{}", self.log());
        }
    }
}

/// The number that follows a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The command line of a sensor on the watched interface.
pub(crate) fn sensor(net: &Net, options: &[&str]) -> Command {
    let mut command = net.on_server(ganglion());
    command.args(["sensor", "--interface", WATCHED, "--control"]).arg(net.file("sensor.sock"));
    command.arg("--pin-dir").arg(net.pins()).args(options);
    command
}
