//! Pages of engines and identity providers: each has the settings its type has.

use std::path::{Path, PathBuf};

use dispatch_adapters::engine::types;
use dispatch_adapters::identity;
use dispatch_driver::{Known, Setting, Value};

const BEGIN: &str = "## Settings\n\n";

fn page(folder: &str, name: &str) -> PathBuf {
    docs().join(format!("reference/{folder}/{name}.md"))
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn table(known: Known) -> String {
    let head = "| setting | value | default | what it is |\n|---|---|---|---|\n".to_owned();
    known.settings.iter().fold(head, |table, setting| table + &row(setting))
}

fn row(setting: &Setting) -> String {
    let Setting { name, value, required, secret, default, help } = *setting;
    let mut kind = match value {
        Value::Text => "text".to_owned(),
        Value::Url => "URL".to_owned(),
        Value::Duration => "duration".to_owned(),
        Value::Number => "number".to_owned(),
        Value::Flag => "`true` or `false`".to_owned(),
        Value::List => "words between commas".to_owned(),
        Value::Choice(of) => of.iter().map(|o| format!("`{o}`")).collect::<Vec<_>>().join(", "),
    };
    if secret {
        kind.push_str(", secret");
    }
    if required {
        kind.push_str(", required");
    }
    let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
    format!("| `{name}` | {kind} | {default} | {help} |\n")
}

/// `DISPATCH_UPDATE=1` rewrites the tables.
#[test]
fn the_pages_have_the_settings_of_the_types() {
    let engines = types().into_iter().map(|found| ("engines", found.known()));
    let identity = identity::types().into_iter().map(|found| ("identity", found.known()));
    for (folder, known) in engines.chain(identity) {
        let file = page(folder, known.of);
        let Ok(text) = std::fs::read_to_string(&file) else {
            panic!("{} is not there: write it", file.display());
        };
        let (before, rest) = text.split_once(BEGIN).expect("a page has a section Settings");
        let after = rest.find("\n\n").map_or("", |end| &rest[end + 1..]);
        let right = format!("{before}{BEGIN}{}{after}", table(known));
        if std::env::var_os("DISPATCH_UPDATE").is_some() {
            std::fs::write(&file, &right).unwrap();
        } else {
            assert!(text == right, "{}: run with DISPATCH_UPDATE=1", file.display());
        }
    }
}

#[test]
fn the_page_of_engines_shows_each_type_as_the_command_does() {
    let text = std::fs::read_to_string(docs().join("concepts/engines.md")).unwrap();
    for engine_type in types() {
        let line = format!("     {:<10}  {}\n", engine_type.name(), engine_type.about());
        assert!(text.contains(&line), "{line:?} is not there");
    }
    let remote = types().into_iter().find(|found| found.name() == "remote").unwrap();
    for setting in remote.settings() {
        let line = format!("     {:<14}  ", setting.name);
        assert!(text.contains(&line), "{line:?} is not there");
    }
}
