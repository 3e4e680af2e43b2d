//! The content on this server's disk, with the registry that has what this server has not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dispatch_driver::{ImageRoot, ImageStore};
use dispatch_images::layer::Limits;
use dispatch_images::registry::{self, Credentials, Reference, Registries};
use dispatch_images::{Content, Digest, Error, Image, Result};
use dispatch_model::function::Function;
use dispatch_model::{Name, OrgName, ResourceKind};
use dispatch_store::Store;

use super::{Settings, store_failed};

/// What stands for a registry where images are kept on this server only.
const LOCAL: &str = "local";

/// Content; clones are the same.
#[derive(Clone)]
pub struct Kept {
    pub content: Content,
    pub registries: Registries,
    settings: Arc<Settings>,
    store: Store,
}

impl Kept {
    /// Opens the content on disk, and what speaks to registries: before the engines, which read
    /// from it. `owner` is who unpacked layers belong to.
    ///
    /// # Errors
    /// When the directory cannot be used, or a setting names a file that cannot be read or is no
    /// certificate.
    pub fn open(
        settings: &Settings,
        data_dir: &Path,
        owner: Option<u32>,
        store: &Store,
    ) -> anyhow::Result<Self> {
        let directory = match settings.dir.as_os_str().is_empty() {
            true => data_dir.join("images"),
            false => settings.dir.clone(),
        };
        let limits = Limits {
            max_bytes: settings.max_unpacked_mib << 20,
            max_entries: settings.max_entries,
            owner: owner.map(|id| (id, id)),
        };
        let certificates = match settings.ca_file.as_str() {
            "" => Vec::new(),
            file => vec![std::fs::read(file).map_err(|e| anyhow::anyhow!("{file}: {e}"))?],
        };
        let registries = Registries::new(registry::Settings {
            plain_http: settings.plain_http.clone(),
            certificates,
            connect_timeout: Duration::from_secs(settings.connect_timeout_s),
            stall_timeout: Duration::from_secs(settings.stall_timeout_s),
            max_image_bytes: settings.max_image_mib << 20,
        })?;
        Ok(Self {
            content: Content::open(&directory, limits)?,
            registries,
            settings: Arc::new(settings.clone()),
            store: store.clone(),
        })
    }

    /// Where an image is, as its resource shows it.
    pub fn url(&self, org: &OrgName, kind: &str, name: &Name) -> String {
        let registry = match self.settings.registry.as_str() {
            "" => LOCAL,
            registry => registry.trim_end_matches('/'),
        };
        let (org, name) = (component(org.as_str()), component(name.as_str()));
        format!("{registry}/{org}/{kind}/{name}")
    }

    /// What the repositories of an organization begin with; `None` where nothing is pushed.
    pub fn below(&self, org: &OrgName) -> Option<String> {
        let registry = self.settings.registry.trim_end_matches('/');
        self.publishes().then(|| format!("{registry}/{}/", component(org.as_str())))
    }

    /// Whether what is built goes to a registry.
    pub fn publishes(&self) -> bool {
        !self.settings.registry.is_empty()
    }

    /// How this server signs in to the registry of what it builds.
    pub fn publisher(&self) -> Credentials {
        let settings = &self.settings;
        match settings.registry_user.is_empty() {
            true => Credentials::Nobody,
            false => Credentials::Password {
                user: settings.registry_user.clone(),
                password: settings.registry_password.clone(),
            },
        }
    }

    /// An image: from the disk, else from the registry, where another server put it.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is in neither.
    pub async fn fetched(&self, digest: &Digest) -> Result<Image> {
        let missing = match Image::load(&self.content, digest).await {
            Ok(image) => return Ok(image),
            Err(error) => error,
        };
        if !self.publishes() {
            return Err(Error::refused(format!(
                "{missing}; images of other servers are fetched from images.registry, which is \
                 not set"
            )));
        }
        let who = self.publisher();
        let mut failed = missing;
        for url in self.places(digest).await? {
            let reference: Reference = format!("{url}@{digest}").parse()?;
            match self.registries.pull(&reference, &who, &self.content).await {
                Ok(image) => return Ok(image),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// The repositories an image of that digest may be in: those of the images that have it, or
    /// had it when a function was put on them.
    async fn places(&self, digest: &Digest) -> Result<Vec<String>> {
        let users = self.store.content_users(digest.as_str()).await.map_err(store_failed)?;
        let mut places = Vec::new();
        for (kind, org, name) in users {
            let image = match kind {
                ResourceKind::Image => name,
                ResourceKind::Function => {
                    let found = self.store.by_name::<Function>(&org, &name).await;
                    let Some(function) = found.map_err(store_failed)? else { continue };
                    Name::trusted(&function.spec.image)
                }
                _ => continue,
            };
            places.push(self.url(&org, "images", &image));
        }
        places.sort();
        places.dedup();
        Ok(places)
    }
}

#[async_trait]
impl ImageStore for Kept {
    async fn root(&self, digest: &str) -> dispatch_driver::Result<ImageRoot> {
        if let Ok(parsed) = digest.parse::<Digest>()
            && !self.content.has_blob(&parsed)
        {
            self.fetched(&parsed).await.map_err(|error| error.into_driver(digest))?;
        }
        ImageStore::root(&self.content, digest).await
    }

    fn release(&self, digest: &str) {
        ImageStore::release(&self.content, digest);
    }
}

/// A name as a part of a repository's, which has no capitals, no two signs in a row and none at its
/// ends (distribution-spec, "Pulling manifests"). Names that are not so get a digest of their own
/// behind, so that no two of them are the same repository.
fn component(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = name.starts_with(plain) && name.ends_with(plain);
    let signs = name
        .split(plain)
        .all(|between| matches!(between, "" | "." | "_") || between.chars().all(|c| c == '-'));
    if ends && signs {
        return name.to_owned();
    }
    let digest = Digest::of(name.as_bytes());
    let lower = name.to_ascii_lowercase();
    let kept: String = lower.chars().filter(|c| plain(*c)).collect();
    // Two low lines: no plain name has them.
    let kept = if kept.is_empty() { "x" } else { kept.as_str() };
    format!("{kept}__{}", &digest.hex()[..12])
}

#[cfg(test)]
mod tests {
    use super::component;

    #[test]
    fn names_are_repositories_and_stay_apart() {
        for plain in ["hello", "a-b", "a--b", "a.b_c", "7"] {
            assert_eq!(component(plain), plain);
        }
        let odd = ["Hello", "hello_", "_hello", "he__llo", "-", "hello-", "ü"];
        let mut all: Vec<_> = odd.iter().map(|name| component(name)).collect();
        for name in &all {
            assert_eq!(component(&name.replace("__", "-")), name.replace("__", "-"), "{name}");
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), odd.len());
        assert!(component("Hello").starts_with("hello__"));
        // Nobody can take another's by its spelling.
        assert_ne!(component(&component("Hello")), component("Hello"));
    }
}
