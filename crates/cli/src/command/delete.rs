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
use crate::{printer, wait};

const EXAMPLES: &str = "\
Examples:
  dispatch delete function hello
  dispatch delete function hello --keep-runs
  dispatch delete secret open-sesame --protect
  dispatch delete organization acme --all
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
    #[command(flatten)]
    how: How,
}

/// How things are deleted.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct How {
    /// Refuse when others use it
    #[arg(long)]
    protect: bool,
    /// Keep the runs of a function
    #[arg(long)]
    keep_runs: bool,
    /// Forget an engine that is gone for good, with all that is on it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    whole: Whole,
}

/// How an organization is deleted.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Whole {
    /// Delete an organization with all that is in it
    #[arg(long)]
    all: bool,
    /// With --all: do not wait until it is gone
    #[arg(long, requires = "all")]
    no_wait: bool,
}

impl From<Whole> for How {
    fn from(whole: Whole) -> Self {
        Self { whole, ..Self::default() }
    }
}

impl Delete {
    pub async fn run(self, context: &Context) -> Result<()> {
        match (&self.file, self.kind, &self.name) {
            (Some(file), ..) => self.documents(context, file).await,
            (None, Some(noun), Some(name)) => {
                let body = delete(context, noun, name, self.how).await?;
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
            let deleted = delete(context, noun, name, self.how).await;
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
    how: How,
) -> Result<serde_json::Value> {
    let flags = [
        ("protect", how.protect),
        ("keepRuns", how.keep_runs && noun == Noun::Function),
        ("force", how.force && noun == Noun::Engine),
        ("all", how.whole.all && noun == Noun::Organization),
    ];
    let set = flags.into_iter().filter(|(_, set)| *set);
    let query: Vec<_> = set.map(|(name, _)| (name.to_owned(), "true".to_owned())).collect();
    let path = format!("{}/{name}", noun.path());
    let answer = context.session.client.send(Method::DELETE, &path, &query, None).await?;
    answer.warnings.iter().for_each(|text| printer::warning(text));
    if noun == Noun::Organization && how.whole.all && !how.whole.no_wait {
        wait::gone(&context.session.client, noun, name).await?;
    }
    Ok(answer.body)
}
