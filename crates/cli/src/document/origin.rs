//! Where documents come from, and the files they name.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use url::Url;

use crate::hint::wrong;
use crate::{pack, progress};

/// Largest file read, in bytes.
const MAX_FILE: usize = 64 << 20;

/// A file, a URL, or standard input (`-`); with the folder that paths start from.
#[derive(Debug, Clone)]
pub struct Origin {
    name: String,
    /// Set when the files that documents name lie beside them on the web.
    url: Option<Url>,
    folder: PathBuf,
}

impl Origin {
    /// Without a folder, what a document from the web names is fetched from beside it.
    pub fn new(from: &str, work_dir: Option<&Path>) -> Self {
        let url = is_url(from).then(|| Url::parse(from).ok()).flatten();
        let url = url.filter(|_| work_dir.is_none());
        let folder = work_dir.unwrap_or(Path::new(".")).to_owned();
        Self { name: from.to_owned(), url, folder }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The documents' text.
    pub async fn text(&self) -> Result<String> {
        if is_url(&self.name) {
            return download(&self.name).await;
        }
        if self.name == "-" {
            return Ok(std::io::read_to_string(std::io::stdin())?);
        }
        std::fs::read_to_string(&self.name).map_err(|error| {
            wrong(
                format!("--file {}: {error}", self.name),
                "the path starts from the folder you are in; - reads standard input",
            )
        })
    }

    /// The packed source at a path that a document names.
    pub async fn source(&self, path: &str) -> Result<String> {
        match &self.url {
            Some(url) => {
                let text = beside(url, path).await?;
                let name = Path::new(path).file_name().context("sourcePath names no file")?;
                pack::one(Path::new(name), text.as_bytes())
            }
            None => pack::source(&self.found(path, "sourcePath")?),
        }
    }

    /// The text of a file that a document names.
    pub async fn file(&self, path: &str, field: &str) -> Result<String> {
        match &self.url {
            Some(url) => beside(url, path).await,
            None => {
                let file = self.found(path, field)?;
                std::fs::read_to_string(&file)
                    .with_context(|| format!("{field}: cannot read {}", file.display()))
            }
        }
    }

    /// The path, if something is there.
    fn found(&self, path: &str, field: &str) -> Result<PathBuf> {
        let found = self.folder.join(path);
        if found.exists() {
            return Ok(found);
        }
        let own = Path::new(&self.name).parent().unwrap_or(Path::new(""));
        let hint = if own.join(path).exists() {
            format!("it lies beside the documents: add --work-dir {}", own.display())
        } else {
            format!("paths start from --work-dir, which is {}", self.folder.display())
        };
        Err(wrong(format!("{field}: there is no {}", found.display()), hint))
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

async fn download(url: &str) -> Result<String> {
    let text = dispatch_wire::client::download(url, MAX_FILE);
    Ok(progress::waiting(&format!("fetching {url}"), text).await?)
}

async fn beside(url: &Url, path: &str) -> Result<String> {
    download(url.join(path).with_context(|| format!("{path} is no path"))?.as_str()).await
}
