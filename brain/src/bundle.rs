//! Bundles: a folder with `model.onnx` and `manifest.json`, checked before anything runs.

mod check;
mod describe;
mod manifest;
mod pins;
mod self_test;

pub use describe::{Description, describe};
pub use manifest::{Manifest, SelfTest, Thresholds};
pub use pins::Trust;

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
    /// Whether it ships with this program.
    pub trust: Trust,
    /// Ready to score.
    pub model: Model,
    onnx: Arc<[u8]>,
}

impl Bundle {
    /// Loads the bundle in `folder` for live flows: digests, features, classes, the model's contract, its self-test.
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
        let (manifest, digest) = read_manifest(folder)?;
        check::is_live(&manifest)?;
        Self::checked(folder, manifest, digest, settings)
    }

    /// Loads the bundle in `folder` for files: of whatever profile, with the same checks.
    ///
    /// # Errors
    /// In one line, the first thing that is wrong.
    pub fn open(folder: &Path, settings: &Settings) -> Result<Self, BundleError> {
        let (manifest, digest) = read_manifest(folder)?;
        Self::checked(folder, manifest, digest, settings)
    }

    fn checked(
        folder: &Path,
        manifest: Manifest,
        manifest_digest: String,
        settings: &Settings,
    ) -> Result<Self, BundleError> {
        let inputs = check::manifest(&manifest)?;
        let onnx: Arc<[u8]> = read_model(folder, &manifest)?.into();
        let mut model = load(&manifest, &onnx, inputs, settings)?;
        self_test::run(&manifest, &mut model)?;
        let trust = pins::trust(&manifest_digest);
        Ok(Self { manifest, manifest_digest, trust, model, onnx })
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

fn load(manifest: &Manifest, onnx: &[u8], inputs: Inputs, settings: &Settings) -> Result<Model, BundleError> {
    let id = manifest.id.clone();
    Model::load(onnx, inputs, check::classes(manifest)?, settings).map_err(|error| match error {
        ModelError::Runtime(error) => BundleError::Runtime(error),
        source => BundleError::Model { id, source },
    })
}

fn read_manifest(folder: &Path) -> Result<(Manifest, String), BundleError> {
    let path = folder.join(MANIFEST);
    let bytes = read(&path, MANIFEST_LIMIT)?;
    let digest = sha256(&bytes);
    let manifest = serde_json::from_slice(&bytes).map_err(|why| BundleError::Manifest { path, why })?;
    Ok((manifest, digest))
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
