//! From a kind of benign session and its settings to a command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use rand::Rng;

use super::accounts::{PASSWORD, USER};
use super::draw::{Settings, rng};
use super::events::Direction;
use super::host::{Host, Role, in_url};
use super::range::Shared;
use super::scenario::Kind;
use super::services::{BULK_PORTS, DOMAIN};
use super::site::{LARGE, PAGES, PICTURES};
use crate::drive::SSH_OPTIONS;

/// What to start, and what to remove afterwards.
pub(super) struct Planned {
    pub(super) command: Command,
    pub(super) direction: Direction,
    /// The other side, seen from the server.
    pub(super) peer: Host,
    pub(super) files: Vec<PathBuf>,
}

pub(super) fn plan(shared: &Shared, host: &Host, kind: Kind, settings: &Settings, seed: u64) -> Result<Planned> {
    let outward = matches!(kind, Kind::Outbound | Kind::Telemetry);
    let server = if outward { shared.host(Role::Mirror)? } else { shared.server()? };
    let plan = Session { shared, host, server, settings, seed };
    let mut files = Vec::new();
    let command = match kind {
        Kind::Browse => plan.browse()?,
        Kind::BrowseTls => plan.browse_tls()?,
        Kind::Download | Kind::Outbound => plan.download()?,
        Kind::Upload => plan.upload(&mut files)?,
        Kind::Poll => plan.drive("poll", &["rate", "seconds", "connections"])?,
        Kind::Health => {
            let mut command = plan.drive("poll", &["rate", "seconds"])?;
            command.arg("--fresh");
            command
        }
        Kind::Ssh => plan.seeded("typing", &["keys", "pause_ms"])?,
        Kind::Mistype => {
            let mut command = plan.seeded("typing", &["keys"])?;
            command.arg("--mistype");
            command
        }
        Kind::Scp => plan.scp(&mut files)?,
        Kind::Ftp => plan.ftp(&mut files)?,
        Kind::Dns => plan.dns()?,
        Kind::Resolve => plan.seeded("dns", &["rate", "seconds"])?,
        Kind::Bulk => plan.bulk()?,
        Kind::Idle => plan.drive("idle", &["port", "seconds"])?,
        Kind::Ping => plan.ping()?,
        Kind::Monitor => plan.steady("get")?,
        Kind::Telemetry => plan.steady("post")?,
        Kind::Api => plan.seeded("api", &["requests", "pause_ms", "bytes"])?,
    };
    let (direction, peer) = if outward { (Direction::Out, server) } else { (Direction::In, host) };
    Ok(Planned { command, direction, peer: peer.clone(), files })
}

struct Session<'a> {
    shared: &'a Shared,
    host: &'a Host,
    server: &'a Host,
    settings: &'a Settings,
    seed: u64,
}

