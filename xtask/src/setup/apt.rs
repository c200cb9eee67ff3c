//! Debian packages, without their daemons being started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Found;
use super::report::working;

/// Where the package is, if it is: by its program, whoever installed that, or by dpkg.
pub(super) fn find(package: &str, program: Option<&str>) -> Result<Option<Found>> {
    let version = version(package)?;
    match program {
        None => Ok(version.map(|version| Found { path: "-".to_owned(), version })),
        Some(program) => Ok(which(program).map(|path| Found {
            path: path.display().to_string(),
            version: version.unwrap_or_else(|| "not from this package".to_owned()),
        })),
    }
}

/// The version that dpkg has installed.
pub(super) fn version(package: &str) -> Result<Option<String>> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status} ${Version}", package]);
    let output = query.output().context("asking dpkg: is this Debian?")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.strip_prefix("installed ").map(|version| version.trim().to_owned()))
}

/// A program on the path or in the folders that only root's path has.
pub(super) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Installs packages; does nothing for those that are there.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let _quiet = QuietDaemons::new(Path::new("/usr/sbin/policy-rc.d"))?;
    working("package lists", &mut apt_get(&["update"]))?;
    let mut command = apt_get(&["install", "--yes", "--no-install-recommends"]);
    working(&format!("{} packages", packages.len()), command.args(packages))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Somebody else may be installing too: wait for them.
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// While it lives, packages may not start their daemons.
struct QuietDaemons {
    ours: Option<PathBuf>,
}

const POLICY: &str = "#!/bin/sh\n# By `cargo xtask setup`, while it installs: no daemon starts by itself.\nexit 101\n";

impl QuietDaemons {
    fn new(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            // Left by a setup that was killed.
            Ok(text) if text == POLICY => {}
            Ok(_) => {
                eprintln!("{} is there already and stays as it is", path.display());
                return Ok(Self { ours: None });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
        let quiet = Self { ours: Some(path.to_owned()) };
        fs::write(path, POLICY).with_context(|| format!("writing {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(quiet)
    }
}

impl Drop for QuietDaemons {
    fn drop(&mut self) {
        if let Some(path) = &self.ours
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("{} could not be removed: {error}; daemons of packages will not start", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_of_our_own_goes_away_and_a_foreign_one_stays() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("policy-rc.d");
        drop(QuietDaemons::new(&path)?);
        assert!(!path.exists());
        fs::write(&path, "#!/bin/sh\nexit 0\n")?;
        drop(QuietDaemons::new(&path)?);
        assert_eq!(fs::read_to_string(&path)?, "#!/bin/sh\nexit 0\n");
        fs::write(&path, POLICY)?;
        drop(QuietDaemons::new(&path)?);
        assert!(!path.exists());
        Ok(())
    }
}
