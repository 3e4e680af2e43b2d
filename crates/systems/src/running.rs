//! A program that ends with the one who started it, even when that is killed.

use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// A running program; killed when dropped.
pub struct Running {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// From a thread of its own: the kernel ends what was asked to end with its parent when the
    /// parent's *thread* goes, and tests share what one of their threads has started.
    pub fn start(mut command: Command) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let (started, waits) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
            // The other side waits for this.
            let _ = started.send(());
            // An error when the other side was dropped, which is the same order.
            let _ = stopped.recv();
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        });
        waits.recv().expect("the program starts");
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
