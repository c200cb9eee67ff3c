//! ONNX Runtime's shared library: found, checked, started once per process.

use ort::environment::Environment;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where `cargo xtask setup --for run` puts the library.
pub const INSTALLED: &str = "/usr/local/lib/ganglion/libonnxruntime.so";
const FILE_NAME: &str = "libonnxruntime.so";
const REMEDY: &str = "run `cargo xtask setup --for run`";

/// Why ONNX Runtime can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Nowhere to be found.
    #[error("ONNX Runtime not found (looked at {tried}): {REMEDY}, or set ORT_DYLIB_PATH")]
    NotFound {
        /// Paths looked at.
        tried: String,
    },
    /// It is too old.
    #[error("ONNX Runtime at {path} is version {found}, 1.{}.x or newer is needed: {REMEDY}", ort::MINOR_VERSION)]
    Version {
        /// The library.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// It is no ONNX Runtime, or can't be loaded.
    #[error("ONNX Runtime can't be loaded: {why}: {REMEDY}")]
    Load {
        /// What the loader says.
        why: String,
    },
}

static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The process's ONNX Runtime, started at the first call.
///
/// # Errors
/// In one line, what is wrong with the library and what to run.
pub fn environment() -> Result<Environment, RuntimeError> {
    let mut slot = ENVIRONMENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(environment) = slot.as_ref() {
        return Ok(environment.clone());
    }
    let path = find()?;
    let builder = ort::init_from(&path).map_err(|error| load_error(&error))?;
    let environment = builder
        .with_name("ganglion")
        .with_telemetry(false)
        .build()
        .map_err(|error| RuntimeError::Load { why: error.to_string() })?;
    // Its own warnings on odd graphs are of no use to the operator; errors come back as results.
    environment.set_log_level(ort::logging::LogLevel::Error);
    tracing::info!(library = %path.display(), "ONNX Runtime loaded, CPU");
    Ok(slot.insert(environment).clone())
}

/// The library: `$ORT_DYLIB_PATH`, the installed one, or one beside the program.
///
/// # Errors
/// When none of them exists.
pub fn find() -> Result<PathBuf, RuntimeError> {
    let mut candidates = Vec::new();
    match std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        Some(path) => candidates.push(PathBuf::from(path)),
        None => {
            candidates.push(PathBuf::from(INSTALLED));
            let program = std::env::current_exe().ok();
            candidates.extend(program.as_deref().and_then(Path::parent).map(|folder| folder.join(FILE_NAME)));
        }
    }
    pick(&candidates)
}

fn pick(candidates: &[PathBuf]) -> Result<PathBuf, RuntimeError> {
    let found = candidates.iter().find(|path| path.is_file());
    found.cloned().ok_or_else(|| RuntimeError::NotFound {
        tried: candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

fn load_error(error: &ort::LoadDynamicError) -> RuntimeError {
    match error {
        ort::LoadDynamicError::BadVersion { version_str, path } => {
            RuntimeError::Version { path: path.clone(), found: version_str.clone() }
        }
        other => RuntimeError::Load { why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_says_what_to_run() {
        let error = pick(&["/nowhere/libonnxruntime.so".into()]).unwrap_err().to_string();
        assert!(error.contains("/nowhere/libonnxruntime.so") && error.contains("cargo xtask setup --for run"));
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn an_old_library_is_named_with_its_version() {
        let bad = ort::LoadDynamicError::BadVersion { version_str: "1.10.0".into(), path: "/x/lib.so".into() };
        let error = load_error(&bad).to_string();
        assert!(error.contains("1.10.0") && error.contains("/x/lib.so") && error.contains("setup"), "{error}");
    }
}
