//! Places that are used again.

/// Values in one piece of memory, each under a number that stays its own until it is taken out.
pub(super) struct Slab<T> {
    places: Vec<T>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// With room for so many, which costs nothing until it is used: growing copies all there is.
    pub(super) fn with_room(values: usize) -> Self {
        Self { places: Vec::with_capacity(values), free: Vec::new() }
    }

    /// Puts the value somewhere.
    #[inline]
    pub(super) fn put(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = value;
                at
            }
            None => {
                self.places.push(value);
                (self.places.len() - 1) as u32
            }
        }
    }

    /// The value at `at` may be overwritten from now on.
    #[inline]
    pub(super) fn give_back(&mut self, at: u32) {
        self.free.push(at);
    }

    #[inline]
    pub(super) fn at(&self, at: u32) -> &T {
        &self.places[at as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, at: u32) -> &mut T {
        &mut self.places[at as usize]
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.free.clear();
    }
}
