//! Work that waits for the disk, kept off the threads that serve calls.

/// Does it on a thread where waiting is allowed; whoever drops something need not wait for that.
pub fn apart(work: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        // Without a runtime this thread serves nobody.
        Err(_) => work(),
    }
}
