//! Bundles that would take the machine's memory, never end, or are nobody's, given to the real binary: each is refused
//! in one line, in bounded time and memory, by `model show` and by a brain that goes on judging.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ganglion_brain::bundle::vet::{Limits, Vetting};
use ganglion_brain::bundle::{Files, Keyring, PrivateKey};
use tempfile::TempDir;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("brain/tests")
}

/// The brain's tiny bundle with another model, digest corrected.
fn with_model(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let onnx = tests().join(model);
    fs::copy(&onnx, folder.path().join("model.onnx")).unwrap();
    let text = fs::read_to_string(tests().join("bundle/manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let digest = String::from_utf8(Command::new("sha256sum").arg(&onnx).output().unwrap().stdout).unwrap();
    manifest["digests"]["model.onnx"] = digest.split(' ').next().unwrap().into();
    manifest["id"] = format!("with-{}", model.replace(['/', '.'], "-")).into();
    fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

fn ganglion(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ganglion")).args(words).output().unwrap()
}

fn text(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn greedy_models_are_refused_before_they_are_loaded() {
    for (model, word) in [("expand", "memory"), ("fold", "memory"), ("batch", "memory")] {
        let folder = with_model(&format!("hostile/{model}.onnx"));
        let began = Instant::now();
        let output = ganglion(&["model", "show", text(&folder)]);
        let said = err(&output);
        println!("{model}: {} ms: {said}", began.elapsed().as_millis());
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{model}: {said}");
        assert!(said.contains("refused before it is loaded"), "{said}");
        // ONNX Runtime says it in its own words.
        assert!([word, "alloc", "signal"].iter().any(|word| said.contains(word)), "{said}");
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_model_without_end_is_refused() {
    let folder = with_model("hostile/slow.onnx");
    let files = Files::read(folder.path(), &Keyring::default()).unwrap();
    let limits = Limits { cpu_s: 1, ..Limits::of_model(files.model_bytes()) };
    let vetting = Vetting { program: env!("CARGO_BIN_EXE_ganglion").into(), rows: 8, limits: Some(limits) };
    let error = vetting.check(folder.path(), &files).unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("processor time") && error.lines().count() == 1, "{error}");
}

#[test]
fn a_bundle_that_changes_under_the_reader_is_refused() {
    let folder = with_model("bundle/model.onnx");
    let files = Files::read(folder.path(), &Keyring::default()).unwrap();
    let vetting = Vetting { program: env!("CARGO_BIN_EXE_ganglion").into(), rows: 256, limits: None };
    vetting.check(folder.path(), &files).unwrap();
    let manifest = folder.path().join("manifest.json");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap() + " ").unwrap();
    let error = vetting.check(folder.path(), &files).unwrap_err().to_string();
    assert!(error.contains("changed while it was read"), "{error}");
    let nobody = Vetting { program: "/nonexistent".into(), ..vetting };
    assert!(nobody.check(folder.path(), &files).unwrap_err().to_string().contains("/nonexistent"));
}

/// A brain of its own process; killed when dropped.
struct Brain {
    child: Child,
    folder: TempDir,
}

impl Brain {
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ganglion"));
        command.args(["brain", "--config", "/dev/null", "--listen"]).arg(folder.path().join("brain.sock"));
        command.arg("--bundle").arg(tests().join("bundle")).args(options).stderr(Stdio::null());
        let mut this = Self { child: command.spawn().unwrap(), folder };
        while !this.socket().exists() {
            assert!(this.child.try_wait().unwrap().is_none(), "the brain ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        this
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("brain.sock")
    }

    fn model(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ganglion"));
        command.arg("model").args(words).arg("--brain").arg(self.socket()).output().unwrap()
    }

    fn roles(&self) -> Vec<String> {
        let output = self.model(&["list", "--json"]);
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let one = |model: &serde_json::Value| format!("{} {}", model["role"], model["name"]).replace('"', "");
        list["models"].as_array().unwrap().iter().map(one).collect()
    }
}

impl Drop for Brain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_running_brain_refuses_what_would_harm_it() {
    let brain = Brain::start(&["--allow-unsigned"]);
    for model in ["hostile/expand.onnx", "hostile/batch.onnx", "broken/nan.onnx"] {
        let folder = with_model(model);
        for order in [&["use", text(&folder)][..], &["shadow", text(&folder)], &["canary", text(&folder), "--share=5%"]]
        {
            let output = brain.model(order);
            assert_eq!(output.status.code(), Some(2), "{model}: {}", err(&output));
            assert!(err(&output).contains("refused before it is loaded"), "{}", err(&output));
        }
    }
    assert_eq!(brain.roles(), ["active test-tiny 1"]);
    // The same model is another bundle with another id.
    let good = with_model("bundle/model.onnx");
    let used = brain.model(&["use", text(&good)]);
    assert_eq!(used.status.code(), Some(0), "{}", err(&used));
    let table = String::from_utf8(used.stdout).unwrap();
    println!("{table}");
    assert!(table.starts_with("ROLE") && table.contains("with-bundle-model-onnx 1"), "{table}");
    assert_eq!(brain.model(&["shadow", tests().join("bundle").to_str().unwrap()]).status.code(), Some(0));
    assert_eq!(brain.model(&["shadow", "--off"]).status.code(), Some(0));
    assert_eq!(brain.model(&["rollback"]).status.code(), Some(0));
    assert_eq!(brain.model(&["rollback"]).status.code(), Some(6), "there is nothing to go back to");
    assert_eq!(brain.model(&["canary", text(&good)]).status.code(), Some(2), "a canary has a share");
    assert_eq!(brain.model(&["canary", text(&good), "--share", "5"]).status.code(), Some(2));
    assert_eq!(brain.roles(), ["active test-tiny 1"]);
}

/// Where there is an openssl.
fn openssl_agrees(folder: &TempDir, bundle: &Path) {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("no openssl here: not compared with it");
        return;
    }
    let text = fs::read(bundle.join("manifest.sig")).unwrap();
    let signature: serde_json::Value = serde_json::from_slice(&text).unwrap();
    fs::write(folder.path().join("b64"), signature["value"].as_str().unwrap()).unwrap();
    let check = format!(
        "base64 -d b64 > raw && openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in {}/manifest.json -sigfile raw",
        bundle.display()
    );
    let output = Command::new("sh").args(["-c", &check]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let read =
        Command::new("openssl").args(["pkey", "-noout", "-in", "key"]).current_dir(folder.path()).output().unwrap();
    assert!(read.status.success(), "openssl reads the private half: {}", err(&read));
}

#[test]
fn keys_are_made_used_and_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = ganglion(&["model", "keygen", &path("key")]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert_eq!(fs::metadata(path("key")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = ganglion(&["model", "keygen", &path("key")]);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("never overwritten"), "{}", err(&again));

    let bundle = with_model("bundle/model.onnx");
    let verify = |keys: &str| ganglion(&["model", "verify", text(&bundle), "--keys", keys, "--json"]);
    assert_eq!(verify(&path("")).status.code(), Some(6), "unsigned");
    let signed = ganglion(&["model", "sign", text(&bundle), "--key", &path("key")]);
    assert_eq!(signed.status.code(), Some(0), "{}", err(&signed));
    let good = verify(&path(""));
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    let said: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    let id = PrivateKey::load(Path::new(&path("key"))).unwrap().public().id();
    assert_eq!((said["trust"].as_str(), said["key"].as_str()), (Some("signed"), Some(id.as_str())));
    assert_eq!(verify("/nonexistent").status.code(), Some(6), "signed by a key that is not trusted there");

    openssl_agrees(&folder, bundle.path());

    fs::set_permissions(path("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = ganglion(&["model", "sign", text(&bundle), "--key", &path("key")]);
    assert!(open.status.code() == Some(1) && err(&open).contains("chmod 600"), "{}", err(&open));
    fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600)).unwrap();

    // A bundle that does not work is not signed, and its old signature stays.
    let bad = with_model("broken/nan.onnx");
    fs::copy(bundle.path().join("manifest.sig"), bad.path().join("manifest.sig")).unwrap();
    let unsigned = ganglion(&["model", "sign", text(&bad), "--key", &path("key")]);
    assert!(unsigned.status.code() == Some(1) && err(&unsigned).contains("NaN"), "{}", err(&unsigned));
    assert!(bad.path().join("manifest.sig").exists());
    assert_eq!(ganglion(&["model", "verify", text(&bad), "--keys", &path("")]).status.code(), Some(1));
}
