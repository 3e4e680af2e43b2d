//! Tables for the terminal and the documentation, and everything as JSON.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::json;

use super::model::SECOND;
use super::{Compared, plot};
use crate::shell;

const BEGIN: &str = "<!-- cargo xtask simulate --write: begin -->\n";
const END: &str = "<!-- end -->\n";

pub fn table(compared: &Compared) -> String {
    let course = &compared.course;
    let mut text = format!(
        "### {}\n\n{}: {:.0} calls a second for {} s",
        course.scenario.title(),
        course.scenario.name(),
        course.rate,
        course.length / SECOND
    );
    if course.is_disturbed() {
        let (from, to) = (course.from / SECOND, course.to / SECOND);
        let _ = write!(text, "; out of the ordinary from {from} s to {to} s");
    }
    text.push_str(
        ".\n\n| strategy | p50 | p99 | p99.9 | beyond the handler, p50 / p99 | lost | waited \
         | cost | calm after | well after | served by, % |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (variant, figures) in &compared.variants {
        let [p50, p99, p999] = figures.took_ms.map(seconds);
        let [added50, added99, _] = figures.added_ms.map(seconds);
        let when = |seen: Option<usize>| match seen {
            _ if !course.is_disturbed() => "–".to_owned(),
            Some(seconds) => format!("{seconds} s"),
            None => "never".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {p50} | {p99} | {p999} | {added50} / {added99} | {} | {:.2} % | {:.1} \
             | {} | {} | {} |",
            variant.name(),
            lost(figures.lost, figures.lost_percent()),
            100.0 * figures.waited as f64 / figures.calls.max(1) as f64,
            figures.cost,
            when(figures.adapts_s),
            when(figures.recovers_s),
            figures.shares(),
        );
    }
    text
}

fn seconds(ms: f64) -> String {
    if ms < 1_000.0 { format!("{ms:.0} ms") } else { format!("{:.2} s", ms / 1_000.0) }
}

fn lost(calls: u64, percent: f64) -> String {
    if calls == 0 { "0".to_owned() } else { format!("{percent:.3} %") }
}

pub fn json(all: &[Compared]) -> serde_json::Value {
    let scenario = |compared: &Compared| {
        let variants = compared.variants.iter();
        let variants: Vec<_> = variants
            .map(|(variant, figures)| {
                let mut value = figures.json();
                value["strategy"] = json!(variant.strategy.as_str());
                value["breaker"] = json!(variant.breaker);
                value
            })
            .collect();
        json!({
            "scenario": compared.course.scenario.name(),
            "callsPerSecond": compared.course.rate,
            "seconds": compared.course.length / SECOND,
            "variants": variants,
        })
    };
    all.iter().map(scenario).collect()
}

/// Plots beside the page, and the tables in it.
pub fn write(all: &[Compared]) -> Result<()> {
    let concepts = shell::root().join("docs/concepts");
    let folder = concepts.join("placement");
    std::fs::create_dir_all(&folder)?;
    let mut text = String::new();
    for compared in all {
        let name = compared.course.scenario.name();
        std::fs::write(folder.join(format!("{name}.svg")), plot::svg(compared))?;
        let title = compared.course.scenario.title();
        let _ = write!(text, "\n{}\n![{title}](placement/{name}.svg)\n", table(compared));
    }
    let page = concepts.join("placement.md");
    let old = std::fs::read_to_string(&page)?;
    let (before, rest) = old.split_once(BEGIN).context("the page has no place for the tables")?;
    let (_, after) = rest.split_once(END).context("the place for the tables has no end")?;
    std::fs::write(&page, format!("{before}{BEGIN}{text}\n{END}{after}"))?;
    println!("written: {} and {}", page.display(), folder.display());
    Ok(())
}
