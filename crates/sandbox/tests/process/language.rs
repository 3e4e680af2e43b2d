//! Every language: result, context, error, logs.

use dispatch_driver::Engine;
use serde_json::json;

use crate::bed::Bed;

/// Whether the machine has the interpreter; says so loudly when not.
fn has(bed: &Bed, language: &str) -> bool {
    let has = bed.engine.capabilities().languages.iter().any(|l| l == language);
    if !has {
        println!("could not run: no interpreter for {language} on this machine");
    }
    has
}

/// The same four things of every language; the handler is told by its payload which one.
async fn behaves(language: &str, source: &str) {
    let bed = Bed::new().await;
    if !has(&bed, language) {
        return;
    }
    let deployment = bed.deployment(language, source, |d| {
        d.memory_mib = 256;
        if language == "java" {
            d.handler = "handler".to_owned();
        }
    });
    bed.engine.build(&deployment).await.unwrap();
    let id = deployment.id;
    assert_eq!(bed.result(id, r#"{"echo": [1, "zwei", null]}"#).await, json!([1, "zwei", null]));
    assert_eq!(bed.result(id, r#"{"secret": "key"}"#).await, json!("value"));
    let outcome = bed.call(id, r#"{"log": "said"}"#).await;
    assert_eq!(outcome.logs.stdout, ["said out"]);
    assert_eq!(outcome.logs.stderr, ["said err"]);
    let outcome = bed.call(id, r#"{"fail": "on purpose"}"#).await;
    let error = outcome.result.unwrap_err();
    assert!(error.message.contains("on purpose"), "{error:?}");
    assert!(outcome.logs.is_empty(), "{:?}", outcome.logs);
    assert_eq!(bed.result(id, r#"{"echo": "again"}"#).await, json!("again"));
}

#[tokio::test]
async fn python3() {
    let source = r#"
import sys
def handle(context, payload):
    if "secret" in payload: return context["secrets"][payload["secret"]]
    if "log" in payload:
        print(payload["log"], "out"); print(payload["log"], "err", file=sys.stderr)
    if "fail" in payload: raise ValueError(payload["fail"])
    return payload.get("echo")
"#;
    behaves("python3", source).await;
}

#[tokio::test]
async fn nodejs() {
    let source = r#"
module.exports = async (context, payload) => {
  if (payload.secret) return context.secrets[payload.secret];
  if (payload.log) { console.log(payload.log, 'out'); console.error(payload.log, 'err'); }
  if (payload.fail) throw new Error(payload.fail);
  return payload.echo;
};
"#;
    behaves("nodejs", source).await;
}

#[tokio::test]
async fn java() {
    let source = r#"
import java.util.Map;
import java.util.function.BiFunction;
public class handler
        implements BiFunction<Map<String, Map<String, Object>>, Map<String, Object>, Object> {
    public Object apply(Map<String, Map<String, Object>> context, Map<String, Object> payload) {
        if (payload.containsKey("secret")) return context.get("secrets").get(payload.get("secret"));
        if (payload.containsKey("log")) {
            System.out.println(payload.get("log") + " out");
            System.err.println(payload.get("log") + " err");
        }
        if (payload.containsKey("fail")) throw new RuntimeException((String) payload.get("fail"));
        return payload.get("echo");
    }
}
"#;
    behaves("java", source).await;
}

#[tokio::test]
async fn ruby() {
    let source = r#"
def handle(context, payload)
  return context['secrets'][payload['secret']] if payload['secret']
  if payload['log']
    puts payload['log'] + ' out'
    warn payload['log'] + ' err'
  end
  raise payload['fail'] if payload['fail']
  payload['echo']
end
"#;
    behaves("ruby", source).await;
}

#[tokio::test]
async fn php() {
    let source = r#"<?php
function handle($context, $payload) {
    if (isset($payload['secret'])) return $context['secrets'][$payload['secret']];
    if (isset($payload['log'])) {
        echo $payload['log'], " out\n";
        fwrite(STDERR, $payload['log'] . " err\n");
    }
    if (isset($payload['fail'])) throw new Exception($payload['fail']);
    return $payload['echo'] ?? null;
}
"#;
    behaves("php", source).await;
}

#[tokio::test]
async fn binary() {
    let source = r#"#!/bin/sh
input=$(cat)
case "$input" in
  *'"secret"'*'"key"'*) case "$input" in *'"payload":{"secret"'*) echo '"value"'; exit;; esac;;
esac
case "$input" in
  *'"payload":{"log"'*) echo said err >&2; echo null;;
  *'"payload":{"fail"'*) exit 7;;
  *) echo "$input" | sed 's/.*"echo": *//; s/}}$//';;
esac
"#;
    let bed = Bed::new().await;
    let id = bed.build("binary", source).await;
    assert_eq!(bed.result(id, r#"{"echo": [1, "zwei"]}"#).await, json!([1, "zwei"]));
    assert_eq!(bed.call(id, r#"{"log": 1}"#).await.logs.stderr, ["said err"]);
    assert!(bed.error(id, r#"{"fail": 1}"#).await.contains("exit status: 7"));
    assert_eq!(bed.result(id, r#"{"secret": "key"}"#).await, json!("value"));
}
