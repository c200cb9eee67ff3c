//! The few bpf(2) calls that aya does not offer, each behind a safe function: iterators over one map,
//! look-ups in batches, a memory-mapped array, statistics.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;

/// `BPF_F_MMAPABLE`: userspace may map the array.
pub(crate) const MMAPABLE: u32 = 1 << 10;

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    pad: u32,
}

#[repr(C)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

fn fd_number(fd: BorrowedFd<'_>) -> u32 {
    // A borrowed descriptor is never negative.
    fd.as_raw_fd().unsigned_abs()
}

fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: `attr` is a live `repr(C)` struct laid out as this command's part of `union bpf_attr`, its size is
    // passed along, and every pointer in it points to memory that outlives the call (see the callers).
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel just returned this descriptor to us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[repr(C)]
#[derive(Default)]
struct Element {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Values of one entry of a per-CPU array, one after the other, each at a multiple of eight bytes. aya reads the
/// number of CPUs from /sys with every call, which is most of its cost.
pub(crate) struct PerCpuEntry {
    values: Vec<u8>,
    stride: usize,
}

impl PerCpuEntry {
    /// Room for values of `length` bytes on `cpus` CPUs, all zero.
    pub(crate) fn new(length: usize, cpus: usize) -> Self {
        let stride = length.next_multiple_of(8);
        Self { values: vec![0; stride * cpus], stride }
    }

    fn element(&mut self, map: BorrowedFd<'_>, index: &u32) -> Element {
        let (key, value) = (std::ptr::from_ref(index) as u64, self.values.as_mut_ptr() as u64);
        Element { map_fd: fd_number(map), key, value, ..Element::default() }
    }

    /// Reads the entry; `map` must be a per-CPU array of this value length, on a machine with so many CPUs.
    pub(crate) fn read(&mut self, map: BorrowedFd<'_>, index: u32) -> io::Result<impl Iterator<Item = &[u8]>> {
        let mut attr = self.element(map, &index);
        bpf(BPF_MAP_LOOKUP_ELEM, &mut attr)?;
        Ok(self.values.chunks_exact(self.stride))
    }

    /// Writes the entry.
    pub(crate) fn write(&mut self, map: BorrowedFd<'_>, index: u32) -> io::Result<()> {
        let mut attr = self.element(map, &index);
        bpf(BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
    }
}

#[repr(C)]
#[derive(Default)]
struct ObjGet {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct ObjInfo {
    fd: u32,
    len: u32,
    info: u64,
}

/// `struct bpf_link_info`, as far as XDP and TCX links use it.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    interface: u32,
    rest: [u32; 11],
}

/// Index of the interface on which a pinned XDP or TCX link hangs: 0 when the interface is gone, `None` when
/// there is no such pin.
pub(crate) fn link_interface(pin: &std::path::Path) -> Option<u32> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(pin.as_os_str().as_bytes()).ok()?;
    let mut get = ObjGet { path: path.as_ptr() as u64, ..ObjGet::default() };
    let link = bpf(BPF_OBJ_GET, &mut get).and_then(owned).ok()?;
    let mut info = LinkInfo::default();
    let mut ask =
        ObjInfo { fd: fd_number(link.as_fd()), len: size_of::<LinkInfo>() as u32, info: (&raw mut info) as u64 };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut ask).ok()?;
    Some(info.interface)
}

/// Links an `iter/bpf_map_elem` program to `map`. The link stays until the descriptor is closed.
pub(crate) fn link_map_iter(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // `union bpf_iter_link_info`, whose first member for map iterators is the map's descriptor.
    let info: [u32; 4] = [fd_number(map), 0, 0, 0];
    let mut attr = LinkCreate {
        prog_fd: fd_number(program),
        attach_type: BPF_TRACE_ITER,
        iter_info: info.as_ptr() as u64,
        iter_info_len: size_of_val(&info) as u32,
        ..LinkCreate::default()
    };
    bpf(BPF_LINK_CREATE, &mut attr).and_then(owned)
}

/// Opens one walk of a linked iterator; reading it to the end runs the program on every entry.
pub(crate) fn open_iter(link: BorrowedFd<'_>) -> io::Result<File> {
    let mut attr = IterCreate { link_fd: fd_number(link), flags: 0 };
    bpf(BPF_ITER_CREATE, &mut attr).and_then(owned).map(File::from)
}

