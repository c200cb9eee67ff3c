//! A map that never grows past its limit.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries looked at before one is evicted.
const SAMPLE: u64 = 8;

struct Slot<K, V> {
    key: K,
    used: u64,
    value: V,
}

/// A map of at most `limit` entries. When it is full, the least recently used of a few random entries goes,
/// and is counted.
pub struct Bounded<K, V> {
    index: HashMap<K, usize>,
    slots: Vec<Slot<K, V>>,
    limit: usize,
    clock: u64,
    evicted: u64,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    /// An empty map of at most `limit` entries (1 at least).
    pub fn new(limit: usize) -> Self {
        Self { index: HashMap::new(), slots: Vec::new(), limit: limit.max(1), clock: 0, evicted: 0 }
    }

    /// Entries now.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Entries evicted so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The entry, without counting as use.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.slots.get(*self.index.get(key)?).map(|slot| &slot.value)
    }

    /// The entry, made when missing.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.clock += 1;
        let used = self.clock;
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => self.place(key, make()),
        };
        let slot = &mut self.slots[at];
        slot.used = used;
        &mut slot.value
    }

    /// Forgets everything; the counts stay.
    pub fn clear(&mut self) {
        self.index.clear();
        self.slots.clear();
    }

    /// Takes the entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.index.remove(key)?;
        let slot = self.slots.swap_remove(at);
        if let Some(moved) = self.slots.get(at) {
            self.index.insert(moved.key.clone(), at);
        }
        Some(slot.value)
    }

    fn place(&mut self, key: K, value: V) -> usize {
        let slot = Slot { key: key.clone(), used: self.clock, value };
        let at = if self.slots.len() < self.limit {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let at = self.least_used();
            self.index.remove(&self.slots[at].key);
            self.slots[at] = slot;
            self.evicted += 1;
            at
        };
        self.index.insert(key, at);
        at
    }

    fn least_used(&self) -> usize {
        let mut seed = self.clock;
        let pick = |i: u64| {
            seed = ganglion_flow::key::mix(seed, i);
            (seed % self.slots.len() as u64) as usize
        };
        (0..SAMPLE).map(pick).min_by_key(|at| self.slots[*at].used).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_limit_and_keeps_what_is_used() {
        let mut map = Bounded::new(100);
        for i in 0..10_000u32 {
            *map.entry(i, || 0) += 1;
            *map.entry(0, || 0) += 1;
        }
        assert_eq!(map.len(), 100);
        assert_eq!(map.evicted(), 10_000 - 100);
        assert_eq!(map.get(&0), Some(&10_001));
        assert_eq!(map.remove(&0), Some(10_001));
        assert_eq!(map.len(), 99);
        assert!(map.slots.iter().enumerate().all(|(at, slot)| map.index.get(&slot.key) == Some(&at)));
    }
}
