//! Where base images come from, as people write it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::layout::{Kind, Layout, below};
use crate::registry::{Credentials, Reference, Registries};
use crate::{Content, Digest, Error, Image, Result};

/// Bytes of a base image's URL at most.
const MAX_TEXT: usize = 4096;
const KINDS: &[(&str, Kind)] = &[
    ("oci:", Kind::Directory),
    ("oci-archive:", Kind::Archive),
    ("docker-archive:", Kind::Docker),
];
/// The machine's own programs, which are no image.
const HOST: &str = "host:";

/// `registry/name:tag@digest`, `oci:DIR:TAG`, `oci-archive:FILE:TAG` or `docker-archive:FILE`; tags
/// and digest may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Registry(Reference),
    Layout(Layout),
}

impl Source {
    /// Reads what people write; `folders` are what may be read on this machine's disk.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is none of the forms, or is in no such folder.
    pub fn parse(text: &str, folders: &[PathBuf]) -> Result<Self> {
        if text.len() > MAX_TEXT {
            let text = format!("an image's URL has {} bytes, at most {MAX_TEXT}", text.len());
            return Err(Error::refused(text));
        }
        if text.starts_with(HOST) {
            return Err(Error::refused(format!("{text:?} is this machine itself and no image")));
        }
        for (start, kind) in KINDS {
            if let Some(rest) = text.strip_prefix(start) {
                return Ok(Source::Layout(layout(*kind, rest, folders)?));
            }
        }
        text.parse().map(Source::Registry)
    }

    /// The same place's image of a digest.
    pub fn at(&self, digest: &Digest) -> Self {
        match self {
            Source::Registry(reference) => Source::Registry(reference.at(digest)),
            Source::Layout(layout) => {
                Source::Layout(Layout { digest: Some(digest.clone()), ..layout.clone() })
            }
        }
    }

    /// The digest of the image there now, for this machine. Fetches documents only.
    pub async fn resolve(&self, registries: &Registries, who: &Credentials) -> Result<Digest> {
        match self {
            Source::Registry(reference) => registries.resolve(reference, who).await,
            Source::Layout(layout) => layout.resolve().await,
        }
    }

    /// Fetches the image into the content store.
    pub async fn pull(
        &self,
        registries: &Registries,
        who: &Credentials,
        content: &Content,
    ) -> Result<Image> {
        match self {
            Source::Registry(reference) => registries.pull(reference, who, content).await,
            Source::Layout(layout) => layout.pull(content, registries.max_image_bytes()).await,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Registry(reference) => reference.fmt(f),
            Source::Layout(layout) => {
                let (start, _) = KINDS
                    .iter()
                    .find(|(_, kind)| *kind == layout.kind)
                    .expect("each kind is written in a way");
                write!(f, "{start}{}", layout.path().display())?;
                layout.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
                layout.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
            }
        }
    }
}

fn layout(kind: Kind, text: &str, folders: &[PathBuf]) -> Result<Layout> {
    // A colon in a folder's name is no tag's.
    let (path, tag) = match text.rsplit_once(':') {
        Some((path, tag)) if kind != Kind::Docker && !tag.contains('/') => (path, Some(tag)),
        _ => (text, None),
    };
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err(Error::refused(format!("{text:?} is no absolute path")));
    }
    if tag.is_some_and(str::is_empty) {
        return Err(Error::refused(format!("{text:?} names no tag after its colon")));
    }
    let steps_out = path.components().any(|part| part == Component::ParentDir);
    let Some((folder, inside)) = below(path, folders).filter(|_| !steps_out) else {
        let folders: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
        let text = match folders.is_empty() {
            true => format!("{text:?} is not read: images.folders names no folder"),
            false => format!(
                "{text:?} is in none of the folders images are read from (images.folders): {}",
                folders.join(", ")
            ),
        };
        return Err(Error::refused(text));
    };
    let (folder, inside) = (folder.to_owned(), inside.to_owned());
    Ok(Layout { kind, folder, inside, tag: tag.map(str::to_owned), digest: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders() -> Vec<PathBuf> {
        vec![PathBuf::from("/srv/images"), PathBuf::from("/mnt/b:c")]
    }

    #[test]
    fn each_form_is_what_it_says() {
        let layout = |text: &str| match Source::parse(text, &folders()).expect(text) {
            Source::Layout(layout) => layout,
            Source::Registry(reference) => panic!("{text} became {reference}"),
        };
        let one = layout("oci:/srv/images/a:v1");
        assert_eq!((one.kind, one.tag.as_deref()), (Kind::Directory, Some("v1")));
        assert_eq!(one.path(), Path::new("/srv/images/a"));
        let two = layout("oci-archive:/mnt/b:c/d.tar");
        assert_eq!((two.kind, two.tag), (Kind::Archive, None));
        assert_eq!(two.inside, Path::new("d.tar"));
        assert_eq!(layout("docker-archive:/srv/images/a.tar").kind, Kind::Docker);
        for (text, host, repository) in [
            ("vmware/photon", "index.docker.io", "vmware/photon"),
            ("debian:12", "index.docker.io", "library/debian"),
            ("docker.io/library/debian", "index.docker.io", "library/debian"),
            ("localhost:5000/a/b:c", "localhost:5000", "a/b"),
            ("oci/a", "index.docker.io", "oci/a"),
        ] {
            match Source::parse(text, &[]).expect(text) {
                Source::Registry(r) => assert_eq!((r.host(), r.repository()), (host, repository)),
                Source::Layout(layout) => panic!("{text} became {layout:?}"),
            }
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["oci:/srv/images/a:v1", "docker-archive:/srv/images/x.tar"] {
            assert_eq!(Source::parse(text, &folders()).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        let long = "a".repeat(MAX_TEXT + 1);
        for (text, why) in [
            ("host:python3", "this machine"),
            ("oci:relative:v1", "absolute"),
            ("oci:/srv/images/a:", "no tag"),
            ("oci:/srv/images/../secret:v1", "none of the folders"),
            ("oci:/srv/images-of-others/a", "none of the folders"),
            ("docker-archive:/etc/passwd", "none of the folders"),
            ("a b", "no image"),
            (&long, "at most 4096"),
        ] {
            let refused = Source::parse(text, &folders()).expect_err(text).to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let none = Source::parse("oci:/srv/images/a", &[]).expect_err("no folder").to_string();
        assert!(none.contains("names no folder"), "{none}");
    }
}
