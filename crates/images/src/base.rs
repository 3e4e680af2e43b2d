//! Base images: where they come from, and what they turn out to be.

mod source;

use crate::registry::{Credentials, Reference, Registries};
use crate::{Content, Digest, Image, PackageManager, Result, Rootfs};

pub use source::Source;

/// Bytes of an os-release file at most.
const MAX_OS_RELEASE: u64 = 64 << 10;

/// A base image that is here, unpacked and looked at.
#[derive(Debug, Clone)]
pub struct Base {
    pub image: Image,
    pub os: OsRelease,
    /// `None` where no system packages can be added: distroless images, images from scratch.
    pub package_manager: Option<PackageManager>,
}

/// What a distribution says of itself (os-release(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `debian`, `ubuntu`, `alpine`, `photon`.
    pub id: String,
    /// `12`, `3.20.1`.
    pub version_id: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub pretty_name: String,
}

impl OsRelease {
    /// Reads what an image has; empty when it has none.
    pub fn of(rootfs: &Rootfs) -> std::io::Result<Self> {
        for path in ["/etc/os-release", "/usr/lib/os-release"] {
            if let Some(bytes) = rootfs.read(path, MAX_OS_RELEASE)? {
                return Ok(Self::parse(&String::from_utf8_lossy(&bytes)));
            }
        }
        Ok(Self::default())
    }

    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
            let value = value.trim_matches(['"', '\'']).to_owned();
            match name {
                "ID" => found.id = value,
                "VERSION_ID" => found.version_id = value,
                "PRETTY_NAME" => found.pretty_name = value,
                _ => {}
            }
        }
        found
    }
}

impl Base {
    /// Fetches a base image, unpacks it and looks at it.
    pub async fn pull(
        registries: &Registries,
        reference: &Reference,
        who: &Credentials,
        content: &Content,
    ) -> Result<Self> {
        let image = registries.pull(reference, who, content).await?;
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
            let os = OsRelease::of(&rootfs)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_not_part_of_a_name() {
        let text = "PRETTY_NAME=\"VMware Photon OS/Linux\"\nID=photon\nVERSION_ID='5.0'\n# x=y\n";
        let expected = OsRelease {
            id: "photon".to_owned(),
            version_id: "5.0".to_owned(),
            pretty_name: "VMware Photon OS/Linux".to_owned(),
        };
        assert_eq!(OsRelease::parse(text), expected);
    }
}
