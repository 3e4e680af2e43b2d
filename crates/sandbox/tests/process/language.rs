//! Every language: result, context, error, logs.

use std::path::Path;
use std::time::Duration;

use dispatch_driver::Engine;
use serde_json::json;

use crate::bed::{Bed, until};

/// The same four things of every language; the handler is told by its payload which one.
async fn behaves(language: &str, source: &str) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/languages");
    let bed = Bed::with(|c| c.languages_dir = examples).await;
    if !bed.has(language) {
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

/// A worker says from where its classes come, and whether it starts from the archive.
#[tokio::test]
async fn java_is_compiled_once() {
    let bed = Bed::new().await;
    if !bed.has("java") {
        return;
    }
    let source = r#"
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
public class handler implements BiFunction<Map<String, Object>, Object, Object> {
    public Object apply(Map<String, Object> context, Object payload) {
        try {
            var source = handler.class.getProtectionDomain().getCodeSource();
            String from = source.getLocation().getPath();
            return List.of(from, Files.readString(Path.of("/proc/self/maps")).contains("host.jsa"));
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }
}
"#;
    let deployment = bed.deployment("java", source, |d| {
        d.memory_mib = 256;
        d.idle = Duration::from_millis(100);
    });
    bed.engine.build(&deployment).await.unwrap();
    until("no worker is left", || bed.engine.workers() == (0, 0)).await;
    let outcome = bed.call(deployment.id, "null").await;
    assert!(outcome.phases.cold);
    let answer = outcome.result.unwrap();
    let [from, archived] = serde_json::from_str::<[serde_json::Value; 2]>(answer.get()).unwrap();
    let from = from.as_str().unwrap();
    assert!(from.starts_with("/function/.dispatch-classes-") && from.ends_with(".jar"), "{from}");
    assert_eq!(archived, json!(true));
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

/// Not built in: an operator's own, a folder of text.
#[tokio::test]
async fn perl() {
    let source = r#"
sub handle {
    my ($context, $payload) = @_;
    return $context->{secrets}{ $payload->{secret} } if $payload->{secret};
    if ($payload->{log}) {
        print "$payload->{log} out\n";
        print STDERR "$payload->{log} err\n";
    }
    die "$payload->{fail}\n" if $payload->{fail};
    return $payload->{echo};
}
1;
"#;
    behaves("perl", source).await;
}

#[tokio::test]
async fn a_language_that_cannot_be_used_stops_the_start() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("own")).unwrap();
    std::fs::write(root.path().join("own/language.toml"), "name = \"Own\"").unwrap();
    let error = Bed::refused(|c| c.languages_dir = root.path().to_owned()).await;
    assert!(error.contains("process.languages_dir: "), "{error}");
    assert!(error.contains("own/language.toml: "), "{error}");
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

/// Not the bridge that calls it, which maps more than that itself: it could not start anything.
#[tokio::test]
async fn an_executables_addresses_are_limited_where_no_group_limits_memory() {
    let bed = Bed::new().await;
    let source = "#!/bin/bash\necho \"\\\"$(ulimit -v)\\\"\"\n";
    let deployment = bed.deployment("binary", source, |d| d.memory_mib = 16);
    bed.engine.build(&deployment).await.unwrap();
    let expected =
        if bed.limits("memory") { "unlimited".to_owned() } else { (144 << 10).to_string() };
    assert_eq!(bed.result(deployment.id, "{}").await, json!(expected));
}

/// What any framework's server looks like, in few lines.
const SERVED: &str = r#"#!/usr/bin/env python3
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    calls = 0
    def answer(self, body, status=200):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({}, 200 if self.path == "/healthz" else 404)
    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = call["payload"]
        Handler.calls += 1
        if payload == "exit": os._exit(9)
        if payload == "broken": return self.answer("no", 503)
        if payload == "other": return self.answer([1])
        if payload == "print": print("printed", flush=True)
        logs = {"stdout": ["carried"] if payload == "print" else [], "stderr": []}
        error = {"type": "FunctionError", "message": f"no {payload}", "stacktrace": ["at 1"]}
        error = error if payload == "fail" else None
        value = [Handler.calls, payload, call["context"]["secrets"]]
        self.answer({"context": {"error": error, "logs": logs}, "payload": value})
    def log_message(self, *words): pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[tokio::test]
async fn binary_that_serves_the_function_runtime_api() {
    let bed = Bed::new().await;
    let deployment = bed.deployment("binary", SERVED, |d| d.handler = "http:./handler".to_owned());
    bed.engine.build(&deployment).await.unwrap();
    let id = deployment.id;
    // The same process serves one call after the other.
    assert_eq!(bed.result(id, "[]").await, json!([1, [], {"key": "value"}]));
    assert_eq!(bed.result(id, "\"ü\"").await, json!([2, "ü", {"key": "value"}]));
    assert_eq!(bed.call(id, r#""print""#).await.logs.stdout, ["printed", "carried"]);
    let failed = bed.call(id, r#""fail""#).await.result.unwrap_err();
    assert_eq!(
        (failed.message.as_str(), failed.stacktrace.as_slice()),
        ("no fail", &["at 1".to_owned()][..])
    );
    assert!(bed.error(id, r#""broken""#).await.contains("503"));
    assert!(bed.error(id, r#""other""#).await.contains("Function Runtime API"));
    assert!(bed.error(id, r#""exit""#).await.contains("ended with exit status: 9"));
    assert_eq!(bed.result(id, "0").await, json!([1, 0, {"key": "value"}]));
}

/// Frameworks close a connection that is idle for some seconds, or after each answer.
#[tokio::test]
async fn a_served_binary_may_close_its_connections() {
    let bed = Bed::new().await;
    let keep_alive = "protocol_version = \"HTTP/1.1\"";
    let idle = format!("{keep_alive}\n    timeout = 0.05");
    for (closes, change) in
        [("when idle", idle.as_str()), ("after each answer", "protocol_version = \"HTTP/1.0\"")]
    {
        let source = SERVED.replace(keep_alive, change);
        let deployment =
            bed.deployment("binary", source.as_str(), |d| d.handler = "http:./handler".to_owned());
        bed.engine.build(&deployment).await.unwrap();
        for n in 1..=3 {
            // Time without a call is what this is about: more than the server's patience.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let answer = bed.result(deployment.id, "0").await;
            assert_eq!(answer[0], json!(n), "the same process answers; it closes {closes}");
        }
    }
}

#[tokio::test]
async fn a_binary_that_never_serves_is_its_authors_fault() {
    let bed = Bed::with(|c| c.load_timeout_ms = 3_000).await;
    let cases = [
        ("#!/bin/sh\nexit 3\n".to_owned(), "exit status: 3 before it served"),
        ("#!/bin/sh\nexec sleep 1000\n".to_owned(), "did not answer 200 within 2700 ms"),
        (SERVED.replace("/healthz", "/other"), "it answers 404"),
    ];
    for (source, words) in cases {
        let deployment =
            bed.deployment("binary", source.as_str(), |d| d.handler = "http:./handler".to_owned());
        let error = bed.engine.build(&deployment).await.unwrap_err();
        assert_eq!(error.fault, dispatch_driver::Fault::Caller);
        assert!(error.message.contains(words), "{}", error.message);
    }
}
