//! What belongs to one server goes to no other, and what a server says steers no terminal.

use serde_json::{Value, json};

use super::run::Home;
use super::server::{Answer, Server, TOKEN, provider, signed_in};

const PASSWORD: &str = "open-sesame";

/// A server that nobody is signed in at unless it is shown the session.
fn server() -> Server {
    Server::start(|asked| {
        let known = asked.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"));
        match asked.line.as_str() {
            "GET /v1/iam/identityprovider" => {
                Some(Answer::json(200, &json!([provider("corp", &["password"])])))
            }
            "POST /v1/iam/session" => Some(signed_in()),
            _ if known => Some(Answer::json(200, &json!([]))),
            _ => Some(Answer::error(401, "nobody is signed in")),
        }
    })
}

/// A file of somebody signed in at `own`, who accepts any certificate there.
fn file(home: &Home, host: &str, port: u16) -> String {
    let own = json!({"host": host, "port": port, "scheme": "http", "insecure": true,
                     "organization": "acme", "token": TOKEN, "cookie": "a=b"});
    let config = json!({"current": "own", "contexts": {"own": own}});
    home.file("config.json", &config.to_string()).display().to_string()
}

#[test]
fn another_host_gets_nothing_of_the_files() {
    let (elsewhere, home) = (server(), Home::new());
    let config = file(&home, "own.example", elsewhere.port);
    let said = home.run(elsewhere.port, &format!("get functions --config {config}"));
    let words = said.failed(&[TOKEN]);
    assert!(words.contains("what the configuration file signs in with is for http://own.example"));
    assert!(words.contains("[Code: 401] nobody is signed in"), "{words}");
    assert!(words.contains("hint: `dispatch login` with the address of http://127.0.0.1"));
    for asked in elsewhere.asked("") {
        assert_eq!((asked.authorization, asked.cookie, asked.organization), (None, None, None));
    }
    // Nor another port of the host: somebody else's server may be there.
    let config = file(&home, "127.0.0.1", 1);
    let before = home.read("config.json");
    let said = home.run(elsewhere.port, &format!("get functions --config {config}"));
    assert!(said.failed(&[TOKEN]).contains("is for http://127.0.0.1:1"));
    let said = home.run(elsewhere.port, &format!("logout --config {config}"));
    assert!(said.ok().contains("signs nobody in at http://127.0.0.1:"), "{said:?}");
    assert_eq!(home.read("config.json"), before);
    let all = elsewhere.asked("");
    assert!(all.iter().all(|a| a.authorization.is_none() && a.organization.is_none()), "{all:?}");
    // Its own does, in whatever spelling.
    let config = file(&home, "127.0.0.1", elsewhere.port);
    for host in ["127.0.0.1", "127.1"] {
        home.run(elsewhere.port, &format!("get functions --config {config} --host {host}")).ok();
        assert_eq!(elsewhere.asked("").last().unwrap().organization.as_deref(), Some("acme"));
    }
}

/// What somebody types wrong is said as it is, wherever the file signs in.
#[test]
fn an_error_of_signing_in_is_not_explained_by_the_file() {
    let refuses = Server::start(|asked| match asked.line.as_str() {
        "GET /v1/iam/identityprovider" => {
            Some(Answer::json(200, &json!([provider("corp", &["password"])])))
        }
        _ => Some(Answer::error(401, "wrong name or password")),
    });
    let home = Home::new();
    let config = file(&home, "own.example", 443);
    let line = format!("login --username ada --password-stdin --config {config}");
    let said = home.run_with(refuses.port, &line, PASSWORD);
    assert!(said.failed(&[PASSWORD]).starts_with("Error: [Code: 401] wrong name"), "{said:?}");
    let line = format!("get functions --token x.y.z --config {config}");
    let said = home.run(refuses.port, &line);
    let words = said.failed(&[]);
    assert!(
        words.contains("warning: the configuration file's organization acme is for http://own")
    );
    assert!(words.contains("\nError: [Code: 401] wrong name"), "{words}");
}

