//! Bundles: a folder with `model.onnx` and `manifest.json`, checked before anything runs.

mod check;
mod describe;
mod keys;
mod manifest;
mod pins;
mod self_test;
mod signature;
mod trust;
pub mod vet;

pub use describe::{Description, describe};
pub use keys::{KeyError, Keyring, PrivateKey, PublicKey, SYSTEM_KEYS};
pub use manifest::{Manifest, SelfTest, Thresholds};
pub use signature::{SIGNATURE, sign};
pub use trust::{Admission, Trust};

use crate::model::{Inputs, Model, ModelError, Settings};
use crate::runtime::RuntimeError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The model's file name.
pub const MODEL: &str = "model.onnx";
/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";
/// Larger manifests are refused, in bytes.
const MANIFEST_LIMIT: u64 = 32 << 20;
/// Larger models are refused, in bytes.
const MODEL_LIMIT: u64 = 512 << 20;

/// Why a bundle can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file is missing or unreadable.
    #[error("bundle file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any bundle's.
    #[error("bundle file {path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The manifest is cut or no manifest.
    #[error("bundle manifest {path}: {why}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        why: serde_json::Error,
    },
    /// A file is not the one the manifest was made for.
    #[error("bundle file {path} is damaged or was tampered with: SHA-256 is {found}, the manifest says {expected}")]
    Digest {
        /// The file.
        path: PathBuf,
        /// By the manifest.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// The manifest contradicts this program or itself.
    #[error("bundle {id}: {why}")]
    Unfit {
        /// The bundle.
        id: String,
        /// In which way.
        why: String,
    },
    /// The model does not keep the contract.
    #[error("bundle {id}: {source}")]
    Model {
        /// The bundle.
        id: String,
        /// In which way.
        source: ModelError,
    },
    /// The model gives other answers than it should on the bundle's own rows.
    #[error("bundle {id} fails its self-test: {why}")]
    SelfTest {
        /// The bundle.
        id: String,
        /// In which way.
        why: String,
    },
    /// A signature that is none, or does not fit.
    #[error("bundle signature {path}: {why}")]
    Signature {
        /// The file.
        path: PathBuf,
        /// In which way.
        why: String,
    },
    /// Nobody trusted vouches for it.
    #[error(
        "bundle {id} is {why}: sign it (`ganglion model sign`) with a key in {SYSTEM_KEYS}, or set `allow_unsigned`"
    )]
    Untrusted {
        /// The bundle.
        id: String,
        /// What is known of it.
        why: String,
    },
    /// Loading it takes more than a bundle may.
    #[error("bundle in {folder} is refused before it is loaded: {why}")]
    Vetted {
        /// The bundle.
        folder: PathBuf,
        /// In which way.
        why: String,
    },
    /// A key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// ONNX Runtime can't be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A bundle that passed all checks.
#[derive(Debug)]
pub struct Bundle {
    /// What it says of itself.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`, in hex.
    pub manifest_digest: String,
    /// Who vouches for it.
    pub trust: Trust,
    /// Ready to score.
    pub model: Model,
    onnx: Arc<[u8]>,
}

/// A bundle's files, read and checked against each other; nothing of it ran yet.
#[derive(Debug)]
pub struct Files {
    /// What it says of itself.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`, in hex.
    pub manifest_digest: String,
    /// Who vouches for it.
    pub trust: Trust,
    onnx: Arc<[u8]>,
}

