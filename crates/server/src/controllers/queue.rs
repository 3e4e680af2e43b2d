//! What a controller has before it: each object once, with the time of its next try.

use std::collections::{HashMap, VecDeque};

use dispatch_model::{Name, OrgName};
use tokio::time::Instant;

/// Names an object of the controller's kind.
pub type Key = (OrgName, Name);

/// Objects that wait, are worked on, or are to be tried again.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Key>,
    /// Objects that wait, and whether they are wanted in a settled state too.
    forced: HashMap<Key, bool>,
    running: HashMap<Key, Again>,
    retries: HashMap<Key, Retry>,
}

/// What came in for an object while it was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Yes { forced: bool, revision: i64 },
}

struct Retry {
    tries: u32,
    due: Instant,
    /// The object as the last try left it: its own change is no news.
    revision: i64,
}

impl Queue {
    /// Puts an object in line, because of a change to a revision.
    pub fn add(&mut self, key: Key, forced: bool, revision: i64) {
        if let Some(again) = self.running.get_mut(&key) {
            let (forced_before, newest) = match *again {
                Again::No => (false, revision),
                Again::Yes { forced, revision: newest } => (forced, newest.max(revision)),
            };
            *again = Again::Yes { forced: forced || forced_before, revision: newest };
            return;
        }
        if let Some(retry) = self.retries.get(&key) {
            if revision <= retry.revision {
                return;
            }
            self.retries.remove(&key);
        }
        self.line_up(key, forced);
    }

    fn line_up(&mut self, key: Key, forced: bool) {
        match self.forced.get_mut(&key) {
            Some(before) => *before |= forced,
            None => {
                self.waiting.push_back(key.clone());
                self.forced.insert(key, forced);
            }
        }
    }

    /// The next object to work on, whether it is wanted in a settled state too, and the tries it
    /// had.
    pub fn take(&mut self) -> Option<(Key, bool, u32)> {
        let key = self.waiting.pop_front()?;
        let forced = self.forced.remove(&key).unwrap_or(false);
        let tries = self.tries(&key);
        self.running.insert(key.clone(), Again::No);
        Some((key, forced, tries))
    }

    /// Tries an object had that has not succeeded yet.
    pub fn tries(&self, key: &Key) -> u32 {
        self.retries.get(key).map_or(0, |retry| retry.tries)
    }

    /// The work on an object ended.
    pub fn done(&mut self, key: &Key) {
        self.retries.remove(key);
        self.end(key);
    }

    /// The work on an object ended and is to be tried again; sooner if there is news that is not
    /// of the try itself. In a settled state too: who asks for another try has left something.
    pub fn again(&mut self, key: Key, due: Instant, left_at: i64) {
        match self.running.get_mut(&key) {
            Some(Again::Yes { forced, revision }) if *revision > left_at => {
                *forced = true;
                self.done(&key);
            }
            _ => {
                self.running.remove(&key);
                let tries = self.tries(&key) + 1;
                self.retries.insert(key, Retry { tries, due, revision: left_at });
            }
        }
    }

    fn end(&mut self, key: &Key) {
        if let Some(Again::Yes { forced, .. }) = self.running.remove(key) {
            self.line_up(key.clone(), forced);
        }
    }

    /// The object is gone.
    pub fn remove(&mut self, key: &Key) {
        self.retries.remove(key);
    }

    /// Nobody knows any more what was worked on.
    pub fn forget_running(&mut self) {
        self.running.clear();
    }

    /// When the next try is due.
    pub fn next_due(&self) -> Option<Instant> {
        let waits = |key: &Key| !self.running.contains_key(key) && !self.forced.contains_key(key);
        self.retries.iter().filter(|(key, _)| waits(key)).map(|(_, retry)| retry.due).min()
    }

    /// Puts everything in line whose next try is due.
    pub fn wake(&mut self, now: Instant) {
        let due: Vec<Key> = self
            .retries
            .iter()
            .filter(|(key, retry)| retry.due <= now && !self.running.contains_key(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in due {
            self.line_up(key, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Key {
        (OrgName::trusted("o"), Name::trusted(name))
    }

    #[test]
    fn an_object_is_worked_on_once_at_a_time() {
        let mut queue = Queue::default();
        queue.add(key("a"), false, 1);
        queue.add(key("a"), true, 2);
        assert_eq!(queue.take(), Some((key("a"), true, 0)));
        assert_eq!(queue.take(), None);
        queue.add(key("a"), false, 3);
        assert_eq!(queue.take(), None);
        queue.done(&key("a"));
        assert_eq!(queue.take(), Some((key("a"), false, 0)));
    }

    #[test]
    fn its_own_change_does_not_cut_the_wait_short_but_news_does() {
        let mut queue = Queue::default();
        let now = Instant::now();
        let due = now + Duration::from_secs(1);
        queue.add(key("a"), false, 1);
        queue.take();
        queue.again(key("a"), due, 2);
        queue.add(key("a"), false, 2);
        assert_eq!(queue.take(), None);
        assert_eq!(queue.next_due(), Some(due));
        queue.wake(now);
        assert_eq!(queue.take(), None);
        queue.wake(due);
        assert_eq!(queue.take(), Some((key("a"), true, 1)));
        queue.add(key("a"), false, 3);
        queue.again(key("a"), due, 3);
        queue.add(key("a"), false, 4);
        assert_eq!(queue.take(), Some((key("a"), false, 0)));
    }

    #[test]
    fn what_is_left_to_do_is_done_in_a_settled_state_too() {
        let mut queue = Queue::default();
        queue.add(key("a"), false, 4);
        queue.take();
        queue.add(key("a"), false, 5);
        queue.again(key("a"), Instant::now(), 4);
        assert_eq!(queue.take(), Some((key("a"), true, 0)));
    }
}