#[test]
fn another_host_is_spoken_to_as_if_no_file_were_there() {
    let home = Home::new();
    let config = file(&home, "own.example", 80);
    let line = format!("get functions --host other.invalid --config {config}");
    let mut command = home.command(1, &line);
    let said = super::run::Said::of(command.env_remove("DISPATCH_PORT"));
    let words = said.failed(&[TOKEN]);
    assert!(words.contains("no answer from https://other.invalid:443"), "{words}");
}

#[test]
fn signing_in_elsewhere_leaves_the_first_server_as_it_was() {
    let (elsewhere, home) = (server(), Home::new());
    let config = file(&home, "own.example", 443);
    let line = format!("login --username ada --password-stdin --config {config}");
    home.run_with(elsewhere.port, &line, PASSWORD).ok();
    // Nor does another server of the same host.
    let another = server();
    home.run_with(another.port, &line, PASSWORD).ok();
    home.run_with(elsewhere.port, &line, PASSWORD).ok();
    let written: Value = serde_json::from_str(&home.read("config.json")).unwrap();
    assert_eq!(written["current"], "127-0-0-1");
    assert_eq!(written["contexts"].as_object().unwrap().len(), 3, "{written}");
    assert_eq!(written["contexts"]["127-0-0-1-2"]["port"], another.port);
    let (own, new) = (&written["contexts"]["own"], &written["contexts"]["127-0-0-1"]);
    assert_eq!((&own["host"], &own["cookie"]), (&json!("own.example"), &json!("a=b")));
    assert_eq!((&new["token"], &new["insecure"]), (&json!(TOKEN), &Value::Null));
}

#[test]
fn nobody_is_sent_on_with_what_they_hand_in() {
    let home = Home::new();
    let elsewhere = server();
    let to = format!("http://127.0.0.1:{}/v1/iam/session", elsewhere.port);
    let first = Server::start(move |asked| match asked.line.as_str() {
        "GET /v1/iam/identityprovider" => {
            Some(Answer::json(200, &json!([provider("corp", &["password"])])))
        }
        _ => Some(Answer::redirect(307, &to)),
    });
    let said = home.run_with(first.port, "login --username ada --password-stdin", PASSWORD);
    let words = said.failed(&[PASSWORD]);
    assert!(words.contains("answers 307: it sends to http://127.0.0.1"), "{words}");
    let meant = format!("--scheme http --host 127.0.0.1 --port {}", elsewhere.port);
    assert!(words.contains(&meant), "{words}");
    assert!(elsewhere.asked("").is_empty());
    let token = format!("get functions --token {TOKEN}");
    home.run(first.port, &token).failed(&[TOKEN]);
    assert!(elsewhere.asked("").is_empty());
}

#[test]
fn what_a_server_says_steers_no_terminal() {
    let evil = "\u{1b}]0;mine\u{7}\u{9b}2J";
    let said_by = move |status: u16| {
        Server::start(move |asked| match asked.line.split(['?', ' ']).nth(1) {
            Some("/v1/iam/session") => {
                Some(Answer::json(200, &json!([{"name": "s1", "subject": evil}])))
            }
            Some("/v1/iam/session/device") => Some(Answer::json(
                201,
                &json!({"device": "d", "userCode": evil, "expiresIn": 1, "interval": 1,
                        "verificationUrl": "javascript:alert(1)"}),
            )),
            Some("/v1/iam/identityprovider") => {
                Some(Answer::json(200, &json!([provider("corp", &["device"])])))
            }
            _ => Some(Answer::error(status, evil)),
        })
    };
    let (server, home) = (said_by(400), Home::new());
    for line in [
        "iam get sessions",
        "iam get sessions -o json",
        "get functions",
        "get function hello",
        "login --device",
    ] {
        let said = home.run(server.port, line);
        let all = format!("{}{}", said.out, said.err);
        assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "{line}: {all:?}");
    }
    let said = home.run(server.port, "login --device");
    assert!(said.failed(&[]).contains("is no web address"), "{said:?}");
    let sessions = home.run(server.port, "iam get sessions -o json");
    let sessions: Value = serde_json::from_str(sessions.ok()).unwrap();
    assert_eq!(sessions[0]["subject"], evil);
}
