//! The stored runs this server is working on now.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashMap;
use dispatch_model::{Run, State};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::attempt::now_us;

/// By run id. What is listed here is leased from the store by this server.
#[derive(Clone, Default)]
pub struct Active(Arc<DashMap<Uuid, Arc<Entry>>>);

#[derive(Default)]
struct Entry {
    /// Unix microseconds; 0 while it waits.
    begun_us: AtomicI64,
    ended: CancellationToken,
}

/// Lists a run until it is dropped.
pub struct Guard {
    active: Active,
    id: Uuid,
    entry: Arc<Entry>,
}

impl Active {
    pub fn enter(&self, id: Uuid) -> Guard {
        let entry = Arc::<Entry>::default();
        self.0.insert(id, entry.clone());
        Guard { active: self.clone(), id, entry }
    }

    pub fn ids(&self) -> Vec<Uuid> {
        self.0.iter().map(|entry| *entry.key()).collect()
    }

    pub fn holds(&self, id: Uuid) -> bool {
        self.0.contains_key(&id)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Waits until this server is done with the run; at once when it does not work on it.
    pub async fn ended(&self, id: Uuid) {
        let entry = self.0.get(&id).map(|e| e.value().clone());
        if let Some(entry) = entry {
            entry.ended.cancelled().await;
        }
    }

    /// Shows a run that is being executed as such. The store is not told when an attempt begins,
    /// which would be one more write for each run.
    pub fn overlay(&self, run: &mut Run) {
        if run.state != State::Initialized {
            return;
        }
        let begun_us = self.0.get(&run.id).map_or(0, |e| e.begun_us.load(Ordering::Relaxed));
        if begun_us > 0 {
            run.state = State::Creating;
            run.executed_us = Some(begun_us);
        }
    }
}

impl Guard {
    /// Says that an attempt begins.
    pub fn begin(&self) {
        self.entry.begun_us.store(now_us(), Ordering::Relaxed);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.active.0.remove(&self.id);
        self.entry.ended.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_woken_when_the_run_leaves() {
        let active = Active::default();
        let id = Uuid::now_v7();
        active.ended(id).await;
        let guard = active.enter(id);
        let waiting = tokio::spawn({
            let active = active.clone();
            async move { active.ended(id).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(guard);
        waiting.await.unwrap();
        assert_eq!(active.len(), 0);
    }
}
