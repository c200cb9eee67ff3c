//! ONNX Runtime's shared library, out of the wheel on PyPI; version and checksums are pinned.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Found;
use super::report::working;

const VERSION: &str = "1.31.1";
const WHEEL_SHA256: &str = "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f";
const LIBRARY_SHA256: &str = "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3";
const FOLDER: &str = "/usr/local/lib/ganglion";
const LINK: &str = "libonnxruntime.so";

fn library() -> PathBuf {
    Path::new(FOLDER).join(format!("libonnxruntime.so.{VERSION}"))
}

/// The library, if its bytes are the pinned ones and the link to it is there.
pub(super) fn find() -> Result<Option<Found>> {
    let library = library();
    let link = Path::new(FOLDER).join(LINK);
    if !library.is_file() || !link.exists() || sha256(&library)? != LIBRARY_SHA256 {
        return Ok(None);
    }
    Ok(Some(Found { path: library.display().to_string(), version: VERSION.to_owned() }))
}

/// pip downloads, in a virtual environment that goes away again: Debian has no pip by itself.
pub(super) fn install() -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let (venv, wheels) = (folder.path().join("venv"), folder.path().join("wheels"));
    let python = venv.join("bin/python");
    working("ONNX Runtime: an environment to fetch with", Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11"]);
    pip.args(["--platform", "manylinux_2_28_x86_64", &format!("onnxruntime=={VERSION}"), "--dest"]).arg(&wheels);
    working("ONNX Runtime: the wheel", &mut pip)?;

    let wheel = only_file(&wheels)?;
    expect(&wheel, WHEEL_SHA256)?;
    let unpacked = folder.path().join("unpacked");
    working("ONNX Runtime: unpacking", Command::new(&python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    let from = unpacked.join(format!("onnxruntime/capi/libonnxruntime.so.{VERSION}"));
    expect(&from, LIBRARY_SHA256)?;
    place(&from)
}

/// Never a half-written library under the name that is looked for.
fn place(from: &Path) -> Result<()> {
    fs::create_dir_all(FOLDER).with_context(|| format!("creating {FOLDER}"))?;
    let library = library();
    let part = library.with_extension("part");
    fs::copy(from, &part).with_context(|| format!("writing {}", part.display()))?;
    fs::rename(&part, &library)?;
    let link = Path::new(FOLDER).join(LINK);
    let new = Path::new(FOLDER).join(format!("{LINK}.new"));
    let _none_left = fs::remove_file(&new);
    symlink(library.file_name().unwrap_or_default(), &new)?;
    fs::rename(&new, &link).with_context(|| format!("linking {}", link.display()))
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    files.next().with_context(|| format!("pip left nothing in {}", folder.display()))
}

fn expect(file: &Path, wanted: &str) -> Result<()> {
    let got = sha256(file)?;
    if got != wanted {
        bail!("{} has the SHA-256 {got}, not the pinned {wanted}: not installed", file.display());
    }
    Ok(())
}

fn sha256(file: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut reader = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    std::io::copy(&mut reader, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
