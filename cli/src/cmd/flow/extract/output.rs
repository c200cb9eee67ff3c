//! Where rows go: a file that is there when it is complete, or a stream.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ganglion_extract::cicflowmeter::{COLUMNS, Row, Value, write_csv_header};
use nix::sys::signal::{SigSet, Signal};
use tempfile::TempPath;

use super::super::STANDARD;
use crate::exit::{Error, Result};

const BUFFER_BYTES: usize = 256 * 1024;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A header line, then a line per row, numbers as the reference tool writes them
    Csv,
    /// A JSON object per line and row
    Jsonl,
    /// Not there yet
    Parquet,
}

impl Format {
    /// What was asked for, else what the file's extension says.
    pub(super) fn of(asked: Option<Self>, path: &Path) -> std::result::Result<Self, String> {
        let by_name = || match path.extension().and_then(|end| end.to_str()) {
            _ if path.as_os_str() == STANDARD => Some(Self::Csv),
            Some("csv") => Some(Self::Csv),
            Some("jsonl" | "ndjson") => Some(Self::Jsonl),
            Some("parquet") => Some(Self::Parquet),
            _ => None,
        };
        match asked.or_else(by_name) {
            Some(Self::Parquet) => Err("Parquet is not there yet; write --format csv or --format jsonl".into()),
            Some(format) => Ok(format),
            None => {
                let path = path.display();
                Err(format!("{path}: no extension that tells the format; write --format csv or --format jsonl"))
            }
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// An open output. The first failure is kept, and nothing is written after it.
pub(super) struct Output {
    to: BufWriter<Box<dyn Write>>,
    format: Format,
    /// A file beside the one that is meant, and that one.
    temporary: Option<(TempPath, PathBuf)>,
    is_stdout: bool,
    failure: Option<io::Error>,
}

impl Output {
    /// Opens the output and writes what stands before the rows.
    pub(super) fn create(path: &Path, format: Format) -> Result<Self> {
        let is_stdout = path.as_os_str() == STANDARD;
        let cant = |error: io::Error| {
            Error::Failed(format!(
                "{}: can't be written: {error}; name a file in a folder you may write",
                path.display()
            ))
        };
        let (to, temporary) =
            if is_stdout { (Box::new(io::stdout()) as Box<dyn Write>, None) } else { open(path).map_err(cant)? };
        let to = BufWriter::with_capacity(BUFFER_BYTES, to);
        let mut output = Self { to, format, temporary, is_stdout, failure: None };
        if format == Format::Csv {
            output.failure = write_csv_header(&mut output.to).err();
        }
        Ok(output)
    }

    pub(super) fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Writes a row.
    pub(super) fn row(&mut self, row: &Row) {
        if self.failure.is_none() {
            let written = match self.format {
                Format::Jsonl => write_jsonl(&mut self.to, row),
                Format::Csv | Format::Parquet => row.write_csv(&mut self.to),
            };
            self.failure = written.err();
        }
    }

    /// Whether a row could not be written.
    pub(super) fn failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Writes nothing of what is not yet out; the file that was there before stays.
    pub(super) fn discard(self) {
        // Dropped as it is, the buffer would be written.
        drop(self.to.into_parts());
    }

    /// All rows are written: puts the file in its place. A file that failed is removed.
    pub(super) fn complete(mut self) -> io::Result<()> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.to.flush()?;
        match self.temporary {
            Some((temporary, path)) => temporary.persist(path).map_err(|error| error.error),
            None => Ok(()),
        }
    }
}

type Opened = (Box<dyn Write>, Option<(TempPath, PathBuf)>);

/// A temporary file in the folder of `path`; devices and pipes are written as they are, never replaced.
fn open(path: &Path) -> io::Result<Opened> {
    // A link stays one: what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&path) {
        Ok(about) if about.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(about) if !about.is_file() => return Ok((Box::new(File::options().write(true).open(&path)?), None)),
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut builder = tempfile::Builder::new();
    // Readable as any new file is: the umask takes from these.
    builder.prefix(&prefix).suffix(".part").permissions(Permissions::from_mode(0o666));
    let (file, temporary) = builder.tempfile_in(folder)?.into_parts();
    remove_on_signal(temporary.to_path_buf())?;
    Ok((Box::new(file), Some((temporary, path))))
}

/// From here on SIGINT and SIGTERM remove the file before they end the process. To be called before other threads
/// start: they inherit that the signals are left to this one.
fn remove_on_signal(path: PathBuf) -> io::Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    signals.thread_block()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Ok(signal) = signals.wait() {
            // Gone already when the output is complete.
            let _ = fs::remove_file(&path);
            // As a shell tells that a signal ended a command.
            std::process::exit(128 + signal as i32);
        }
    })?;
    Ok(())
}

/// A row as a JSON object, members in the order of the columns.
fn write_jsonl(out: &mut impl Write, row: &Row) -> io::Result<()> {
    for (number, column) in COLUMNS.iter().enumerate() {
        out.write_all(if number == 0 { b"{" } else { b"," })?;
        serde_json::to_writer(&mut *out, column.name)?;
        out.write_all(b":")?;
        match (column.value)(row) {
            Value::Int(value) => serde_json::to_writer(&mut *out, &value)?,
            Value::Float(value) => serde_json::to_writer(&mut *out, &value)?,
            Value::Fixed(value) => serde_json::to_writer(&mut *out, &value)?,
            Value::Text(value) => serde_json::to_writer(&mut *out, &value)?,
        }
    }
    out.write_all(b"}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_asked_for_or_the_extensions() {
        let of = |asked, path: &str| Format::of(asked, Path::new(path));
        assert_eq!(of(None, "a.csv"), Ok(Format::Csv));
        assert_eq!(of(None, "a.b.jsonl"), Ok(Format::Jsonl));
        assert_eq!(of(None, "-"), Ok(Format::Csv));
        assert_eq!(of(Some(Format::Jsonl), "a.csv"), Ok(Format::Jsonl));
        assert!(of(None, "a.parquet").is_err_and(|why| why.contains("not there yet")));
        assert!(of(None, "a").is_err_and(|why| why.contains("--format csv")));
    }
}
