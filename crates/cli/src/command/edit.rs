//! `dispatch edit`: a resource in an editor, sent back if nobody changed it meanwhile.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Context;
use crate::complete;
use crate::noun::{self, Noun};

#[derive(Debug, Args)]
pub struct Edit {
    #[arg(value_enum)]
    kind: Noun,
    #[arg(add = complete::names_by_line())]
    name: String,
}

impl Edit {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let before = noun::read(client, self.kind, &self.name).await?;
        let folder = tempfile::Builder::new().prefix("dispatch-edit-").tempdir()?;
        let file = folder.path().join(format!("{}.yaml", self.name));
        let text = serde_saphyr::to_string(&before)?;
        crate::config::write_private(&file, text.as_bytes())?;
        let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
        let editor = editor.unwrap_or_else(|_| "vi".to_owned());
        // The variable may hold flags, so a shell takes it apart, as git does.
        let status = Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "sh"])
            .arg(&file)
            .status()
            .with_context(|| format!("cannot start the editor {editor}"))?;
        if !status.success() {
            bail!("the editor ended with {status}; nothing was changed");
        }
        let edited = std::fs::read_to_string(&file)?;
        if edited == text {
            context.printer.say("Nothing was changed");
            return Ok(());
        }
        let after: Value = serde_saphyr::from_str(&edited).context("the edited text")?;
        let path = format!("{}/{}", self.kind.path(), self.name);
        // What the server fills is taken and ignored; the revision guards against another writer.
        if after["revision"] != before["revision"] {
            bail!("revision must stay as it is");
        }
        let current = noun::read(client, self.kind, &self.name).await?;
        if current["revision"] != before["revision"] {
            bail!("{} {} was changed meanwhile: edit it again", self.kind.words(), self.name);
        }
        client.send(Method::PUT, &path, &[], Some(&after)).await?;
        context.printer.say(&format!("Updated {}: {}", self.kind.words(), self.name));
        Ok(())
    }
}
