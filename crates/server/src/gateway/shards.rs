//! A map from hashes that is read without a lock, and of which a change copies a small part.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;

/// With 100,000 entries a change copies about fifty.
const SHARDS: usize = 2_048;

type Shard<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

/// One writer at a time; whoever changes it holds a lock of its own.
pub struct Shards<V>(Box<[ArcSwap<Shard<V>>]>);

impl<V> Default for Shards<V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self((0..SHARDS).map(|_| ArcSwap::new(empty.clone())).collect())
    }
}

impl<V: Clone> Shards<V> {
    fn shard(&self, key: u64) -> &ArcSwap<Shard<V>> {
        // The map inside uses the lowest and the highest bits.
        let at = usize::try_from(key >> 32 & 0xffff_ffff).unwrap_or_default() % SHARDS;
        &self.0[at]
    }

    pub fn read<R>(&self, key: u64, look: impl FnOnce(&V) -> R) -> Option<R> {
        self.shard(key).load().get(&key).map(look)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.load().len()).sum()
    }

    /// Replaces what a key leads to; `None` is nothing.
    pub fn change(&self, key: u64, edit: impl FnOnce(Option<V>) -> Option<V>) {
        let shard = self.shard(key);
        let mut next = Shard::clone(&shard.load());
        if let Some(value) = edit(next.remove(&key)) {
            next.insert(key, value);
        }
        shard.store(Arc::new(next));
    }
}

/// Keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
