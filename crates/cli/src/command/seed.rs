//! `dispatch create seed-images`: a base image and an image for every language of the server.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Context, api_object};
use crate::document::Document;
use crate::noun::Noun;

pub async fn run(context: &Context, output_file: Option<&Path>) -> Result<()> {
    let client = &context.session.client;
    let engines = client.get("engine").await?;
    let mut languages: Vec<String> = engines
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|engine| engine["languages"].as_array().into_iter().flatten())
        .filter_map(|language| language.as_str().or_else(|| language["language"].as_str()))
        .map(str::to_owned)
        .collect();
    languages.sort();
    languages.dedup();
    if languages.is_empty() {
        bail!("the server found no language: dispatch-server check-config says why");
    }
    let documents: Vec<_> = languages.iter().flat_map(|language| pair(language)).collect();
    if let Some(file) = output_file {
        let texts: Result<Vec<String>, _> =
            documents.iter().map(|document| serde_saphyr::to_string(&document.body)).collect();
        std::fs::write(file, texts?.join("---\n"))
            .with_context(|| format!("cannot write {}", file.display()))?;
        context.printer.say(&format!("Wrote {}", file.display()));
        return Ok(());
    }
    let mut made = Vec::new();
    for document in &documents {
        match api_object::create(client, document).await {
            Ok(body) => {
                let words = document.noun.words();
                context.printer.say(&format!("Created {words}: {}", document.name));
                made.push(body);
            }
            Err(error) if is_there(&error) => {
                let words = document.noun.words();
                context.printer.say(&format!("Exists already {words}: {}", document.name));
            }
            Err(error) => return Err(error),
        }
    }
    if context.printer.is_structured() {
        context.printer.value(&Value::Array(made))?;
    }
    Ok(())
}

fn is_there(error: &anyhow::Error) -> bool {
    let client = error.downcast_ref::<dispatch_wire::client::Error>();
    client.is_some_and(|error| error.status() == Some(409))
}

fn pair(language: &str) -> [Document; 2] {
    let base = format!("{language}-base");
    let document = |noun: Noun, name: &str, body| Document::new(noun, noun.yaml(), name, body);
    [
        document(
            Noun::BaseImage,
            &base,
            json!({
                "kind": "BaseImage", "name": base, "language": language,
                "dockerUrl": format!("host:{language}"),
            }),
        ),
        document(
            Noun::Image,
            language,
            json!({
                "kind": "Image", "name": language, "baseImageName": base,
            }),
        ),
    ]
}
