//! ONNX Runtime missing or not what it says: one clear line. Each case is a process of its own, because a
//! process loads the library once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

const CHILD: &str = "GANGLION_TEST_RUNTIME_CHILD";

#[test]
fn what_is_wrong_with_the_library_is_one_line() {
    if std::env::var_os(CHILD).is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundle");
        println!("<{}>", ganglion_brain::bundle::Bundle::load(&folder).unwrap_err());
        return;
    }
    for (library, words) in [
        ("/nowhere/libonnxruntime.so", ["not found", "/nowhere/libonnxruntime.so"]),
        ("/etc/hostname", ["can't be loaded", "/etc/hostname"]),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_is_wrong_with_the_library_is_one_line", "--nocapture"])
            .env(CHILD, "1")
            .env("ORT_DYLIB_PATH", library)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.split_once('<')?.1.strip_suffix('>'));
        let line = line.unwrap_or_else(|| panic!("no error in one line: {text}"));
        println!("{line}");
        for word in words.into_iter().chain(["cargo xtask setup --for run"]) {
            assert!(line.contains(word), "no \"{word}\" in: {line}");
        }
    }
}
