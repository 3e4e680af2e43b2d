//! Calls that wait: of a function, for any engine to have room; or at an engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// How many wait. Outlives the plans of its function, so that a change of the fleet loses no count.
/// Signed, as one may leave before another, for which it leaves, has joined.
#[derive(Debug, Default)]
pub struct Queue(AtomicI32);

impl Queue {
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Counts one more, until [`Queue::leave`] is called as often.
    pub fn join(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts one more until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Waiting {
        self.join();
        Waiting(Arc::clone(self))
    }
}

/// A call that waits.
#[derive(Debug)]
pub struct Waiting(Arc<Queue>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_counted_until_it_leaves() {
        let queue = Arc::new(Queue::default());
        let (first, second) = (queue.enter(), queue.enter());
        assert_eq!(queue.waiting(), 2);
        drop(first);
        assert_eq!(queue.waiting(), 1);
        drop(second);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn who_leaves_before_the_other_joins_makes_no_crowd() {
        let queue = Queue::default();
        queue.leave();
        assert_eq!(queue.waiting(), 0);
        queue.join();
        assert_eq!(queue.waiting(), 0);
        queue.join();
        assert_eq!(queue.waiting(), 1);
    }
}
