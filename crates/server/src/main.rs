//! The `dispatch-server` command.
fn main() {}
