//! Sign-in by somebody at a terminal, which python3 plays.

use std::process::Command;

use serde_json::{Value, json};

use super::run::Home;
use super::server::{Answer, Server, TOKEN, provider, signed_in};

/// A server whose people have two providers to choose from.
fn server() -> Server {
    Server::start(|asked| match asked.line.as_str() {
        "GET /v1/iam/identityprovider" => Some(Answer::json(
            200,
            &json!([provider("corp", &["browser"]), provider("ldap", &["password"])]),
        )),
        "POST /v1/iam/session" => Some(signed_in()),
        _ => None,
    })
}

/// What a person sees who types the texts, each after what is asked; None without Python.
fn typed(home: &Home, port: u16, turns: &[[&str; 2]]) -> Option<Value> {
    at_terminal(home, port, "login", turns)
}

fn at_terminal(home: &Home, port: u16, line: &str, turns: &[[&str; 2]]) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/login/terminal.py");
    let login = home.command(port, line);
    let mut python = Command::new("python3");
    python.arg(script).arg(json!(turns).to_string());
    python.arg(login.get_program()).args(login.get_args());
    python.env_clear().envs(login.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let Ok(done) = python.output() else {
        println!("could not run: python3 is not here");
        return None;
    };
    let shown = String::from_utf8_lossy(&done.stdout);
    Some(serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{done:?}")))
}

const WHICH: &str = "number or name): ";
const WHO: &str = "User name: ";
const PASSWORD: &str = "Password of ada: ";

#[test]
fn a_password_is_typed_and_not_shown() {
    let (server, home) = (server(), Home::new());
    let turns = [[WHICH, "2\n"], [WHO, "ada\n"], [PASSWORD, "hunter2\n"]];
    let Some(seen) = typed(&home, server.port, &turns) else { return };
    assert_eq!(seen["exit"], 0, "{seen}");
    assert_eq!(seen["echo"], json!([true, true, false, true]), "{seen}");
    let shown = seen["shown"].as_str().unwrap();
    assert!(shown.contains("2  ldap  The ldap ones") && !shown.contains("hunter2"), "{shown}");
    let body = json!({"provider": "ldap", "username": "ada", "password": "hunter2"});
    assert_eq!(server.asked("POST /v1/iam/session")[0].body, body);
    assert_eq!(home.context()["token"], TOKEN);
}

#[test]
fn ctrl_c_leaves_the_terminal_as_it_was() {
    let (server, home) = (server(), Home::new());
    let turns = [[WHICH, "ldap\n"], [WHO, "ada\n"], [PASSWORD, "hunt\u{3}"]];
    let Some(seen) = typed(&home, server.port, &turns) else { return };
    assert_eq!(seen["exit"], 130, "{seen}");
    assert_eq!(seen["echo"], json!([true, true, false, true]), "{seen}");
    assert!(server.asked("POST").is_empty());
}

#[test]
fn a_provider_that_is_not_there_is_not_taken() {
    let (server, home) = (server(), Home::new());
    let Some(seen) = typed(&home, server.port, &[[WHICH, "ldpa\n"]]) else { return };
    assert_eq!(seen["exit"], 1, "{seen}");
    assert!(seen["shown"].as_str().unwrap().contains("did you mean ldap?"), "{seen}");
}

/// Where programs read, the same is as it was: see `one_server.rs`.
#[test]
fn what_a_server_says_steers_no_terminal_that_shows_yaml_or_an_export() {
    const EVIL: &str = "\u{9b}2J\u{7f}\u{202e}";
    let server = Server::start(|_| Some(Answer::json(200, &json!([{"name": "s1", "of": EVIL}]))));
    let home = Home::new();
    for line in ["iam get sessions -o yaml", "audit export"] {
        let Some(seen) = at_terminal(&home, server.port, line, &[]) else { return };
        let shown = seen["shown"].as_str().unwrap();
        let steers = |c: char| c == '\u{202e}' || (c.is_control() && !"\r\n".contains(c));
        assert!(shown.contains("s1") && !shown.contains(steers), "{line}: {shown:?}");
        let piped = home.run(server.port, line);
        assert!(piped.ok().contains(EVIL) || line.contains("yaml"), "{piped:?}");
    }
}
