//! A file in which others read ahead, so that who uses it finds what comes next.
//!
//! Who uses a file needs its bytes in order; its blocks can be read in any. Each is read by one thread, which takes the
//! next one that nobody has. Whatever the others do, the bytes are the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of a block: few system calls, and a second-level cache still holds what they gave.
const BLOCK_BYTES: usize = 256 * 1024;
/// Blocks that are read ahead, at most.
const BLOCKS_AHEAD: u64 = 8;

/// Where others read ahead in a capture.
#[derive(Clone, Debug)]
pub struct ReadAhead(Arc<Shared>);

/// A file, for who uses it.
pub(super) struct Blocks {
    shared: Arc<Shared>,
    /// What is used of what was read ahead, from `start` on.
    block: Vec<u8>,
    start: usize,
}

#[derive(Debug)]
struct Shared {
    file: File,
    block_bytes: usize,
    state: Mutex<State>,
    /// A block was read.
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The block that is used next.
    next: u64,
    /// The first one that nobody has.
    free: u64,
    /// The first block that was not full. None comes after it, though the file may have grown since.
    last: Option<u64>,
    /// Blocks that were read.
    ready: BTreeMap<u64, io::Result<Vec<u8>>>,
    /// Memory of blocks, to be used again.
    spare: Vec<Vec<u8>>,
}

impl Blocks {
    pub(super) fn new(file: File) -> Self {
        Self::of(file, BLOCK_BYTES)
    }

    fn of(file: File, block_bytes: usize) -> Self {
        let shared = Shared { file, block_bytes, state: Mutex::default(), came: Condvar::new() };
        Self { shared: Arc::new(shared), block: Vec::new(), start: 0 }
    }

    /// Where others read ahead.
    pub(super) fn read_ahead(&self) -> ReadAhead {
        ReadAhead(self.shared.clone())
    }

    /// Goes to the next block: it lies in `out` then, as long as is said, or in the place of the last one.
    fn next(&mut self, out: &mut [u8]) -> io::Result<Option<usize>> {
        let shared = &*self.shared;
        let mut state = shared.state();
        loop {
            let next = state.next;
            if state.last.is_some_and(|last| last < next) {
                return Ok(None);
            }
            if let Some(block) = state.ready.remove(&next) {
                state.next += 1;
                let used = std::mem::replace(&mut self.block, block?);
                state.spare.push(used);
                self.start = 0;
                return Ok(None);
            }
            if state.free == next {
                state.free += 1;
                let Some(out) = out.get_mut(..shared.block_bytes) else {
                    state = shared.read_ahead(next, state);
                    continue;
                };
                state.next += 1;
                drop(state);
                return shared.read(next, out).map(Some);
            }
            // Who has it is not through. Instead of waiting there is the one after it.
            state = match state.claim() {
                Some(number) => shared.read_ahead(number, state),
                None => shared.came.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Read for Blocks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.block.len()
            && let Some(read) = self.next(out)?
        {
            return Ok(read);
        }
        let rest = &self.block[self.start..];
        let bytes = rest.len().min(out.len());
        out[..bytes].copy_from_slice(&rest[..bytes]);
        self.start += bytes;
        Ok(bytes)
    }
}

impl ReadAhead {
    /// Reads a block, if there is one to be read. Says whether it did.
    pub(crate) fn read(&self) -> bool {
        let mut state = self.0.state();
        let number = state.claim();
        number.map(|number| self.0.read_ahead(number, state)).is_some()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a block, without holding the state, and lays it ready.
    fn read_ahead<'s>(&'s self, number: u64, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let mut block = state.spare.pop().unwrap_or_default();
        drop(state);
        block.resize(self.block_bytes, 0);
        let read = self.read(number, &mut block);
        let block = read.map(|read| {
            block.truncate(read);
            block
        });
        let mut state = self.state();
        state.ready.insert(number, block);
        self.came.notify_one();
        state
    }

    /// Reads a block into `out`, which is as long. Returns how much of it there is.
    fn read(&self, number: u64, out: &mut [u8]) -> io::Result<usize> {
        let start = number * self.block_bytes as u64;
        let mut read = 0;
        while read < out.len() {
            match self.file.read_at(&mut out[read..], start + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if read < out.len() {
            let mut state = self.state();
            state.last = Some(state.last.map_or(number, |last| last.min(number)));
        }
        Ok(read)
    }
}

impl State {
    /// The next block that nobody has, unless enough are there or the file is over.
    fn claim(&mut self) -> Option<u64> {
        let number = self.free;
        if self.last.is_some() || number >= self.next + BLOCKS_AHEAD {
            return None;
        }
        self.free += 1;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    proptest! {
        #[test]
        fn bytes_come_once_and_in_order_whoever_reads(
            length in 0..2000_usize,
            asked in proptest::collection::vec(1..200_usize, 1..20),
            others in 0..4,
        ) {
            let bytes: Vec<u8> = (0..length).map(|at| (at * at / 7) as u8).collect();
            let mut blocks = Blocks::of(file(&bytes), 64);
            let mut read = Vec::new();
            std::thread::scope(|scope| {
                for _ in 0..others {
                    let ahead = blocks.read_ahead();
                    scope.spawn(move || (0..50).for_each(|_| { ahead.read(); }));
                }
                for asked in asked.iter().cycle() {
                    let mut out = vec![0; *asked];
                    let bytes = blocks.read(&mut out).unwrap();
                    if bytes == 0 {
                        break;
                    }
                    read.extend_from_slice(&out[..bytes]);
                }
            });
            prop_assert_eq!(read, bytes);
            prop_assert!(!blocks.read_ahead().read(), "there is nothing more");
        }
    }

    #[test]
    fn so_many_blocks_are_read_ahead_and_no_more() {
        let mut blocks = Blocks::of(file(&[7; 64 * 20]), 64);
        let ahead = blocks.read_ahead();
        assert_eq!((0..20).filter(|_| ahead.read()).count(), 8);
        blocks.read_exact(&mut [0; 64]).unwrap();
        assert!(ahead.read());
        assert!(!ahead.read());
    }

    /// What comes behind a block that was not full is not taken for what comes after it.
    #[test]
    fn a_file_that_changes_ends_where_it_ended_first() {
        let mut changing = file(&[1; 100]);
        let mut blocks = Blocks::of(changing.try_clone().unwrap(), 64);
        let first = blocks.shared.state().claim().unwrap();
        let second = blocks.shared.state().claim().unwrap();
        let third = blocks.shared.state().claim().unwrap();
        for number in [second, first] {
            drop(blocks.shared.read_ahead(number, blocks.shared.state()));
        }
        changing.seek(io::SeekFrom::End(0)).unwrap();
        changing.write_all(&[2; 200]).unwrap();
        drop(blocks.shared.read_ahead(third, blocks.shared.state()));
        let mut read = Vec::new();
        blocks.read_to_end(&mut read).unwrap();
        assert_eq!(read, [1; 100]);

        let mut blocks = Blocks::of(changing.try_clone().unwrap(), 64);
        blocks.read_exact(&mut [0; 70]).unwrap();
        changing.set_len(10).unwrap();
        let mut read = Vec::new();
        blocks.read_to_end(&mut read).unwrap();
        assert!(read.len() < 64, "{}", read.len());
    }

    #[test]
    fn what_the_system_says_comes_in_its_place() {
        let mut blocks = Blocks::of(File::open("/").unwrap(), 64);
        assert!(blocks.read_ahead().read());
        assert_eq!(blocks.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::IsADirectory);
    }
}
