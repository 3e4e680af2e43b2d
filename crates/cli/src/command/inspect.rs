//! `dispatch inspect`: what a base image, an image or a function is made of, and how an engine is.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Context, inspect_engine};
use crate::hint::wrong;
use crate::noun::Noun;
use crate::{printer, value};

const EXAMPLES: &str = "\
Examples:
  dispatch inspect image python3
  dispatch inspect function hello -o json
  dispatch inspect function hello --bill cyclonedx > hello.cdx.json
  dispatch inspect base-image debian --bill spdx
  dispatch inspect engine lab";

/// Packages of one ecosystem that are shown unless all are asked for.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Inspect {
    /// base-image, image, function or engine
    #[arg(value_enum)]
    kind: Subject,
    #[arg(add = crate::complete::names_by_line())]
    name: String,
    /// Print its bill of materials (SBOM) instead: cyclonedx (1.6) or spdx (2.3), in JSON
    #[arg(long, value_name = "FORMAT")]
    bill: Option<Bill>,
    /// Show every package
    #[arg(long)]
    all: bool,
}

/// What there is more to say of than fits a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    #[value(aliases = ["base-images", "baseimage", "baseimages"])]
    BaseImage,
    #[value(aliases = ["images"])]
    Image,
    #[value(aliases = ["functions", "func"])]
    Function,
    #[value(aliases = ["engines"])]
    Engine,
}

/// What has content of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Inspected {
    #[value(aliases = ["base-images", "baseimage", "baseimages"])]
    BaseImage,
    #[value(aliases = ["images"])]
    Image,
    #[value(aliases = ["functions", "func"])]
    Function,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bill {
    Cyclonedx,
    Spdx,
}

impl Inspected {
    pub fn noun(self) -> Noun {
        match self {
            Inspected::BaseImage => Noun::BaseImage,
            Inspected::Image => Noun::Image,
            Inspected::Function => Noun::Function,
        }
    }
}

impl Inspect {
    pub async fn run(self, context: &Context) -> Result<()> {
        let noun = match self.kind {
            Subject::BaseImage => Noun::BaseImage,
            Subject::Image => Noun::Image,
            Subject::Function => Noun::Function,
            Subject::Engine if self.bill.is_some() => {
                return Err(wrong("an engine has no bill of materials", "leave --bill out"));
            }
            Subject::Engine => return inspect_engine::run(context, &self.name).await,
        };
        let client = &context.session.client;
        if let Some(bill) = self.bill {
            let format = if bill == Bill::Spdx { "spdx" } else { "cyclonedx" };
            let path = format!("{}/{}/bill?format={format}", noun.path(), self.name);
            printer::json(&client.get(&path).await?)?;
            return Ok(());
        }
        let content = client.get(&format!("{}/{}/content", noun.path(), self.name)).await?;
        if context.printer.is_structured() {
            return context.printer.value(&content);
        }
        tree(&format!("{} {}", noun.words(), self.name), &content, self.all)
            .iter()
            .for_each(|line| printer::line(line));
        Ok(())
    }
}

/// The lines of a tree: what it is made on, its layers, its packages by ecosystem.
fn tree(title: &str, content: &Value, all: bool) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |field: &str| content[field].as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!("{title}  {}", text(&content["digest"]))];
    let os = Some(text(&content["os"])).filter(|os| !os.is_empty());
    let platform = text(&content["platform"]);
    lines.push(format!("├─ {}, {platform}", os.unwrap_or_else(|| "no distribution".to_owned())));
    for link in list("chain") {
        lines.push(format!("├─ on {}  {}", text(&link["kind"]), text(&link["digest"])));
    }
    let layers = list("layers");
    lines.push(format!("├─ layers ({})", layers.len()));
    for layer in &layers {
        let size = layer["size"].as_u64().unwrap_or(0);
        let by = one_line(&text(&layer["createdBy"]));
        lines.push(format!(
            "│  ├─ {}  {:>9}  {by}",
            short(&text(&layer["digest"])),
            value::bytes(size)
        ));
    }
    let packages = list("packages");
    lines.push(format!("└─ packages ({})", packages.len()));
    let mut ecosystems: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for package in &packages {
        ecosystems.entry(text(&package["ecosystem"])).or_default().push(package);
    }
    for (ecosystem, packages) in ecosystems {
        lines.push(format!("   ├─ {ecosystem} ({})", packages.len()));
        let shown = if all { packages.len() } else { SHOWN };
        for package in packages.iter().take(shown) {
            let licences = package["licences"].as_array().into_iter().flatten();
            let licences: Vec<_> = licences.filter_map(Value::as_str).collect();
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            let named = format!("{name} {version}");
            lines.push(format!("   │  ├─ {named:<40} {}", one_line(&licences.join(", "))));
        }
        if packages.len() > shown {
            lines.push(format!("   │  └─ {} more: --all shows them", packages.len() - shown));
        }
    }
    let notes = list("notes");
    lines.extend(notes.iter().map(|note| format!("note: {}", text(note))));
    lines
}

fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

/// What fits beside the rest, on a line of its own.
fn one_line(text: &str) -> String {
    const MAX: usize = 60;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.chars().count() > MAX {
        true => flat.chars().take(MAX - 1).chain(['…']).collect(),
        false => flat,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_shows_what_it_is_made_of() {
        let content = json!({
            "digest": "sha256:abc", "os": "Debian GNU/Linux 12 (bookworm)",
            "platform": "linux/amd64",
            "chain": [{"kind": "base-image", "digest": "sha256:def"}],
            "layers": [{"digest": "sha256:0123456789abcdef", "size": 112_566_219u64,
                "createdBy": "debootstrap"}],
            "packages": [
                {"name": "openssl", "ecosystem": "deb", "version": "3.0.11-1~deb12u2",
                    "licences": ["Apache-2.0"]},
                {"name": "requests", "ecosystem": "pypi", "version": "2.31.0"},
            ],
            "notes": ["/x: cannot be read"],
        });
        insta::assert_snapshot!(tree("image py", &content, false).join("\n"), @r"
        image py  sha256:abc
        ├─ Debian GNU/Linux 12 (bookworm), linux/amd64
        ├─ on base-image  sha256:def
        ├─ layers (1)
        │  ├─ 0123456789ab  107.4 MiB  debootstrap
        └─ packages (2)
           ├─ deb (1)
           │  ├─ openssl 3.0.11-1~deb12u2                 Apache-2.0
           ├─ pypi (1)
           │  ├─ requests 2.31.0                          
        note: /x: cannot be read
        ");
    }
}
