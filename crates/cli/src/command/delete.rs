//! `dispatch delete`.

use anyhow::Result;
use clap::Args;
use reqwest::Method;

use super::Context;
use super::api_object::{Beside, Results};
use crate::complete;
use crate::document;
use crate::hint::wrong;
use crate::noun::Noun;
use crate::printer;

const EXAMPLES: &str = "\
Examples:
  dispatch delete function hello
  dispatch delete function hello --keep-runs
  dispatch delete secret open-sesame --protect
  dispatch delete -f dispatch.yaml";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Delete {
    /// File with YAML documents, a URL, or - for standard input
    #[arg(long, short, value_name = "FILE-or-URL", conflicts_with_all = ["kind", "name"])]
    file: Option<String>,
    #[command(flatten)]
    beside: Beside,
    /// Kind of resource
    #[arg(value_enum, requires = "name")]
    kind: Option<Noun>,
    #[arg(add = complete::names_by_line())]
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
        match (&self.file, self.kind, &self.name) {
            (Some(file), ..) => self.documents(context, file).await,
            (None, Some(noun), Some(name)) => {
                let body = delete(context, noun, name, self.protect, self.keep_runs).await?;
                context.printer.say(&format!("Deleted {}: {name}", noun.words()));
                if context.printer.is_structured() && !body.is_null() {
                    context.printer.value(&body)?;
                }
                Ok(())
            }
            _ => Err(wrong(
                "nothing was named",
                "name a kind and a name, or a file: dispatch delete -f FILE",
            )),
        }
    }

    async fn documents(&self, context: &Context, file: &str) -> Result<()> {
        let mut documents = document::identify(&self.beside.origin(file)).await?;
        // What names others goes before what is named.
        documents.reverse();
        let mut results = Results::default();
        for document in documents {
            let (noun, name) = (document.noun, document.name.as_str());
            let deleted = delete(context, noun, name, self.protect, self.keep_runs).await;
            let deleted = deleted.map_err(|e| document.failed(e))?;
            results.done(context, "Deleted", &document, deleted);
        }
        results.print(context)
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
