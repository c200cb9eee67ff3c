//! Ed25519 keys in PEM files, PKCS#8 and SPKI, as `openssl pkey` writes them too.

use super::{BundleError, read, sha256};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, KeypairBytes};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Public keys in this folder, `*.pub`, are trusted.
pub const SYSTEM_KEYS: &str = "/etc/ganglion/keys.d";
/// Larger key files are no key files, in bytes.
const KEY_LIMIT: u64 = 16 << 10;
/// More trusted keys are a mistake.
const KEYS: usize = 64;

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or folder can't be read or written.
    #[error("key file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key would be overwritten.
    #[error("{0} exists: a key is never overwritten; name another file, or move this one away")]
    Exists(PathBuf),
    /// Others could read a private key, or change a public one.
    #[error("key file {path} has mode {mode:04o}: `chmod {remedy} {path}` (and if others had access, make a new key)")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// What they should be.
        remedy: &'static str,
    },
    /// Not a key.
    #[error("{path} is no Ed25519 {what} key in PEM: {why}")]
    Garbage {
        /// The file.
        path: PathBuf,
        /// "private" or "public".
        what: &'static str,
        /// What the parser says.
        why: String,
    },
    /// The system gives no random numbers.
    #[error("no random numbers for a key: {0}")]
    Random(getrandom::Error),
    /// The folder of trusted keys holds too many.
    #[error("{0} holds more than {KEYS} keys")]
    TooMany(PathBuf),
}

/// Signs bundles.
pub struct PrivateKey(SigningKey);

/// Checks signatures.
#[derive(Clone, Debug)]
pub struct PublicKey(VerifyingKey);

impl PrivateKey {
    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// When there are none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(KeyError::Random)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads one that nobody but its owner may read.
    ///
    /// # Errors
    /// When it is no key, or others may read it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        closed(path, 0o077, "600")?;
        let text = text(path)?;
        let key = SigningKey::from_pkcs8_pem(&text);
        key.map(Self).map_err(|why| garbage(path, "private", &why.to_string()))
    }

    /// Writes it to `path`, mode 0600, and its public half to `public`; overwrites nothing.
    ///
    /// # Errors
    /// When one of them exists or can't be written.
    pub fn write(&self, path: &Path, public: &Path) -> Result<(), KeyError> {
        if public.exists() {
            return Err(KeyError::Exists(public.into()));
        }
        // Without the public half, which older openssl does not read.
        let bytes = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = ed25519_dalek::pkcs8::EncodePrivateKey::to_pkcs8_pem(&bytes, LineEnding::LF);
        let pem = pem.map_err(|why| garbage(path, "private", &why.to_string()))?;
        create(path, 0o600, pem.as_bytes())?;
        let pem = self.0.verifying_key().to_public_key_pem(LineEnding::LF);
        let pem = pem.map_err(|why| garbage(public, "public", &why.to_string()))?;
        create(public, 0o644, pem.as_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

impl PublicKey {
    /// Reads one that nobody but its owner may change.
    ///
    /// # Errors
    /// When it is no key, or others may change it.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        closed(path, 0o022, "644")?;
        let text = text(path)?;
        let key = VerifyingKey::from_public_key_pem(&text);
        key.map(Self).map_err(|why| garbage(path, "public", &why.to_string()))
    }

    /// The first 16 hex digits of the SHA-256 of its 32 bytes.
    pub fn id(&self) -> String {
        sha256(self.0.as_bytes())[..16].to_owned()
    }

    pub(super) fn verifies(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }
}

/// The keys that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Keyring(BTreeMap<String, PublicKey>);

impl Keyring {
    /// All `*.pub` in `folder`; none when there is no such folder.
    ///
    /// # Errors
    /// When one of them is no key, or others may change it: a key that is silently left out is missed too late.
    pub fn load(folder: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { path: folder.into(), source };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            entries => entries.map_err(failed)?,
        };
        let mut keys = Self::default();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|end| end == "pub") {
                keys.add(PublicKey::load(&path)?);
            }
            if keys.0.len() > KEYS {
                return Err(KeyError::TooMany(folder.into()));
            }
        }
        Ok(keys)
    }

    /// Trusts one more.
    pub fn add(&mut self, key: PublicKey) {
        self.0.insert(key.id(), key);
    }

    pub(super) fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.get(id)
    }
}

fn text(path: &Path) -> Result<String, KeyError> {
    let bytes = read(path, KEY_LIMIT).map_err(|error| match error {
        BundleError::File { path, source } => KeyError::File { path, source },
        _ => garbage(path, "", "larger than any key"),
    })?;
    String::from_utf8(bytes).map_err(|_| garbage(path, "", "no text"))
}

fn garbage(path: &Path, what: &'static str, why: &str) -> KeyError {
    KeyError::Garbage { path: path.into(), what, why: why.to_owned() }
}

/// Refuses a file that others may touch.
fn closed(path: &Path, forbidden: u32, remedy: &'static str) -> Result<(), KeyError> {
    let found = fs::metadata(path).map_err(|source| KeyError::File { path: path.into(), source })?;
    let mode = found.permissions().mode() & 0o7777;
    if mode & forbidden == 0 { Ok(()) } else { Err(KeyError::Open { path: path.into(), mode, remedy }) }
}

fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        // The process's mask may have taken more away than it should.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
        _ => KeyError::File { path: path.into(), source },
    })
}
