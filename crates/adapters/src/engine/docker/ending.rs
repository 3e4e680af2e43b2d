//! How containers ended.

use std::time::Duration;

use dispatch_driver::Result;
use reqwest::StatusCode;

use super::api::{Api, State};

/// A container whose connection broke has ended, if it has, within this time.
const SOON: Duration = Duration::from_secs(2);

/// How a container ended, for the author of its function: `None` while it runs.
///
/// # Errors
/// When the engine does not answer, or has no such container any more.
pub async fn of(api: &Api, id: &str) -> Result<Option<String>> {
    let inspected =
        api.inspect(id).await.map_err(|failure| match failure.is(StatusCode::NOT_FOUND) {
            true => failure.error("the container was removed while the function ran"),
            false => failure.error("cannot look at the function's container"),
        })?;
    Ok((!inspected.state.running).then(|| text(&inspected.state)))
}

/// The same of one that is likely to be ending.
///
/// # Errors
/// As [`of`].
pub async fn soon(api: &Api, id: &str) -> Result<Option<String>> {
    // Whether it waited in vain is what is looked at next.
    let _ = api.ended(id, SOON).await;
    of(api, id).await
}

fn text(state: &State) -> String {
    let memory = if state.oom_killed { ", out of memory" } else { "" };
    format!("process ended (exit code {}{memory})", state.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_for_want_of_memory_is_said() {
        let mut state = State { running: false, exit_code: 137, oom_killed: true };
        assert_eq!(text(&state), "process ended (exit code 137, out of memory)");
        (state.exit_code, state.oom_killed) = (3, false);
        assert_eq!(text(&state), "process ended (exit code 3)");
    }
}
