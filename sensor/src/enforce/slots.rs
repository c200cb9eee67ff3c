//! Slots of the per-rule counters: each rule has one, no two share one.

/// Which slots are free.
pub(super) struct Slots {
    taken: Vec<bool>,
    /// Cleared since this process started; clearing is dear, and done when a slot is given back.
    clean: Vec<bool>,
    free: Vec<u32>,
}

impl Slots {
    pub(super) fn new(count: u32) -> Self {
        let none = vec![false; count as usize];
        Self { taken: none.clone(), clean: none, free: (0..count).rev().collect() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.taken.len()).unwrap_or(u32::MAX)
    }

    /// Takes this very slot; false when it is taken or does not exist.
    pub(super) fn claim(&mut self, slot: u32) -> bool {
        match self.taken.get_mut(slot as usize) {
            Some(taken) if !*taken => {
                *taken = true;
                true
            }
            _ => false,
        }
    }

    /// Takes a free slot.
    pub(super) fn take(&mut self) -> Option<u32> {
        // Slots claimed since they were listed are skipped here, and listed again when released.
        while let Some(slot) = self.free.pop() {
            if self.claim(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// Whether a slot must be cleared before it is used.
    pub(super) fn is_dirty(&self, slot: u32) -> bool {
        !self.clean.get(slot as usize).is_some_and(|clean| *clean)
    }

    /// Gives a slot back, cleared or not.
    pub(super) fn release(&mut self, slot: u32, cleared: bool) {
        if let Some(clean) = self.clean.get_mut(slot as usize) {
            *clean = cleared;
        }
        if let Some(taken) = self.taken.get_mut(slot as usize)
            && std::mem::replace(taken, false)
        {
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn no_two_rules_share_a_slot(claims in proptest::collection::vec(0u32..40, 0..20), steps in proptest::collection::vec(any::<(bool, u8)>(), 0..200)) {
            let mut slots = Slots::new(32);
            let mut held = HashSet::new();
            for slot in claims {
                prop_assert_eq!(slots.claim(slot), slot < 32 && held.insert(slot));
            }
            for (take, which) in steps {
                if take {
                    let got = slots.take();
                    prop_assert_eq!(got.is_none(), held.len() == 32);
                    if let Some(slot) = got {
                        prop_assert!(held.insert(slot));
                    }
                } else {
                    let slot = u32::from(which) % 32;
                    slots.release(slot, true);
                    held.remove(&slot);
                }
            }
        }
    }
}
