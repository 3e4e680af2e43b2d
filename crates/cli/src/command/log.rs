//! `dispatch log`: what the runs of a function printed.

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::Context;
use crate::hint::wrong;
use crate::printer;

const EXAMPLES: &str = "\
Examples:
  dispatch log function hello
  dispatch log function hello --follow --tail 5
  dispatch log run 01a21054-4607-7016-bd1f-30a0fe4bcec5";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Log {
    /// `function NAME` or `run ID`
    #[arg(required = true, num_args = 1..=2, value_name = "WHAT")]
    what: Vec<String>,
    /// Go on with new runs
    #[arg(long, short)]
    follow: bool,
    /// At most so many runs
    #[arg(long, short, default_value_t = 20)]
    tail: usize,
}

impl Log {
    pub async fn run(self, context: &Context) -> Result<()> {
        let client = &context.session.client;
        let words: Vec<&str> = self.what.iter().map(String::as_str).collect();
        match words[..] {
            ["run", id] => print(&client.get(&format!("runs/{id}")).await?),
            ["function", name] => {
                let query = [("functionName".to_owned(), name.to_owned())];
                let mut runs = client.list("runs", &query, Some(self.tail)).await?;
                runs.reverse();
                runs.iter().for_each(print);
                if self.follow {
                    let mut events = client.watch("runs", &query).await?;
                    while let Some(event) = events.next().await? {
                        let run = event.get("object").unwrap_or(&event);
                        if !run["finishedTime"].is_null() {
                            print(run);
                        }
                    }
                }
            }
            _ => {
                return Err(wrong(
                    format!("{} is not what logs are kept of", words.join(" ")),
                    "dispatch log function NAME, dispatch log run ID; the server is one process \
                     and logs to its standard error",
                ));
            }
        }
        Ok(())
    }
}

fn print(run: &Value) {
    let id = run["name"].as_str().unwrap_or_default();
    for (stream, mark) in [("stdout", ' '), ("stderr", '!')] {
        let lines = run["logs"][stream].as_array().into_iter().flatten();
        for line in lines.filter_map(Value::as_str) {
            printer::foreign_line(&format!("{id}{mark} {line}"));
        }
    }
}
