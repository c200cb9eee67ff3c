//! The kernel half, as the build script left it.

/// The ELF object with all programs and maps, aligned for the loader.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ganglion.bpf.o"));
