//! YAML documents: read from a file or URL, taken apart properly, completed with what lies beside
//! them, and sorted so that what others name comes first.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use dispatch_model::Violation;
use dispatch_wire::client;
use serde_json::{Value, json};

use crate::hint;
use crate::later;
use crate::noun::Noun;

mod lines;
mod origin;

use lines::Lines;
pub use origin::Origin;

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    pub noun: Noun,
    /// `kind:` as it was written, for the messages.
    pub kind: String,
    pub name: String,
    pub body: Value,
    /// Where it was written, if it was read from somewhere.
    place: Option<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    file: String,
    lines: Arc<Lines>,
}

impl Place {
    /// `FILE:LINE` of a field.
    fn of(&self, field: &str) -> String {
        match self.lines.line(field) {
            0 => self.file.clone(),
            line => format!("{}:{line}", self.file),
        }
    }
}

impl Document {
    /// One that was made of words rather than read.
    pub fn new(noun: Noun, kind: &str, name: &str, body: Value) -> Self {
        Self { noun, kind: kind.to_owned(), name: name.to_owned(), body, place: None }
    }

    /// An error about this document, which says where it stands.
    pub fn failed(&self, error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        let Some(place) = &self.place else { return error };
        let answer = error.downcast_ref::<client::Error>();
        let field = answer.and_then(client::Error::field).unwrap_or_default();
        let place = place.of(field);
        error.context(format!("{place}: {} {}", self.kind, self.name))
    }
}

/// Reads documents and everything they name. What the server would refuse for its shape is refused
/// here, before anything is sent.
pub async fn load(origin: &Origin, application: Option<&str>) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for (body, place) in read(origin).await? {
        documents.push(document(body, origin, application, place).await?);
    }
    documents.sort_by_key(|document| document.noun.rank());
    Ok(documents)
}

/// Reads only what the documents are, not the files they name: enough to delete it.
pub async fn identify(origin: &Origin) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for (body, place) in read(origin).await? {
        let (kind, name, noun) = identity(&body, &place)?;
        documents.push(Document { noun, kind, name, body, place: Some(place) });
    }
    documents.sort_by_key(|document| document.noun.rank());
    Ok(documents)
}

async fn read(origin: &Origin) -> Result<Vec<(Value, Place)>> {
    let (text, from) = (origin.text().await?, origin.name());
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| from.to_owned())?;
    let mut lines = Lines::of(&text);
    lines.resize_with(values.len(), Lines::default);
    let place = |lines| Place { file: from.to_owned(), lines: Arc::new(lines) };
    let placed = values.into_iter().zip(lines.into_iter().map(place));
    let found: Vec<_> = placed.filter(|(body, _)| !body.is_null()).collect();
    if found.is_empty() {
        bail!("{from} holds no documents");
    }
    Ok(found)
}

async fn document(
    mut body: Value,
    origin: &Origin,
    application: Option<&str>,
    place: Place,
) -> Result<Document> {
    let (kind, name, noun) = identity(&body, &place)?;
    let at = |field: &str| format!("{}: {kind} {name}", place.of(field));
    complete(noun, &mut body, origin).await.map_err(|(field, error)| error.context(at(field)))?;
    if let Err(Violation { field, rule }) = noun.check(&body) {
        return Err(hint::wrong(
            format!("{}: {field}: {rule}", at(&field)),
            "correct it and try again; nothing was sent",
        ));
    }
    if let Some(application) = application {
        tag(&mut body, application);
    }
    Ok(Document { noun, kind, name, body, place: Some(place) })
}

/// What a document is: its kind as written, its name, and what the kind means.
fn identity(body: &Value, place: &Place) -> Result<(String, String, Noun)> {
    let kinds = || Noun::ALL.map(Noun::yaml);
    let kind = match body.get("kind") {
        Some(Value::String(kind)) => kind.clone(),
        _ => bail!("{}: has no kind: one of {}", place.of(""), kinds().join(", ")),
    };
    let noun = Noun::of_yaml(&kind).ok_or_else(|| {
        let later = later::answer(&kind);
        later.unwrap_or_else(|| hint::unknown("kind", &kind, kinds())).at(&place.of("kind"))
    })?;
    match body.get("name") {
        Some(Value::String(name)) if !name.is_empty() => Ok((kind, name.clone(), noun)),
        Some(Value::Number(number)) => {
            bail!("{}: name: {number} must be text: write \"{number}\"", place.of("name"))
        }
        _ => bail!("{}: {kind} has no name", place.of("name")),
    }
}

