//! The init process as a binary of its own, for embedders whose main program has threads early.

fn main() {
    dispatch_sandbox::process::init_main();
}
