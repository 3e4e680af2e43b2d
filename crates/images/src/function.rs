//! A function's own image: the image it runs on, its source, and the host that serves it.
//!
//! Any container engine runs it: its entry point serves the Function Runtime API on `$PORT`.

use std::collections::BTreeMap;
use std::path::Path;

use dispatch_driver::Task;
use dispatch_driver::language::{FUNCTION_AT, HOST_AT, Language};
use serde::Serialize;

use crate::build::Builder;
use crate::built::Inputs;
use crate::layer::NewLayer;
use crate::manifest::{Edits, pack_layer};
use crate::{Error, Image, Result};

/// What a function's image is made of.
#[derive(Debug)]
pub struct FunctionParts<'a> {
    /// The image it runs on.
    pub image: &'a Image,
    pub language: &'a Language,
    pub handler: &'a str,
    /// A directory with its unpacked source, which belongs to who builds.
    pub source: &'a Path,
    /// Digest of the source as it came.
    pub source_digest: &'a str,
    pub environment: Vec<(String, String)>,
    pub labels: BTreeMap<String, String>,
}

/// All that decides about the layer of a host.
#[derive(Debug, Serialize)]
struct HostStep<'a> {
    files: Vec<(&'a str, &'a str)>,
    prepare: &'a [Vec<String>],
    /// Hosts that are prepared for a function are that function's.
    source: &'a str,
}

impl Builder {
    /// Makes the image of a function.
    ///
    /// # Errors
    /// [`Error::Refused`] when functions of this kind cannot be images of their own, or with the
    /// compiler's words.
    pub async fn function(&self, parts: &FunctionParts<'_>) -> Result<Image> {
        let entrypoint = parts.language.entry_point(parts.handler).map_err(Error::Refused)?;
        let prefix = Path::new(FUNCTION_AT.trim_start_matches('/'));
        let by = "dispatch: source of a function";
        let source = pack_layer(&self.content, parts.source, prefix, by).await?;
        let mut layers = vec![source];
        if !parts.language.files.is_empty() {
            layers.push(self.host(parts).await?);
        }
        let mut environment = parts.environment.clone();
        environment.push(("DISPATCH_HANDLER".to_owned(), parts.handler.to_owned()));
        let edits = Edits {
            environment,
            entrypoint: Some(entrypoint),
            working_directory: Some(FUNCTION_AT.to_owned()),
            labels: parts.labels.clone(),
            ..Edits::default()
        };
        parts.image.extend(&self.content, &layers, &edits).await
    }

    /// The layer with the files that serve functions of a language.
    async fn host(&self, parts: &FunctionParts<'_>) -> Result<NewLayer> {
        let language = parts.language;
        let files = language.files.iter().map(|file| (file.name.as_str(), &*file.text));
        let prepare = language.prepare();
        let source = if prepare.is_empty() { "" } else { parts.source_digest };
        let below = if prepare.is_empty() { &[][..] } else { parts.image.diff_ids() };
        let step = HostStep { files: files.collect(), prepare: &prepare, source };
        let key = Inputs { below, step: &step }.key()?;
        let turn = self.content.turn(key.as_str());
        let _turn = turn.lock().await;
        if let Some(layer) = self.content.built(&key).await {
            return Ok(layer);
        }
        let scratch = self.content.scratch()?;
        let host = self.directory(scratch.path(), "host")?;
        for file in &language.files {
            self.write(&host.join(&file.name), &file.text)?;
        }
        for command in prepare {
            let layers = parts.image.unpack(&self.content).await?.layers;
            let own = parts.image.environment().into_iter().chain(language.running());
            let task = Task {
                layers,
                upper: Some(self.directory(scratch.path(), "upper")?),
                inputs: vec![(parts.source.to_owned(), FUNCTION_AT.to_owned())],
                outputs: vec![(host.clone(), HOST_AT.to_owned())],
                command,
                environment: self.environment(own),
                ..self.task()
            };
            self.run(&language.name, task).await?;
            let upper = scratch.path().join("upper");
            std::fs::remove_dir_all(upper).map_err(Error::io("a directory cannot be removed"))?;
        }
        let prefix = Path::new(HOST_AT.trim_start_matches('/'));
        let by = format!("dispatch: host of {} functions", language.name);
        let layer = pack_layer(&self.content, &host, prefix, &by).await?;
        self.content.remember(&key, &layer).await?;
        Ok(layer)
    }
}