impl Session<'_> {
    /// The server's address in the family that was drawn.
    fn address(&self) -> Result<IpAddr> {
        Ok(self.server.address(self.settings.number("family")?))
    }

    /// The same, as URLs and scp have it.
    fn authority(&self) -> Result<String> {
        Ok(in_url(self.address()?))
    }

    /// Something that asks or tells at even intervals, a new connection each time.
    fn steady(&self, method: &str) -> Result<Command> {
        let mut command = self.seeded("steady", &["requests", "period_ms", "bytes"])?;
        command.args(["--method", method, "--channel", self.settings.text("channel")?]);
        Ok(command)
    }

    fn drive(&self, program: &str, settings: &[&str]) -> Result<Command> {
        let mut command = self.host.drive(program)?;
        command.arg(self.address()?.to_string());
        for setting in settings {
            command.arg(format!("--{}", setting.replace('_', "-"))).arg(self.settings.number(setting)?.to_string());
        }
        Ok(command)
    }

    fn seeded(&self, program: &str, settings: &[&str]) -> Result<Command> {
        let mut command = self.drive(program, settings)?;
        command.args(["--seed", &self.seed.to_string()]);
        Ok(command)
    }

    fn browse(&self) -> Result<Command> {
        let mut command = self.host.drive("browse")?;
        command.arg(self.address()?.to_string());
        command.args(["--pages", &self.settings.number("pages")?.to_string()]);
        command.args(["--think-ms", &self.settings.number("think_ms")?.to_string()]);
        command.args(["--seed", &self.seed.to_string()]);
        Ok(command)
    }

    fn browse_tls(&self) -> Result<Command> {
        let mut rng = rng(self.seed, "browse-tls", 0);
        let mut command = self.curl();
        command.args(["--rate", &format!("{}/s", self.settings.number("rate")?)]);
        let base = format!("https://{}", self.authority()?);
        for number in 0..self.settings.number("requests")? {
            let path = if number == 0 || rng.random_ratio(1, 4) {
                format!("page-{}.html", rng.random_range(0..PAGES))
            } else {
                format!("static/{}.jpg", rng.random_range(0..PICTURES))
            };
            command.args(["-o", "/dev/null"]).arg(format!("{base}/{path}"));
        }
        Ok(command)
    }

    fn curl(&self) -> Command {
        let mut command = self.host.command("curl");
        command.args(["-ksS", "--max-time", "50", "-g"]);
        command
    }

    /// curl, no faster than the line that was drawn, and the scheme.
    fn transfer(&self) -> Result<(Command, &'static str)> {
        let mut command = self.curl();
        let bytes_per_s = self.settings.number("mbit")? * 125_000;
        command.args(["-o", "/dev/null", "--limit-rate", &bytes_per_s.to_string()]);
        let scheme = if self.settings.text("channel")? == "tls" { "https" } else { "http" };
        Ok((command, scheme))
    }

    /// The first part of the large file, by curl or wget.
    fn download(&self) -> Result<Command> {
        let (mut command, scheme) = self.transfer()?;
        let range = format!("Range: bytes=0-{}", self.settings.number("size_kb")? * 1000 - 1);
        if self.seed.is_multiple_of(3) {
            command = self.host.command("wget");
            command.args(["-q", "-O", "/dev/null", "--no-check-certificate", "--tries=1", "--timeout=10"]);
            command.arg(format!("--limit-rate={}", self.settings.number("mbit")? * 125_000)).arg("--header").arg(range);
        } else {
            command.arg("-H").arg(range);
        }
        command.arg(format!("{scheme}://{}{LARGE}", self.authority()?));
        Ok(command)
    }

    /// Look-ups with pauses by our own driver, or some in a row by dig.
    fn dns(&self) -> Result<Command> {
        if self.seed.is_multiple_of(2) {
            return self.seeded("dns", &["queries", "pause_ms"]);
        }
        let mut command = self.host.command("dig");
        command.args(["+short", "+tries=1", "+time=2", &format!("@{}", self.address()?)]);
        for number in 0..self.settings.number("queries")? {
            command.args([format!("h{}.{DOMAIN}", self.seed.wrapping_add(number) % 5000), "A".to_owned()]);
        }
        Ok(command)
    }

    fn ping(&self) -> Result<Command> {
        let mut command = self.host.command("ping");
        let pause_s = self.settings.number("pause_ms")? as f64 / 1000.0;
        command.args(["-n", "-q", "-c", &self.settings.number("count")?.to_string(), "-i", &pause_s.to_string()]);
        command.args(["-s", &self.settings.number("bytes")?.to_string(), &self.address()?.to_string()]);
        Ok(command)
    }

    fn upload(&self, files: &mut Vec<PathBuf>) -> Result<Command> {
        let (mut command, scheme) = self.transfer()?;
        let file = self.blank(files)?;
        command.arg("--data-binary").arg(format!("@{}", file.display()));
        command.arg(format!("{scheme}://{}/upload", self.authority()?));
        Ok(command)
    }

    fn blank(&self, files: &mut Vec<PathBuf>) -> Result<PathBuf> {
        let file = self.shared.blank_file(&format!("blank-{:x}", self.seed), self.settings.number("size_kb")?)?;
        files.push(file.clone());
        Ok(file)
    }

    /// Where a file comes from and where it goes: a local path, and one in the user's home.
    fn file(&self, files: &mut Vec<PathBuf>) -> Result<(PathBuf, String, bool)> {
        let up = self.settings.text("way")? == "up";
        let local = self.blank(files)?;
        let name = format!("file-{:x}", self.seed);
        let remote = self.shared.dir.path.join("home").join(USER).join(&name);
        if !up {
            std::fs::rename(&local, &remote)?;
        }
        files.push(remote);
        Ok((local, name, up))
    }

    fn scp(&self, files: &mut Vec<PathBuf>) -> Result<Command> {
        let (local, name, up) = self.file(files)?;
        let remote = format!("{USER}@{}:{name}", self.authority()?);
        let mut command = self.host.command("sshpass");
        command.args(["-p", PASSWORD, "scp", "-q"]).args(SSH_OPTIONS);
        if up {
            command.arg(local).arg(remote)
        } else {
            command.arg(remote).arg(local)
        };
        Ok(command)
    }

    fn ftp(&self, files: &mut Vec<PathBuf>) -> Result<Command> {
        let (local, name, up) = self.file(files)?;
        let mut command = self.curl();
        command.args(["-u", &format!("{USER}:{PASSWORD}")]);
        if up {
            command.arg("-T").arg(local)
        } else {
            command.args(["-o", "/dev/null"])
        };
        command.arg(format!("ftp://{}/{name}", self.authority()?));
        Ok(command)
    }

    fn bulk(&self) -> Result<Command> {
        let index = usize::try_from(self.seed % 2)?;
        let port = BULK_PORTS.get(index).copied().unwrap_or(5201);
        let mut command = self.host.command("iperf3");
        command.args(["-c", &self.address()?.to_string(), "-p", &port.to_string()]);
        command.args(["-t", &self.settings.number("seconds")?.to_string()]);
        command.args(["-b", &format!("{}M", self.settings.number("mbit")?)]);
        match self.settings.text("way")? {
            "up" => {}
            "down" => drop(command.arg("-R")),
            other => bail!("no way `{other}`"),
        }
        if self.settings.text("protocol")? == "udp" {
            command.args(["-u", "-l", "1400"]);
        }
        Ok(command)
    }
}
