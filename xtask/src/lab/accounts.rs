//! The user files that exist only inside the range's mount namespace.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::output;

/// The one user with a password.
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Not in use on Debian, whose packages take numbers below it and people the ones above.
const NUMBER: u32 = 61_998;

/// The files that are laid over those in `/etc`.
pub(crate) const FILES: [&str; 3] = ["passwd", "shadow", "group"];
/// Laid over `/etc/pam.d/vsftpd`, which the package brings.
pub(crate) const PAM: &str = "pam";

/// Writes user files with `alice` added, her home, and the PAM service of the FTP server.
pub(crate) fn create(dir: &Path) -> Result<()> {
    let etc = dir.join("etc");
    let hash = output(Command::new("openssl").args(["passwd", "-6", PASSWORD]))?;
    let home = dir.join("home").join(USER);
    let lines = [
        format!("{USER}:x:{NUMBER}:{NUMBER}:Alice:{}:/bin/bash\n", home.display()),
        format!("{USER}:{}:19000:0:99999:7:::\n", hash.trim()),
        format!("{USER}:x:{NUMBER}:\n"),
    ];
    for (name, line) in FILES.iter().zip(lines) {
        let theirs = fs::read_to_string(Path::new("/etc").join(name))?;
        fs::write(etc.join(name), theirs + &line)?;
    }
    fs::set_permissions(etc.join("shadow"), fs::Permissions::from_mode(0o600))?;
    fs::write(
        etc.join(PAM),
        "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n",
    )?;
    chown(&home, Some(NUMBER), Some(NUMBER))?;
    Ok(())
}
