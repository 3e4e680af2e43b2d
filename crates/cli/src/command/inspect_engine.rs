//! `dispatch inspect engine`: all that is known of one engine, for people.

use anyhow::Result;
use serde_json::Value;

use super::Context;
use crate::noun::{self, Noun};
use crate::{printer, time};

pub async fn run(context: &Context, name: &str) -> Result<()> {
    let engine = noun::read(&context.session.client, Noun::Engine, name).await?;
    if context.printer.is_structured() {
        return context.printer.value(&engine);
    }
    lines(&engine).iter().for_each(|line| printer::line(line));
    Ok(())
}

/// One line for each field that has something to say; those of maps and lists below one another.
fn lines(engine: &Value) -> Vec<String> {
    let mut lines = vec![format!("engine {}", text(&engine["name"]))];
    let mut row = |title: &str, values: Vec<String>| {
        let values = values.into_iter().filter(|value| !value.is_empty());
        for (at, value) in values.enumerate() {
            let title = if at == 0 { title } else { "" };
            lines.push(format!("  {title:<15} {value}"));
        }
    };
    row("type", vec![text(&engine["type"])]);
    row("status", vec![status(engine)]);
    row("reason", list(&engine["reason"]));
    row("health", vec![health(engine)]);
    row("labels", pairs(&engine["labels"]));
    row("calls", vec![calls(engine)]);
    row("memory", most(&engine["maxMemoryMib"], "MiB for one function's worker at most"));
    row("cost", vec![text(&engine["cost"])]);
    row("settings", pairs(&engine["settings"]));
    row("secrets", list(&engine["secrets"]));
    row("organizations", list(&engine["organizations"]));
    row("languages", vec![list(&engine["languages"]).join(", ")]);
    row("lacks", list(&engine["missing"]));
    lines
}

fn status(engine: &Value) -> String {
    let flags = ["cordoned", "draining"].into_iter().filter(|flag| engine[flag] == true);
    let status = text(&engine["status"]);
    std::iter::once(status).chain(flags.map(str::to_owned)).collect::<Vec<_>>().join(", ")
}

fn health(engine: &Value) -> String {
    let word = match engine["healthy"].as_bool() {
        Some(true) => "up",
        Some(false) => "DOWN",
        None => return "not looked at yet".to_owned(),
    };
    let mut said = vec![word.to_owned()];
    said.extend(Some(text(&engine["message"])).filter(|message| !message.is_empty()));
    let breaker = engine["breaker"].as_str();
    said.extend(breaker.map(|breaker| format!("its circuit breaker is {breaker}")));
    format!("{} (at {})", said.join("; "), time::local(&engine["checkedTime"]))
}

fn calls(engine: &Value) -> String {
    let now = Some(text(&engine["inFlight"])).filter(|now| !now.is_empty());
    let most = most(&engine["maxConcurrency"], "at most").pop();
    let now = now.map(|now| format!("{now} now"));
    now.into_iter().chain(most).collect::<Vec<_>>().join(", ")
}

fn most(value: &Value, words: &str) -> Vec<String> {
    value.as_u64().map(|most| format!("{most} {words}")).into_iter().collect()
}

fn pairs(map: &Value) -> Vec<String> {
    let pairs = map.as_object().into_iter().flatten();
    pairs.map(|(key, value)| format!("{key}={}", text(value))).collect()
}

fn list(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().map(text).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_engine_is_told_in_lines_that_say_something() {
        let engine = json!({
            "name": "lab", "type": "openfaas", "status": "READY", "draining": true,
            "healthy": false, "message": "the gateway does not answer", "breaker": "open",
            "labels": {"gpu": "a100", "region": "eu"}, "inFlight": 3, "maxConcurrency": 100,
            "cost": 5, "settings": {"gateway": "http://10.0.0.3:8080"}, "secrets": ["lab"],
            "languages": ["nodejs", "python3"], "missing": [], "reason": [],
        });
        insta::assert_snapshot!(lines(&engine).join("\n"), @r"
        engine lab
          type            openfaas
          status          READY, draining
          health          DOWN; the gateway does not answer; its circuit breaker is open (at -)
          labels          gpu=a100
                          region=eu
          calls           3 now, 100 at most
          cost            5
          settings        gateway=http://10.0.0.3:8080
          secrets         lab
          languages       nodejs, python3
        ");
    }
}
