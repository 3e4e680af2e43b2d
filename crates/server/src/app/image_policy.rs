//! Use cases of image policies. Images are held against a changed one by their controller.

use dispatch_images::sign::PublicKey;
use dispatch_model::image_policy::{ImagePolicy, ImagePolicySpec};
use dispatch_model::{Kind as _, ListQuery, Page, Resource, State, Violation};
use dispatch_wire as wire;
use dispatch_wire::ToModel as _;

use super::resource::{check, check_same_name};
use super::{App, Caller, Deletion, Precondition, Result};
use crate::authz::Action;

impl App {
    pub async fn image_policy_create(
        &self,
        caller: &Caller,
        shape: wire::ImagePolicy,
    ) -> Result<Resource<ImagePolicy>> {
        let policy = self.admitted(caller, &shape, State::Ready)?;
        check_keys(&policy.spec)?;
        self.insert(caller, policy).await
    }

    pub async fn image_policy_get(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Resource<ImagePolicy>> {
        self.get(caller, name).await
    }

    pub async fn image_policy_list(
        &self,
        caller: &Caller,
        query: &ListQuery,
    ) -> Result<Page<Resource<ImagePolicy>>> {
        self.list(caller, query).await
    }

    pub async fn image_policy_update(
        &self,
        caller: &Caller,
        name: &str,
        shape: wire::ImagePolicy,
        precondition: Precondition,
    ) -> Result<Resource<ImagePolicy>> {
        let resource = ImagePolicy::KIND.policy_resource();
        self.authorizer.authorize_some(caller, Action::Update, resource)?;
        check_same_name(&shape.name, name)?;
        let (tags, spec) = (shape.tags()?, shape.spec()?);
        check_keys(&spec)?;
        let edit = |policy: &mut Resource<ImagePolicy>| {
            policy.meta.tags = tags.clone();
            policy.spec = spec.clone();
            Ok(())
        };
        self.change(caller.act("update"), &caller.org, name, precondition, edit).await
    }

    /// Grace periods begin anew if one of the name is made again.
    pub async fn image_policy_delete(
        &self,
        caller: &Caller,
        name: &str,
        how: Deletion,
    ) -> Result<Resource<ImagePolicy>> {
        let policy = self.found::<ImagePolicy>(caller, Action::Delete, name).await?;
        check(how.precondition, &policy)?;
        self.remove(caller.act("delete"), &policy).await?;
        self.store.violation_forget(&caller.org, &policy.meta.id.to_string()).await?;
        Ok(policy)
    }
}

fn check_keys(spec: &ImagePolicySpec) -> Result<()> {
    for (at, pem) in spec.keys.iter().enumerate() {
        PublicKey::from_pem(pem)
            .map_err(|error| Violation::new(format!("keys[{at}]"), error.to_string()))?;
    }
    Ok(())
}
