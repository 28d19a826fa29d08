//! What is remembered of hashes and of models, within bounds.

use std::{collections::HashMap, hash::Hash};

/// Hashes that a generation holds; some 20 bytes each.
const MOST_HASHES: usize = 1 << 15;

/// A map of two generations that forgets what was put in before both: whatever is in use is put in
/// again and again, and stays.
pub(super) struct Memory<V> {
    young: HashMap<u64, V>,
    old: HashMap<u64, V>,
}

impl<V> Memory<V> {
    pub(super) fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }

    pub(super) fn insert(&mut self, key: u64, value: V) {
        if self.young.len() >= MOST_HASHES {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn get(&self, key: u64) -> Option<&V> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }
}

/// Models of which something is remembered at a time.
pub(super) const MOST_MODELS: usize = 256;

/// What was learned of `key`, or nothing yet. Where too many are known, some other one goes: which
/// matters little, for its next calls teach it again.
pub(super) fn learned<K: Clone + Eq + Hash, V: Default>(
    known: &mut HashMap<K, V>,
    key: K,
) -> &mut V {
    if known.len() >= MOST_MODELS
        && !known.contains_key(&key)
        && let Some(some) = known.keys().next().cloned()
    {
        known.remove(&some);
    }
    known.entry(key).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays_and_the_rest_is_forgotten() {
        let mut memory = Memory::new();
        for key in 1..=3 * MOST_HASHES as u64 {
            memory.insert(key, ());
            memory.insert(0, ());
        }
        assert!(memory.get(0).is_some() && memory.get(1).is_none());
        assert!(memory.young.len() + memory.old.len() <= 2 * MOST_HASHES);
    }
}
