//! Images that deployments run on: their layers are held, and their warm interpreters live, as
//! long as one of them does.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dispatch_driver::language::{Language, PACKAGES_AT};
use dispatch_driver::{Error, ImageStore, Result};
use dispatch_model::code;

use super::apart::apart;
use super::failure;
use super::host::HostLanguage;
use super::pool::Pools;
use super::root::{Site, Tree};
use super::tree;

/// One image, ready to be mounted.
pub struct Image {
    digest: String,
    pub tree: Tree,
    pub environment: Vec<(String, String)>,
    pub pools: Pools,
    _kept: Kept,
}

/// What is let go with an image.
enum Kept {
    Layers { _layers: Layers },
    Copy { _copy: Copy },
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
    }
}

/// The layers of an image, which stay in their store until this is dropped.
struct Layers {
    store: Arc<dyn ImageStore>,
    digest: String,
}

impl Drop for Layers {
    fn drop(&mut self) {
        self.store.release(&self.digest);
    }
}

/// A directory layers are copied to; removed when it is dropped, half a copy too. The layers are
/// let go after it.
struct Copy {
    directory: PathBuf,
    layers: Option<Layers>,
}

impl Drop for Copy {
    fn drop(&mut self) {
        let (directory, layers) = (std::mem::take(&mut self.directory), self.layers.take());
        apart(move || {
            if let Err(error) = tree::remove(&directory) {
                tracing::warn!(%error, directory = %directory.display(), "copy not removed");
            }
            drop(layers);
        });
    }
}

/// The images in use.
pub struct Images {
    store: Option<Arc<dyn ImageStore>>,
    /// Where copies go, which are made where overlays are not allowed.
    copies: PathBuf,
    places: Mutex<HashMap<String, Arc<Place>>>,
}

/// That of one digest. Locked while its image is made, so that it is fetched and copied once,
/// however many deployments want it at the same time.
type Place = tokio::sync::Mutex<Weak<Image>>;

impl Images {
    pub fn new(store: Option<Arc<dyn ImageStore>>, copies: PathBuf) -> Self {
        Self { store, copies, places: Mutex::default() }
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
        let Some(store) = &self.store else {
            let text = "the process engine of this server runs no images, only `host:LANGUAGE`";
            return Err(Error::caller(code::ENGINE001, text));
        };
        let place = self.place(digest);
        let mut found = place.lock().await;
        if let Some(image) = found.upgrade() {
            return Ok(image);
        }
        let root = store.root(digest).await?;
        let held = Layers { store: store.clone(), digest: digest.to_owned() };
        let (tree, kept) = match (on_machine, root.layers.last()) {
            (true, Some(layer)) => {
                let packages = layer.join(PACKAGES_AT.trim_start_matches('/'));
                (Tree::Packages(packages), Kept::Layers { _layers: held })
            }
            _ => self.tree(root.layers, held, site, overlays).await?,
        };
        let image = Arc::new(Image {
            digest: digest.to_owned(),
            tree,
            environment: root.environment,
            pools: Pools::default(),
            _kept: kept,
        });
        *found = Arc::downgrade(&image);
        Ok(image)
    }

    async fn tree(
        &self,
        mut layers: Vec<PathBuf>,
        held: Layers,
        site: &Site,
        overlays: bool,
    ) -> Result<(Tree, Kept)> {
        layers.push(site.skeleton.clone());
        if overlays {
            return Ok((Tree::Layers(layers), Kept::Layers { _layers: held }));
        }
        let directory = self.copies.join(uuid::Uuid::new_v4().to_string());
        let copy = Copy { directory: directory.clone(), layers: Some(held) };
        // The work goes on when nobody waits for it any more; what it made is dropped then.
        let merged = tokio::task::spawn_blocking(move || {
            tree::merge(&layers, &copy.directory).map(|()| copy)
        });
        let merged = merged.await.map_err(std::io::Error::other).and_then(|done| done);
        let copy = merged.map_err(|e| failure::engine("an image cannot be copied", e))?;
        Ok((Tree::Copy(directory), Kept::Copy { _copy: copy }))
    }

    fn place(&self, digest: &str) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| {
            let wanted = Arc::strong_count(place) > 1;
            wanted || place.try_lock().is_ok_and(|image| image.strong_count() > 0)
        });
        places.entry(digest.to_owned()).or_default().clone()
    }
}
