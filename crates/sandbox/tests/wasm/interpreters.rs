//! Python and JavaScript handlers, where their tools are installed.
//!
//! `DISPATCH_WASM__TOOLS_DIR` names the folder of the tools, as `cargo xtask test` sets it.

use dispatch_driver::{Engine, Fault};
use serde_json::json;

use super::support::wasm::{Bench, Called, call, file};

fn bench() -> Bench {
    let tools = std::env::var_os("DISPATCH_WASM__TOOLS_DIR").unwrap_or_default();
    Bench::with(|config| {
        config.tools_dir = tools.into();
        config.build_timeout_s = 600;
    })
}

/// Whether the engine runs a language; says loudly when the test could not run.
fn runs(bench: &Bench, language: &str) -> bool {
    let known = bench.engine.capabilities();
    let found = known.languages.iter().any(|l| l == language);
    if !found {
        eprintln!("COULD NOT RUN for {language}: {}", known.missing.join("; "));
    }
    found
}

#[tokio::test]
async fn python_handlers_answer_print_and_fail() {
    let bench = bench();
    if !runs(&bench, "python3") {
        return;
    }
    let source = "import sys
def handle(context, payload):
    print('to', payload['name'])
    print('careful', file=sys.stderr)
    if payload.get('fail'):
        raise ValueError('not today')
    return {'greeting': 'Hello, ' + payload['name'], 'run': context['runId']}
";
    let mut deployment = bench.deployment(source.as_bytes());
    deployment.language = "python3".to_owned();
    deployment.handler = "hello.handle".to_owned();
    deployment.memory_mib = 256;
    bench.deploy(&deployment).await;

    let request = call(r#"{"runId":"r"}"#, r#"{"name":"Ada"}"#, deployment.timeout);
    let greeted = Called(bench.engine.invoke(deployment.id, request).await.unwrap());
    assert_eq!(greeted.output(), json!({"greeting": "Hello, Ada", "run": "r"}));
    assert_eq!(greeted.logs().stdout, ["to Ada"]);
    assert_eq!(greeted.logs().stderr, ["careful"]);

    let request = call(r#"{"runId":"r"}"#, r#"{"name":"Ada","fail":true}"#, deployment.timeout);
    let failed = Called(bench.engine.invoke(deployment.id, request).await.unwrap());
    assert_eq!(failed.error().message, "ValueError: not today");
    assert!(failed.error().stacktrace.iter().any(|line| line.contains("in handle")));
    assert_eq!(failed.logs().stdout, ["to Ada"]);

    let mut broken = bench.deployment("def handle(context, payload:\n".as_bytes());
    broken.language = "python3".to_owned();
    let refused = bench.engine.build(&broken).await.unwrap_err();
    assert_eq!(refused.fault, Fault::Caller);
    assert!(refused.message.contains("SyntaxError"), "{refused}");
}

#[tokio::test]
async fn javascript_handlers_answer_print_and_fail() {
    let bench = bench();
    if !runs(&bench, "nodejs") {
        return;
    }
    let mut deployment = bench.deployment(file("nodejs/hello.js"));
    deployment.language = "nodejs".to_owned();
    deployment.handler = "./hello.js".to_owned();
    deployment.memory_mib = 256;
    bench.deploy(&deployment).await;
    let greeted = bench.call_again(&deployment, r#"{"name":"Ada","place":"London"}"#).await;
    assert_eq!(greeted.output(), json!({"greeting": "Hello, Ada from London"}));

    let source = "export async function handle(context, payload) {
        console.log('to', payload);
        await Promise.resolve();
        throw new TypeError('not today');
    }";
    let mut deployment = bench.deployment(source.as_bytes());
    deployment.language = "nodejs".to_owned();
    deployment.memory_mib = 256;
    bench.deploy(&deployment).await;
    let failed = bench.call_again(&deployment, "1").await;
    assert_eq!(failed.error().message, "TypeError: not today");
    let logs = failed.logs();
    assert!(logs.stdout.iter().chain(&logs.stderr).any(|line| line.contains("to 1")), "{logs:?}");
}

#[tokio::test]
async fn without_the_tool_the_error_says_what_to_install() {
    let bench = Bench::new();
    for (language, tool) in [("python3", "componentize-py"), ("nodejs", "componentize-js")] {
        if bench.engine.capabilities().languages.iter().any(|l| l == language) {
            eprintln!("COULD NOT RUN for {language}: {tool} is in PATH");
            continue;
        }
        let mut deployment = bench.deployment("".as_bytes());
        deployment.language = language.to_owned();
        let refused = bench.engine.build(&deployment).await.unwrap_err();
        assert_eq!(refused.fault, Fault::Caller);
        assert!(refused.message.contains(tool), "{refused}");
    }
}
