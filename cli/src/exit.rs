//! How a command ends: what went wrong, what to do about it, and the exit code for scripts.

use std::process::ExitCode;

use thiserror::Error;

/// Documented in `ganglion --help`; scripts depend on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Done.
    Ok = 0,
    /// Failed.
    Failure = 1,
    /// Wrong arguments or settings; nothing was tried.
    Usage = 2,
    /// Some of what was asked was done.
    Partial = 3,
    /// The sensor or the brain can't be reached.
    Unreachable = 4,
    /// A privilege is missing.
    Privilege = 5,
    /// A safety gate refused.
    Refused = 6,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Shown at the end of `ganglion --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed, or `flow diff` found a difference
  2  wrong arguments or settings; nothing was tried
  3  partly done: some of several targets, a capture up to where it is damaged, or the brain is away while the
     sensor answers
  4  the sensor or the brain can't be reached
  5  a privilege is missing
  6  refused by a safety gate (allow list, own address, infrastructure, operator's session)";

/// A failed command.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// Wrong arguments or settings.
    #[error("{0}")]
    Usage(String),
    /// A socket does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// A privilege is missing.
    #[error("{0}")]
    Privilege(String),
    /// A gate said no.
    #[error("refused: {0}")]
    Refused(String),
    /// A part of the targets failed; each was reported already.
    #[error("{failed} of {all} failed")]
    Partial {
        /// Targets that failed.
        failed: usize,
        /// Targets asked for.
        all: usize,
    },
    /// A supervised process gave up with this code; it said why itself.
    #[error("{name} ended with code {code}")]
    Child {
        /// "sensor" or "brain".
        name: &'static str,
        /// Its exit code.
        code: u8,
    },
    /// A part of Ganglion failed; its message says why.
    #[error("{0}")]
    Failed(String),
    /// Everything else, with its causes.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// The code that scripts see.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => Code::Usage.into(),
            Self::Unreachable(_) => Code::Unreachable.into(),
            Self::Privilege(_) => Code::Privilege.into(),
            Self::Refused(_) => Code::Refused.into(),
            Self::Partial { .. } => Code::Partial.into(),
            Self::Child { code, .. } => ExitCode::from(*code),
            Self::Failed(_) | Self::Other(_) => Code::Failure.into(),
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            tonic::Code::InvalidArgument => Self::Usage(message),
            tonic::Code::FailedPrecondition => Self::Refused(message),
            tonic::Code::PermissionDenied => Self::Privilege(message),
            tonic::Code::Unavailable => Self::Unreachable(format!("the connection broke off: {message}")),
            code => Self::Failed(format!("{code}: {message}")),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

/// What commands return.
pub(crate) type Result<T = Code> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_sensor_has_its_own_code() {
        let error = Error::from(tonic::Status::failed_precondition("198.18.0.1 is the machine's own address"));
        assert_eq!(error.exit_code(), ExitCode::from(6));
        assert_eq!(error.to_string(), "refused: 198.18.0.1 is the machine's own address");
    }

    #[test]
    fn the_help_names_every_code() {
        for code in
            [Code::Ok, Code::Failure, Code::Usage, Code::Partial, Code::Unreachable, Code::Privilege, Code::Refused]
        {
            assert!(HELP.contains(&format!("\n  {}  ", code as u8)), "{code:?}");
        }
    }
}
