//! The peers and how they are had: packages of Debian and of PyPI, a few lines of C. One that can't be had is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::output;
use crate::setup::{Ensure, Extra};

const LIBPCAP: Extra = Extra { package: "libpcap-dev", program: None, what: "bench: the library of the bare loop" };
const SOFTFLOWD: Extra = Extra { package: "softflowd", program: Some("softflowd"), what: "bench: a peer" };
/// scapy's filter of offline captures is tcpdump's.
const TCPDUMP: Extra = Extra { package: "tcpdump", program: Some("tcpdump"), what: "bench: filters for scapy" };

const NFSTREAM: &[&str] = &["nfstream==6.6.0"];
/// Newer versions of scapy have it write no row.
const CICFLOWMETER: &[&str] = &["cicflowmeter==0.2.0", "scapy==2.5.0"];

const PCAP_LOOP: &str = include_str!("pcap_loop.c");
const NFSTREAM_LOOP: &str = include_str!("nfstream_loop.py");
const NFSTREAM_CSV: &str = include_str!("nfstream_csv.py");

/// Where peers are built and installed.
pub(super) struct Peers<'a> {
    pub(super) folder: &'a Path,
    pub(super) setup: &'a Ensure,
}

/// Its interpreter, and what it is given: to count flows, and to write them.
pub(super) struct NfStream {
    pub(super) python: PathBuf,
    pub(super) count: PathBuf,
    pub(super) csv: PathBuf,
}

impl Peers<'_> {
    /// The bare loop's program.
    pub(super) fn pcap_loop(&self) -> Result<PathBuf> {
        self.setup.extra(&[LIBPCAP])?;
        let (source, program) = (self.folder.join("pcap_loop.c"), self.folder.join("pcap_loop"));
        std::fs::write(&source, PCAP_LOOP)?;
        output(Command::new("cc").args(["-O2", "-Wall", "-o"]).arg(&program).arg(&source).arg("-lpcap"))?;
        Ok(program)
    }

    pub(super) fn softflowd(&self) -> Result<PathBuf> {
        self.setup.extra(&[SOFTFLOWD])?;
        Ok("softflowd".into())
    }

    /// NFStream's interpreter and the script that it runs.
    pub(super) fn nfstream(&self) -> Result<NfStream> {
        let environment = self.setup.python(&self.folder.join("nfstream"), NFSTREAM)?;
        let script = |name, text| {
            let script = self.folder.join(name);
            std::fs::write(&script, text).map(|()| script)
        };
        Ok(NfStream {
            python: environment.join("bin/python"),
            count: script("nfstream_loop.py", NFSTREAM_LOOP)?,
            csv: script("nfstream_csv.py", NFSTREAM_CSV)?,
        })
    }

    pub(super) fn cicflowmeter(&self) -> Result<PathBuf> {
        self.setup.extra(&[TCPDUMP])?;
        Ok(self.setup.python(&self.folder.join("cicflowmeter"), CICFLOWMETER)?.join("bin/cicflowmeter"))
    }
}
