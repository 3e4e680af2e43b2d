//! Documents of a file made so on the server: create, update, apply.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use dispatch_wire::client::Client;
use reqwest::Method;
use serde_json::{Map, Value};

use super::Context;
use crate::document::{self, Document};
use crate::{printer, wait};

/// Where documents come from.
#[derive(Debug, Clone, Args)]
pub struct FromFile {
    /// File with YAML documents, a URL, or - for standard input
    #[arg(long, short, value_name = "FILE-or-URL")]
    pub file: String,
    /// Folder that paths in the documents start from
    #[arg(long, short, default_value = ".", value_name = "DIR")]
    pub work_dir: PathBuf,
    /// Application the resources join
    #[arg(long, short)]
    pub application: Option<String>,
}

impl FromFile {
    pub async fn load(&self) -> Result<Vec<Document>> {
        document::load(&self.file, &self.work_dir, self.application.as_deref()).await
    }

    pub async fn create(&self, context: &Context, waiting: &Waiting) -> Result<()> {
        let client = &context.session.client;
        let mut results = Results::default();
        let documents = self.load().await?;
        for document in &documents {
            let made = create(client, document).await.with_context(|| of(document))?;
            results.done(context, "Created", document, made);
        }
        waiting.wait(client, &documents).await?;
        results.print(context)
    }

    pub async fn update(&self, context: &Context) -> Result<()> {
        let mut results = Results::default();
        for document in self.load().await? {
            let changed = put(&context.session.client, &document).await;
            results.done(context, "Updated", &document, changed.with_context(|| of(&document))?);
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
    wait: Option<u64>,
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
    pub async fn run(&self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let documents = self.from.load().await?;
        let mut results = Results::default();
        for document in &documents {
            let there = read(client, document).await.with_context(|| of(document))?;
            if self.dry_run {
                context.printer.say(&difference(there.as_ref(), document)?);
                continue;
            }
            let (verb, outcome) = match there {
                None => ("Created", create(client, document).await),
                Some(_) => ("Updated", put(client, document).await),
            };
            results.done(context, verb, document, outcome.with_context(|| of(document))?);
        }
        if self.dry_run {
            return Ok(());
        }
        self.waiting.wait(client, &documents).await?;
        results.print(context)
    }
}

fn of(document: &Document) -> String {
    format!("{} {}", document.kind, document.name)
}

pub async fn create(client: &Client, document: &Document) -> Result<Value> {
    let path = document.noun.path();
    let answer = client.send(Method::POST, path, &[], Some(&document.body)).await?;
    answer.warnings.iter().for_each(|text| printer::warning(text));
    Ok(answer.body)
}

async fn put(client: &Client, document: &Document) -> Result<Value> {
    let path = format!("{}/{}", document.noun.path(), document.name);
    let answer = client.send(Method::PUT, &path, &[], Some(&document.body)).await?;
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

/// What a document would change, as a unified diff of the fields it names.
fn difference(there: Option<&Value>, document: &Document) -> Result<String> {
    let wanted = shown(&document.body);
    let old = match there {
        None => String::new(),
        Some(there) => {
            let mut now = shown(there);
            // Fields the document does not name stay as they are.
            if let (Value::Object(now), Value::Object(wanted)) = (&mut now, &wanted) {
                now.retain(|key, _| wanted.contains_key(key));
            }
            serde_saphyr::to_string(&now)?
        }
    };
    let new = serde_saphyr::to_string(&wanted)?;
    let title = of(document);
    if old == new {
        return Ok(format!("{title}: unchanged"));
    }
    let names = (format!("{title} (server)"), format!("{title} (file)"));
    let diff = similar::TextDiff::from_lines(&old, &new);
    Ok(diff.unified_diff().header(&names.0, &names.1).to_string().trim_end().to_owned())
}

/// What of a resource is worth comparing: no fields the server fills, no source bytes, no values
/// of secrets.
fn shown(body: &Value) -> Value {
    const SERVER: [&str; 14] = [
        "id",
        "kind",
        "status",
        "reason",
        "createdTime",
        "modifiedTime",
        "revision",
        "organization",
        "functionImageURL",
        "faasId",
        "engine",
        "source",
        "sourceDigest",
        "serviceBindings",
    ];
    let fields = body.as_object().cloned().unwrap_or_default();
    let mut kept: Map<String, Value> =
        fields.into_iter().filter(|(key, _)| !SERVER.contains(&key.as_str())).collect();
    if let Some(Value::Object(secrets)) = kept.get_mut("secrets") {
        secrets.values_mut().for_each(|value| *value = Value::String("<hidden>".to_owned()));
    }
    if let Some(digest) = source_digest(body) {
        kept.insert("sourceDigest".to_owned(), Value::String(digest));
    }
    Value::Object(kept)
}

/// The digest of a document's source, or the one the server tells.
fn source_digest(body: &Value) -> Option<String> {
    use base64::Engine as _;
    use sha2::Digest as _;
    if let Some(source) = body.get("source").and_then(Value::as_str) {
        let bytes = base64::engine::general_purpose::STANDARD.decode(source).ok()?;
        let hex: String = sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
        return Some(format!("sha256:{hex}"));
    }
    body.get("sourceDigest")?.as_str().map(str::to_owned)
}

/// Lines for people as things happen; one object by kind at the end for programs, as in v1.
#[derive(Default)]
struct Results {
    by_kind: Map<String, Value>,
}

impl Results {
    fn done(&mut self, context: &Context, verb: &str, document: &Document, body: Value) {
        context.printer.say(&format!("{verb} {}: {}", document.kind, document.name));
        let list =
            self.by_kind.entry(document.kind.clone()).or_insert_with(|| Value::Array(vec![]));
        if let Value::Array(list) = list {
            list.push(body);
        }
    }

    fn print(self, context: &Context) -> Result<()> {
        if context.printer.is_structured() {
            context.printer.value(&Value::Object(self.by_kind))?;
        }
        Ok(())
    }
}
