//! What is done with sessions once they began.

use serde_json::{Value, json};

use super::run::{Home, Said};
use super::server::{Answer, Server, TOKEN, provider};

/// A server that ends sessions as it is told, and lists two.
fn server(end: fn() -> Answer) -> Server {
    Server::start(move |asked| {
        let (method, target) = asked.line.split_once(' ')?;
        match (method, target.split('?').next()?) {
            ("DELETE", "/v1/iam/session/current" | "/v1/iam/session/s2") => Some(end()),
            ("GET", "/v1/iam/session") => Some(Answer::json(200, &sessions())),
            ("GET", "/v1/iam/session/current") => Some(Answer::json(200, &sessions()[0])),
            ("GET", "/v1/iam/identityprovider") => {
                let ways = ["browser", "device"];
                Some(Answer::json(
                    200,
                    &json!([provider("corp", &ways), provider("ci", &["token"])]),
                ))
            }
            ("POST", "/v1/iam/serviceaccount") => Some(Answer::json(201, &asked.body)),
            ("GET", "/v1/iam/organization") => Some(Answer::json(200, &json!([]))),
            _ => None,
        }
    })
}

fn sessions() -> Value {
    json!([
        {"name": "s1", "subject": "ada@example.org", "subjectKind": "user", "provider": "corp",
         "client": "command-line", "from": "192.0.2.1", "createdTime": 1_800_000_000,
         "expires": 1_900_000_000, "confirmed": 1_800_000_000, "current": true,
         "memberships": [{"organization": "acme", "groups": ["shop"]}]},
        {"name": "s2", "subject": "ci", "subjectKind": "service-account", "provider": "ci",
         "client": "program", "createdTime": 1_800_000_001, "expires": 1_900_000_000},
    ])
}

fn signed_in(home: &Home, port: u16, token: &str) -> String {
    let context = json!({"token": token, "host": "127.0.0.1", "port": port});
    let config = json!({"current": "a", "contexts": {"a": context}});
    format!("--config {}", home.file("config.json", &config.to_string()).display())
}

fn token_in(home: &Home) -> Value {
    let config: Value = serde_json::from_str(&home.read("config.json")).unwrap();
    config["contexts"]["a"]["token"].clone()
}

#[test]
fn logout_ends_the_session_first() {
    let url = "https://id.example.org/logout";
    let end = || Answer::json(200, &json!({"logoutUrl": "https://id.example.org/logout"}));
    let (server, home) = (server(end), Home::new());
    let config = signed_in(&home, server.port, TOKEN);
    let said = home.run(server.port, &format!("logout {config}"));
    let elsewhere = format!("To sign out at the provider too, open: {url}");
    assert_eq!(said.ok(), format!("{elsewhere}\nYou have successfully logged out\n"));
    let ended = server.asked("DELETE /v1/iam/session/current");
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].authorization.as_deref(), Some(format!("Bearer {TOKEN}").as_str()));
    assert!(token_in(&home).is_null());
    // Without one there is nothing to end.
    home.run(server.port, &format!("logout {config}")).ok();
    signed_in(&home, server.port, "a.jwt.token");
    home.run(server.port, &format!("logout {config}")).ok();
    assert!(token_in(&home).is_null());
    assert_eq!(server.asked("DELETE").len(), 1);
}

#[test]
fn logout_forgets_whatever_the_server_says() {
    for (end, warned) in [
        ((|| Answer::error(401, "it is over")) as fn() -> Answer, false),
        (|| Answer::error(503, "not now"), true),
    ] {
        let (server, home) = (server(end), Home::new());
        let config = signed_in(&home, server.port, TOKEN);
        let said = home.run(server.port, &format!("logout {config}"));
        assert_eq!(said.ok(), "You have successfully logged out\n");
        assert_eq!(said.err.contains("warning: "), warned, "{said:?}");
        assert!(!said.err.contains(TOKEN), "{said:?}");
        assert!(token_in(&home).is_null());
    }
    // Nor does it matter whether there is one.
    let home = Home::new();
    let config = signed_in(&home, 1, TOKEN);
    let said = home.run(1, &format!("logout {config}"));
    assert!(said.ok().contains("logged out") && said.err.contains("warning: "), "{said:?}");
    assert!(token_in(&home).is_null());
}

#[test]
fn sessions_and_providers_are_listed() {
    let (server, home) = (server(|| Answer::json(200, &json!({}))), Home::new());
    let config = signed_in(&home, server.port, TOKEN);
    let run = |words: &str| home.run(server.port, &format!("{words} {config}"));
    insta::assert_snapshot!("sessions", run("iam get sessions").ok());
    insta::assert_snapshot!("sessions_wide", run("iam get sessions -o wide").ok());
    insta::assert_snapshot!("identity_providers", run("iam get identityproviders").ok());
    assert_eq!(run("iam get sessions -o name").ok(), "s1\ns2\n");
    let one: Value = serde_json::from_str(run("iam get session current -o json").ok()).unwrap();
    assert_eq!(one, sessions()[0]);
    assert_eq!(run("iam delete session s2").ok(), "Deleted session: s2\n");
    assert_eq!(server.asked("DELETE /v1/iam/session/s2").len(), 1);
}

#[test]
fn an_account_named_on_the_line_is_not_the_session_of_the_file() {
    let (server, home) = (server(|| Answer::json(200, &json!({}))), Home::new());
    let config = signed_in(&home, server.port, TOKEN);
    let words = format!("iam get sessions {config} --service-account acme/ci");
    let said = home.run(server.port, &words);
    assert!(said.failed(&[TOKEN]).contains("--jwt-private-key FILE"), "{said:?}");
    assert!(server.asked("").is_empty());
}

#[test]
fn a_service_account_trusts_an_issuer() {
    let (server, home) = (server(|| Answer::json(200, &json!({}))), Home::new());
    let run = |words: &str| home.run(server.port, &format!("iam create serviceaccount {words}"));
    let claims = "--trust-claim sub=repo:acme/shop:* --trust-claim sub=repo:acme/till:* \
                  --trust-claim ref=refs/heads/main";
    run(&format!("ci --trust-provider github {claims}")).ok();
    let body = &server.asked("POST /v1/iam/serviceaccount")[0].body;
    let claims =
        json!({"sub": ["repo:acme/shop:*", "repo:acme/till:*"], "ref": ["refs/heads/main"]});
    assert_eq!(body["trust"], json!([{"provider": "github", "claims": claims}]));
    for (words, part) in [
        ("ci", "hint: --public-key FILE, or --trust-provider"),
        ("ci --trust-provider github", "--trust-claim <CLAIM=PATTERN>"),
        ("ci --trust-claim sub=a", "--trust-provider <PROVIDER>"),
        ("ci --trust-provider github --trust-claim sub", "KEY=VALUE"),
    ] {
        let said = run(words);
        assert!(said.failed(&[]).contains(part), "{words}: {said:?}");
    }
    assert_eq!(server.asked("POST").len(), 1);
}

#[test]
fn names_are_completed() {
    let (server, home) = (server(|| Answer::json(200, &json!({}))), Home::new());
    for (line, names) in [
        ("login --provider c", ["corp", "ci"].as_slice()),
        ("iam create serviceaccount x --trust-provider co", &["corp"]),
        ("iam delete session s", &["s1", "s2"]),
        ("iam get session s2", &["s2"]),
    ] {
        let mut command = home.command(server.port, &format!("-- dispatch {line}"));
        let said = Said::of(command.env("DISPATCH_COMPLETE", "fish"));
        let found: Vec<_> = said.ok().lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(found, *names, "{line}");
    }
}
