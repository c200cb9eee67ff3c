//! Filters in pcap filter syntax, as tcpdump takes them: `tcp port 443 and not host 10.0.0.1`.
//!
//! libpcap compiles, a [program](Program) of our own runs ([ADR 5](../../../docs/adr/0005-libpcap-filter.md)). An
//! expression is compiled for each link type, because programs look at bytes by their place in the frame.

mod libpcap;
mod program;

use crate::capture::{Frame, LinkType};

pub use program::{BadProgram, Instruction, Program};

/// Why an expression is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// libpcap is not there.
    #[error(
        "a filter needs libpcap, which can't be loaded ({0}): apt install libpcap0.8 (Debian, Ubuntu), dnf install \
         libpcap (Fedora)"
    )]
    NoLibpcap(String),
    /// What libpcap says of the expression.
    #[error("{expression:?} is no filter: {message} (see man pcap-filter)")]
    Expression {
        /// The expression.
        expression: String,
        /// libpcap's message.
        message: String,
    },
    /// The expression makes no sense on a link type that a capture has.
    #[error("{expression:?} can't be used on frames of link type {link}: {message}")]
    Link {
        /// The expression.
        expression: String,
        /// Name of the link type.
        link: &'static str,
        /// libpcap's message.
        message: String,
    },
    /// libpcap made something that is no program.
    #[error("libpcap {version} made a program that can't be run: {fault}; please report it with the expression")]
    Program {
        /// libpcap's version.
        version: String,
        /// What is wrong.
        fault: BadProgram,
    },
}

/// What is compiled once for all frames that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Ethernet,
    /// Loopback frames too, from behind their 4 bytes: those are in the byte order of a machine that is not known.
    RawIp,
    LinuxCooked1,
    LinuxCooked2,
}

/// All layouts, with libpcap's number and a name.
const LAYOUTS: [(Layout, i32, &str); 4] = [
    (Layout::Ethernet, 1, "Ethernet"),
    (Layout::RawIp, 12, "raw IP or loopback"),
    (Layout::LinuxCooked1, 113, "Linux cooked"),
    (Layout::LinuxCooked2, 276, "Linux cooked, version 2"),
];
const LOOPBACK_BYTES: usize = 4;

/// A compiled filter.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: String,
    /// By place in [`LAYOUTS`]; libpcap's message where the expression makes no sense there.
    programs: [Result<Program, String>; LAYOUTS.len()],
}

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// libpcap can't be loaded, or takes the expression for no link type.
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let compiled = libpcap::compile(expression, &LAYOUTS.map(|(_, number, _)| number))?;
        let mut programs = Vec::with_capacity(LAYOUTS.len());
        for one in compiled.programs {
            programs.push(match one {
                Ok(instructions) => Ok(Program::new(&instructions)
                    .map_err(|fault| FilterError::Program { version: compiled.version.clone(), fault })?),
                Err(message) => Err(message),
            });
        }
        let expression = expression.to_owned();
        match <[_; LAYOUTS.len()]>::try_from(programs) {
            Ok([Err(message), Err(_), Err(_), Err(_)]) => Err(FilterError::Expression { expression, message }),
            Ok(programs) => Ok(Self { expression, programs }),
            Err(_) => Err(FilterError::Expression { expression, message: "not compiled".into() }),
        }
    }

    /// Whether a frame passes. `len` in the expression is the length on the wire, in cut captures too; what reaches
    /// beyond the captured bytes fails.
    ///
    /// # Errors
    /// The expression makes no sense on the frame's link type.
    #[inline]
    pub fn passes(&self, frame: &Frame<'_>) -> Result<bool, FilterError> {
        let (layout, skip) = match frame.link {
            LinkType::Ethernet => (Layout::Ethernet, 0),
            LinkType::RawIp => (Layout::RawIp, 0),
            LinkType::Loopback => (Layout::RawIp, LOOPBACK_BYTES),
            LinkType::LinuxCooked1 => (Layout::LinuxCooked1, 0),
            LinkType::LinuxCooked2 => (Layout::LinuxCooked2, 0),
        };
        match &self.programs[layout as usize] {
            Ok(program) => Ok(program.run(frame.bytes.get(skip..).unwrap_or(&[]), frame.original_bytes) != 0),
            Err(message) => Err(self.meaningless(layout, message)),
        }
    }

    #[cold]
    fn meaningless(&self, layout: Layout, message: &str) -> FilterError {
        FilterError::Link {
            expression: self.expression.clone(),
            link: LAYOUTS[layout as usize].2,
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
