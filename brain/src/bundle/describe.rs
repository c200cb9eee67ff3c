//! What `ganglion model show` prints.

use super::{BundleError, Files, Keyring, MODEL, SYSTEM_KEYS, Trust};
use crate::class;
use crate::model::Settings;
use crate::runtime;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// A bundle in words and figures.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Its folder.
    pub folder: PathBuf,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// Its profile.
    pub profile: String,
    /// SHA-256 of its manifest.
    pub manifest_digest: String,
    /// Size of the model, bytes.
    pub model_bytes: usize,
    /// Who vouches for it: "pinned", "signed", "foreign" or "unsigned".
    pub trust: Trust,
    /// Id of the key that is said to have signed it.
    pub signed_by: Option<String>,
    /// Names of the classes, in column order.
    pub classes: Vec<&'static str>,
    /// Names of the inputs.
    pub features: Vec<String>,
    /// Anomaly threshold.
    pub anomaly_threshold: f32,
    /// Rows of the self-test, all passed.
    pub self_test_rows: usize,
    /// Whether the model gives embeddings.
    pub embedding: bool,
    /// ONNX Runtime's library.
    pub runtime: PathBuf,
    /// Where the model runs on this machine.
    pub provider: &'static str,
    /// Why it does not run where it was meant to.
    pub provider_fallback: Option<String>,
    /// As noted by its maker.
    pub metrics: serde_json::Value,
    /// As noted by its maker.
    pub training: serde_json::Value,
}

/// Loads the bundle in `folder` with all checks and describes it; the usual keys are trusted.
///
/// # Errors
/// In one line, the first thing that is wrong.
pub fn describe(folder: &Path) -> Result<Description, BundleError> {
    let files = Files::read(folder, &Keyring::load(Path::new(SYSTEM_KEYS))?)?;
    let model_bytes = files.model_bytes();
    let bundle = files.load(&Settings::default())?;
    let manifest = bundle.manifest;
    Ok(Description {
        folder: folder.to_owned(),
        id: manifest.id,
        version: manifest.version,
        kind: manifest.kind,
        profile: manifest.profile,
        manifest_digest: bundle.manifest_digest,
        model_bytes,
        signed_by: bundle.trust.key().map(str::to_owned),
        trust: bundle.trust,
        classes: bundle.model.classes().iter().map(|class| class::name(*class)).collect(),
        features: manifest.features,
        anomaly_threshold: manifest.thresholds.anomaly,
        self_test_rows: manifest.self_test.rows.len(),
        embedding: bundle.model.has_embedding(),
        runtime: runtime::find()?,
        provider: bundle.model.provider().name(),
        provider_fallback: bundle.model.fallback().map(str::to_owned),
        metrics: manifest.metrics,
        training: manifest.training,
    })
}

/// The facts; what the maker noted has no shape of its own, and is left to the reader.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<12}{value}");
        line(f, "bundle", &format_args!("{} {}", self.id, self.version))?;
        line(f, "folder", &self.folder.display())?;
        line(f, "trust", &self.trust)?;
        line(f, "manifest", &self.manifest_digest)?;
        line(f, "model", &format_args!("{MODEL}, {} bytes, {}", self.model_bytes, self.kind))?;
        line(f, "profile", &self.profile)?;
        line(f, "classes", &self.classes.join(", "))?;
        line(f, "features", &format_args!("{}: {}, …", self.features.len(), some(&self.features)))?;
        line(f, "anomaly", &format_args!("unusual from {}", self.anomaly_threshold))?;
        line(f, "self-test", &format_args!("{} rows passed", self.self_test_rows))?;
        line(f, "embedding", &if self.embedding { "yes" } else { "no" })?;
        line(f, "runtime", &self.runtime.display())?;
        match &self.provider_fallback {
            None => line(f, "runs on", &self.provider),
            Some(why) => line(f, "runs on", &format_args!("{}: {why}", self.provider)),
        }
    }
}

fn some(features: &[String]) -> String {
    features.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ")
}
