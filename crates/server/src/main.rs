//! The `dispatch-server` command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dispatch_server::boot::prepare();
    match dispatch_server::command::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dispatch-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
