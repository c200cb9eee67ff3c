//! Where rows go: a file that is there when it is complete, or a stream.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ganglion_extract::write::{self, Encoded, Encoder, WriteError, Writer};
use nix::sys::signal::{SigSet, Signal};
use tempfile::TempPath;

use super::super::STANDARD;
use crate::exit::{Error, Result};

/// The Parquet library writes in small pieces.
const BUFFER_BYTES: usize = 256 * 1024;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A header line, then a line per row
    Csv,
    /// A JSON object per line and row
    Jsonl,
    /// Apache Parquet: a tenth of the size, with types and units
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
            Some(format) => Ok(format),
            None => {
                let path = path.display();
                Err(format!("{path}: no extension that tells the format; write --format parquet, csv or jsonl"))
            }
        }
    }

    /// The writer's word for it.
    pub(super) fn of_rows(self) -> write::Format {
        match self {
            Self::Csv => write::Format::Csv,
            Self::Jsonl => write::Format::Jsonl,
            Self::Parquet => write::Format::Parquet,
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
    state: State,
    encoder: Encoder,
    /// A file beside the one that is meant, and that one.
    temporary: Option<(TempPath, PathBuf)>,
    is_stdout: bool,
    failure: Option<WriteError>,
}

enum State {
    /// Not a byte is written: perhaps nothing will be.
    Opened(Target),
    Begun(Writer<Target>),
    Failed,
}

/// What is written to.
#[derive(Debug)]
enum Target {
    File(BufWriter<File>),
    Stdout(io::Stdout),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl Output {
    /// Opens the output.
    pub(super) fn create(path: &Path, encoder: Encoder) -> Result<Self> {
        let is_stdout = path.as_os_str() == STANDARD;
        let cant = |error: io::Error| {
            Error::Failed(format!(
                "{}: can't be written: {error}; name a file in a folder you may write",
                path.display()
            ))
        };
        let (target, temporary) =
            if is_stdout { (Target::Stdout(io::stdout()), None) } else { open(path).map_err(cant)? };
        Ok(Self { state: State::Opened(target), encoder, temporary, is_stdout, failure: None })
    }

    pub(super) fn is_stdout(&self) -> bool {
        self.is_stdout
    }

    /// Writes rows.
    pub(super) fn append(&mut self, rows: Encoded) -> std::result::Result<(), WriteError> {
        self.begin()?.append(rows)
    }

    /// Keeps the first failure; breaks off from then on.
    pub(super) fn note(&mut self, written: std::result::Result<(), WriteError>) -> ControlFlow<()> {
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure.get_or_insert(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Writes nothing of what is not yet out; the file that was there before stays.
    pub(super) fn discard(self) {
        drop(self);
    }

    /// All rows are written: puts the file in its place. A file that failed is removed.
    pub(super) fn complete(mut self) -> std::result::Result<(), WriteError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.begin()?;
        let State::Begun(writer) = std::mem::replace(&mut self.state, State::Failed) else { return Ok(()) };
        let mut target = writer.finish()?;
        target.flush()?;
        if let (Target::File(file), Some((temporary, path))) = (target, self.temporary.take()) {
            // Else a crash could leave a file that is there and empty.
            file.get_ref().sync_all()?;
            temporary.persist(path).map_err(|error| error.error)?;
        }
        Ok(())
    }

    /// What stands before the rows is written with the first of them, or at the end.
    fn begin(&mut self) -> std::result::Result<&mut Writer<Target>, WriteError> {
        if matches!(self.state, State::Opened(_))
            && let State::Opened(target) = std::mem::replace(&mut self.state, State::Failed)
        {
            self.state = State::Begun(self.encoder.writer(target)?);
        }
        match &mut self.state {
            State::Begun(writer) => Ok(writer),
            State::Opened(_) | State::Failed => Err(WriteError::Io(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

type Opened = (Target, Option<(TempPath, PathBuf)>);

/// A temporary file in the folder of `path`; devices and pipes are written as they are, never replaced.
fn open(path: &Path) -> io::Result<Opened> {
    // A link stays one: what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&path) {
        Ok(about) if about.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(about) if !about.is_file() => {
            // Somebody may read it as it comes.
            let file = BufWriter::with_capacity(0, File::options().write(true).open(&path)?);
            return Ok((Target::File(file), None));
        }
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
    let file = BufWriter::with_capacity(BUFFER_BYTES, file);
    Ok((Target::File(file), Some((temporary, path))))
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
        assert_eq!(of(None, "a.parquet"), Ok(Format::Parquet));
        assert!(of(None, "a").is_err_and(|why| why.contains("--format parquet")));
    }
}
