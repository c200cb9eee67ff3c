//! The machine's first and only file system: a cpio archive in the kernel's "newc" format
//! (Documentation/driver-api/early-userspace/buffer-format.rst), written here because it is forty lines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernel::Kernel;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CONSOLE: u32 = 0o020_600;

/// Writes the archive; its path.
pub(crate) fn pack(folder: &Path, guest: &Path, kernel: &Kernel) -> Result<PathBuf> {
    let path = folder.join("initramfs.cpio");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let mut archive = Archive { out: BufWriter::new(file), entries: 0 };
    for name in ["dev", "proc", "sys", "run", "tmp", "modules"] {
        archive.entry(name, FOLDER, (0, 0), &[])?;
    }
    // The kernel opens the console before anything is mounted.
    archive.entry("dev/console", CONSOLE, (5, 1), &[])?;
    let program = fs::read(guest).with_context(|| format!("reading {}", guest.display()))?;
    archive.entry("init", PROGRAM, (0, 0), &program)?;
    for (at, module) in kernel.modules.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
        archive.entry(&format!("modules/{at}-{name}"), PROGRAM, (0, 0), &fs::read(module)?)?;
    }
    archive.finish()?;
    Ok(path)
}

struct Archive<W> {
    out: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
        self.out.write_all(b"070701")?;
        for field in fields {
            write!(self.out, "{field:08x}")?;
        }
        write!(self.out, "{name}\0")?;
        self.pad(110 + name.len() + 1)?;
        self.out.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }

    fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_end_with_the_trailer() {
        let mut bytes = Vec::new();
        let mut archive = Archive { out: &mut bytes, entries: 0 };
        archive.entry("init", PROGRAM, (0, 0), b"12345").unwrap();
        archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[54..62], b"00000005");
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(&bytes[116..124], b"12345\0\0\0");
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0") || bytes.windows(10).any(|w| w == b"TRAILER!!!"));
    }
}