/// Reads the files a document names. An error comes with the field that names the file.
async fn complete(
    noun: Noun,
    body: &mut Value,
    origin: &Origin,
) -> Result<(), (&'static str, anyhow::Error)> {
    const PATH: &str = "sourcePath";
    if noun == Noun::Function
        && let Some(path) = body.get(PATH).and_then(Value::as_str)
    {
        body["source"] = json!(origin.source(path).await.map_err(|error| (PATH, error))?);
        if let Some(body) = body.as_object_mut() {
            body.remove(PATH);
        }
    }
    const MANIFEST: &str = "runtimeDependencies.manifest";
    if noun == Noun::Image
        && let Some(manifest) = body.pointer_mut("/runtimeDependencies/manifest")
        && let Some(file) = manifest.as_str().and_then(|text| text.strip_prefix('@'))
    {
        let text = origin.file(file, MANIFEST).await.map_err(|error| (MANIFEST, error))?;
        *manifest = json!(text);
    }
    const KEY: &str = "publicKey";
    if noun == Noun::Serviceaccount
        && let Some(file) = body.get(KEY).and_then(Value::as_str)
        && let Some(file) = file.strip_prefix('@')
    {
        let pem = origin.file(file, KEY).await.map_err(|error| (KEY, error))?;
        body[KEY] = json!(encode(pem.as_bytes()));
    }
    Ok(())
}

/// The base64 of a file.
pub fn encode_file(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(encode(&bytes))
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Makes a resource part of an application.
pub fn tag(body: &mut Value, application: &str) {
    let tag = json!({"key": "Application", "value": application});
    match body.get_mut("tags").and_then(Value::as_array_mut) {
        Some(tags) => {
            tags.retain(|tag| tag["key"] != "Application");
            tags.push(tag);
        }
        None => body["tags"] = json!([tag]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn documents(text: &str) -> Result<Vec<Document>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("h.py"), "def handle(c, p): return p").unwrap();
        let file = folder.path().join("d.yaml");
        std::fs::write(&file, text).unwrap();
        let origin = Origin::new(&file.display().to_string(), Some(folder.path()));
        load(&origin, Some("shop")).await
    }

    #[tokio::test]
    async fn documents_are_split_by_yaml_not_by_dashes() {
        let text = "\
kind: API
name: route
function: f
---
kind: Function
name: f
image: i
sourcePath: h.py
---
kind: Secret
name: s
secrets:
  key: |
    -----BEGIN PRIVATE KEY-----
    ---
    abc
    -----END PRIVATE KEY-----
";
        let all = documents(text).await.unwrap();
        let nouns: Vec<_> = all.iter().map(|d| d.noun).collect();
        assert_eq!(nouns, [Noun::Secret, Noun::Function, Noun::Api]);
        assert!(all[0].body["secrets"]["key"].as_str().unwrap().contains("\n---\nabc"));
        assert!(all[1].body["source"].is_string() && all[1].body.get("sourcePath").is_none());
        assert_eq!(all[1].body["tags"][0]["value"], "shop");
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        for (text, line, part) in [
            ("name: f\nkind: Funktion", 2, "Funktion"),
            ("name: f\nkind: Subscription", 2, "not there yet"),
            ("name: f", 1, "no kind"),
            ("kind: Function", 1, "no name"),
            ("kind: Secret\nname: 5", 2, "must be text"),
            ("kind: Function\nname: f\nsourcePath: gone.py", 3, "gone.py"),
            ("kind: Function\nname: f\nimage: i\ntiemout: 5", 4, "did you mean `timeout`?"),
            ("kind: Function\nname: f\nschema:\n  inn: {}", 4, "schema.inn: unknown field"),
            ("kind: Function\nname: f\ntimeout: soon", 3, "timeout: invalid type"),
        ] {
            let error = format!("{:#}", documents(text).await.unwrap_err());
            assert!(error.contains(part), "{error}");
            assert!(error.contains(&format!("d.yaml:{line}: ")), "{error}");
        }
        assert!(documents("").await.is_err());
    }
}
