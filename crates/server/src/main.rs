//! The `dispatch-server` command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The process engine starts its sandboxes through this very binary.
    dispatch_sandbox::process::maybe_run_init();
    dispatch_server::boot::prepare();
    dispatch_server::boot::built_from(dispatch_wire::commit!());
    match dispatch_server::command::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dispatch-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
