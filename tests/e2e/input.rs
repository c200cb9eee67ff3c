//! Bad input gets one clear line, the right exit code, and nothing is left behind.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::harness::agent::sensor;
use crate::harness::net::WATCHED;
use crate::harness::{Agent, Net, ganglion, root, said};

/// The command failed with this code and said all of this.
#[track_caller]
fn complains(output: &Output, code: i32, says: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in says {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

fn run(args: &[&str]) -> Output {
    Command::new(ganglion()).args(args).output().unwrap()
}

#[test]
fn an_unknown_interface_lists_those_there_are() {
    let net = Net::new();
    let mut command = net.on_server(ganglion());
    command.args(["sensor", "--interface", "ge7", "--control"]).arg(net.file("s.sock"));
    command.arg("--pin-dir").arg(net.pins());
    complains(&command.output().unwrap(), 2, &["ge7", WATCHED]);
    assert!(!net.file("s.sock").exists());
}

#[test]
fn no_privilege_is_named() {
    let net = Net::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
    // By descriptor: nobody may not search the folders above the binary.
    command.arg("/proc/self/fd/0").stdin(std::fs::File::open(ganglion()).unwrap());
    command.args(["sensor", "--interface", "lo", "--control"]).arg(net.file("s.sock")).arg("--pin-dir").arg(net.pins());
    complains(&command.output().unwrap(), 5, &["CAP_BPF", "CAP_NET_ADMIN"]);
}

#[test]
fn broken_settings_name_line_and_key() {
    let net = Net::new();
    let file = net.file("sensor.yaml");
    for (text, says) in [
        ("interfaces: [ge0]\nmod: enforce\n", &["`mod`", "line 2"][..]),
        ("interfaces: [ge0]\ntables:\n  flows: many\n", &["flows", "line 3"]),
        ("interfaces: [ge0]\nmode: kill\n", &["kill", "line 2"]),
        ("interfaces: [ge0\n", &["line"]),
        ("interfaces: [ge0]\nmetrics: 0.0.0.0:9000\n", &["metrics", "loopback"]),
    ] {
        std::fs::write(&file, text).unwrap();
        complains(&run(&["sensor", "--check", "--config", file.to_str().unwrap()]), 2, says);
    }
    let brain = net.file("brain.yaml");
    std::fs::write(&brain, "# brain\nbundel: /tmp\n").unwrap();
    complains(&run(&["brain", "--check", "--config", brain.to_str().unwrap()]), 2, &["bundel", "line 2"]);
    complains(&run(&["sensor", "--check", "--config", "/nonexistent.yaml"]), 2, &["/nonexistent.yaml"]);
}

#[test]
fn a_control_socket_of_a_dead_sensor_is_taken_over() {
    let net = Net::new();
    drop(UnixListener::bind(net.file("sensor.sock")).unwrap());
    let control = net.file("sensor.sock");
    complains(&run(&["status", "--control", control.to_str().unwrap()]), 4, &["has ended", "ganglion run"]);
    let agent = Agent::start(&net, &[]);
    agent.tell(&["mode"]);
}

#[test]
fn a_second_sensor_on_the_same_pins_is_refused() {
    let net = Net::new();
    let agent = Agent::start(&net, &[]);
    let output = sensor(&net, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    agent.tell(&["mode"]);
}

#[test]
fn another_xdp_program_is_named_and_left_alone() {
    let net = Net::new();
    // A sensor of other pins is as foreign as any other program.
    let first = Agent::start(&net, &[]);
    let mut second = net.on_server(ganglion());
    second.args(["sensor", "--interface", WATCHED, "--control"]).arg(net.file("second.sock"));
    // No dot: bpffs reserves names with dots.
    let pins = PathBuf::from(format!("{}-second", net.pins().display()));
    second.arg("--pin-dir").arg(&pins).args(["--metrics", "127.0.0.1:9481"]);
    let output = second.output().unwrap();
    let _none = std::fs::remove_dir_all(&pins);
    // The kernel keeps 15 characters of a program's name.
    complains(&output, 1, &["ganglion_ingres", "--replace"]);
    first.tell(&["mode"]);
}

#[test]
fn nobody_there_is_a_code_of_its_own() {
    complains(&run(&["status", "--control", "/nonexistent/s.sock"]), 4, &["is the sensor running", "ganglion run"]);
    complains(&run(&["events", "--brain", "/nonexistent/b.sock"]), 4, &["is the brain running"]);
    complains(&run(&["block", "add", "198.18.0.300"]), 2, &["198.18.0.300"]);
}

/// The bundle that ships for live flows.
pub(crate) fn a_bundle() -> PathBuf {
    root().join("models/lab-v1")
}

#[test]
fn a_bundle_that_is_missing_cut_or_tampered_with_is_refused() {
    let net = Net::new();
    complains(&run(&["model", "show", "/nonexistent/bundle"]), 1, &["/nonexistent/bundle"]);
    let copy = net.file("bundle");
    crate::run::copy_for_everybody(&a_bundle(), &copy);
    let folder = copy.to_str().unwrap();
    let good = run(&["model", "show", folder]);
    assert!(good.status.success(), "{}", said(&good));
    let model = copy.join("model.onnx");
    let mut bytes = std::fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&model, &bytes).unwrap();
    complains(&run(&["model", "show", folder]), 1, &["model.onnx", "tampered"]);
    std::fs::write(&model, &bytes[..middle]).unwrap();
    complains(&run(&["model", "show", folder]), 1, &["model.onnx"]);
    std::fs::write(copy.join("manifest.json"), "{").unwrap();
    complains(&run(&["model", "show", folder]), 1, &["manifest.json", "line 1"]);
}
