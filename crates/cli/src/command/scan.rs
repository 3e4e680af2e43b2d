//! `dispatch scan`: known vulnerabilities of images and functions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use dispatch_model::Severity;
use reqwest::Method;
use serde_json::Value;

use super::Context;
use super::inspect::Inspected;
use crate::hint::wrong;
use crate::progress::{self, Progress};
use crate::{pack, printer, table};

const EXAMPLES: &str = "\
Examples:
  dispatch scan --import all.zip
  dispatch scan --import ./records
  dispatch scan
  dispatch scan image python3 --severity high
  dispatch scan function hello --fail-on critical -o json";

/// How often it is looked whether all content was scanned.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Scan {
    /// base-image, image or function; all of the organization's when left out
    #[arg(value_enum, requires = "name")]
    kind: Option<Inspected>,
    #[arg(add = crate::complete::names_by_line())]
    name: Option<String>,
    /// Replace the server's database of vulnerabilities first: OSV records (osv.dev publishes an
    /// all.zip for each ecosystem) as a zip, a JSON file or a folder of such
    #[arg(long, value_name = "PATH")]
    import: Option<PathBuf>,
    /// Show only this bad and worse
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Level>,
    /// Show only those of one package
    #[arg(long)]
    package: Option<String>,
    /// Exit with 1 when there is one this bad or worse
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Low,
    Medium,
    High,
    Critical,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Low => Severity::Low,
            Level::Medium => Severity::Medium,
            Level::High => Severity::High,
            Level::Critical => Severity::Critical,
        }
    }
}

impl Scan {
    pub async fn run(self, context: &Context) -> Result<()> {
        if let Some(path) = &self.import {
            import(context, path).await?;
        }
        let report = self.report(context).await?;
        if context.printer.is_structured() {
            context.printer.value(&report)?;
        } else {
            self.show(&report);
        }
        self.judge(&report)
    }

    /// Waits until all content was held against the database.
    async fn report(&self, context: &Context) -> Result<Value> {
        let path = match (self.kind, &self.name) {
            (Some(kind), Some(name)) => format!("{}/{name}/vulnerability", kind.noun().path()),
            _ => "vulnerability".to_owned(),
        };
        let severity = self.severity.map(|level| Severity::from(level).to_string());
        let given = [("severity", severity), ("package", self.package.clone())];
        let query: Vec<_> =
            given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        let mut progress = Progress::begin();
        loop {
            let client = &context.session.client;
            let report = client.send(Method::GET, &path, &query, None).await?.body;
            let pending = report["pending"].as_u64().unwrap_or(0);
            if report["database"].is_null() {
                return Err(wrong(
                    "no database of vulnerabilities was imported yet",
                    "dispatch scan --import PATH takes OSV's records; osv.dev publishes an \
                     all.zip for each ecosystem",
                ));
            }
            if pending == 0 {
                return Ok(report);
            }
            progress.tell(|| format!("{pending} images and functions are still to be scanned"));
            tokio::time::sleep(LOOK).await;
        }
    }

    fn show(&self, report: &Value) {
        let found = report["vulnerabilities"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let title = |one: &Value| {
            // The name people know comes first.
            let aliases = one["aliases"].as_array().into_iter().flatten();
            let cve = aliases.filter_map(Value::as_str).find(|alias| alias.starts_with("CVE-"));
            match cve {
                Some(cve) if cve != one["id"] => format!("{cve}\n({})", text(&one["id"])),
                _ => text(&one["id"]),
            }
        };
        let users = |one: &Value| {
            let users = one["users"].as_array().into_iter().flatten();
            let named = users.map(|u| format!("{} {}", text(&u["kind"]), text(&u["name"])));
            named.collect::<Vec<_>>().join("\n")
        };
        let severity = |one: &Value| match one["score"].as_f64() {
            Some(score) => format!("{} {score:.1}", text(&one["severity"])),
            None => text(&one["severity"]),
        };
        let row = |one: &Value| {
            let package = text(&one["package"]);
            [severity(one), title(one), package, text(&one["version"]), text(&one["fixedIn"])]
        };
        match self.kind {
            Some(_) => printer::line(&table::rows(
                ["SEVERITY", "VULNERABILITY", "PACKAGE", "VERSION", "FIXED IN"],
                found.iter().map(row),
            )),
            None => printer::line(&table::rows(
                ["SEVERITY", "VULNERABILITY", "PACKAGE", "VERSION", "FIXED IN", "IN"],
                found.iter().map(|one| {
                    let [severity, title, package, version, fixed] = row(one);
                    [severity, title, package, version, fixed, users(one)]
                }),
            )),
        }
        let database = &report["database"];
        printer::progress(&format!(
            "{}; held against a database of {}, imported {}",
            counted(found.len() as u64),
            counted(database["vulnerabilities"].as_u64().unwrap_or(0)),
            crate::time::local(&database["importedTime"]),
        ));
    }

    fn judge(&self, report: &Value) -> Result<()> {
        let Some(level) = self.fail_on else { return Ok(()) };
        let most = Severity::from(level);
        let severity = |one: &Value| one["severity"].as_str().and_then(|text| text.parse().ok());
        let found = report["vulnerabilities"].as_array().into_iter().flatten();
        let bad = found.filter(|one| severity(one).is_some_and(|s: Severity| s >= most)).count();
        match bad {
            0 => Ok(()),
            count => bail!("{} of severity {most} or worse (--fail-on)", counted(count as u64)),
        }
    }
}

fn counted(count: u64) -> String {
    match count {
        1 => "1 vulnerability".to_owned(),
        more => format!("{more} vulnerabilities"),
    }
}

/// Sends records to the server, which makes them its database.
async fn import(context: &Context, path: &Path) -> Result<()> {
    let named = path.display();
    let unread = |error: std::io::Error| {
        wrong(format!("cannot read {named}: {error}"), "give a zip, a JSON file or a folder")
    };
    let file = match std::fs::metadata(path).map_err(unread)?.is_dir() {
        true => pack::records(path)?,
        false => std::fs::File::open(path).map_err(unread)?,
    };
    let size = file.metadata()?.len();
    let client = &context.session.client;
    let body = tokio::fs::File::from_std(file);
    let what = format!("importing {named}, {} MiB", size >> 20);
    let sent = client.upload("vulnerability/database", body, size);
    let imported = progress::waiting(&what, sent).await?;
    let number = |field: &str| imported[field].as_u64().unwrap_or(0);
    let ecosystems = imported["ecosystems"].as_object().context("no ecosystems in the answer")?;
    let names: Vec<_> = ecosystems.keys().map(String::as_str).collect();
    printer::progress(&format!(
        "imported {} from {} records ({} left out, {} damaged): {}",
        counted(number("vulnerabilities")),
        number("records"),
        number("leftOut"),
        number("damaged"),
        names.join(", "),
    ));
    let notes = imported["notes"].as_array().into_iter().flatten();
    notes.filter_map(Value::as_str).for_each(printer::warning);
    Ok(())
}
