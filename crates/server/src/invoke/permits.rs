//! How many queued runs of a deployment may be in its engine: counted over the whole life of the
//! deployment, also when the function is loaded again while runs are under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
use uuid::Uuid;

/// The permits of each deployment that is loaded or has runs under way.
#[derive(Default)]
pub struct Permits(Mutex<HashMap<Uuid, Weak<Semaphore>>>);

impl Permits {
    /// The deployment's permits; asked for when a function is loaded, not when it is called.
    pub fn of(&self, deployment: Uuid, concurrency: u32) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permits) = all.get(&deployment).and_then(Weak::upgrade) {
            return permits;
        }
        // Only before it would grow, so that a load does not cost more with many deployments.
        if all.len() == all.capacity() {
            all.retain(|_, permits| permits.strong_count() > 0);
        }
        let permits = Arc::new(Semaphore::new(concurrency as usize));
        all.insert(deployment, Arc::downgrade(&permits));
        permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_has_its_permits_once() {
        let permits = Permits::default();
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let held = permits.of(first, 2);
        assert!(Arc::ptr_eq(&held, &permits.of(first, 2)));
        assert!(!Arc::ptr_eq(&held, &permits.of(second, 2)));
        drop(held);
        assert_eq!(permits.of(first, 3).available_permits(), 3);
        (0..1_000).for_each(|_| drop(permits.of(Uuid::new_v4(), 1)));
        assert!(permits.0.lock().unwrap().len() < 10);
    }
}
