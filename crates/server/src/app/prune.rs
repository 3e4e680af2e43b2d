//! Content that nothing needs, let go when somebody asks.

use std::time::Duration;

use dispatch_images::content::Pruned;

use super::{App, Caller, Result};
use crate::authz::{Action, IAM};

impl App {
    /// Deletes content, of all organizations, that nothing needs and that is older than `min_age`,
    /// from the disk of this server.
    pub async fn prune(&self, caller: &Caller, min_age: Duration, dry: bool) -> Result<Pruned> {
        self.authorizer.authorize_global(caller, Action::Delete, IAM)?;
        if !dry {
            self.tell(caller.act("prune").entry(None, "content", "")).await?;
        }
        Ok(self.contents.prune(min_age, dry).await?)
    }
}
