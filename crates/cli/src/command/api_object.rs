//! Documents of a file made so on the server: create, update, apply.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use dispatch_wire::client::Client;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Context, difference};
use crate::document::{self, Document, Origin};
use crate::{printer, progress, wait};

pub const UPDATE_EXAMPLES: &str = "\
Examples:
  dispatch update -f dispatch.yaml
  dispatch update -f shop/dispatch.yaml --work-dir shop";

const APPLY_EXAMPLES: &str = "\
Examples:
  dispatch apply -f dispatch.yaml --dry-run
  dispatch apply -f shop/dispatch.yaml --work-dir shop --application shop --wait
  dispatch apply -f https://example.org/dispatch.yaml";

/// Where documents come from.
#[derive(Debug, Clone, Args)]
pub struct FromFile {
    /// File with YAML documents, a URL, or - for standard input
    #[arg(long, short, value_name = "FILE-or-URL")]
    pub file: String,
    #[command(flatten)]
    pub beside: Beside,
}

/// What documents are read with.
#[derive(Debug, Clone, Args)]
pub struct Beside {
    /// Folder that paths in the documents start from [default: where you are; beside a URL]
    #[arg(long, short, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Application the resources join
    #[arg(long, short)]
    application: Option<String>,
}

impl Beside {
    pub fn origin(&self, file: &str) -> Origin {
        Origin::new(file, self.work_dir.as_deref())
    }
}

impl FromFile {
    async fn load(&self) -> Result<Vec<Document>> {
        let origin = self.beside.origin(&self.file);
        document::load(&origin, self.beside.application.as_deref()).await
    }

    pub async fn create(&self, context: &Context, waiting: &Waiting) -> Result<()> {
        let client = &context.session.client;
        let mut results = Results::default();
        let documents = self.load().await?;
        for document in &documents {
            let made = create(client, document).await.map_err(|e| document.failed(e))?;
            results.done(context, "Created", document, made);
        }
        waiting.wait(client, &documents).await?;
        results.print(context)
    }

    pub async fn update(&self, context: &Context) -> Result<()> {
        let mut results = Results::default();
        for document in self.load().await? {
            let changed = put(&context.session.client, &document).await;
            let changed = changed.map_err(|e| document.failed(e))?;
            results.done(context, "Updated", &document, changed);
        }
        results.print(context)
    }
}

/// Whether to wait until everything is READY.
#[derive(Debug, Clone, Args)]
pub struct Waiting {
    /// Wait until everything is READY, at most so many seconds
    #[arg(long, num_args = 0..=1, default_missing_value = "120", require_equals = true,
          value_name = "SECONDS")]
    pub wait: Option<u64>,
}

impl Waiting {
    pub async fn wait(&self, client: &Client, documents: &[Document]) -> Result<()> {
        let Some(seconds) = self.wait else { return Ok(()) };
        let limit = Duration::from_secs(seconds);
        for document in documents {
            wait::ready(client, document.noun, &document.name, limit).await?;
        }
        Ok(())
    }
}

/// Create what is missing, change what differs.
#[derive(Debug, Args)]
#[command(after_help = APPLY_EXAMPLES)]
pub struct Apply {
    #[command(flatten)]
    from: FromFile,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Apply {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let documents = self.from.load().await?;
        if self.dry_run {
            return dry_run(context, &documents).await;
        }
        let mut results = Results::default();
        for document in &documents {
            let there = read(client, document).await.map_err(|e| document.failed(e))?;
            let (verb, outcome) = match there {
                None => ("Created", create(client, document).await),
                Some(_) => ("Updated", put(client, document).await),
            };
            results.done(context, verb, document, outcome.map_err(|e| document.failed(e))?);
        }
        self.waiting.wait(client, &documents).await?;
        results.print(context)
    }
}

/// Says for each document what applying it would do.
async fn dry_run(context: &Context, documents: &[Document]) -> Result<()> {
    let mut changes = Vec::new();
    for document in documents {
        let there = read(&context.session.client, document).await;
        let there = there.map_err(|e| document.failed(e))?;
        let diff = difference::of(there.as_ref(), document)?;
        let change = match (&there, &diff) {
            (None, _) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "none",
        };
        let title = format!("{} {}", document.kind, document.name);
        context.printer.say(diff.as_deref().unwrap_or(&format!("{title}: unchanged")));
        changes.push(json!({
            "kind": document.kind, "name": document.name, "change": change, "diff": diff,
        }));
    }
    if context.printer.is_structured() {
        context.printer.value(&Value::Array(changes))?;
    }
    Ok(())
}

pub async fn create(client: &Client, document: &Document) -> Result<Value> {
    send(client, Method::POST, document.noun.path(), document).await
}

async fn put(client: &Client, document: &Document) -> Result<Value> {
    let path = format!("{}/{}", document.noun.path(), document.name);
    send(client, Method::PUT, &path, document).await
}

async fn send(client: &Client, method: Method, path: &str, document: &Document) -> Result<Value> {
    let what = format!("sending {} {}", document.kind, document.name);
    let answer = client.send(method, path, &[], Some(&document.body));
    let answer = progress::waiting(&what, answer).await?;
    answer.warnings.iter().for_each(|text| printer::warning(text));
    Ok(answer.body)
}

async fn read(client: &Client, document: &Document) -> Result<Option<Value>> {
    match crate::noun::read(client, document.noun, &document.name).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Lines for people as things happen; one object by kind at the end for programs, as in v1.
#[derive(Default)]
pub struct Results {
    by_kind: Map<String, Value>,
}

impl Results {
    pub fn done(&mut self, context: &Context, verb: &str, document: &Document, body: Value) {
        context.printer.say(&format!("{verb} {}: {}", document.kind, document.name));
        let list =
            self.by_kind.entry(document.kind.clone()).or_insert_with(|| Value::Array(vec![]));
        if let Value::Array(list) = list {
            list.push(body);
        }
    }

    pub fn print(self, context: &Context) -> Result<()> {
        if context.printer.is_structured() {
            context.printer.value(&Value::Object(self.by_kind))?;
        }
        Ok(())
    }
}
