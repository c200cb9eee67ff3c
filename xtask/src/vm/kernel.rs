//! Debian's kernel package, fetched and checked by apt, unpacked without being installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::process::output;

/// Modules the checks need, in the order in which they are loaded.
const MODULES: [&str; 3] = ["drivers/net/veth.ko", "net/sched/sch_ingress.ko", "net/sched/cls_bpf.ko"];
const SERIES: &str = "6.1.0-";

/// An unpacked kernel.
pub(crate) struct Kernel {
    /// The bootable image.
    pub(crate) image: PathBuf,
    /// The modules, in the order in which they are loaded.
    pub(crate) modules: Vec<PathBuf>,
}

/// The kernel from the folder, or from the package archive.
pub(crate) fn fetch(folder: &Path) -> Result<Kernel> {
    let unpacked = folder.join("kernel");
    if let Ok(kernel) = find(&unpacked) {
        return Ok(kernel);
    }
    let package = newest()?;
    println!("fetching {package}");
    fs::create_dir_all(folder)?;
    // apt checks the archive's signature and the file's digest.
    output(Command::new("apt-get").current_dir(folder).args(["-qq", "download", &package]))?;
    let file = entry(folder, |name| name.starts_with(&package) && name.ends_with(".deb"))?;
    let partial = folder.join("kernel.partial");
    let _not_there = fs::remove_dir_all(&partial);
    output(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&partial))?;
    let _not_there = fs::remove_dir_all(&unpacked);
    fs::rename(&partial, &unpacked)?;
    fs::remove_file(&file)?;
    find(&unpacked)
}

fn find(unpacked: &Path) -> Result<Kernel> {
    let image = entry(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))?;
    let release = entry(&unpacked.join("lib/modules"), |name| name.starts_with(SERIES))?;
    let modules = MODULES.map(|module| release.join("kernel").join(module));
    if let Some(missing) = modules.iter().find(|module| !module.exists()) {
        return Err(anyhow!("{} is not in the package", missing.display()));
    }
    Ok(Kernel { image, modules: modules.into() })
}

fn entry(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())))
        .with_context(|| format!("no such entry in {}", folder.display()))
}

/// Name of the newest package of the series.
fn newest() -> Result<String> {
    let listed = output(Command::new("apt-cache").args(["pkgnames", "linux-image-6.1.0-"]))?;
    newest_of(&listed).context(
        "the package archive has no kernel 6.1 (linux-image-6.1.0-*-cloud-amd64-unsigned): `apt-get update` on \
         Debian 12, or add its archive",
    )
}

fn newest_of(listed: &str) -> Option<String> {
    let build = |name: &str| -> Option<u32> {
        name.strip_prefix("linux-image-6.1.0-")?.strip_suffix("-cloud-amd64-unsigned")?.parse().ok()
    };
    listed.lines().filter_map(|name| Some((build(name)?, name))).max().map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_newest_build_of_the_cloud_kernel() {
        let listed = "linux-image-6.1.0-9-cloud-amd64-unsigned\nlinux-image-6.1.0-56-cloud-amd64-unsigned\n\
                      linux-image-6.1.0-57-amd64-unsigned\nlinux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(super::newest_of(listed).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64-unsigned"));
        assert_eq!(super::newest_of(""), None);
    }
}
