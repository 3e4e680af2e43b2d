//! Base images: where they come from, and what they turn out to be.

mod source;

use crate::inventory::Os;
use crate::registry::{Credentials, Registries};
use crate::{Content, Digest, Image, PackageManager, Result, Rootfs};

pub use source::Source;

/// A base image that is here, unpacked and looked at.
#[derive(Debug, Clone)]
pub struct Base {
    pub image: Image,
    /// `None` where an image does not say.
    pub os: Option<Os>,
    /// `None` where no system packages can be added: distroless images, images from scratch.
    pub package_manager: Option<PackageManager>,
}

impl Base {
    /// Fetches a base image, unpacks it and looks at it.
    pub async fn pull(
        registries: &Registries,
        source: &Source,
        who: &Credentials,
        content: &Content,
    ) -> Result<Self> {
        let image = source.pull(registries, who, content).await?;
        Self::look(image, content).await
    }

    /// The base image of that digest, if it is here.
    pub async fn here(digest: &Digest, content: &Content) -> Result<Self> {
        Self::look(Image::load(content, digest).await?, content).await
    }

    /// Looks at an image that is here.
    pub async fn look(image: Image, content: &Content) -> Result<Self> {
        let root = image.unpack(content).await?;
        let looked = tokio::task::spawn_blocking(move || {
            let rootfs = Rootfs::new(root.layers);
            let os = Os::of(&rootfs);
            let mut package_manager = None;
            for manager in PackageManager::ALL {
                for program in manager.programs() {
                    if rootfs.find(program)?.is_some() {
                        package_manager = package_manager.or(Some(manager));
                    }
                }
            }
            Ok((os, package_manager))
        });
        let looked = looked.await;
        let looked =
            looked.map_err(|e| crate::Error::Unavailable(format!("an image failed: {e}")))?;
        let (os, package_manager) = looked.map_err(crate::Error::io("an image cannot be read"))?;
        Ok(Self { image, os, package_manager })
    }
}
