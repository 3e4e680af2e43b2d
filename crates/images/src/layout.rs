//! Images in folders and files: OCI image layouts, packed ones, and what `docker save` writes.
//!
//! All that is read may come from anybody: it is looked up below the folder the operator allows,
//! whatever links say, and is stored under digests that were checked.

mod docker;
mod files;
mod oci;
mod write;

use std::path::{Path, PathBuf};

use crate::manifest::parse;
use crate::{Content, Digest, Error, Image, Result};

use files::Files;
pub use write::write;

/// How an image lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory with `oci-layout`, `index.json` and `blobs`.
    Directory,
    /// The same as a tar archive.
    Archive,
    /// What `docker save` writes.
    Docker,
}

/// An image on this machine's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub kind: Kind,
    /// What the operator allows to be read.
    pub folder: PathBuf,
    /// Relative to the folder.
    pub inside: PathBuf,
    /// Needed where there are several images.
    pub tag: Option<String>,
    /// Read this one, whatever the tag says.
    pub digest: Option<Digest>,
}

/// An image's documents, and where its layers are.
struct Found {
    digest: Digest,
    manifest: Vec<u8>,
    config: Vec<u8>,
    /// Names in the layout by the layers' digests, the lowest first.
    layers: Vec<String>,
}

impl Layout {
    /// The folder and what is in it.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.inside)
    }

    /// The digest of the image there now. Reads documents only.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none, or none for this machine.
    pub async fn resolve(&self) -> Result<Digest> {
        let layout = self.clone();
        let found = tokio::task::spawn_blocking(move || layout.open().map(|(_, found)| found));
        found.await.map_err(broken)?.map(|found| found.digest)
    }

    /// Copies the image into the content store; what is there already is left out.
    ///
    /// # Errors
    /// As [`Layout::resolve`]; and [`Error::Refused`] when something is not what its digest says,
    /// or its layers have more than `max_bytes`.
    pub async fn pull(&self, content: &Content, max_bytes: u64) -> Result<Image> {
        let (layout, to) = (self.clone(), content.clone());
        let taken = tokio::task::spawn_blocking(move || layout.layers(&to, max_bytes));
        let (image, found) = taken.await.map_err(broken)??;
        // The manifest last: who finds it finds the rest.
        content.put(&found.config).await?;
        content.put(&found.manifest).await?;
        Ok(image)
    }

    fn open(&self) -> Result<(Files, Found)> {
        let files = match self.kind {
            Kind::Directory => Files::directory(&self.folder, &self.inside),
            Kind::Archive | Kind::Docker => Files::archive(&self.folder, &self.inside),
        };
        let files = files.map_err(|error| self.named(error))?;
        let found = match self.kind {
            // Newer ones are both.
            Kind::Docker if !files.has("oci-layout") => docker::find(&files),
            _ => oci::find(&files, self.tag.as_deref(), self.digest.as_ref()),
        };
        let found = found.map_err(|error| self.named(error))?;
        match &self.digest {
            Some(wanted) if *wanted != found.digest => {
                let text = format!("it has {}, not {wanted} any more", found.digest);
                Err(self.named(Error::refused(text)))
            }
            _ => Ok((files, found)),
        }
    }

    fn layers(&self, content: &Content, max_bytes: u64) -> Result<(Image, Found)> {
        let (files, found) = self.open()?;
        let manifest = parse(&found.manifest, "manifest", &found.digest)?;
        let image = Image::from_documents(found.digest.clone(), manifest, &found.config)?;
        if image.size() > max_bytes {
            let text = format!("its layers have more than {max_bytes} bytes");
            return Err(self.named(Error::refused(text)));
        }
        for ((digest, size), name) in image.layers().zip(&found.layers) {
            if content.has_blob(digest) {
                continue;
            }
            let copied = files.reader(name).and_then(|file| match file {
                None => Err(Error::refused(format!("{name} is not in it"))),
                Some((mut from, _)) => content.writer()?.copy(&mut from, digest, size),
            });
            copied.map_err(|error| self.named(error))?;
        }
        Ok((image, found))
    }

    /// An error with where it was.
    fn named(&self, error: Error) -> Error {
        let path = self.path();
        match error {
            Error::Refused(why) => Error::Refused(format!("{}: {why}", path.display())),
            Error::Unavailable(why) => Error::Unavailable(format!("{}: {why}", path.display())),
            Error::Io(what, error) => Error::Io(format!("{}: {what}", path.display()), error),
        }
    }
}

fn broken(error: tokio::task::JoinError) -> Error {
    Error::Unavailable(format!("reading an image failed: {error}"))
}

/// Where layouts keep a blob.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The folder of those allowed that a path is in, and the rest of the path.
pub fn below<'a>(path: &'a Path, folders: &'a [PathBuf]) -> Option<(&'a Path, &'a Path)> {
    let found = |folder: &'a PathBuf| path.strip_prefix(folder).ok().map(|rest| (&**folder, rest));
    folders.iter().find_map(found)
}
