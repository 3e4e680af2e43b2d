//! What is attached to an image: by the registry's own list where it has one, else by an index
//! under a tag made of the image's digest (distribution-spec 1.1, "Unavailable Referrers API").

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor, ImageIndex, ImageIndexBuilder, MediaType, SCHEMA_VERSION};
use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};

use super::session::{Session, read};
use super::sign_in::Intent;
use super::{Credentials, Reference, Registries};
use crate::content::MAX_DOCUMENT;
use crate::manifest::{bytes, invalid, of};
use crate::{Digest, Error, Result};

/// Pages of one list at most.
const MAX_PAGES: usize = 64;
/// Tries to change a list that others change at the same time.
const TRIES: usize = 5;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Something attached to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Of its manifest.
    pub digest: Digest,
    /// `application/vnd.cyclonedx+json`; empty where the registry does not say.
    pub artifact_type: String,
    pub annotations: BTreeMap<String, String>,
}

impl Registries {
    /// What is attached to an image of the reference's repository, of all types or of one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry does not answer, [`Error::Refused`] when it does
    /// not let us or its list is none.
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
        artifact_type: Option<&str>,
        who: &Credentials,
    ) -> Result<Vec<Referrer>> {
        let session = self.session(reference, who, Intent::Pull).await?;
        let entries = match session.own_list(subject).await? {
            Some(entries) => entries,
            None => session.tagged_list(subject).await?,
        };
        let referrers = entries.iter().map(referrer).collect::<Result<Vec<_>>>()?;
        let fits = |referrer: &Referrer| artifact_type.is_none_or(|t| t == referrer.artifact_type);
        Ok(referrers.into_iter().filter(fits).collect())
    }
}

impl Session<'_> {
    /// The registry's own list; `None` when it keeps none.
    pub(super) async fn own_list(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>> {
        let mut entries = Vec::new();
        let mut path = format!("referrers/{subject}");
        for page in 0..MAX_PAGES {
            let Some(response) = self.find(self.request(Method::GET, &path)).await? else {
                // Only the first page may say that there are none.
                return match page {
                    0 => Ok(None),
                    _ => Err(self.no_list("its next page is not there")),
                };
            };
            let next = self.next(response.headers())?;
            let answer = read(self.reference, response, MAX_DOCUMENT).await?;
            entries.extend(self.index(&answer)?);
            match next {
                None => return Ok(Some(entries)),
                Some(next) => path = next,
            }
        }
        Err(self.no_list(&format!("it has more than {MAX_PAGES} pages")))
    }

    /// The path, below the repository, of the list's next page (RFC 8288).
    fn next(&self, headers: &HeaderMap) -> Result<Option<String>> {
        let Some(link) = headers.get(LINK).and_then(|link| link.to_str().ok()) else {
            return Ok(None);
        };
        let target = link.trim().strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((target, _)) = target.filter(|(_, how)| how.contains("next")) else {
            return Ok(None);
        };
        let here = self.registries.url(self.reference.host(), self.reference.repository());
        let next = reqwest::Url::parse(&format!("{here}/referrers/"));
        let next = next.and_then(|base| base.join(target)).map_err(|_| self.no_list(link))?;
        let path = next.as_str().strip_prefix(&format!("{here}/"));
        path.map(|path| Some(path.to_owned())).ok_or_else(|| self.no_list(link))
    }

    async fn tagged_list(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        match self.look(&tag(subject)).await? {
            Some((_, answer)) => self.index(&answer),
            None => Ok(Vec::new()),
        }
    }

    fn index(&self, answer: &[u8]) -> Result<Vec<Descriptor>> {
        let index: ImageIndex =
            serde_json::from_slice(answer).map_err(|error| self.no_list(&error.to_string()))?;
        Ok(index.manifests().clone())
    }

    fn no_list(&self, why: &str) -> Error {
        let host = self.reference.host();
        Error::refused(format!("registry {host}'s list of what is attached is none: {why}"))
    }

    /// Adds an entry to the list under a tag.
    pub(super) async fn list(&self, subject: &Digest, entry: &Descriptor) -> Result<()> {
        self.change(subject, |entries| {
            let there = entries.iter().any(|other| other.digest() == entry.digest());
            (!there).then(|| [entries, std::slice::from_ref(entry)].concat())
        })
        .await
    }

    /// Takes one from it.
    pub(super) async fn unlist(&self, subject: &Digest, digest: &Digest) -> Result<()> {
        let is = |entry: &Descriptor| entry.digest().to_string() == digest.as_str();
        self.change(subject, |entries| {
            let rest = entries.iter().filter(|entry| !is(entry)).cloned();
            entries.iter().any(is).then(|| rest.collect())
        })
        .await
    }

    /// Changes the list until it is seen to be as it should, since servers that change it at the
    /// same time overwrite each other's.
    async fn change(
        &self,
        subject: &Digest,
        wanted: impl Fn(&[Descriptor]) -> Option<Vec<Descriptor>>,
    ) -> Result<()> {
        let _turn = self.registries.attaching.lock().await;
        for _ in 0..TRIES {
            let Some(entries) = wanted(&self.tagged_list(subject).await?) else { return Ok(()) };
            let index = ImageIndexBuilder::default()
                .schema_version(SCHEMA_VERSION)
                .media_type(MediaType::ImageIndex)
                .manifests(entries)
                .build()
                .map_err(invalid)?;
            self.put(&tag(subject), INDEX, bytes(&index)?).await?;
        }
        let host = self.reference.host();
        let text = format!("registry {host}: others change what is attached to {subject}");
        Err(Error::Unavailable(text))
    }
}

fn referrer(entry: &Descriptor) -> Result<Referrer> {
    let artifact_type = entry.artifact_type().as_ref().map(ToString::to_string);
    let annotations = entry.annotations().clone().unwrap_or_default();
    Ok(Referrer {
        digest: of(entry)?,
        artifact_type: artifact_type.unwrap_or_default(),
        annotations: annotations.into_iter().collect(),
    })
}

/// `sha256-…`, as OCI has it.
fn tag(subject: &Digest) -> String {
    subject.as_str().replace(':', "-")
}
