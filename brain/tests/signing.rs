//! Keys, signatures, and whom a brain lets in: what was changed, cut or made up is refused in one clear line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Brain, bundle, version};
use ganglion_brain::bundle::{Admission, Files, KeyError, Keyring, PrivateKey, PublicKey, Trust, sign};
use ganglion_brain::{BrainConfig, BrainError};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A key pair in a folder of its own: `key` and `key.pub`.
fn keys() -> (TempDir, PrivateKey) {
    let folder = tempfile::tempdir().unwrap();
    let key = PrivateKey::generate().unwrap();
    key.write(&folder.path().join("key"), &folder.path().join("key.pub")).unwrap();
    (folder, key)
}

fn ring(folder: &TempDir) -> Keyring {
    Keyring::load(folder.path()).unwrap()
}

fn one_line(error: impl std::fmt::Display, words: &[&str]) {
    let error = error.to_string();
    println!("{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "no \"{word}\" in: {error}");
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_signed_bundle_is_trusted_where_the_key_is() {
    let (folder, key) = keys();
    let mine = version("mine");
    assert_eq!(Files::read(mine.path(), &ring(&folder)).unwrap().trust, Trust::Unsigned);
    sign(mine.path(), &key).unwrap();
    let files = Files::read(mine.path(), &ring(&folder)).unwrap();
    assert_eq!(files.trust, Trust::Signed(key.public().id()));
    files.load(&Default::default()).unwrap();
    let (other, _) = keys();
    let foreign = Files::read(mine.path(), &ring(&other)).unwrap();
    assert_eq!(foreign.trust, Trust::Foreign(key.public().id()));
    let admission = |keys, allow_unsigned| Admission { keys, allow_unsigned };
    admission(ring(&folder), false).admit(&foreign.manifest, &Trust::Signed("x".into())).unwrap();
    admission(ring(&other), true).admit(&foreign.manifest, &foreign.trust).unwrap();
    let refused = admission(ring(&other), false).admit(&foreign.manifest, &foreign.trust).unwrap_err();
    one_line(refused, &["test-tiny", "no trusted key", &key.public().id(), "allow_unsigned"]);
    // Signed anew by the other, it is trusted there.
    let (_, other_key) = (other.path(), PrivateKey::load(&other.path().join("key")).unwrap());
    sign(mine.path(), &other_key).unwrap();
    assert!(Files::read(mine.path(), &ring(&other)).unwrap().trust.is_given());
}

#[test]
fn one_bit_anywhere_is_noticed() {
    let (folder, key) = keys();
    for file in ["model.onnx", "manifest.json"] {
        let mine = version("mine");
        sign(mine.path(), &key).unwrap();
        let path = mine.path().join(file);
        let length = fs::read(&path).unwrap().len();
        for at in [0, length / 2, length - 1] {
            flip(&path, at);
            one_line(Files::read(mine.path(), &ring(&folder)).unwrap_err(), &["bundle"]);
            flip(&path, at);
        }
        Files::read(mine.path(), &ring(&folder)).unwrap();
    }
    // A version that still parses, under a signature that was good.
    let mine = version("mine");
    sign(mine.path(), &key).unwrap();
    let manifest = mine.path().join("manifest.json");
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap().replace("mine", "yours")).unwrap();
    one_line(Files::read(mine.path(), &ring(&folder)).unwrap_err(), &["manifest.sig", "does not verify", "changed"]);
}

#[test]
fn every_byte_of_a_signature_counts() {
    let (folder, key) = keys();
    let mine = version("mine");
    let path = sign(mine.path(), &key).unwrap();
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        let trusted = Files::read(mine.path(), &ring(&folder)).is_ok_and(|files| files.trust.is_given());
        // White space at the end is no part of it.
        assert!(!trusted || bad.trim_ascii() == good.trim_ascii(), "byte {at}");
    }
    for text in ["", "{}", "null", "[1]", "{\"algorithm\":\"none\",\"key\":\"\",\"value\":\"\"}"] {
        fs::write(&path, text).unwrap();
        one_line(Files::read(mine.path(), &ring(&folder)).unwrap_err(), &["manifest.sig"]);
    }
    fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
    one_line(Files::read(mine.path(), &ring(&folder)).unwrap_err(), &["manifest.sig", "larger"]);
}

