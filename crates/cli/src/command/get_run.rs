//! `dispatch get run` and `dispatch get deadletter`.

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{Context, get};
use crate::complete;
use crate::hint::wrong;
use crate::noun::Noun;
use crate::printer;
use crate::{table, value};

/// Runs on a table when no limit is given.
const SHOWN: usize = 100;

const EXAMPLES: &str = "\
Examples:
  dispatch get runs
  dispatch get runs hello --since 10m --status ERROR
  dispatch get run hello --last -o json
  dispatch get runs --follow";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetRun {
    /// Only runs of this function
    #[arg(add = complete::names(Noun::Function))]
    function: Option<String>,
    /// Only this run
    id: Option<String>,
    /// Only the last run
    #[arg(long)]
    last: bool,
    /// Go on and print new runs
    #[arg(long, short)]
    follow: bool,
    /// INITIALIZED, CREATING, READY or ERROR
    #[arg(long)]
    status: Option<String>,
    /// At most so many of the newest [default: 100]
    #[arg(long, value_parser = value::limit)]
    limit: Option<usize>,
    /// Only those accepted since: 90s, 10m, 2h or 7d ago, a time, or unix seconds
    #[arg(long, value_name = "TIME", value_parser = value::since)]
    since: Option<i64>,
    /// Only those of an application
    #[arg(long, short)]
    application: Option<String>,
}

#[derive(Debug, Args)]
pub struct GetDeadLetter {
    id: Option<String>,
    /// At most so many
    #[arg(long, value_parser = value::limit)]
    limit: Option<usize>,
}

impl GetRun {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let mut query: Vec<(String, String)> = Vec::new();
        query.extend(self.function.clone().map(|f| ("functionName".to_owned(), f)));
        query.extend(self.status.clone().map(|s| ("status".to_owned(), s)));
        query.extend(self.since.map(|since| ("since".to_owned(), since.to_string())));
        let application = self.application.as_ref().map(|a| format!("Application={a}"));
        query.extend(application.map(|tag| ("tags".to_owned(), tag)));
        if let Some(id) = &self.id {
            let of_it = query.into_iter().filter(|(key, _)| key == "functionName");
            let path = format!("runs/{id}");
            let run = client.send(Method::GET, &path, &of_it.collect::<Vec<_>>(), None).await?;
            return one(context, &run.body);
        }
        if self.follow {
            return follow(context, &query).await;
        }
        let limit = if self.last { 1 } else { self.limit.unwrap_or(SHOWN) };
        let mut runs = client.list("runs", &query, Some(limit)).await?;
        if self.last {
            return match runs.first() {
                Some(run) => one(context, run),
                None => Err(wrong("there is no such run yet", "dispatch exec FUNCTION makes one")),
            };
        }
        runs.reverse();
        get::print_list_as(context.printer, runs, table::runs)
    }
}

impl GetDeadLetter {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        match &self.id {
            Some(id) => one(context, &client.get(&format!("deadletters/{id}")).await?),
            None => {
                let letters = client.list("deadletters", &[], self.limit).await?;
                get::print_list_as(context.printer, letters, table::runs)
            }
        }
    }
}

fn one(context: &Context, run: &Value) -> Result<()> {
    if context.printer.is_structured() {
        return context.printer.value(run);
    }
    printer::line(&table::runs(std::slice::from_ref(run), true));
    Ok(())
}

async fn follow(context: &Context, query: &[(String, String)]) -> Result<()> {
    let mut events = context.session.client.watch("runs", query).await?;
    while let Some(event) = events.next().await? {
        let run = event.get("object").unwrap_or(&event);
        if context.printer.is_structured() {
            context.printer.value(run)?;
            continue;
        }
        let text = |field: &str| run[field].as_str().unwrap_or_default().to_owned();
        let took = crate::time::duration(&run["durationUs"]);
        let (id, function, status) = (text("name"), text("functionName"), text("status"));
        printer::line(&format!("{id}  {function:<30} {status:<12} {took}"));
    }
    Ok(())
}
