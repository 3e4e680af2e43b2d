//! Base images: fetched once, pinned to a digest, and watched for moved tags.

use dispatch_images::base::Source;
use dispatch_images::registry::Credentials;
use dispatch_images::sbom::Kind;
use dispatch_images::sign::Signature;
use dispatch_images::{Base, Digest, Error, Result};
use dispatch_model::base_image::{BaseImage, BaseImageStatus};
use dispatch_model::secret::Secret;
use dispatch_model::{Name, OrgName, Resource, State};
use dispatch_store::inspection::SignatureRow;

use super::{Contents, store_failed};

/// Where a base image's URL leads to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    No,
    To(String),
}

impl Contents {
    /// Fetches what a base image's URL leads to now, and looks at it.
    ///
    /// # Errors
    /// One sentence for the resource's `reason`.
    pub async fn base(&self, base: &Resource<BaseImage>) -> Result<BaseImageStatus> {
        let (source, who) = self.asked(base).await?;
        let found = Base::pull(&self.kept.registries, &source, &who, &self.kept.content).await?;
        let layers = found.image.diff_ids().len();
        self.index(&found.image, Kind::BaseImage, Vec::new(), layers).await?;
        let signatures = self.note_signatures(&source, &who, &found.image.digest).await?;
        Ok(BaseImageStatus {
            digest: Some(found.image.digest.to_string()),
            resolved_url: Some(base.spec.docker_url.clone()),
            moved_to: None,
            platform: Some(found.image.platform()),
            os: found.os.map(|os| os.name),
            package_manager: found.package_manager.map(|manager| manager.as_str().to_owned()),
            size: found.image.size(),
            signatures,
        })
    }

    /// Asks the registry which signatures it lists for a base image now. `Some` when these are
    /// others than before.
    pub async fn base_signatures(&self, base: &Resource<BaseImage>) -> Result<Option<String>> {
        let (source, who) = self.asked(base).await?;
        let Some(Ok(digest)) = base.status.digest.as_deref().map(str::parse) else {
            return Ok(None);
        };
        let now = self.note_signatures(&source, &who, &digest).await?;
        Ok(now.filter(|now| base.status.signatures.as_ref() != Some(now)))
    }

    /// Asks the registry where the URL leads to now, without fetching that.
    pub async fn base_moved(&self, base: &Resource<BaseImage>) -> Result<Moved> {
        let (source, who) = self.asked(base).await?;
        let now = source.resolve(&self.kept.registries, &who).await?;
        Ok(match base.status.digest.as_deref() == Some(now.as_str()) {
            true => Moved::No,
            false => Moved::To(now.to_string()),
        })
    }

    /// Keeps what the registry lists as signatures of a base image: they may come after the image.
    /// Returns their digest; `None` where it cannot say, and then what was known stays.
    async fn note_signatures(
        &self,
        source: &Source,
        who: &Credentials,
        digest: &Digest,
    ) -> Result<Option<String>> {
        let Some(repository) = repository(source) else { return Ok(None) };
        let Source::Registry(reference) = source else { return Ok(None) };
        let found = match self.kept.registries.signatures(reference, digest, who).await {
            Ok(found) => found,
            // Whoever asks for signatures finds none; nobody else needs them.
            Err(Error::Refused(why)) => {
                tracing::info!(%reference, why, "signatures cannot be read: it counts as unsigned");
                Vec::new()
            }
            Err(error) => {
                tracing::info!(%reference, %error, "signatures cannot be looked at now");
                return Ok(None);
            }
        };
        let row = |one: Signature| SignatureRow { payload: one.payload, signature: one.signature };
        let mut rows: Vec<_> = found.into_iter().map(row).collect();
        rows.sort_by(|a, b| a.signature.cmp(&b.signature));
        let texts: Vec<_> = rows.iter().map(|row| row.signature.as_str()).collect();
        let all = Digest::of(texts.join("\n").as_bytes()).to_string();
        let put = self.store.signature_replace(&repository, digest.as_str(), &rows);
        put.await.map_err(store_failed)?;
        Ok(Some(all))
    }

    /// A base image's content, fetched anew by its digest where it is not here any more.
    pub(super) async fn base_here(&self, base: &Resource<BaseImage>) -> Result<Base> {
        let digest = base.status.digest.as_deref().unwrap_or_default();
        let digest: Digest = digest.parse().map_err(|_| {
            Error::Unavailable(format!("base image {} has no digest yet", base.meta.name))
        })?;
        if let Ok(here) = Base::here(&digest, &self.kept.content).await {
            return Ok(here);
        }
        let (source, who) = self.asked(base).await?;
        Base::pull(&self.kept.registries, &source.at(&digest), &who, &self.kept.content).await
    }

    async fn asked(&self, base: &Resource<BaseImage>) -> Result<(Source, Credentials)> {
        let source = Source::parse(&base.spec.docker_url, &self.settings.folders)?;
        let who = match &base.spec.secret {
            Some(secret) => self.credentials(&base.meta.org, secret).await?,
            None => Credentials::Nobody,
        };
        Ok((source, who))
    }

    async fn credentials(&self, org: &OrgName, name: &str) -> Result<Credentials> {
        let name = Name::trusted(name);
        let found = self.store.by_name::<Secret>(org, &name).await;
        let found = found.map_err(|e| Error::Unavailable(format!("secret {name}: {e}")))?;
        let secret = found.filter(|secret| secret.meta.state != State::Deleting);
        let secret =
            secret.ok_or_else(|| Error::refused(format!("secret {name} does not exist")))?;
        let opened = self.secrets.values(&secret).await;
        let opened = opened.map_err(|error| match error.is_final {
            true => Error::refused(error.to_string()),
            false => Error::Unavailable(error.to_string()),
        })?;
        let value = |key: &str| opened.values.get(key).map(|text| text.to_string());
        match (value("token"), value("username"), value("password")) {
            (Some(token), ..) => Ok(Credentials::Token(token)),
            (None, Some(user), Some(password)) => Ok(Credentials::Password { user, password }),
            _ => Err(Error::refused(format!(
                "secret {name} has neither `token` nor `username` and `password`"
            ))),
        }
    }
}

/// The repository an image lies in; layouts on disk have none.
pub(super) fn repository(source: &Source) -> Option<String> {
    match source {
        Source::Registry(reference) => {
            Some(format!("{}/{}", reference.host(), reference.repository()))
        }
        Source::Layout(_) => None,
    }
}