#[test]
fn keys_are_closed_whole_and_never_overwritten() {
    let (folder, key) = keys();
    let (private, public) = (folder.path().join("key"), folder.path().join("key.pub"));
    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&private), mode(&public)), (0o600, 0o644));
    assert_eq!(PublicKey::load(&public).unwrap().id(), PrivateKey::load(&private).unwrap().public().id());
    let before = fs::read(&private).unwrap();
    one_line(key.write(&private, &folder.path().join("new.pub")).unwrap_err(), &["exists", "never overwritten"]);
    one_line(key.write(&folder.path().join("new"), &public).unwrap_err(), &["key.pub exists"]);
    assert!(fs::read(&private).unwrap() == before && !folder.path().join("new").exists());

    for open in [0o644, 0o640, 0o660, 0o604] {
        fs::set_permissions(&private, Permissions::from_mode(open)).unwrap();
        let error = PrivateKey::load(&private).err().unwrap();
        assert!(matches!(error, KeyError::Open { .. }));
        one_line(error, &["key", &format!("{open:04o}"), "chmod 600"]);
    }
    fs::set_permissions(&private, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&public, Permissions::from_mode(0o666)).unwrap();
    one_line(Keyring::load(folder.path()).unwrap_err(), &["key.pub", "0666", "chmod 644"]);
    fs::set_permissions(&public, Permissions::from_mode(0o644)).unwrap();

    for garbage in [&b""[..], b"junk", &[0xff; 100], &before[..before.len() / 2], &vec![b'a'; 1 << 20]] {
        fs::write(&private, garbage).unwrap();
        one_line(PrivateKey::load(&private).err().unwrap(), &["key", "no Ed25519"]);
        fs::write(&public, garbage).unwrap();
        one_line(Keyring::load(folder.path()).unwrap_err(), &["key.pub", "no Ed25519"]);
    }
    // A private key where a public one belongs.
    fs::write(&public, &before).unwrap();
    one_line(Keyring::load(folder.path()).unwrap_err(), &["key.pub", "no Ed25519 public key"]);
    one_line(PrivateKey::load(Path::new("/nonexistent/key")).err().unwrap(), &["/nonexistent/key", "No such file"]);
    assert!(Keyring::load(Path::new("/nonexistent")).is_ok(), "no folder, no keys");
}

async fn refused(change: impl FnOnce(&mut BrainConfig)) -> BrainError {
    let folder = tempfile::tempdir().unwrap();
    let listen = folder.path().join("brain.sock").display().to_string();
    let mut config = BrainConfig { listen, bundle: bundle(), ..BrainConfig::default() };
    change(&mut config);
    ganglion_brain::run(config, async {}).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brain_lets_in_whom_it_trusts() {
    let (folder, key) = keys();
    one_line(refused(|_| ()).await, &["test-tiny", "unsigned", "ganglion model sign", "allow_unsigned"]);
    let mine = version("mine");
    sign(mine.path(), &key).unwrap();
    one_line(refused(|config| config.bundle = mine.path().into()).await, &["no trusted key"]);
    let brain = Brain::start(|config| {
        config.allow_unsigned = false;
        config.bundle = mine.path().into();
        config.keys = Some(folder.path().into());
    })
    .await;
    brain.stop().await;
    flip(&mine.path().join("manifest.sig"), 100);
    let keys = folder.path().to_owned();
    one_line(
        refused(|config| {
            (config.bundle, config.keys, config.allow_unsigned) = (mine.path().into(), Some(keys), true);
        })
        .await,
        &["manifest.sig"],
    );
}
