//! The table of a run, for the terminal and for docs/benchmarks.md.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::Result;

use super::{Row, machine};
use crate::shell;

pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| measure | bar | seen | |\n|---|---|---|---|\n");
    for row in rows {
        let mark = if row.reached { "reached" } else { "**not reached**" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {mark} |", row.measure, row.bar, row.seen);
    }
    text
}

/// Adds the table under today's date, the machine and the commit.
pub fn append(table: &str) -> Result<()> {
    let file = shell::root().join("docs/benchmarks.md");
    let mut text = std::fs::read_to_string(&file).unwrap_or_else(|_| {
        "# Benchmarks\n\nMade by `cargo xtask bench --write`. Ratios count: both sides of one \
         were measured in the same run.\n"
            .to_owned()
    });
    let date = output("date", &["-u", "+%Y-%m-%d"]);
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let _ = write!(text, "\n## {date}, {}, commit {commit}\n\n{table}", machine::describe());
    std::fs::write(&file, text)?;
    println!("added to {}", file.display());
    Ok(())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(shell::root()).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
