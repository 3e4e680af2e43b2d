//! Tables: v1's columns for each kind, and more of them with `-o wide`.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::noun::Noun;
use crate::printer::plain;
use crate::time;

mod words;

type Cell = fn(&Value) -> String;

pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // Before columns are measured.
        Value::String(text) => plain(text).into_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

macro_rules! column {
    ($title:literal, $field:literal) => {
        ($title, (|v: &Value| text(&v[$field])) as Cell)
    };
    ($title:literal, time $field:literal) => {
        ($title, (|v: &Value| time::local(&v[$field])) as Cell)
    };
}

// After the macro, which it uses.
pub mod sign_in;

/// Titled cells, in the order they are shown.
type Columns = Vec<(&'static str, Cell)>;

/// The columns of a kind, and those that `-o wide` adds.
fn columns(noun: Noun) -> (Columns, Columns) {
    let status = column!("STATUS", "status");
    let created = column!("CREATED", time "createdTime");
    let name = column!("NAME", "name");
    let reason = column!("REASON", "reason");
    match noun {
        Noun::BaseImage => (
            vec![name, column!("URL", "dockerUrl"), status, created],
            vec![column!("LANGUAGE", "language"), reason],
        ),
        Noun::Image => (
            vec![
                name,
                column!("URL", "dockerUrl"),
                column!("BASEIMAGE", "baseImageName"),
                status,
                created,
            ],
            vec![column!("LANGUAGE", "language"), reason],
        ),
        Noun::Function => (
            vec![name, column!("FUNCTIONIMAGE", "functionImageURL"), status, created],
            vec![
                column!("IMAGE", "image"),
                column!("HANDLER", "handler"),
                column!("ENGINE", "engine"),
                reason,
            ],
        ),
        Noun::Secret => {
            (vec![column!("ID", "id"), name, ("CONTENT", secret_content)], vec![created])
        }
        Noun::Api => (
            vec![
                name,
                column!("FUNCTION", "function"),
                ("PROTOCOL", |v| or(v, "protocols", "http, https")),
                ("METHOD", |v| or(v, "methods", "GET")),
                column!("DOMAIN", "hosts"),
                ("PATH", |v| or(v, "uris", "/")),
                column!("AUTH", "authentication"),
                status,
                column!("ENABLED", "enabled"),
            ],
            vec![column!("TLS", "tls"), reason],
        ),
        Noun::ImagePolicy => (
            vec![name, ("MODE", |v| or(v, "mode", "enforce")), ("RULES", rule_names), created],
            vec![],
        ),
        Noun::Engine => (
            vec![
                name,
                column!("TYPE", "type"),
                ("HEALTH", health),
                ("LABELS", labels),
                ("IN FLIGHT", in_flight),
                column!("COST", "cost"),
                ("STATE", service),
                ("LANGUAGES", languages),
            ],
            vec![
                ("ORGANIZATIONS", |v| or(v, "organizations", "all")),
                column!("MESSAGE", "message"),
                reason,
            ],
        ),
        Noun::Application => (vec![name, status, created], vec![]),
        Noun::Policy => {
            (vec![name, ("GLOBAL", |v| or(v, "global", "false")), created], vec![("RULES", rules)])
        }
        Noun::Role => {
            let built_in: Cell = |v| or(v, "builtIn", "false");
            (vec![name, ("PERMISSIONS", permissions), ("BUILT IN", built_in), created], vec![])
        }
        Noun::Group => (vec![name, column!("MEMBERS", "members"), created], vec![]),
        Noun::Organization => (vec![name, created], vec![status, ("QUOTA", quota), reason]),
        Noun::Serviceaccount => (vec![name, created], vec![("TRUSTS", trusts)]),
    }
}

fn or(value: &Value, field: &str, otherwise: &str) -> String {
    Some(text(&value[field])).filter(|t| !t.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}

fn secret_content(secret: &Value) -> String {
    match secret["secrets"].as_object().filter(|values| !values.is_empty()) {
        None if secret["source"].is_object() => {
            let source = &secret["source"];
            let path = or(source, "path", &text(&source["name"]));
            format!("<{} {}: {path}>", text(&source["type"]), text(&source["store"]))
        }
        None => "<hidden>".to_owned(),
        Some(values) => {
            let pairs = values.iter().map(|(key, value)| format!("{key}={}", text(value)));
            pairs.collect::<Vec<_>>().join("\n")
        }
    }
}

fn health(engine: &Value) -> String {
    match engine["healthy"].as_bool() {
        Some(true) if engine["breaker"].is_string() => "failing".to_owned(),
        Some(true) => "up".to_owned(),
        // Nobody asks whether it is down without asking why.
        Some(false) => match text(&engine["message"]) {
            why if why.is_empty() => "DOWN".to_owned(),
            why => format!("DOWN: {why}"),
        },
        None => "unknown".to_owned(),
    }
}

fn labels(engine: &Value) -> String {
    let pairs = engine["labels"].as_object().into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}={}", text(value)));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Calls it has now, of those it may have.
fn in_flight(engine: &Value) -> String {
    let most = or(engine, "maxConcurrency", "-");
    format!("{}/{most}", or(engine, "inFlight", "-"))
}

/// Whether it takes what is new.
fn service(engine: &Value) -> String {
    let is = |flag: &str| engine[flag].as_bool() == Some(true);
    match text(&engine["status"]) {
        status if status != "READY" => status,
        _ if is("draining") => "draining".to_owned(),
        _ if is("cordoned") => "cordoned".to_owned(),
        status => status,
    }
}

fn languages(engine: &Value) -> String {
    let mut lines = vec![text(&engine["languages"])];
    let missing = engine["missing"].as_array().into_iter().flatten();
    lines.extend(missing.map(|sentence| format!("lacks: {}", text(sentence))));
    lines.join("\n")
}

fn rule_names(policy: &Value) -> String {
    let rules = policy["rules"].as_array().into_iter().flatten();
    let named = rules.map(|rule| format!("{} {}", text(&rule["effect"]), text(&rule["name"])));
    named.collect::<Vec<_>>().join("\n")
}

fn quota(organization: &Value) -> String {
    let limits = organization["quota"].as_object().into_iter().flatten();
    limits.map(|(limit, most)| format!("{limit}={most}")).collect::<Vec<_>>().join("\n")
}

fn rules(policy: &Value) -> String {
    let rules = policy["rules"].as_array().into_iter().flatten();
    rules.map(words::rule).collect::<Vec<_>>().join("\n")
}

fn permissions(role: &Value) -> String {
    let all = role["permissions"].as_array().into_iter().flatten();
    all.map(words::permission).collect::<Vec<_>>().join("\n")
}

/// Providers whose tokens sign in as the account, with the claims those must have.
fn trusts(account: &Value) -> String {
    let all = account["trust"].as_array().into_iter().flatten();
    let trust = |trust: &Value| {
        let claims = trust["claims"].as_object().into_iter().flatten();
        let claims = claims.map(|(claim, patterns)| format!(" {claim}={}", text(patterns)));
        text(&trust["provider"]) + &claims.collect::<String>()
    };
    all.map(trust).collect::<Vec<_>>().join("\n")
}

/// A table of resources.
pub fn resources(noun: Noun, items: &[Value], wide: bool) -> String {
    let (mut shown, more) = columns(noun);
    if wide {
        shown.extend(more);
    }
    table(&shown, items)
}

/// A table of runs.
pub fn runs(items: &[Value], wide: bool) -> String {
    let mut shown = vec![
        column!("ID", "name"),
        column!("FUNCTION", "functionName"),
        column!("STATUS", "status"),
        column!("STARTED", time "executedTime"),
        column!("FINISHED", time "finishedTime"),
    ];
    if wide {
        shown.push(("DURATION", |v| time::duration(&v["durationUs"])));
        shown.push(column!("VERSION", "version"));
        shown.push(column!("ENGINE", "engine"));
        shown.push(column!("ATTEMPTS", "attempts"));
        shown.push(column!("REASON", "reason"));
    }
    table(&shown, items)
}

/// A table of what one may do, and must not do.
pub fn rights(items: &[Value], wide: bool) -> String {
    let mut shown = vec![
        ("EFFECT", (|v| or(v, "effect", "allow")) as Cell),
        column!("ACTIONS", "actions"),
        column!("RESOURCES", "resources"),
        ("APPLICATIONS", |v| or(v, "applications", "*")),
        ("CONDITION", |v| words::condition(&v["condition"])),
        column!("POLICY", "policy"),
    ];
    if wide {
        shown.push(column!("ROLE", "role"));
        shown.push(column!("ORGANIZATION", "organization"));
    }
    table(&shown, items)
}

/// Rows of text under their titles.
pub fn rows<const N: usize>(
    titles: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = empty();
    table.set_header(titles);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    table.trim_fmt()
}

fn table(columns: &[(&'static str, Cell)], items: &[Value]) -> String {
    let mut table = empty();
    table.set_header(columns.iter().map(|(title, _)| *title));
    for item in items {
        table.add_row(columns.iter().map(|(_, cell)| cell(item)));
    }
    table.trim_fmt()
}

fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_have_v1s_columns_and_no_border() {
        let apis = [json!({"name": "hello", "function": "f", "uris": ["/a", "/b"],
                           "authentication": "public", "status": "READY", "enabled": true})];
        let shown = resources(Noun::Api, &apis, false);
        insta::assert_snapshot!(shown);
        let runs = runs(
            &[json!({"name": "id", "functionName": "f", "status": "READY",
                                 "durationUs": 1_500})],
            true,
        );
        insta::assert_snapshot!(runs);
    }

    #[test]
    fn an_engine_that_is_down_says_why() {
        let down = json!({"name": "lab", "healthy": false, "message": "connection refused"});
        assert!(resources(Noun::Engine, &[down], false).contains("DOWN: connection refused"));
    }

    #[test]
    fn secrets_are_hidden_unless_given() {
        let shown = resources(Noun::Secret, &[json!({"name": "s", "id": "1"})], false);
        assert!(shown.contains("<hidden>"));
    }
}
