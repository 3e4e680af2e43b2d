//! `dispatch delete`.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::Method;

use super::Context;
use super::api_object::FromFile;
use crate::noun::Noun;
use crate::printer;

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    from: Option<FromFile>,
    /// Kind of resource
    #[arg(value_enum, required_unless_present = "file", requires = "name")]
    kind: Option<Noun>,
    name: Option<String>,
    /// Refuse when others use it
    #[arg(long)]
    protect: bool,
    /// Keep the runs of a function
    #[arg(long)]
    keep_runs: bool,
}

impl Delete {
    pub async fn run(self, context: &Context) -> Result<()> {
        let (protect, keep_runs) = (self.protect, self.keep_runs);
        match (self.from, self.kind, self.name) {
            (Some(from), None, None) => {
                let mut documents = from.load().await?;
                // What names others goes before what is named.
                documents.reverse();
                for document in documents {
                    let what = format!("{} {}", document.kind, document.name);
                    delete(context, document.noun, &document.name, protect, keep_runs)
                        .await
                        .context(what)?;
                    let line = format!("Deleted {}: {}", document.kind, document.name);
                    context.printer.say(&line);
                }
                Ok(())
            }
            (None, Some(noun), Some(name)) => {
                let body = delete(context, noun, &name, protect, keep_runs).await?;
                context.printer.say(&format!("Deleted {}: {name}", noun.words()));
                if context.printer.is_structured() && !body.is_null() {
                    context.printer.value(&body)?;
                }
                Ok(())
            }
            _ => bail!("name a kind and a name, or a file: dispatch delete -f FILE"),
        }
    }
}

pub async fn delete(
    context: &Context,
    noun: Noun,
    name: &str,
    protect: bool,
    keep_runs: bool,
) -> Result<serde_json::Value> {
    let mut query = Vec::new();
    if protect {
        query.push(("protect".to_owned(), "true".to_owned()));
    }
    if keep_runs && noun == Noun::Function {
        query.push(("keepRuns".to_owned(), "true".to_owned()));
    }
    let path = format!("{}/{name}", noun.path());
    let answer = context.session.client.send(Method::DELETE, &path, &query, None).await?;
    answer.warnings.iter().for_each(|text| printer::warning(text));
    Ok(answer.body)
}
