//! YAML documents: read from a file or URL, taken apart properly, completed with what lies beside
//! them, and sorted so that what others name comes first.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::noun::Noun;
use crate::pack;

/// Largest file of documents read, in bytes.
const MAX_FILE: usize = 64 << 20;

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    pub noun: Noun,
    /// `kind:` as it was written, for the messages.
    pub kind: String,
    pub name: String,
    pub body: Value,
}

/// Reads documents from a file, `-` for standard input, or an http(s) URL.
pub async fn load(from: &str, work_dir: &Path, application: Option<&str>) -> Result<Vec<Document>> {
    let text = read(from).await?;
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| from.to_owned())?;
    let mut documents = Vec::new();
    for (at, body) in values.into_iter().enumerate() {
        if body.is_null() {
            continue;
        }
        let document = document(body, work_dir, application);
        documents.push(document.with_context(|| format!("{from}: document {}", at + 1))?);
    }
    if documents.is_empty() {
        bail!("{from} holds no documents");
    }
    documents.sort_by_key(|document| document.noun.rank());
    Ok(documents)
}

async fn read(from: &str) -> Result<String> {
    if from.starts_with("http://") || from.starts_with("https://") {
        let text = dispatch_wire::client::download(from, MAX_FILE).await?;
        return Ok(text);
    }
    if from == "-" {
        return Ok(std::io::read_to_string(std::io::stdin())?);
    }
    std::fs::read_to_string(from).with_context(|| format!("cannot read {from}"))
}

fn document(mut body: Value, work_dir: &Path, application: Option<&str>) -> Result<Document> {
    let kind = match body.get("kind") {
        Some(Value::String(kind)) => kind.clone(),
        _ => bail!("has no kind: one of {}", kinds()),
    };
    let noun = Noun::of_yaml(&kind)
        .with_context(|| format!("kind {kind:?} is not known: one of {}", kinds()))?;
    let name = match body.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        Some(Value::Number(number)) => bail!("name: {number} must be text: write \"{number}\""),
        _ => bail!("{kind} has no name"),
    };
    complete(noun, &mut body, work_dir)?;
    if let Some(application) = application {
        tag(&mut body, application);
    }
    Ok(Document { noun, kind, name, body })
}

fn kinds() -> String {
    Noun::ALL.map(Noun::yaml).join(", ")
}

/// Reads the files a document names.
fn complete(noun: Noun, body: &mut Value, work_dir: &Path) -> Result<()> {
    if noun == Noun::Function
        && let Some(path) = body.get("sourcePath").and_then(Value::as_str)
    {
        body["source"] = json!(pack::source(&work_dir.join(path))?);
        if let Some(body) = body.as_object_mut() {
            body.remove("sourcePath");
        }
    }
    if noun == Noun::Image
        && let Some(manifest) = body.pointer_mut("/runtimeDependencies/manifest")
        && let Some(file) = manifest.as_str().and_then(|text| text.strip_prefix('@'))
    {
        let file = work_dir.join(file);
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        *manifest = json!(text);
    }
    if noun == Noun::Serviceaccount
        && let Some(file) = body.get("publicKey").and_then(Value::as_str)
        && let Some(file) = file.strip_prefix('@')
    {
        let file = work_dir.join(file);
        body["publicKey"] = json!(encode_file(&file)?);
    }
    Ok(())
}

/// The base64 of a file.
pub fn encode_file(file: &Path) -> Result<String> {
    use base64::Engine as _;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
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
        load(&file.display().to_string(), folder.path(), Some("shop")).await
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
        for (text, part) in [
            ("kind: Funktion\nname: f", "Funktion"),
            ("name: f", "no kind"),
            ("kind: Function", "no name"),
            ("kind: Secret\nname: 5", "must be text"),
            ("kind: Function\nname: f\nsourcePath: gone.py", "gone.py"),
        ] {
            let error = format!("{:#}", documents(text).await.unwrap_err());
            assert!(error.contains(part) && error.contains("document 1"), "{error}");
        }
        assert!(documents("").await.is_err());
    }
}
