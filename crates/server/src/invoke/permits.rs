//! How many queued runs of a deployment may be in its engines: counted over the whole life of the
//! deployment, also when the function is loaded again while runs are under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
use uuid::Uuid;

/// The permits of each deployment that is loaded or has runs under way.
#[derive(Default)]
pub struct Permits(Mutex<HashMap<Uuid, Counted>>);

/// Permits, and how many there are in all.
struct Counted {
    permits: Weak<Semaphore>,
    most: usize,
}

impl Permits {
    /// The deployment's permits; asked for when a function is loaded, not when it is called.
    pub fn of(&self, deployment: Uuid, most: usize) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(&deployment)
            && let Some(permits) = known.permits.upgrade()
        {
            known.resize(&permits, most);
            return permits;
        }
        // Only before it would grow, so that a load does not cost more with many deployments.
        if all.len() == all.capacity() {
            all.retain(|_, known| known.permits.strong_count() > 0);
        }
        let permits = Arc::new(Semaphore::new(most));
        all.insert(deployment, Counted { permits: Arc::downgrade(&permits), most });
        permits
    }
}

impl Counted {
    /// The deployment is on more engines now, or on fewer. Permits that are held stay.
    fn resize(&mut self, permits: &Semaphore, most: usize) {
        permits.add_permits(most.saturating_sub(self.most));
        let gone = permits.forget_permits(self.most.saturating_sub(most));
        self.most = self.most.max(most) - gone;
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
        assert_eq!(permits.of(first, 5).available_permits(), 5);
        assert_eq!(permits.of(first, 4).available_permits(), 4);
        let one = held.try_acquire().unwrap();
        assert_eq!(permits.of(first, 0).available_permits(), 0);
        drop(one);
        assert_eq!(permits.of(first, 0).available_permits(), 0);
        drop(held);
        assert_eq!(permits.of(first, 3).available_permits(), 3);
        (0..1_000).for_each(|_| drop(permits.of(Uuid::new_v4(), 1)));
        assert!(permits.0.lock().unwrap().len() < 10);
    }
}
