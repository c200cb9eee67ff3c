//! Memory that is used again. What was touched once is the cheapest; and large blocks that come and go leave holes, which
//! small ones that stay until the footer would break up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Room for the bytes of parts and chunks, as much as was ever needed at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Rooms(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    free: Vec<Vec<u8>>,
    /// What a vector that is taken has room for.
    longest: usize,
}

impl Rooms {
    /// An empty vector with room for what was the most so far.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut state = self.state();
        let longest = state.longest;
        let room = state.free.pop();
        drop(state);
        // One that is too short is left: to make it longer would copy it, and map all of it, though nobody wrote there.
        room.filter(|room| room.capacity() >= longest).unwrap_or_else(|| Vec::with_capacity(longest))
    }

    /// From now on a vector that is taken has room for so many bytes, or more.
    pub(super) fn make_longer(&self, bytes: usize) {
        let mut state = self.state();
        state.longest = state.longest.max(bytes);
    }

    /// Takes the memory of these bytes back, unless somebody else still has some of them.
    pub(super) fn give_back(&self, bytes: Bytes) {
        if let Ok(bytes) = bytes.try_into_mut() {
            let mut room = Vec::from(bytes);
            room.clear();
            self.state().free.push(room);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_once_nobody_has_it() {
        let rooms = Rooms::default();
        rooms.make_longer(100);
        let mut room = rooms.take();
        assert!(room.capacity() >= 100);
        room.extend([7; 90]);
        let place = room.as_ptr();
        let bytes = Bytes::from(room);
        let part = bytes.slice(10..20);
        rooms.give_back(bytes.clone());
        assert!(rooms.state().free.is_empty(), "a part of it is in use");
        drop(part);
        rooms.give_back(bytes);
        let room = rooms.take();
        assert!(room.is_empty() && room.capacity() >= 100);
        assert_eq!(room.as_ptr(), place);
        rooms.give_back(room.into());
        rooms.make_longer(200);
        assert!(rooms.take().capacity() >= 200, "one that became too short is left");
    }
}
