//! What drivers do alike when they make a deployment.

use dispatch_driver::Result;

/// Takes away again what could not be made, if it is `ours`: one that was there before may serve
/// calls of other servers.
///
/// # Errors
/// Why it could not be made, which says more than that its rest could not be removed either.
pub async fn or_taken_back(
    made: Result<()>,
    ours: bool,
    remove: impl Future<Output = Result<()>>,
) -> Result<()> {
    if made.is_err() && ours {
        let _ = remove.await;
    }
    made
}
