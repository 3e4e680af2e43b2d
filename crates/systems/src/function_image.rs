//! Function images of a test: a handler in Python and the host that serves it, over this machine's
//! Python, in a registry where any container engine finds them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use dispatch_driver::language::Languages;
use dispatch_driver::{Error, Interpreter, Task, TaskOutput, Workshop};
use dispatch_images::build::{Builder, Limits as BuildLimits};
use dispatch_images::function::FunctionParts;
use dispatch_images::layer::Limits;
use dispatch_images::layout::{Kind, Layout};
use dispatch_images::registry::{Credentials, Reference, Registries, Settings};
use dispatch_images::{Content, Digest, Image};
use tempfile::TempDir;

use crate::image::python_layout;
use crate::programs::{run, tools};

/// Changes with what the base is made of, so that an older one is not taken for it.
const EDITION: &str = "1";
/// The base's interpreter.
const PYTHON: &str = "/opt/python/bin/python3";
const MAX_BYTES: u64 = 4 << 30;

/// Makes function images and pushes them to one registry.
pub struct FunctionImages {
    builder: Builder,
    base: Image,
    registries: Registries,
    /// `HOST:PORT/REPOSITORY` of all images.
    repository: String,
    // The last field: nothing reads the directory when it goes.
    _state: TempDir,
}

impl FunctionImages {
    /// Images in a registry without TLS at `HOST:PORT`. Their base is made once per machine, which
    /// takes some seconds.
    pub async fn new(registry: &str) -> Self {
        let made = Self::start(registry).await;
        made.unwrap_or_else(|error| panic!("function images cannot be made: {error:#}"))
    }

    async fn start(registry: &str) -> Result<Self> {
        let layout = base().await?;
        let state = tempfile::tempdir()?;
        let limits = Limits { max_bytes: MAX_BYTES, max_entries: 1_000_000, owner: None };
        let content = Content::open(&state.path().join("content"), limits)?;
        let place = Layout {
            kind: Kind::Directory,
            folder: layout,
            inside: PathBuf::new(),
            tag: Some("python".to_owned()),
            digest: None,
        };
        let base = place.pull(&content, MAX_BYTES).await?;
        let settings = Settings {
            plain_http: vec![registry.to_owned()],
            certificates: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            max_image_bytes: MAX_BYTES,
        };
        let registries = Registries::new(settings)?;
        let workshop = Arc::new(NoWorkshop);
        let builder = Builder { content, workshop, limits: BuildLimits::default() };
        let repository = format!("{registry}/dispatch/tests");
        Ok(Self { builder, base, registries, repository, _state: state })
    }

    /// The image of a Python source, whose handler is `handler.handle`; pushed, and named
    /// `HOST:PORT/REPOSITORY@sha256:<hex>`. The same source is the same image.
    pub async fn push(&self, source: &str) -> String {
        let pushed = self.try_push(source, "python3", "handler.handle", "handler.py").await;
        pushed.unwrap_or_else(|error| panic!("an image: {error:#}"))
    }

    /// The image of a program that serves by itself, in the Python of the base: without our host.
    pub async fn push_program(&self, source: &str) -> String {
        let source = format!("#!{PYTHON}\n{source}");
        let pushed = self.try_push(&source, "binary", "http:./program", "program").await;
        pushed.unwrap_or_else(|error| panic!("an image: {error:#}"))
    }

    async fn try_push(
        &self,
        source: &str,
        language: &str,
        handler: &str,
        file: &str,
    ) -> Result<String> {
        use std::os::unix::fs::PermissionsExt as _;
        let languages = Languages::builtin();
        let folder = tempfile::tempdir()?;
        let file = folder.path().join(file);
        fs::write(&file, source)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        let digest = Digest::of(source.as_bytes());
        let parts = FunctionParts {
            image: &self.base,
            language: languages.get(language).context("it is built in")?,
            handler,
            source: folder.path(),
            source_digest: digest.as_str(),
            environment: Vec::new(),
            labels: BTreeMap::new(),
        };
        let image = self.builder.function(&parts).await?;
        let name = format!("{}@{}", self.repository, image.digest);
        let reference: Reference = name.parse()?;
        let content = &self.builder.content;
        self.registries.push(&image, &reference, &Credentials::Nobody, content).await?;
        Ok(name)
    }
}

/// The layout of an image with this machine's Python, made if this is the first test that wants
/// it. It is there as a whole or not at all.
async fn base() -> Result<PathBuf> {
    let version =
        run("python3", &["-I", "-c", "import platform; print(platform.python_version())"]);
    let tools = tools();
    let layout = tools.join(format!("image-python-{version}-{EDITION}"));
    if layout.is_dir() {
        return Ok(layout);
    }
    fs::create_dir_all(&tools)?;
    let lock = File::create(tools.join(format!("image-python-{version}-{EDITION}.lock")))?;
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !layout.is_dir() {
        let work = tempfile::tempdir_in(&tools)?;
        let made = python_layout(work.path(), "12").await;
        fs::rename(made, &layout)?;
        readable(&layout)?;
    }
    drop(locked);
    Ok(layout)
}

/// Tests of other users read it too.
fn readable(layout: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(layout, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Images of Python functions need no command to be run.
struct NoWorkshop;

#[async_trait]
impl Workshop for NoWorkshop {
    async fn run(&self, _task: Task) -> dispatch_driver::Result<TaskOutput> {
        Err(Error::caller("ENGINE004", "test images are made without running commands"))
    }

    fn interpreter(&self, _language: &str) -> Option<Interpreter> {
        None
    }

    fn unable(&self) -> Option<String> {
        Some("test images are made without running commands".to_owned())
    }
}