impl Files {
    /// Reads the bundle in `folder`, of whatever profile: manifest, signature, digests.
    ///
    /// # Errors
    /// In one line, the first thing that is wrong.
    pub fn read(folder: &Path, keys: &Keyring) -> Result<Self, BundleError> {
        let (path, bytes) = manifest_bytes(folder)?;
        let manifest_digest = sha256(&bytes);
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|why| BundleError::Manifest { path, why })?;
        check::manifest(&manifest)?;
        let trust = Trust::of(&manifest_digest, signature::find(folder, &bytes, keys)?);
        let onnx = read_model(folder, &manifest)?.into();
        Ok(Self { manifest, manifest_digest, trust, onnx })
    }

    /// Size of the model, bytes.
    pub fn model_bytes(&self) -> usize {
        self.onnx.len()
    }

    /// That it is for live flows.
    ///
    /// # Errors
    /// When it is for tables alone.
    pub fn is_live(&self) -> Result<(), BundleError> {
        check::is_live(&self.manifest)
    }

    /// Loads the model: the contract, its self-test.
    ///
    /// # Errors
    /// In one line, the first thing that is wrong.
    pub fn load(self, settings: &Settings) -> Result<Bundle, BundleError> {
        let Self { manifest, manifest_digest, trust, onnx } = self;
        let mut model = load(&manifest, &onnx, check::manifest(&manifest)?, settings)?;
        self_test::run(&manifest, &mut model)?;
        Ok(Bundle { manifest, manifest_digest, trust, model, onnx })
    }
}

impl Bundle {
    /// Loads the bundle in `folder` for live flows, whoever vouches for it: digests, features, classes, the model's
    /// contract, its self-test. The usual keys are trusted.
    ///
    /// # Errors
    /// In one line, the first thing that is wrong; that it is for tables alone is such a thing.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Self::load_with(folder, &Settings::default())
    }

    /// As [`Bundle::load`], run in this way.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn load_with(folder: &Path, settings: &Settings) -> Result<Self, BundleError> {
        let files = Files::read(folder, &Keyring::load(Path::new(SYSTEM_KEYS))?)?;
        files.is_live()?;
        files.load(settings)
    }

    /// Loads the bundle in `folder` for files: of whatever profile, with the same checks.
    ///
    /// # Errors
    /// In one line, the first thing that is wrong.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self, BundleError> {
        Files::read(folder, &Keyring::load(Path::new(SYSTEM_KEYS))?)?.load(settings)
    }

    /// The same model once more, for another thread.
    ///
    /// # Errors
    /// When ONNX Runtime refuses it now.
    pub fn another_model(&self, settings: &Settings) -> Result<Model, BundleError> {
        load(&self.manifest, &self.onnx, self.model.inputs().clone(), settings)
    }

    /// Whether it is for live flows.
    pub fn is_live(&self) -> bool {
        check::is_live(&self.manifest).is_ok()
    }

    /// "id version", as in events.
    pub fn name(&self) -> String {
        self.manifest.name()
    }
}

/// The manifest's path and bytes.
fn manifest_bytes(folder: &Path) -> Result<(PathBuf, Vec<u8>), BundleError> {
    let path = folder.join(MANIFEST);
    let bytes = read(&path, MANIFEST_LIMIT)?;
    Ok((path, bytes))
}

/// SHA-256 of the manifest in `folder`, in hex.
pub(crate) fn manifest_digest(folder: &Path) -> Result<String, BundleError> {
    manifest_bytes(folder).map(|(_, bytes)| sha256(&bytes))
}

fn load(manifest: &Manifest, onnx: &[u8], inputs: Inputs, settings: &Settings) -> Result<Model, BundleError> {
    let id = manifest.id.clone();
    Model::load(onnx, inputs, check::classes(manifest)?, settings).map_err(|error| match error {
        ModelError::Runtime(error) => BundleError::Runtime(error),
        source => BundleError::Model { id, source },
    })
}

fn read_model(folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, BundleError> {
    let path = folder.join(MODEL);
    let bytes = read(&path, MODEL_LIMIT)?;
    let found = sha256(&bytes);
    let expected = manifest.digests.get(MODEL).cloned().unwrap_or_default();
    if found.eq_ignore_ascii_case(&expected) { Ok(bytes) } else { Err(BundleError::Digest { path, expected, found }) }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, BundleError> {
    let failed = |source| BundleError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(BundleError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
