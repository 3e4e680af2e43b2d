//! Things loaded from the store once and kept by organization and name while they are used.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dispatch_model::{Name, OrgName};
use tokio::sync::OnceCell;

/// What an entry is found by, in owned and in borrowed form.
trait Key {
    fn org(&self) -> &str;
    fn name(&self) -> &str;
}

#[derive(Debug, Clone)]
struct Owned(OrgName, Name);

impl Key for Owned {
    fn org(&self) -> &str {
        self.0.as_str()
    }

    fn name(&self) -> &str {
        self.1.as_str()
    }
}

impl Key for (&str, &str) {
    fn org(&self) -> &str {
        self.0
    }

    fn name(&self) -> &str {
        self.1
    }
}

impl Hash for dyn Key + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.org().hash(state);
        self.name().hash(state);
    }
}

impl PartialEq for dyn Key + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.org() == other.org() && self.name() == other.name()
    }
}

impl Eq for dyn Key + '_ {}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Key).hash(state);
    }
}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        self as &dyn Key == other as &dyn Key
    }
}

impl Eq for Owned {}

impl<'a> Borrow<dyn Key + 'a> for Owned {
    fn borrow(&self) -> &(dyn Key + 'a) {
        self
    }
}

struct Entry<V> {
    value: OnceCell<Arc<V>>,
    /// The tick of its last use.
    used: AtomicU64,
}

/// A cache with one load at a time for each key. A failed load is not kept. Forgetting an entry
/// detaches a load under way from it, so that what was read before a change never stays.
pub struct Cache<V> {
    entries: DashMap<Owned, Arc<Entry<V>>>,
    tick: AtomicU64,
}

impl<V: Send + Sync + 'static> Cache<V> {
    pub fn new() -> Self {
        Self { entries: DashMap::new(), tick: AtomicU64::new(0) }
    }

    /// The value, when it is loaded. Takes one shard's read lock and allocates nothing.
    pub fn get(&self, org: &str, name: &str) -> Option<Arc<V>> {
        let entry = self.entries.get(&(org, name) as &dyn Key)?;
        let value = entry.value.get()?.clone();
        let tick = self.tick.load(Ordering::Relaxed);
        if entry.used.load(Ordering::Relaxed) != tick {
            entry.used.store(tick, Ordering::Relaxed);
        }
        Some(value)
    }

    /// The value, loaded by the first who asks while the others wait for it.
    pub async fn get_or_load<E>(
        &self,
        org: &OrgName,
        name: &Name,
        load: impl Future<Output = Result<Arc<V>, E>>,
    ) -> Result<Arc<V>, E> {
        if let Some(value) = self.get(org.as_str(), name.as_str()) {
            return Ok(value);
        }
        let new = || {
            let used = AtomicU64::new(self.tick.load(Ordering::Relaxed));
            Arc::new(Entry { value: OnceCell::new(), used })
        };
        let key = Owned(org.clone(), name.clone());
        let entry = self.entries.entry(key).or_insert_with(new).value().clone();
        let loaded = entry.value.get_or_try_init(|| load).await.cloned();
        if loaded.is_err() {
            self.remove_if(org.as_str(), name.as_str(), |e| {
                Arc::ptr_eq(e, &entry) && !e.value.initialized()
            });
        }
        loaded
    }

    pub fn forget(&self, org: &str, name: &str) {
        self.remove_if(org, name, |_| true);
    }

    /// Forgets the entries of an organization whose value fits, and all that are being loaded.
    pub fn forget_where(&self, org: &str, fits: impl Fn(&V) -> bool) {
        self.entries.retain(|key, entry| {
            key.org() != org || entry.value.get().is_some_and(|value| !fits(value))
        });
    }

    /// The same in every organization.
    pub fn forget_everywhere(&self, fits: impl Fn(&V) -> bool) {
        self.entries.retain(|_, entry| entry.value.get().is_some_and(|value| !fits(value)));
    }

    pub fn clear(&self) {
        self.entries.clear();
    }

    /// Begins a new period, and forgets what nobody asked for in the one that ends.
    pub fn forget_idle(&self) {
        let ended = self.tick.fetch_add(1, Ordering::Relaxed);
        self.entries.retain(|_, entry| entry.used.load(Ordering::Relaxed) >= ended);
    }

    fn remove_if(&self, org: &str, name: &str, fits: impl Fn(&Arc<Entry<V>>) -> bool) {
        self.entries.remove_if(&(org, name) as &dyn Key, |_, entry| fits(entry));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    fn key() -> (OrgName, Name) {
        (OrgName::trusted("dispatch"), Name::trusted("hello"))
    }

    async fn load(cache: &Cache<u32>, value: u32) -> Arc<u32> {
        let (org, name) = key();
        cache.get_or_load(&org, &name, async { Ok::<_, ()>(Arc::new(value)) }).await.unwrap()
    }

    #[tokio::test]
    async fn loads_once_for_many_who_ask_at_the_same_time() {
        let cache = Cache::<u32>::new();
        let loads = AtomicUsize::new(0);
        let (org, name) = key();
        let ask = || {
            cache.get_or_load(&org, &name, async {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, ()>(Arc::new(1))
            })
        };
        let answers = futures::future::join_all((0..50).map(|_| ask())).await;
        assert!(answers.iter().all(|a| **a.as_ref().unwrap() == 1));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert_eq!(cache.get("dispatch", "hello").as_deref(), Some(&1));
        assert_eq!(cache.get("other", "hello"), None);
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_does_not_stay() {
        let cache = Arc::new(Cache::<u32>::new());
        let gate = Arc::new(Notify::new());
        let reading = tokio::spawn({
            let (cache, gate) = (cache.clone(), gate.clone());
            async move {
                let (org, name) = key();
                let slow = async {
                    gate.notified().await;
                    Ok::<_, ()>(Arc::new(1))
                };
                *cache.get_or_load(&org, &name, slow).await.unwrap()
            }
        });
        while cache.entries.is_empty() {
            tokio::task::yield_now().await;
        }
        cache.forget("dispatch", "hello");
        gate.notify_one();
        assert_eq!(reading.await.unwrap(), 1);
        assert_eq!(*load(&cache, 2).await, 2);
    }

    #[tokio::test]
    async fn failures_are_not_kept() {
        let cache = Cache::<u32>::new();
        let (org, name) = key();
        let failed = cache.get_or_load(&org, &name, async { Err("no") }).await;
        assert_eq!(failed, Err("no"));
        assert!(cache.entries.is_empty());
        assert_eq!(*load(&cache, 3).await, 3);
    }

    #[tokio::test]
    async fn what_is_idle_for_a_whole_period_leaves() {
        let cache = Cache::<u32>::new();
        load(&cache, 1).await;
        cache.forget_idle();
        assert!(cache.get("dispatch", "hello").is_some());
        cache.forget_idle();
        cache.forget_idle();
        assert!(cache.get("dispatch", "hello").is_none());
    }

    #[tokio::test]
    async fn an_organization_can_be_forgotten_in_part() {
        let cache = Cache::<u32>::new();
        load(&cache, 1).await;
        cache.forget_where("dispatch", |v| *v == 2);
        cache.forget_where("other", |_| true);
        assert!(cache.get("dispatch", "hello").is_some());
        cache.forget_where("dispatch", |v| *v == 1);
        assert!(cache.get("dispatch", "hello").is_none());
    }
}
