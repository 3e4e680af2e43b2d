//! Images that deployments run on: their layers are held, and their warm interpreters live, as
//! long as one of them does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dispatch_driver::language::{Language, PACKAGES_AT};
use dispatch_driver::{Error, ImageRoot, ImageStore, Result};
use dispatch_model::code;

use super::failure;
use super::host::HostLanguage;
use super::pool::Pools;
use super::root::{Site, Tree};
use super::tree;

/// One image, ready to be mounted.
pub struct Image {
    digest: String,
    store: Arc<dyn ImageStore>,
    pub tree: Tree,
    pub environment: Vec<(String, String)>,
    pub pools: Pools,
}

impl Image {
    /// The language in this image, whose interpreter is found through the image's `PATH`.
    pub fn host(&self, rules: &Arc<Language>) -> HostLanguage {
        let version = self.digest.trim_start_matches("sha256:").chars().take(12).collect();
        HostLanguage::new(rules, PathBuf::from(rules.program()), version, Vec::new())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.pools.end();
        if let Tree::Copy(directory) = &self.tree
            && let Err(error) = tree::remove(directory)
        {
            tracing::warn!(%error, directory = %directory.display(), "copy not removed");
        }
        self.store.release(&self.digest);
    }
}

/// The images in use, by digest.
pub struct Images {
    store: Option<Arc<dyn ImageStore>>,
    /// Where copies go, which are made where overlays are not allowed.
    copies: PathBuf,
    used: Mutex<HashMap<String, Weak<Image>>>,
}

impl Images {
    pub fn new(store: Option<Arc<dyn ImageStore>>, copies: PathBuf) -> Self {
        Self { store, copies, used: Mutex::default() }
    }

    /// The image of that digest, fetched when its layers are not here.
    /// One that is on the machine's own interpreter has nothing but packages for that.
    pub async fn get(
        &self,
        digest: &str,
        on_machine: bool,
        site: &Site,
        overlays: bool,
    ) -> Result<Arc<Image>> {
        if let Some(image) = self.find(digest) {
            return Ok(image);
        }
        let Some(store) = &self.store else {
            let text = "the process engine of this server runs no images, only `host:LANGUAGE`";
            return Err(Error::caller(code::ENGINE001, text));
        };
        let root = store.root(digest).await?;
        let mut image = Image {
            digest: digest.to_owned(),
            store: store.clone(),
            tree: Tree::Layers(Vec::new()),
            environment: Vec::new(),
            pools: Pools::default(),
        };
        image.tree = match (on_machine, root.layers.last()) {
            (true, Some(layer)) => Tree::Packages(layer.join(PACKAGES_AT.trim_start_matches('/'))),
            _ => self.tree(&root, site, overlays).await?,
        };
        image.environment = root.environment;
        Ok(self.keep(image))
    }

    async fn tree(&self, root: &ImageRoot, site: &Site, overlays: bool) -> Result<Tree> {
        let mut layers = root.layers.clone();
        layers.push(site.skeleton.clone());
        if overlays {
            return Ok(Tree::Layers(layers));
        }
        let copy = self.copies.join(uuid::Uuid::new_v4().to_string());
        let target = copy.clone();
        let merged = tokio::task::spawn_blocking(move || tree::merge(&layers, &target)).await;
        let merged = merged.map_err(std::io::Error::other).and_then(|done| done);
        merged.map_err(|e| failure::engine("an image cannot be copied", e))?;
        Ok(Tree::Copy(copy))
    }

    /// Takes it, unless somebody was faster: then that one counts, and this one is let go.
    fn keep(&self, image: Image) -> Arc<Image> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, image| image.strong_count() > 0);
        if let Some(found) = used.get(&image.digest).and_then(Weak::upgrade) {
            return found;
        }
        let image = Arc::new(image);
        used.insert(image.digest.clone(), Arc::downgrade(&image));
        image
    }

    fn find(&self, digest: &str) -> Option<Arc<Image>> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(digest).and_then(Weak::upgrade)
    }
}
