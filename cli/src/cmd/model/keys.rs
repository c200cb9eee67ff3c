//! `ganglion model keygen`, `sign` and `verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use ganglion_brain::bundle::{self, Admission, Files, Keyring, PrivateKey, SYSTEM_KEYS};
use serde_json::json;

use super::vet::{failed, try_elsewhere};
use crate::cmd::{say, say_json};
use crate::exit::{Code, Error, Result};

pub(super) const KEYGEN_HELP: &str = "\
Example:
  ganglion model keygen ~/ganglion-signing.pem
  install -D -m 0644 ~/ganglion-signing.pem.pub /etc/ganglion/keys.d/signing.pub   (on machines that shall trust it)

The private half stays where bundles are made; it is Ed25519 in PEM (PKCS#8), readable by its owner alone.";
pub(super) const SIGN_HELP: &str = "\
Example:
  ganglion model sign models/mine --key ~/ganglion-signing.pem

Writes manifest.sig beside manifest.json: an Ed25519 signature over the manifest's bytes, which name the model's digest.";
pub(super) const VERIFY_HELP: &str = "\
Example:
  ganglion model verify models/mine

Exit code 0: it ships with this program, or a trusted key signed it. 6: unsigned, or signed by a key that is not trusted
here. 1: damaged, tampered with, or a signature that does not fit.";

/// `ganglion model keygen`.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// File for the private key; the public one goes to FILE.pub
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// `ganglion model sign`.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Folder with model.onnx and manifest.json
    bundle: PathBuf,
    /// The private key
    #[arg(long, value_name = "FILE", env = "GANGLION_SIGNING_KEY")]
    key: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

/// `ganglion model verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Folder with model.onnx and manifest.json
    bundle: PathBuf,
    /// Folder of the public keys (*.pub) that are trusted
    #[arg(long, value_name = "DIR", default_value = SYSTEM_KEYS)]
    keys: PathBuf,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn keygen(args: &Keygen) -> Result {
    let wrong = |error: bundle::KeyError| Error::Failed(error.to_string());
    let mut public = args.file.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    let key = PrivateKey::generate().map_err(wrong)?;
    key.write(&args.file, &public).map_err(wrong)?;
    let (id, private) = (key.public().id(), args.file.display());
    if args.json {
        say_json(&json!({ "key": id, "private": args.file, "public": public }))?;
    } else {
        say(&format!(
            "key      {id}\nprivate  {private}, mode 0600: keep it where bundles are made\n\
             public   {0}: `install -D -m 0644 {0} {SYSTEM_KEYS}/{id}.pub` where it shall be trusted",
            public.display()
        ))?;
    }
    Ok(Code::Ok)
}

pub(super) fn sign(args: &Sign) -> Result {
    let key = PrivateKey::load(&args.key).map_err(|error| Error::Failed(error.to_string()))?;
    // Nobody wants to have signed a bundle that does not work. An earlier signature may be anything.
    let old = args.bundle.join(bundle::SIGNATURE);
    let aside = args.bundle.join(".manifest.sig.before");
    let had_one = old.exists() && std::fs::rename(&old, &aside).is_ok();
    let checked = try_elsewhere(&args.bundle).and_then(|()| bundle::sign(&args.bundle, &key).map_err(failed));
    if had_one {
        let kept = if checked.is_ok() { std::fs::remove_file(&aside) } else { std::fs::rename(&aside, &old) };
        kept?;
    }
    let path = checked?;
    let id = key.public().id();
    if args.json {
        say_json(&json!({ "key": id, "signature": path }))?;
    } else {
        say(&format!("{}: signed by {id}", path.display()))?;
    }
    Ok(Code::Ok)
}

pub(super) fn verify(args: &Verify) -> Result {
    let keys = Keyring::load(&args.keys).map_err(|error| Error::Failed(error.to_string()))?;
    let files = read(&args.bundle, &keys)?;
    let admission = Admission { keys, allow_unsigned: false };
    let let_in = admission.admit(&files.manifest, &files.trust);
    if args.json {
        say_json(&json!({
            "bundle": files.manifest.name(),
            "manifest_digest": files.manifest_digest,
            "trust": files.trust.label(),
            "key": files.trust.key(),
            "trusted": let_in.is_ok(),
        }))?;
    } else {
        say(&format!("{}: {}", files.manifest.name(), files.trust))?;
    }
    let_in.map_err(|error| Error::Refused(error.to_string()))?;
    Ok(Code::Ok)
}

fn read(bundle: &Path, keys: &Keyring) -> Result<Files> {
    Files::read(bundle, keys).map_err(failed)
}
