//! `dispatch audit`: who changed what, who was refused, and whether the log that says so is whole.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use dispatch_model::audit::{Entry, Link, Place};
use reqwest::Method;
use serde_json::Value;

use super::Context;
use crate::hint::wrong;
use crate::printer::Format;
use crate::{printer, table, value};

const LIST_EXAMPLES: &str = "\
Examples:
  dispatch audit list --since 1h
  dispatch audit list --outcome refused
  dispatch audit list --resource secret --name db -o yaml
  dispatch audit list --actor acme/ci --all-organizations";

const EXPORT_EXAMPLES: &str = "\
Examples:
  dispatch audit export --all-organizations > audit.jsonl
  dispatch audit export --since 1d --format cloudevents > audit.json";

const VERIFY_EXAMPLES: &str = "\
Examples:
  dispatch audit verify
  dispatch audit verify --expect 1234:9f86d0…
  dispatch audit verify --file audit.jsonl";

/// Entries shown unless another number is asked for.
const SHOWN: usize = 100;

#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Show who changed what and who was refused, the newest first
    #[command(after_help = LIST_EXAMPLES)]
    List(List),
    /// Print all entries, the oldest first, as JSON lines or CloudEvents
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Export),
    /// Tell whether every entry is as it was written and none is missing; exit with 1 if not
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
}

/// Which entries.
#[derive(Debug, Args)]
struct Filter {
    /// Those of all organizations and of the installation itself
    #[arg(long, short = 'A')]
    all_organizations: bool,
    /// From this time on: 1h, 7d ago, a time (2026-11-25T08:00:00Z) or unix seconds
    #[arg(long, value_name = "TIME", value_parser = value::since)]
    since: Option<i64>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = value::since)]
    until: Option<i64>,
    /// Who: ORG/NAME of a service account, local-admin, anonymous, …
    #[arg(long)]
    actor: Option<String>,
    /// create, update, delete, read, rollout, …
    #[arg(long)]
    action: Option<String>,
    /// function, secret, policy, …
    #[arg(long)]
    resource: Option<String>,
    /// The name of the thing
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Those of one request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Outcome {
    Allowed,
    Refused,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many [default: 100]
    #[arg(long, value_parser = value::limit)]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    filter: Filter,
    /// An entry a line, or a batch of CloudEvents (1.0)
    #[arg(long, default_value = "jsonlines")]
    format: ExportFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExportFormat {
    Jsonlines,
    Cloudevents,
}

#[derive(Debug, Args)]
struct Verify {
    /// An entry that must be there as it was: SEQ:LINK, as an earlier verify has printed it
    #[arg(long, value_name = "SEQ:LINK")]
    expect: Option<String>,
    /// Verify an export (JSON lines of all organizations, unfiltered) instead, without a server
    #[arg(long, conflicts_with = "expect")]
    file: Option<PathBuf>,
}

impl Audit {
    pub async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            AuditCommand::List(list) => list.run(context).await,
            AuditCommand::Export(export) => export.run(context).await,
            AuditCommand::Verify(verify) => verify.run(context).await,
        }
    }
}

