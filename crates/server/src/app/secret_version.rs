//! Use cases of versions of secrets, and of who read them.

use dispatch_model::secret::{Content, Secret, SecretSpec};
use dispatch_model::{Kind, Resource, ResourceKind, Run, Violation};
use dispatch_wire as wire;

use super::secret::next;
use super::{App, Caller, Error, Precondition, Result};
use crate::authz::Action;

/// Runs that are named when somebody asks who read a secret.
const MAX_READERS: u32 = 100;
/// The newest runs that are looked through for them: of each function that names the secret, and
/// of the organization, for those whose request named it.
const OF_FUNCTION: u32 = 200;
const OF_ORGANIZATION: u32 = 2_000;

impl App {
    /// The versions of a secret that are kept, the newest first, without values.
    pub async fn secret_versions(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<wire::SecretVersion>> {
        let secret = self.get::<Secret>(caller, name).await?;
        let mut all = vec![wire::SecretVersion::new(&secret.spec, true)];
        let kept = self.store.secret_versions(secret.meta.id).await?;
        // One may have become the newest since the secret was read.
        let before = kept.iter().filter(|spec| spec.version < secret.spec.version);
        all.extend(before.map(|spec| wire::SecretVersion::new(spec, false)));
        Ok(all)
    }

    /// One version of a secret.
    pub(super) async fn secret_version(
        &self,
        secret: &Resource<Secret>,
        version: u64,
    ) -> Result<SecretSpec> {
        if version == secret.spec.version {
            return Ok(secret.spec.clone());
        }
        let found = self.store.secret_version(secret.meta.id, version).await?;
        found.ok_or_else(|| Error::NotFound {
            kind: Secret::KIND,
            name: format!("{} version {version}", secret.meta.name),
        })
    }

    /// Makes a new version with the content of an old one.
    pub async fn secret_rollback(
        &self,
        caller: &Caller,
        name: &str,
        asked: wire::SecretRollback,
        precondition: Precondition,
    ) -> Result<Resource<Secret>> {
        let secret = self.found::<Secret>(caller, Action::Update, name).await?;
        if asked.version == secret.spec.version {
            let rule = format!("{} is the version that holds", asked.version);
            return Err(Violation::new("version", rule).into());
        }
        let _sealing = self.seal.sealing().await;
        let content = match self.secret_version(&secret, asked.version).await?.content {
            Content::Sealed(sealed) => Content::Sealed(self.seal.renewed(&sealed)?),
            Content::Source(source) => {
                self.secrets.check(&caller.org, &source)?;
                Content::Source(source)
            }
        };
        let told = format!("back to version {}", asked.version);
        let act = caller.act("rollback").saying(&told);
        self.change(act, &caller.org, name, precondition, |secret: &mut Resource<Secret>| {
            secret.spec = next(caller, secret.spec.version, content.clone());
            Ok(())
        })
        .await
    }

    /// The newest runs that read a secret, among a bounded number of runs.
    pub async fn secret_uses(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<wire::SecretReader>> {
        let secret = self.get::<Secret>(caller, name).await?;
        let (org, name) = (&secret.meta.org, &secret.meta.name);
        self.settle().await;
        let most = MAX_READERS;
        let mut runs = self.store.secret_uses(org, name, None, OF_ORGANIZATION, most).await?;
        for (kind, user) in self.store.users_of(org, ResourceKind::Secret, name).await? {
            if kind == ResourceKind::Function {
                let of = Some(&user);
                runs.extend(self.store.secret_uses(org, name, of, OF_FUNCTION, most).await?);
            }
        }
        runs.sort_by_key(|run: &Run| std::cmp::Reverse(run.id));
        runs.dedup_by_key(|run| run.id);
        let reach = self.authorizer.reach(caller, Action::Get, super::run::RESOURCE);
        self.keep_seen(org, &reach, &mut runs).await?;
        let readers = runs.iter().filter_map(|run| wire::SecretReader::of_run(run, name.as_str()));
        Ok(readers.take(MAX_READERS as usize).collect())
    }
}
