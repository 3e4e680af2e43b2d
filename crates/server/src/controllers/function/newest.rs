//! The newest version: what the function says now, on its image as that is now.

use dispatch_driver::Deployment;
use dispatch_model::function::{Function, FunctionSpec};
use dispatch_model::function_version::{
    FunctionVersion, FunctionVersionSpec, MAX_VERSIONS, version_name,
};
use dispatch_model::image::{Image, ImageStatus};
use dispatch_model::{Name, Resource, State};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Functions;
use super::obstacle::{Lacking, Obstacle, Trouble};
use super::traffic::Wanted;
use crate::app::Result;
use crate::content::{FunctionImage, Subject};
use crate::invoke::deployment::deployment;

/// A version that is to be made, or was.
pub struct New {
    pub version: FunctionVersionSpec,
    /// The image it is made on.
    image: ImageStatus,
    function: Resource<Function>,
}

type Obstructed<T> = std::result::Result<T, Obstacle>;

impl Functions {
    /// The version that is to be made; `None` when the newest is what is wanted.
    pub(super) async fn newest(
        &self,
        function: &Resource<Function>,
    ) -> Result<Obstructed<Option<New>>> {
        let image = match self.image(function).await? {
            Ok(image) => image,
            // What was READY stays so, whatever becomes of its image.
            Err(_) if function.meta.state == State::Ready => return Ok(Ok(None)),
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let version = version(function, &image.status);
        if function.status.latest_hash.as_deref() == Some(&version.hash) {
            return Ok(Ok(None));
        }
        Ok(Ok(Some(New { version, image: image.status, function: function.clone() })))
    }

    async fn image(&self, function: &Resource<Function>) -> Result<Obstructed<Resource<Image>>> {
        let name = Name::trusted(&function.spec.image);
        let image = self.0.store.by_name::<Image>(&function.meta.org, &name).await?;
        Ok(match image.filter(|image| image.meta.state != State::Deleting) {
            None => Err(Obstacle::Final(format!("image {name} does not exist"))),
            Some(image) if image.meta.state == State::Ready => Ok(image),
            Some(image) if image.meta.state == State::Error => {
                let why = image.meta.reason.first().map_or("", String::as_str);
                Err(Obstacle::Final(format!("image {name} is in ERROR: {why}")))
            }
            Some(image) => {
                Err(Obstacle::Wait(format!("waits for image {name}: {}", image.meta.state)))
            }
        })
    }

    /// Makes a version on the engines where it is wanted, and stores it. `None`, and why among the
    /// trouble, when it cannot be; engines that lack it while others have it are trouble, too.
    pub(super) async fn make(
        &self,
        mut new: New,
        wanted: &Wanted,
        trouble: &mut Trouble,
    ) -> Result<Option<New>> {
        let engines = wanted.engines(new.version.number);
        if engines.is_empty() {
            trouble.obstacle.clone_from(&wanted.obstacle);
            return Ok(None);
        }
        match self.made(&mut new, engines).await {
            Ok(lacking) => trouble.lacking.extend(lacking),
            Err(obstacle) => {
                trouble.obstacle = Some(obstacle);
                return Ok(None);
            }
        }
        self.keep(&new).await?;
        Ok(Some(new))
    }

    async fn made(&self, new: &mut New, engines: &[String]) -> Obstructed<Vec<Lacking>> {
        let org = new.function.meta.org.clone();
        let plain = deployment(&org, &new.version);
        if self.pulls(engines) {
            let own = self.0.contents.function(&plain).await?;
            self.admitted(Subject::image(&new.image), &plain, own.as_ref()).await?;
            self.owns(&mut new.version, own);
            return self.build(engines, &deployment(&org, &new.version)).await;
        }
        // Neither needs the other.
        let own = self.0.contents.function(&plain);
        let (lacking, own) = tokio::join!(self.build(engines, &plain), own);
        let (lacking, own) = (lacking?, own?);
        self.admitted(Subject::image(&new.image), &plain, own.as_ref()).await?;
        self.owns(&mut new.version, own);
        Ok(lacking)
    }

    /// Writes the function's own artifact into its version.
    fn owns(&self, version: &mut FunctionVersionSpec, own: Option<FunctionImage>) {
        let Some(own) = own else { return };
        version.function_image_url = Some(own.url);
        version.digest = Some(own.digest);
        version.published = self.0.contents.publishes();
    }

    /// Holds an older version, before it is deployed anew, against the policies of now.
    pub(super) async fn still_admitted(
        &self,
        version: &FunctionVersionSpec,
        new: &Deployment,
    ) -> Obstructed<()> {
        let contents = &self.0.contents;
        if !contents.has_policies(&new.org).await? {
            return Ok(());
        }
        let subject = Subject {
            base_url: version.base_url.clone().unwrap_or_default(),
            base_digest: version.base_digest.clone(),
            content: version.image_digest.clone(),
            ..Subject::default()
        };
        let own = contents.function(new).await?;
        self.admitted(subject, new, own.as_ref()).await
    }

    /// Holds what is to be deployed against the organization's policies, and publishes what they
    /// admit.
    async fn admitted(
        &self,
        mut subject: Subject,
        new: &Deployment,
        own: Option<&FunctionImage>,
    ) -> Obstructed<()> {
        let contents = &self.0.contents;
        match own {
            Some(own) => subject.content = Some(own.digest.clone()),
            None if contents.has_policies(&new.org).await? => {
                subject.packages = contents.source_packages(new).await?;
            }
            None => {}
        }
        self.admit(new, &subject).await?;
        if let Some(own) = own {
            contents.publish_function(new, own).await?;
            // A policy may have come while it was pushed.
            self.admit(new, &subject).await?;
        }
        Ok(())
    }

    async fn admit(&self, new: &Deployment, subject: &Subject) -> Obstructed<()> {
        let verdict = self.0.contents.judge(&new.org, subject).await?;
        match verdict.admits() {
            true => Ok(()),
            false => Err(Obstacle::Final(verdict.reasons().join("; "))),
        }
    }

    /// Stores a version. One of the same number that nothing names is left of a try that was
    /// interrupted.
    async fn keep(&self, new: &New) -> Result<()> {
        let meta = &new.function.meta;
        let name = version_name(&meta.name, new.version.number);
        if let Some(left) = self.0.store.by_name::<FunctionVersion>(&meta.org, &name).await? {
            self.0.store.remove(&left).await?;
        }
        let (org, tags) = (meta.org.clone(), meta.tags.clone());
        let version = new.version.clone();
        let kept = Resource::<FunctionVersion>::new(org, name, tags, State::Ready, version);
        Ok(self.0.store.insert_in_organization(&kept).await?)
    }

    /// Forgets the oldest versions beyond what is kept, but none that is deployed.
    pub(super) async fn forget_versions(&self, function: &Resource<Function>) -> Result<()> {
        let status = &function.status;
        if status.latest <= MAX_VERSIONS as u64 {
            return Ok(());
        }
        let old = self.versions(function).await?.into_iter().skip(MAX_VERSIONS);
        for version in old.filter(|version| status.deployed(version.spec.number).is_none()) {
            self.0.store.remove(&version).await?;
        }
        Ok(())
    }
}

/// What the function says now, as its next version.
fn version(function: &Resource<Function>, image: &ImageStatus) -> FunctionVersionSpec {
    let mut version = FunctionVersionSpec {
        function: function.meta.name.to_string(),
        number: function.status.latest + 1,
        faas_id: Uuid::now_v7(),
        hash: String::new(),
        language: image.language.clone().unwrap_or_default(),
        image_url: image.docker_url.clone().unwrap_or_default(),
        image_digest: image.digest.clone(),
        base_url: image.base_url.clone(),
        base_digest: image.base_digest.clone(),
        spec: function.spec.clone(),
        ..FunctionVersionSpec::default()
    };
    version.hash = hash(&version);
    version
}

/// Names everything a version is made of. Where it is placed is no part of it.
fn hash(version: &FunctionVersionSpec) -> String {
    let FunctionVersionSpec { language, image_url, image_digest, spec, .. } = version;
    let spec = FunctionSpec { engine: None, placement: None, ..spec.clone() };
    let mut parts = json!([language, image_url, image_digest, spec]);
    // Maps have the order they were written in, which is no part of it either.
    parts.sort_all_objects();
    let digest = Sha256::digest(parts.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
