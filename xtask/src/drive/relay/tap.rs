//! A TAP device: Ethernet frames as a file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result, bail};

/// The MTU of a device as it is made, with its header and a VLAN tag.
pub(super) const LARGEST_FRAME: usize = 1518;

/// A TAP device of this process; it goes away with it, wherever it was moved.
#[derive(Debug)]
pub(super) struct Tap {
    file: File,
    name: String,
}

impl Tap {
    /// Makes the device in this process's network. Without header and offloads: frames are as on a wire.
    pub(super) fn open(name: &str) -> Result<Self> {
        let path = "/dev/net/tun";
        let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
        let file = file.with_context(|| format!("opening {path}: the kernel needs `tun`"))?;
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            bail!("`{name}` is no name of a device");
        }
        // SAFETY: an all-zero `ifreq` is valid: integers, arrays of them, and null pointers.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the file is a tun device, and TUNSETIFF reads and writes one `ifreq`, which lives past the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error()).with_context(|| format!("making TAP device {name} (needs root)"));
        }
        Ok(Self { file, name: name.to_owned() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One frame; `WouldBlock` when none is there.
    pub(super) fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        (&self.file).read(frame)
    }

    /// Hands one frame to the kernel.
    pub(super) fn write(&self, frame: &[u8]) -> io::Result<usize> {
        (&self.file).write(frame)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
