//! The real server where things go wrong around it: another server, a full disk, lost keys.

#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/keys.rs"]
mod keys;
#[path = "faults/two_servers.rs"]
mod two_servers;

const ECHO: &[u8] = include_bytes!("../../../examples/wasm/echo.wat");
const HELLO: &[u8] = include_bytes!("../../../examples/wasm/hello.wat");
