//! One buffer of fixed size over the uncompressed stream.

use super::compression::{Fault, Source};
use super::error::Stop;

/// Size of the buffer: the longest block that is held whole ([`super::pcapng::MAX_HELD_BYTES`]) and as much again.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Bytes asked for at a time: few system calls, and a second-level cache still holds what they gave.
const READ_BYTES: usize = 256 * 1024;

/// The stream, seen through a window that moves on.
pub(super) struct Input {
    source: Source,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Place of `buffer[0]` in the stream.
    base: u64,
    ended: bool,
    fault: Option<Fault>,
}

impl Input {
    pub(super) fn new(source: Source) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { source, buffer, start: 0, end: 0, base: 0, ended: false, fault: None }
    }

    /// What is there and not yet consumed.
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Place of the window's first byte in the stream.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Whether the window has `bytes` bytes, after reading on where needed. `bytes` is bounded by the caller; more
    /// than the buffer holds is never there.
    #[inline]
    pub(super) fn has(&mut self, bytes: usize) -> bool {
        self.end - self.start >= bytes || self.fill(bytes)
    }

    /// The error when something that begins at the window's first byte takes `needed` bytes and has fewer.
    #[cold]
    pub(super) fn short(&self, needed: usize) -> Stop {
        Stop::Short { at: self.offset(), needed: needed as u64, present: self.window().len() as u64 }
    }

    /// Whether the stream is over at the window's first byte, as it should be at the end of a record.
    #[cold]
    pub(super) fn is_over(&self) -> bool {
        self.window().is_empty() && self.fault.is_none()
    }

    /// Leaves `bytes` bytes of the window behind and returns where in the buffer they lie until the next
    /// [`Self::has`].
    #[inline]
    pub(super) fn consume(&mut self, bytes: usize) -> usize {
        let at = self.start;
        self.start = (self.start + bytes).min(self.end);
        at
    }

    /// Bytes of the buffer, at a place from [`Self::consume`].
    #[inline]
    pub(super) fn slice(&self, at: usize, bytes: usize) -> &[u8] {
        &self.buffer[at..at + bytes]
    }

    /// Leaves `bytes` bytes of the stream behind without holding them. Returns how many there were.
    pub(super) fn skip(&mut self, bytes: u64) -> u64 {
        let mut left = bytes;
        while left > 0 && self.has(1) {
            let piece = self.window().len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.consume(piece);
            left -= piece as u64;
        }
        bytes - left
    }

    /// What ended the stream early, once.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    pub(super) fn raw_bytes_read(&self) -> u64 {
        self.source.raw_bytes_read()
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self, bytes: usize) -> bool {
        // What is left is the begin of one record: cheaper to move than to wrap around.
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < bytes && !self.ended {
            let until = (self.end + READ_BYTES).min(self.buffer.len());
            if until == self.end {
                return false;
            }
            match self.source.read(&mut self.buffer[self.end..until]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.end += read,
                Err(fault) => {
                    self.ended = true;
                    self.fault = Some(fault);
                }
            }
        }
        self.end >= bytes
    }
}