impl Filter {
    fn query(self) -> Vec<(String, String)> {
        let outcome = self.outcome.map(|outcome| match outcome {
            Outcome::Allowed => "allowed".to_owned(),
            Outcome::Refused => "refused".to_owned(),
        });
        let given = [
            ("all", self.all_organizations.then(|| "true".to_owned())),
            ("since", self.since.map(|seconds| seconds.to_string())),
            ("until", self.until.map(|seconds| seconds.to_string())),
            ("actor", self.actor),
            ("action", self.action),
            ("resource", self.resource),
            ("name", self.name),
            ("outcome", outcome),
            ("requestId", self.request_id),
        ];
        given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<()> {
        let limit = self.limit.unwrap_or(SHOWN);
        let query = self.filter.query();
        let entries = context.session.client.list("audit", &query, Some(limit)).await?;
        if context.printer.is_structured() {
            return context.printer.value(&Value::Array(entries));
        }
        let wide = context.printer.format == Format::Wide;
        let entries: Vec<Entry> = serde_json::from_value(Value::Array(entries))?;
        printer::line(&shown(&entries, wide));
        Ok(())
    }
}

fn shown(entries: &[Entry], wide: bool) -> String {
    let row = |entry: &Entry| {
        let outcome = match entry.count {
            0 | 1 => entry.outcome.as_str().to_owned(),
            count => format!("{} {count} times", entry.outcome.as_str()),
        };
        [
            entry.seq.to_string(),
            crate::time::local(&(entry.time_ms / 1_000).into()),
            entry.actor.to_string(),
            entry.from.clone().unwrap_or_default(),
            entry.action.clone(),
            entry.resource.clone(),
            entry.name.clone(),
            outcome,
        ]
    };
    let titles = ["SEQ", "TIME", "ACTOR", "FROM", "ACTION", "RESOURCE", "NAME", "OUTCOME"];
    if !wide {
        return table::rows(titles, entries.iter().map(row));
    }
    let [seq, time, actor, from, action, resource, name, outcome] = titles;
    let titles = [
        seq,
        time,
        actor,
        from,
        action,
        resource,
        name,
        outcome,
        "ORGANIZATION",
        "REQUEST",
        "TEXT",
    ];
    table::rows(
        titles,
        entries.iter().map(|entry| {
            let [seq, time, actor, from, action, resource, name, outcome] = row(entry);
            let organization = entry.organization.clone().unwrap_or_default();
            let (request, text) = (entry.request_id.clone(), entry.text.clone());
            [seq, time, actor, from, action, resource, name, outcome, organization, request, text]
        }),
    )
}

impl Export {
    async fn run(self, context: &Context) -> Result<()> {
        let mut query = self.filter.query();
        let format = match self.format {
            ExportFormat::Jsonlines => "jsonlines",
            ExportFormat::Cloudevents => "cloudevents",
        };
        query.push(("format".to_owned(), format.to_owned()));
        let mut lines = printer::JsonLines::new();
        context.session.client.pieces("audit", &query, |piece| lines.piece(piece)).await?;
        lines.end();
        Ok(())
    }
}

impl Verify {
    async fn run(self, context: &Context) -> Result<()> {
        if let Some(file) = &self.file {
            return verify_file(file);
        }
        let expect = self.expect.map(|text| ("expect".to_owned(), text));
        let query: Vec<_> = expect.into_iter().collect();
        let client = &context.session.client;
        let verdict = client.send(Method::GET, "audit/verify", &query, None).await?.body;
        let right = verdict["right"].as_bool() == Some(true);
        let entries = verdict["entries"].as_u64().unwrap_or(0);
        if context.printer.is_structured() {
            context.printer.value(&verdict)?;
        }
        if !right {
            let why = verdict["broken"]["why"].as_str().unwrap_or("it is not right");
            let before = format!("right before it: {}", counted(entries));
            let message = format!("the audit log is broken: {why} ({before})");
            let hint = "an export that was kept elsewhere tells what stood there";
            return Err(wrong(message, hint));
        }
        let last = format!("{}:{}", verdict["last"], verdict["link"].as_str().unwrap_or_default());
        context.printer.say(&format!("The audit log is whole: {}, the last is", counted(entries)));
        context.printer.say(&last);
        Ok(())
    }
}

fn counted(entries: u64) -> String {
    match entries {
        1 => "1 entry".to_owned(),
        more => format!("{more} entries"),
    }
}

/// Follows the chain in a file. The entry before the first one is not there to be held against.
fn verify_file(file: &Path) -> Result<()> {
    let named = file.display();
    let unread = |error: std::io::Error| {
        wrong(format!("cannot read {named}: {error}"), "dispatch audit export -A > audit.jsonl")
    };
    let lines = std::io::BufReader::new(std::fs::File::open(file).map_err(unread)?).lines();
    let (mut last, mut entries) = (None, 0);
    for (at, line) in lines.enumerate() {
        let line = line.map_err(unread)?;
        let entry: Entry = serde_json::from_str(&line)
            .with_context(|| format!("{named}:{}: is no entry of an export", at + 1))?;
        last = Some(follow(last, &entry)?);
        entries += 1;
    }
    let Some(Place { seq, link }) = last else { bail!("{named} has no entries") };
    printer::line(&format!("The export is whole: {}, the last is", counted(entries)));
    printer::line(&format!("{seq}:{link}"));
    Ok(())
}

fn follow(last: Option<Place>, entry: &Entry) -> Result<Place> {
    let seq = entry.seq;
    let broken = |why: &str| {
        let hint = "an export of all organizations, without filters, holds every entry";
        Err(wrong(format!("the export is broken: entry {seq} {why}"), hint))
    };
    let Some(link) = entry.link else { return broken("has no link") };
    let before = match last {
        Some(last) if last.seq + 1 != seq => {
            return broken(&format!("comes after entry {}", last.seq));
        }
        Some(last) => last.link,
        None if seq == 1 => Link::FIRST,
        None => return Ok(Place { seq, link }),
    };
    if before.then(&entry.canonical()?) != link {
        return broken("was changed");
    }
    Ok(Place { seq, link })
}

#[cfg(test)]
mod tests {
    use dispatch_model::audit::Actor;

    use super::*;

    fn entries() -> Vec<Entry> {
        let mut before = Link::FIRST;
        let one = |seq| {
            let actor = Actor::anonymous();
            let mut entry = Entry { seq, actor, count: 1, ..Entry::default() };
            before = before.then(&entry.canonical().unwrap());
            entry.link = Some(before);
            entry
        };
        (1..=4).map(one).collect()
    }

    fn walk(entries: &[Entry]) -> Result<Option<Place>> {
        entries.iter().try_fold(None, |last, entry| follow(last, entry).map(Some))
    }

    #[test]
    fn a_chain_in_a_file_shows_where_it_was_edited() {
        let good = entries();
        assert_eq!(walk(&good).unwrap().unwrap().seq, 4);
        assert_eq!(walk(&good[2..]).unwrap().unwrap().seq, 4, "after what was let go");
        let mut edited = good.clone();
        edited[1].name = "x".to_owned();
        assert!(walk(&edited).unwrap_err().to_string().contains("entry 2 was changed"));
        let mut cut = good.clone();
        cut.remove(1);
        assert!(walk(&cut).unwrap_err().to_string().contains("entry 3 comes after entry 1"));
        let mut bare = good;
        bare[0].link = None;
        assert!(walk(&bare).is_err());
    }

    #[test]
    fn a_table_counts_what_was_refused_often() {
        let mut refused = entries().remove(0);
        refused.outcome = dispatch_model::audit::Outcome::Refused;
        refused.count = 7;
        let table = shown(&[refused], false);
        assert!(table.contains("refused 7 times") && table.contains("anonymous"), "{table}");
    }
}
