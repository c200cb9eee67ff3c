//! What `deploy/` ships, checked by the programs that will read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Tally, has};

/// Checks everything.
pub(crate) fn run(root: &Path) -> Result<Tally> {
    let deploy = root.join("deploy");
    let mut tally = prometheus(&deploy)?;
    tally.add(units(&deploy.join("systemd"))?);
    tally.add(dashboards(&deploy.join("grafana"))?);
    Ok(tally)
}

fn prometheus(deploy: &Path) -> Result<Tally> {
    if !has("promtool") {
        return Ok(Tally::skip(2, "no promtool: run `cargo xtask setup --for dev`"));
    }
    let folder = deploy.join("prometheus");
    let mut tally = Tally::default();
    for (check, file) in [("rules", "ganglion.rules.yml"), ("config", "prometheus.yml")] {
        let status = Command::new("promtool").arg("check").arg(check).arg(folder.join(file)).status()?;
        tally.add(Tally::of(status.success(), &format!("promtool check {check} {file}")));
    }
    let tests = folder.join("ganglion.rules.test.yml");
    if tests.exists() {
        let status = Command::new("promtool").args(["test", "rules"]).arg(&tests).status()?;
        tally.add(Tally::of(status.success(), "promtool test rules"));
    }
    Ok(tally)
}

/// `systemd-analyze verify`, on copies that name a program which exists here.
fn units(folder: &Path) -> Result<Tally> {
    if !has("systemd-analyze") {
        println!("no systemd-analyze here: units are not checked");
        return Ok(Tally::default());
    }
    let scratch = tempfile::tempdir()?;
    let mut copies: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let copy = scratch.path().join(path.file_name().unwrap_or_default());
        fs::write(&copy, fs::read_to_string(&path)?.replace("/usr/local/bin/ganglion", "/bin/true"))?;
        copies.push(copy);
    }
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&copies).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // It also complains of units of the machine it runs on.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("ganglion")).collect();
    for line in &ours {
        println!("{line}");
    }
    Ok(Tally::of(output.status.success() && ours.is_empty(), "systemd-analyze verify"))
}

fn dashboards(folder: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let parsed: serde_json::Result<serde_json::Value> = serde_json::from_str(&text);
        let is_dashboard = parsed.is_ok_and(|value| value["panels"].is_array() && value["uid"].is_string());
        tally.add(Tally::of(is_dashboard, &format!("{} as a dashboard", path.display())));
    }
    Ok(tally)
}
