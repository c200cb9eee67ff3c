//! libpcap's compiler, loaded when it is needed: the one place with `unsafe` in this crate.

use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::sync::{Mutex, PoisonError};

use libloading::Library;

use super::{FilterError, Instruction};

/// Debian's name first, then upstream's, then that of the development package.
const NAMES: [&str; 3] = ["libpcap.so.0.8", "libpcap.so.1", "libpcap.so"];
/// What a program returns for a packet that passes; never 0.
const SNAP_BYTES: c_int = 262_144;
/// PCAP_NETMASK_UNKNOWN.
const NO_NETMASK: c_uint = 0xffff_ffff;

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawInstruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

/// `struct bpf_program`.
#[repr(C)]
pub(super) struct RawProgram {
    count: c_uint,
    instructions: *mut RawInstruction,
}

/// `pcap_t`.
#[repr(C)]
pub(super) struct Handle {
    _opaque: [u8; 0],
}

type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut Handle;
type Compile = unsafe extern "C" fn(*mut Handle, *mut RawProgram, *const c_char, c_int, c_uint) -> c_int;
type Message = unsafe extern "C" fn(*mut Handle) -> *const c_char;
type Version = unsafe extern "C" fn() -> *const c_char;
type FreeCode = unsafe extern "C" fn(*mut RawProgram);
type Close = unsafe extern "C" fn(*mut Handle);

/// Expressions were no concern of several threads before libpcap 1.8.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What libpcap made of an expression.
pub(super) struct Compiled {
    pub(super) version: String,
    /// For each link type that was asked for, instructions or a message.
    pub(super) programs: Vec<Result<Vec<Instruction>, String>>,
}

/// Compiles an expression for link types, named by libpcap's numbers.
pub(super) fn compile(expression: &str, links: &[i32]) -> Result<Compiled, FilterError> {
    let text = CString::new(expression).map_err(|_| FilterError::Expression {
        expression: expression.to_owned(),
        message: "it has a zero byte in it".into(),
    })?;
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let library = load()?;
    let api = Api::of(&library).map_err(|error| FilterError::NoLibpcap(error.to_string()))?;
    let programs = links.iter().map(|link| api.compile(&text, *link, Api::copy)).collect();
    Ok(Compiled { version: api.version(), programs })
}

fn load() -> Result<Library, FilterError> {
    let mut first = None;
    for name in NAMES {
        // SAFETY: libpcap's initialisers and finalisers only touch its own data.
        match unsafe { Library::new(name) } {
            Ok(library) => return Ok(library),
            Err(error) => first = first.or(Some(error.to_string())),
        }
    }
    Err(FilterError::NoLibpcap(first.unwrap_or_default()))
}

/// Its functions, no longer than the library is loaded.
struct Api<'a> {
    open_dead: libloading::Symbol<'a, OpenDead>,
    compile: libloading::Symbol<'a, Compile>,
    message: libloading::Symbol<'a, Message>,
    version: libloading::Symbol<'a, Version>,
    free_code: libloading::Symbol<'a, FreeCode>,
    close: libloading::Symbol<'a, Close>,
}

impl<'a> Api<'a> {
    fn of(library: &'a Library) -> Result<Self, libloading::Error> {
        // SAFETY: the types are those of <pcap/pcap.h>, unchanged since libpcap 0.8.
        unsafe {
            Ok(Self {
                open_dead: library.get("pcap_open_dead")?,
                compile: library.get("pcap_compile")?,
                message: library.get("pcap_geterr")?,
                version: library.get("pcap_lib_version")?,
                free_code: library.get("pcap_freecode")?,
                close: library.get("pcap_close")?,
            })
        }
    }

    fn version(&self) -> String {
        // SAFETY: it returns a string that lives as long as the library.
        unsafe { CStr::from_ptr((self.version)()) }.to_string_lossy().into_owned()
    }

    /// Compiles for one link type and lets `with` look at the program.
    fn compile<T>(&self, text: &CStr, link: i32, with: impl FnOnce(&RawProgram) -> T) -> Result<T, String> {
        // SAFETY: two plain numbers; null says that there is no memory.
        let handle = unsafe { (self.open_dead)(link, SNAP_BYTES) };
        if handle.is_null() {
            return Err("no memory".into());
        }
        let mut program = RawProgram { count: 0, instructions: std::ptr::null_mut() };
        // SAFETY: the handle is open, `text` ends with a zero byte, and `program` lives until it is freed below.
        let result = if unsafe { (self.compile)(handle, &raw mut program, text.as_ptr(), 1, NO_NETMASK) } == 0 {
            let result = with(&program);
            // SAFETY: the program was made by pcap_compile and is freed once.
            unsafe { (self.free_code)(&raw mut program) };
            Ok(result)
        } else {
            // SAFETY: the message lies in the handle, which is still open, and ends with a zero byte.
            Err(unsafe { CStr::from_ptr((self.message)(handle)) }.to_string_lossy().into_owned())
        };
        // SAFETY: the handle is closed once, and not used after.
        unsafe { (self.close)(handle) };
        result
    }

    fn copy(program: &RawProgram) -> Vec<Instruction> {
        if program.instructions.is_null() {
            return Vec::new();
        }
        // SAFETY: pcap_compile says that so many instructions lie there, and they are not freed before this returns.
        let raw = unsafe { std::slice::from_raw_parts(program.instructions, program.count as usize) };
        raw.iter()
            .map(|RawInstruction { code, jump_true, jump_false, k }| Instruction {
                code: *code,
                jump_true: *jump_true,
                jump_false: *jump_false,
                k: *k,
            })
            .collect()
    }
}

/// libpcap's own verdict, to hold ours against.
#[cfg(test)]
pub(super) fn offline_filter(expression: &str, link: i32, packets: &[(Vec<u8>, u32)]) -> Result<Vec<bool>, String> {
    /// `struct pcap_pkthdr`.
    #[repr(C)]
    struct Header {
        seconds: std::ffi::c_long,
        microseconds: std::ffi::c_long,
        captured: u32,
        original: u32,
    }
    type OfflineFilter = unsafe extern "C" fn(*const RawProgram, *const Header, *const u8) -> c_int;
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let library = load().map_err(|error| error.to_string())?;
    let api = Api::of(&library).map_err(|error| error.to_string())?;
    // SAFETY: the type is that of <pcap/pcap.h>.
    let filter: libloading::Symbol<'_, OfflineFilter> =
        unsafe { library.get("pcap_offline_filter") }.map_err(|error| error.to_string())?;
    let text = CString::new(expression).map_err(|error| error.to_string())?;
    api.compile(&text, link, |program| {
        let verdict = |(bytes, original): &(Vec<u8>, u32)| {
            let header = Header { seconds: 0, microseconds: 0, captured: bytes.len() as u32, original: *original };
            // SAFETY: the program is compiled, and the header tells how many bytes there are.
            unsafe { filter(program, &raw const header, bytes.as_ptr()) != 0 }
        };
        packets.iter().map(verdict).collect()
    })
}
