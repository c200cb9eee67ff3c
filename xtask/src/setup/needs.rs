//! What is needed, as data.

use anyhow::Result;

use super::{Extra, Found, Purpose, apt, bpf, deny, onnx, python};

/// One thing that is needed.
pub(super) struct Need {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) how: &'static str,
    purpose: Purpose,
    means: Means,
}

enum Means {
    /// A Debian package, and the program by which it is known; without one, dpkg is asked.
    Package(Option<&'static str>),
    /// Something of our own making.
    Own { find: fn() -> Result<Option<Found>>, install: fn() -> Result<()> },
}

impl Need {
    /// A package that no purpose includes.
    pub(super) fn extra(extra: &Extra) -> Self {
        let Extra { package: name, program, what } = *extra;
        Self { name, what, how: "apt-get install", purpose: Purpose::Run, means: Means::Package(program) }
    }

    pub(super) fn find(&self) -> Result<Option<Found>> {
        match &self.means {
            Means::Package(program) => apt::find(self.name, *program),
            Means::Own { find, .. } => find(),
        }
    }

    pub(super) fn install(&self) -> Result<()> {
        match &self.means {
            Means::Package(_) => apt::install(&[self.name]),
            Means::Own { install, .. } => install(),
        }
    }

    pub(super) const fn is_package(&self) -> bool {
        matches!(self.means, Means::Package(_))
    }
}

/// What `purpose` needs: packages first.
pub(super) fn of(purpose: Purpose) -> Vec<Need> {
    let packages = PACKAGES.iter().map(|&(purpose, name, program, what)| Need {
        name,
        what,
        how: "apt-get install",
        purpose,
        means: Means::Package(program),
    });
    packages.chain(own()).filter(|need| need.purpose <= purpose).collect()
}

type Package = (Purpose, &'static str, Option<&'static str>, &'static str);

const PACKAGES: &[Package] = &[
    (Purpose::Run, "build-essential", Some("cc"), "C compiler and linker, for some crates"),
    (Purpose::Run, "pkg-config", Some("pkg-config"), "finds C libraries"),
    (Purpose::Run, "iproute2", Some("ip"), "network namespaces"),
    (Purpose::Run, "procps", Some("sysctl"), "network settings"),
    (Purpose::Run, "iputils-ping", Some("ping"), "laboratory: benign echo requests"),
    (Purpose::Run, "ethtool", Some("ethtool"), "offload settings of interfaces"),
    (Purpose::Run, "bpftool", Some("bpftool"), "looks at programs and maps"),
    (Purpose::Run, "xdp-tools", Some("xdp-filter"), "the filter that Ganglion is measured against"),
    (Purpose::Run, "openssl", Some("openssl"), "certificates of the laboratory"),
    (Purpose::Run, "nginx-light", Some("nginx"), "laboratory: web server"),
    (Purpose::Run, "openssh-server", Some("sshd"), "laboratory: SSH server"),
    (Purpose::Run, "openssh-client", Some("ssh"), "laboratory: SSH client"),
    (Purpose::Run, "sshpass", Some("sshpass"), "laboratory: types passwords"),
    (Purpose::Run, "vsftpd", Some("vsftpd"), "laboratory: FTP server"),
    (Purpose::Run, "dnsmasq", Some("dnsmasq"), "laboratory: DNS server"),
    (Purpose::Run, "bind9-dnsutils", Some("dig"), "laboratory: DNS client"),
    (Purpose::Run, "iperf3", Some("iperf3"), "laboratory: bulk transfer"),
    (Purpose::Run, "curl", Some("curl"), "laboratory: web and FTP client"),
    (Purpose::Run, "wget", Some("wget"), "laboratory: web client"),
    (Purpose::Run, "apache2-utils", Some("ab"), "laboratory: HTTP flood"),
    (Purpose::Run, "nmap", Some("nmap"), "laboratory: port scans"),
    (Purpose::Run, "hping3", Some("hping3"), "laboratory: packet floods"),
    (Purpose::Run, "slowhttptest", Some("slowhttptest"), "laboratory: slow HTTP attacks"),
    (Purpose::Run, "hydra", Some("hydra"), "laboratory: password guessing"),
    (Purpose::Run, "medusa", Some("medusa"), "laboratory: password guessing"),
    (Purpose::Run, "masscan", Some("masscan"), "laboratory: port scans"),
    (Purpose::Run, "ffuf", Some("ffuf"), "laboratory: web path guessing"),
    (Purpose::Run, "python3", Some("python3"), "fetches ONNX Runtime; training"),
    (Purpose::Run, "python3-venv", None, "fetches ONNX Runtime; training"),
    (Purpose::Dev, "g++", Some("c++"), "C++ compiler, for the fuzz targets"),
    (Purpose::Dev, "qemu-system-x86", Some("qemu-system-x86_64"), "tests on other kernels"),
    (Purpose::Dev, "prometheus", Some("promtool"), "checks scrape and alert rules"),
    (Purpose::Dev, "shellcheck", Some("shellcheck"), "checks shell scripts"),
    (Purpose::Dev, "libpcap0.8", None, "compiles the filters of `ganglion flow extract`"),
    (Purpose::Dev, "tcpdump", Some("tcpdump"), "captures from the laboratory"),
];

fn own() -> Vec<Need> {
    vec![
        Need {
            name: "BPF compiler",
            what: "a Rust compiler with the sources of `core`",
            how: "rustup (nightly, rust-src), or Debian's rustc-web and rust-web-src",
            purpose: Purpose::Run,
            means: Means::Own { find: bpf::find_compiler, install: bpf::install_compiler },
        },
        Need {
            name: "bpf-linker",
            what: "links the kernel half",
            how: "cargo install, with Debian's LLVM 22",
            purpose: Purpose::Run,
            means: Means::Own { find: bpf::find_linker, install: bpf::install_linker },
        },
        Need {
            name: "ONNX Runtime",
            what: "runs the models",
            how: "the shared library from PyPI's wheel, checked against a pinned SHA-256",
            purpose: Purpose::Run,
            means: Means::Own { find: onnx::find, install: onnx::install },
        },
        Need {
            name: "cargo-deny",
            what: "checks licences and sources of the dependencies",
            how: "cargo install",
            purpose: Purpose::Dev,
            means: Means::Own { find: deny::find, install: deny::install },
        },
        Need {
            name: "trainer",
            what: "Python environment in trainer/.venv",
            how: "venv and pip, from the lock file",
            purpose: Purpose::Train,
            means: Means::Own { find: python::find, install: python::install },
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_includes_the_one_before() {
        let names = |purpose| of(purpose).into_iter().map(|need| need.name).collect::<Vec<_>>();
        let (run, dev, train) = (names(Purpose::Run), names(Purpose::Dev), names(Purpose::Train));
        assert!(run.iter().all(|name| dev.contains(name)) && dev.iter().all(|name| train.contains(name)));
        assert!(!run.contains(&"qemu-system-x86") && !dev.contains(&"trainer"));
    }
}
