//! What room a function has at one engine, beside the engine's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::{Queue, Why};

/// A function's calls at an engine. Outlives plans, as the calls do.
#[derive(Debug)]
pub struct Room {
    /// Whether the engine has been told of the function.
    told: AtomicBool,
    calls: AtomicU32,
    /// From how many on they wait for one another; 0 where the engine makes room itself.
    most: u32,
    /// Where those beyond the room count as waiting.
    queue: Arc<Queue>,
}

impl Room {
    /// A room that is shut until [`Room::open`].
    pub fn new(most: u32, queue: &Arc<Queue>) -> Self {
        let (told, calls) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { told, calls, most, queue: Arc::clone(queue) }
    }

    /// The engine has been told of the function: the next call may go there.
    pub fn open(&self) {
        // What is read after this is the engine's, which keeps it by its own means.
        self.told.store(true, Relaxed);
    }

    pub fn is_open(&self) -> bool {
        self.told.load(Relaxed)
    }

    /// Why a call would not be worked on at once, as far as the function is concerned.
    pub(crate) fn why_not(&self) -> Option<Why> {
        if !self.is_open() {
            return Some(Why::Untold);
        }
        let in_flight = self.calls.load(Relaxed);
        (self.most != 0 && in_flight >= self.most)
            .then_some(Why::Full { in_flight, most: self.most })
    }

    /// Whether a call may come, which `waits` there when it has to.
    pub(crate) fn takes(&self, waits: bool) -> bool {
        if waits { self.is_open() } else { self.why_not().is_none() }
    }

    /// Counts a call that comes; false when it may not.
    pub(crate) fn enter(&self, waits: bool) -> bool {
        if !self.is_open() {
            return false;
        }
        if !waits && self.most != 0 {
            let more = |calls: u32| (calls < self.most).then_some(calls + 1);
            return self.calls.fetch_update(Relaxed, Relaxed, more).is_ok();
        }
        let before = self.calls.fetch_add(1, Relaxed);
        if self.most != 0 && before >= self.most {
            self.queue.join();
        }
        true
    }

    pub(crate) fn leave(&self) {
        let before = self.calls.fetch_sub(1, Relaxed);
        if self.most != 0 && before > self.most {
            self.queue.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_beyond_the_room_wait_and_come_only_when_they_say_so() {
        let queue = Arc::default();
        let room = Room::new(2, &queue);
        assert!(!room.enter(true), "nobody told the engine");
        room.open();
        assert!(room.enter(false) && room.enter(false) && !room.enter(false));
        assert_eq!((room.takes(false), room.takes(true), queue.waiting()), (false, true, 0));
        assert!(room.enter(true));
        assert_eq!(queue.waiting(), 1);
        (0..3).for_each(|_| room.leave());
        assert_eq!((room.takes(false), queue.waiting()), (true, 0));
    }
}
