//! Use cases of the root key: they are the operators', who need rights that hold everywhere.

use dispatch_wire as wire;

use super::{App, Caller, Result};
use crate::authz::{Action, IAM};
use crate::seal::{Rotation, RotationState};

impl App {
    /// The keys there are, and how far a change is.
    pub async fn root_key_get(&self, caller: &Caller) -> Result<wire::RootKeys> {
        self.authorizer.authorize_global(caller, Action::Get, IAM)?;
        self.root_keys().await
    }

    /// Makes a new root key, and seals everything anew in the background.
    pub async fn root_key_rotate(&self, caller: &Caller) -> Result<wire::RootKeys> {
        self.authorizer.authorize_global(caller, Action::Update, IAM)?;
        self.tell(caller.act("rotate").entry(None, IAM, "rootkey")).await?;
        self.seal.rotate(&self.store).await?;
        self.root_keys().await
    }

    /// Forgets the old root keys, once nothing needs them.
    pub async fn root_key_drop_old(&self, caller: &Caller) -> Result<wire::RootKeys> {
        self.authorizer.authorize_global(caller, Action::Update, IAM)?;
        self.tell(caller.act("drop").entry(None, IAM, "rootkey")).await?;
        self.seal.drop_old(&self.store).await?;
        self.root_keys().await
    }

    async fn root_keys(&self) -> Result<wire::RootKeys> {
        let uses = self.seal.key_uses(&self.store).await?;
        let key = |(at, (id, sealed))| wire::RootKey { id, seals: at == 0, sealed };
        let keys = uses.into_iter().enumerate().map(key).collect();
        Ok(wire::RootKeys { keys, rotation: self.seal.rotation().map(rotation) })
    }
}

fn rotation(rotation: Rotation) -> wire::Rotation {
    let (state, error) = match rotation.state {
        RotationState::Running => ("running", None),
        RotationState::Done => ("done", None),
        RotationState::Failed(error) => ("failed", Some(error)),
    };
    wire::Rotation {
        state: state.to_owned(),
        total: rotation.total,
        resealed: rotation.resealed,
        started_time: wire::shared::seconds(rotation.started_ms),
        finished_time: rotation.finished_ms.map(wire::shared::seconds),
        error,
    }
}
