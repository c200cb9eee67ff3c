//! `manifest.sig`: an Ed25519 signature over the manifest's bytes, which pin the model by its digest.
//!
//! Detached, so that no byte of the manifest depends on how a program writes numbers, a signed bundle keeps its
//! pinned digest, and `openssl pkeyutl -verify -rawin` can check it.

use super::keys::{Keyring, PrivateKey};
use super::{BundleError, MANIFEST, read};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The signature's file name.
pub const SIGNATURE: &str = "manifest.sig";
/// Larger signatures are none, in bytes.
const SIGNATURE_LIMIT: u64 = 4 << 10;
const ALGORITHM: &str = "ed25519";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    algorithm: String,
    /// Id of the key, as [`super::PublicKey::id`] says it.
    key: String,
    /// 64 bytes in base64.
    value: String,
}

/// What a signature says of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// There is none.
    Absent,
    /// It is good, by this key.
    Good(String),
    /// It names a key that is not trusted: nothing can be said of it.
    Foreign(String),
}

/// Signs the manifest in `folder` as it stands; the signature's path. An earlier signature is replaced.
///
/// # Errors
/// When the manifest can't be read or the signature not be written.
pub fn sign(folder: &Path, key: &PrivateKey) -> Result<PathBuf, BundleError> {
    let (_, bytes) = super::manifest_bytes(folder)?;
    let value = STANDARD.encode(key.sign(&bytes));
    let written = Written { algorithm: ALGORITHM.into(), key: key.public().id(), value };
    let path = folder.join(SIGNATURE);
    let draft = folder.join(".manifest.sig.draft");
    let text = serde_json::to_string(&written).unwrap_or_default() + "\n";
    let done = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path));
    done.map_err(|source| BundleError::File { path: path.clone(), source })?;
    Ok(path)
}

/// Looks for a signature beside the manifest.
pub(super) fn find(folder: &Path, manifest: &[u8], keys: &Keyring) -> Result<Finding, BundleError> {
    let path = folder.join(SIGNATURE);
    let bytes = match read(&path, SIGNATURE_LIMIT) {
        Ok(bytes) => bytes,
        Err(BundleError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Finding::Absent);
        }
        Err(error) => return Err(error),
    };
    let bad = |why: String| BundleError::Signature { path: path.clone(), why };
    let written: Written = serde_json::from_slice(&bytes).map_err(|why| bad(format!("no signature: {why}")))?;
    if written.algorithm != ALGORITHM {
        return Err(bad(format!("algorithm \"{}\", this program knows \"{ALGORITHM}\"", shown(&written.algorithm))));
    }
    let value: Option<[u8; 64]> = STANDARD.decode(&written.value).ok().and_then(|bytes| bytes.try_into().ok());
    let value = value.ok_or_else(|| bad("its value is not 64 bytes in base64".into()))?;
    match keys.get(&written.key) {
        None if is_id(&written.key) => Ok(Finding::Foreign(written.key)),
        None => Err(bad("its key's id is not 16 hex digits".into())),
        Some(key) if key.verifies(manifest, &value) => Ok(Finding::Good(written.key)),
        Some(_) => Err(bad(format!(
            "it does not verify with key {}: {MANIFEST} or the signature was changed after signing",
            written.key
        ))),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(32).collect()
}
