//! A store that fails when it is told to: before a read, before a transaction, or (on PostgreSQL)
//! after its commit, when the answer is lost and what was asked for is done.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use sqlx::{PgPool, SqlitePool};

use crate::{Error, Result};

/// The stores that are watched, by what tells one database from another.
static WATCHED: LazyLock<Mutex<HashMap<String, Arc<Count>>>> = LazyLock::new(Mutex::default);
/// How many there are: nothing is looked up for none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Count {
    seen: AtomicU64,
    /// The call that fails; 0 for none.
    fails: AtomicU64,
    hit: AtomicBool,
}

/// Makes the store of one database fail.
pub struct Faults {
    place: String,
    count: Arc<Count>,
}

impl Faults {
    /// For the store opened with this URL.
    pub fn of(url: &str) -> Self {
        let path = url.split('?').next().unwrap_or_default();
        let place = match path.strip_prefix("sqlite:") {
            Some(file) => file.to_owned(),
            None => path.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let count = Arc::<Count>::default();
        watched().insert(place.clone(), count.clone());
        COUNT.fetch_add(1, Ordering::SeqCst);
        Self { place, count }
    }

    /// Lets the nth place from now on (1 is the next) fail, once.
    pub fn arm(&self, nth: u64) {
        self.count.fails.store(self.count.seen.load(Ordering::SeqCst) + nth, Ordering::SeqCst);
        self.count.hit.store(false, Ordering::SeqCst);
    }

    /// Lets nothing fail any more; whether it did since.
    pub fn disarm(&self) -> bool {
        self.count.fails.store(0, Ordering::SeqCst);
        self.count.hit.load(Ordering::SeqCst)
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        watched().remove(&self.place);
        COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}

fn watched() -> std::sync::MutexGuard<'static, HashMap<String, Arc<Count>>> {
    WATCHED.lock().expect("nothing panics while it holds this lock")
}

/// A pool of connections to a database that has a name.
pub(crate) trait Place {
    fn place(&self) -> String;
}

impl Place for SqlitePool {
    fn place(&self) -> String {
        self.connect_options().get_filename().display().to_string()
    }
}

impl Place for PgPool {
    fn place(&self) -> String {
        self.connect_options().get_database().unwrap_or_default().to_owned()
    }
}

/// A place where the store of this pool may be made to fail.
pub(crate) fn point(pool: &impl Place) -> Result<()> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    let Some(count) = watched().get(&pool.place()).cloned() else { return Ok(()) };
    let nth = count.seen.fetch_add(1, Ordering::SeqCst) + 1;
    if nth != count.fails.load(Ordering::SeqCst) {
        return Ok(());
    }
    count.hit.store(true, Ordering::SeqCst);
    Err(Error::Unavailable("a fault that a test wants".to_owned()))
}