/// A walk over a map with fixed-length keys and values, many entries a call.
pub(crate) struct Walk<'m, const K: usize, const V: usize> {
    map: BorrowedFd<'m>,
    position: Option<[u8; 64]>,
    keys: Vec<u8>,
    values: Vec<u8>,
    batch: u32,
    done: bool,
}

impl<'m, const K: usize, const V: usize> Walk<'m, K, V> {
    /// Begins a walk over `map`, which must have keys of `K` and values of `V` bytes, `batch` entries a call.
    pub(crate) fn new(map: BorrowedFd<'m>, batch: u32) -> Self {
        let entries = batch as usize;
        // Values lie at multiples of eight bytes.
        Self {
            map,
            position: None,
            keys: vec![0; entries * K],
            values: vec![0; entries * V.next_multiple_of(8)],
            batch,
            done: false,
        }
    }

    /// Hands the next entries to `visit`; false when there are none left.
    pub(crate) fn step(&mut self, visit: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<bool> {
        if self.done {
            return Ok(false);
        }
        let mut next = [0u8; 64];
        let mut attr = Batch {
            in_batch: self.position.as_ref().map_or(0, |p| p.as_ptr() as u64),
            out_batch: next.as_mut_ptr() as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: self.batch,
            map_fd: fd_number(self.map),
            ..Batch::default()
        };
        match bpf(BPF_MAP_LOOKUP_BATCH, &mut attr) {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => self.done = true,
            // A bucket with more entries than the batch holds: once more from the same place, with room.
            Err(e) if e.raw_os_error() == Some(libc::ENOSPC) && self.batch < 1 << 20 => {
                *self = Self { position: self.position, ..Self::new(self.map, self.batch * 4) };
                return Ok(true);
            }
            Err(e) => return Err(e),
        }
        self.position = Some(next);
        let values = self.values.chunks_exact(V.next_multiple_of(8));
        for (key, value) in self.keys.chunks_exact(K).zip(values).take(attr.count as usize) {
            visit(key, value.get(..V).unwrap_or(value));
        }
        Ok(!self.done)
    }
}

/// An array of 64-bit counters that lives in a BPF map: what is added is there for the next process, even
/// after `kill -9`.
pub(crate) struct SharedCounters {
    memory: NonNull<AtomicU64>,
    len: usize,
    bytes: NonZeroUsize,
}

// SAFETY: the mapping is valid until drop, and all access to it is through atomics.
unsafe impl Send for SharedCounters {}
// SAFETY: as above.
unsafe impl Sync for SharedCounters {}

impl SharedCounters {
    /// Maps the first `len` counters of `map`, an array of 8-byte values created with [`MMAPABLE`].
    pub(crate) fn map(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(len * size_of::<AtomicU64>()).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping of a descriptor we hold; nothing else is touched.
        let memory =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes.get(), protection, libc::MAP_SHARED, map.as_raw_fd(), 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { memory, len, bytes })
    }

    /// The counters.
    pub(crate) fn as_slice(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, `len` counters long, writable and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl Drop for SharedCounters {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `map`; no reference into it outlives `self`.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.bytes.get()) };
    }
}

/// Whether large receive offload is on (`ETHTOOL_GFLAGS`); `None` where the driver does not say.
pub(crate) fn lro_is_on(interface: &str) -> Option<bool> {
    const ETHTOOL_GFLAGS: u32 = 0x25;
    const ETH_FLAG_LRO: u32 = 1 << 15;
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        data: *mut [u32; 2],
        rest: [u8; 16],
    }
    let mut value = [ETHTOOL_GFLAGS, 0];
    let mut request = Request { name: [0; libc::IFNAMSIZ], data: &raw mut value, rest: [0; 16] };
    request.name.get_mut(..interface.len())?.copy_from_slice(interface.as_bytes());
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).ok()?;
    // SAFETY: `request` has the layout of `struct ifreq` and is at least as long; its data pointer is valid.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    (result == 0).then_some(value[1] & ETH_FLAG_LRO != 0)
}
