//! `cargo xtask demo`: from source to an HTTPS answer, every command and answer printed.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::server::Server;
use crate::{setup, shell};

#[derive(Args)]
pub struct Arguments {
    /// Exit when everything answered, on free ports; otherwise stay up on the usual ones.
    #[arg(long)]
    once: bool,
}

/// What a call must answer, by the last part of the example's name.
const CALLS: &[(&str, &str, &str)] = &[
    ("hello", r#"{"name": "Ada", "place": "London"}"#, "Hello"),
    ("echo", r#"{"any": ["thing"]}"#, r#""any""#),
    ("schema", r#"{"a": 19, "b": 23}"#, r#""sum":42"#),
    ("secret", "{}", r#""passwordLength":10"#),
    ("logs", "{}", "logged"),
    ("served", r#"{"name": "Ada"}"#, "Hello, Ada"),
];

const LANGUAGES: &[&str] =
    &["python3", "nodejs", "java", "ruby", "php", "powershell", "binary", "wasm"];

pub fn run(arguments: &Arguments) -> Result<()> {
    let began = Instant::now();
    let missing = setup::run(setup::For::Demo)?;
    shell::say("building dispatch and dispatch-server");
    build()?;
    let data = tempfile::Builder::new().prefix("dispatch-demo-").tempdir()?;
    let addresses = if arguments.once {
        ["127.0.0.1:0"; 3]
    } else {
        ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8444"]
    };
    shell::say("starting dispatch-server with no configuration");
    let mut server = Server::start(&shell::binary("dispatch-server"), data.path(), addresses)?;
    println!("    API      http://{}", server.api);
    println!("    gateway  http://{} and https://{}", server.gateway_http, server.gateway_https);
    let languages = deploy(&server)?;
    call_all(&server, &languages, began)?;
    look_around(&server)?;
    for name in missing.0 {
        println!("could not show: what needs the Debian package {name}");
    }
    shell::say(&format!("done in {} s: {}", began.elapsed().as_secs(), languages.join(", ")));
    if !arguments.once {
        let certificate = server.certificate();
        println!("Dispatch stays up; stop it with Ctrl-C. Try:");
        println!("    export DISPATCH_SCHEME=http DISPATCH_HOST=127.0.0.1 DISPATCH_PORT=8080");
        println!("    {} get functions", server.dispatch.display());
        println!(
            "    curl --cacert {} https://{}/dispatch/python3/hello -d '{{}}' \
             -H 'content-type: application/json'",
            certificate.display(),
            server.gateway_https
        );
        server.wait()?;
    }
    Ok(())
}

/// Both binaries, with the feature set the tests use, so that nothing is compiled twice.
pub fn build() -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(shell::root()).args(["build", "--workspace", "--bins"]);
    shell::run(&mut cargo)
}

fn deploy(server: &Server) -> Result<Vec<&'static str>> {
    shell::say("deploying the examples");
    shell::show(&mut server.dispatch(&["create", "seed-images"]))?;
    let bases = shell::show(&mut server.dispatch(&["get", "base-images", "-o", "json"]))?;
    let bases: serde_json::Value = serde_json::from_str(&bases)?;
    let found: Vec<_> = bases
        .as_array()
        .context("base images are not a list")?
        .iter()
        .filter_map(|base| base["language"].as_str())
        .collect();
    let languages: Vec<_> = LANGUAGES.iter().copied().filter(|l| found.contains(l)).collect();
    for language in LANGUAGES.iter().filter(|l| !languages.contains(l)) {
        println!("could not show: {language} (no interpreter on this machine)");
    }
    for language in &languages {
        let folder = format!("examples/{language}");
        let file = format!("{folder}/dispatch.yaml");
        shell::show(&mut server.dispatch(&["apply", "-f", &file, "-w", &folder, "--wait"]))?;
    }
    Ok(languages)
}

fn call_all(server: &Server, languages: &[&str], began: Instant) -> Result<()> {
    shell::say("calling them through HTTPS");
    let apis = shell::run_quietly("", &mut server.dispatch(&["get", "apis", "-o", "json"]))?;
    let mut answered = 0;
    for language in languages {
        for (name, input, expected) in CALLS {
            if !apis.contains(&format!("\"{language}-{name}\"")) {
                continue;
            }
            let answer = call(server, &format!("/dispatch/{language}/{name}"), input)?;
            if !answer.replace(": ", ":").contains(expected) {
                bail!("{language}-{name} answered {answer}, expected it to contain {expected}");
            }
            if answered == 0 {
                println!("    (first answer after {} s)", began.elapsed().as_secs());
            }
            answered += 1;
        }
    }
    if answered == 0 {
        bail!("no example answered");
    }
    Ok(())
}

fn call(server: &Server, path: &str, input: &str) -> Result<String> {
    let url = format!("https://{}{path}", server.gateway_https);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--cacert"]).arg(server.certificate());
    curl.args([&url, "--json", input]);
    shell::show(&mut curl)
}

fn look_around(server: &Server) -> Result<()> {
    shell::say("looking around");
    for line in [
        &["exec", "python3-logs", "--wait"][..],
        &["get", "functions"],
        &["get", "apis"],
        &["get", "runs", "--limit", "10"],
    ] {
        shell::show(&mut server.dispatch(line))?;
    }
    Ok(())
}
