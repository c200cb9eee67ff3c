//! Frames that lie in one piece of a capture.

use super::input::BUFFER_BYTES;
use super::{Frame, LinkType};

/// Frames in the order of their capture, with the buffer that they lie in: what one thread reads, another may look at.
#[derive(Default)]
pub struct Block {
    pub(super) buffer: Box<[u8]>,
    pub(super) found: Vec<Found>,
    /// Bytes of the buffer that [`Self::append`] took.
    taken: usize,
}

impl Block {
    /// An empty one. Its memory is had when it is filled, and kept when it is filled again.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many frames.
    #[inline]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The frames.
    #[inline]
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.found.iter().map(|found| found.frame(&self.buffer))
    }

    /// Leaves out the frames for which `keep` says no.
    ///
    /// # Errors
    /// The first that `keep` returns; the frames after it are left out.
    pub fn retain<E>(&mut self, mut keep: impl FnMut(&Frame<'_>) -> Result<bool, E>) -> Result<(), E> {
        let (buffer, mut result) = (&self.buffer, Ok(()));
        self.found.retain(|found| {
            result.is_ok()
                && keep(&found.frame(buffer)).unwrap_or_else(|error| {
                    result = Err(error);
                    false
                })
        });
        result
    }

    /// Forgets the frames.
    pub fn clear(&mut self) {
        self.found.clear();
        self.taken = 0;
    }

    /// Copies a frame behind the others. False, and nothing done, where there is no room for it.
    pub fn append(&mut self, frame: &Frame<'_>) -> bool {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER_BYTES].into();
        }
        let Some(room) = self.buffer.get_mut(self.taken..self.taken + frame.bytes.len()) else {
            return false;
        };
        room.copy_from_slice(frame.bytes);
        let Frame { time_ns, link, interface, original_bytes, bytes, offset } = *frame;
        let at = self.taken;
        self.taken += bytes.len();
        self.found.push(Found { time_ns, link, interface, original_bytes, at, bytes: bytes.len(), offset });
        true
    }
}

/// A frame's place in the buffer, before it is borrowed.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) time_ns: i64,
    pub(super) link: LinkType,
    pub(super) interface: u32,
    pub(super) original_bytes: u32,
    pub(super) at: usize,
    pub(super) bytes: usize,
    pub(super) offset: u64,
}

impl Found {
    /// Before the first frame.
    pub(super) const NOTHING: Self =
        Self { time_ns: 0, link: LinkType::Ethernet, interface: 0, original_bytes: 0, at: 0, bytes: 0, offset: 0 };

    /// The frame in its buffer.
    #[inline(always)]
    pub(super) fn frame<'a>(&self, buffer: &'a [u8]) -> Frame<'a> {
        Frame {
            time_ns: self.time_ns,
            link: self.link,
            interface: self.interface,
            original_bytes: self.original_bytes,
            bytes: &buffer[self.at..self.at + self.bytes],
            offset: self.offset,
        }
    }
}
