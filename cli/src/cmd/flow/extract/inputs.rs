//! The captures that were named, looked at before anything is written.

use std::fs;
use std::path::{Path, PathBuf};

use ganglion_extract::capture::{Capture, CaptureError};

use super::super::STANDARD;
use crate::exit::{Error, Result};

/// A capture to read.
pub(super) struct Input {
    path: PathBuf,
    /// Size, where it is a plain file.
    pub(super) bytes: Option<u64>,
}

impl Input {
    fn is_standard(&self) -> bool {
        self.path.as_os_str() == STANDARD
    }

    pub(super) fn open(&self) -> std::result::Result<Capture, CaptureError> {
        if self.is_standard() {
            Capture::from_reader(std::io::stdin(), "standard input")
        } else {
            Capture::open(&self.path)
        }
    }
}

/// Finds a mistyped name, a folder, and an output that would take an input's place, before hours of work.
pub(super) fn check(paths: &[PathBuf], output: &Path) -> Result<Vec<Input>> {
    let inputs: Vec<_> = paths.iter().map(|path| of(path, output)).collect::<Result<_>>()?;
    if inputs.iter().filter(|input| input.is_standard()).count() > 1 {
        return Err(Error::Usage("- (standard input) can be read once only".into()));
    }
    Ok(inputs)
}

fn of(path: &Path, output: &Path) -> Result<Input> {
    let path = path.to_owned();
    if path.as_os_str() == STANDARD {
        return Ok(Input { path, bytes: None });
    }
    let name = path.display();
    let about = fs::metadata(&path).map_err(|error| Error::Usage(format!("{name}: can't be opened: {error}")))?;
    if about.is_dir() {
        return Err(Error::Usage(format!("{name}: a folder; name the captures in it, as {name}/*.pcap")));
    }
    if about.is_file() && is_same(&path, output) {
        return Err(Error::Usage(format!("{name}: the output would take the capture's place; name another file")));
    }
    let bytes = about.is_file().then_some(about.len());
    Ok(Input { path, bytes })
}

fn is_same(path: &Path, other: &Path) -> bool {
    match (fs::canonicalize(path), fs::canonicalize(other)) {
        (Ok(path), Ok(other)) => path == other,
        _ => false,
    }
}
