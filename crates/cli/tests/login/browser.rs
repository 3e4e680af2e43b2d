//! Sign-in with a browser, which is curl.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::run::{Home, Said};
use super::server::{Answer, Asked, Server, TOKEN, provider, signed_in};

/// What a person's browser does: it goes where it is sent, and shows the last page.
const BROWSER: &str = "curl -sL -o page.html \"$1\"";

fn query(asked: &Asked) -> HashMap<String, String> {
    let query = asked.line.split_once('?').map(|(_, query)| query).unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A server whose provider says at once what `end` makes of the state.
fn server(providers: Value, end: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |asked| match asked.line.split(['?', ' ']).nth(1)? {
        "/v1/iam/identityprovider" => Some(Answer::json(200, &providers)),
        "/v1/iam/oauth2/start" => {
            let query = query(asked);
            Some(Answer::to(&format!("{}?{}", query["redirect"], end(&query["state"]))))
        }
        "/v1/iam/session" => Some(signed_in()),
        _ => None,
    })
}

fn sign_in(home: &Home, port: u16, words: &str) -> Said {
    let browser = home.browser(BROWSER);
    let mut command = home.command(port, words);
    Said::of(command.env("BROWSER", browser))
}

#[test]
fn the_browser_brings_a_code_back() {
    let providers = json!([provider("ci", &["token"]), provider("corp", &["browser", "device"])]);
    let server = server(providers, |state| format!("code=the-code&state={state}"));
    let home = Home::new();
    let said = sign_in(&home, server.port, "login");
    let until = "until 2030-03-17 17:46:40";
    let who = format!("ada@example.org (Ada Lovelace), by corp, {until}");
    assert_eq!(said.ok(), format!("You have successfully logged in\n{who}\n"));
    assert!(!said.err.contains("the-code") && !said.err.contains(TOKEN), "{}", said.err);

    let start = &server.asked("GET /v1/iam/oauth2/start")[0];
    let asked = query(start);
    assert_eq!(asked["provider"], "corp");
    assert!(asked["redirect"].starts_with("http://127.0.0.1:"), "{asked:?}");
    assert!(asked["state"].len() >= 43, "{asked:?}");
    let body = &server.asked("POST /v1/iam/session")[0].body;
    assert_eq!(body["code"], "the-code");
    let verifier = body["verifier"].as_str().unwrap();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    assert_eq!(asked["code_challenge"], challenge);
    assert!(!start.line.contains(verifier), "the verifier is the server's to see, at the end");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");

    let context = home.context();
    assert_eq!(context["token"], TOKEN);
    assert_eq!(context["organization"], "acme");
    home.wait_for("page.html", "You are signed in.");
}

#[test]
fn a_session_takes_the_place_of_what_signed_in_before() {
    let providers = json!([provider("corp", &["browser"])]);
    let server = server(providers, |state| format!("code=c&state={state}"));
    let home = Home::new();
    let key = home.file("key.pem", "no key");
    let before = json!({"current": "a", "contexts": {"a": {
        "cookie": "a=b", "serviceaccount": "old/one", "jwtprivatekey": key.with_extension("gone"),
        "audience": "x", "organization": "mine", "api-https-port": 443,
        "host": "127.0.0.1", "port": server.port,
    }}});
    let file = home.file("config.json", &before.to_string());
    let words = format!("login --config {}", file.display());
    sign_in(&home, server.port, &words).ok();
    let after: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let after = after["contexts"]["a"].as_object().unwrap();
    assert_eq!(after["token"], TOKEN);
    assert_eq!(after["organization"], "mine", "the one that was chosen stays");
    assert_eq!(after["api-https-port"], 443);
    for key in ["cookie", "serviceaccount", "jwtprivatekey", "audience"] {
        assert!(!after.contains_key(key), "{key}: {after:?}");
    }
    // Nothing of what was there before signs in at the sign-in.
    let asked = server.asked("");
    assert!(asked.iter().all(|a| a.authorization.is_none() && a.cookie.is_none()), "{asked:?}");
}

#[test]
fn a_refusal_is_an_error_on_both_sides() {
    let providers = json!([provider("corp", &["browser"])]);
    let server = server(providers, |state| {
        format!("error=access_denied&error_description=not%20%3Cyou%3E&state={state}")
    });
    let home = Home::new();
    let said = sign_in(&home, server.port, "login");
    assert!(said.failed(&[]).contains("the sign-in was refused: not <you>"), "{said:?}");
    home.wait_for("page.html", "not &lt;you&gt;");
    assert!(server.asked("POST").is_empty());
    assert!(home.context().is_null());
}

#[test]
fn an_answer_of_another_sign_in_changes_nothing() {
    let providers = json!([provider("corp", &["browser"])]);
    let server = server(providers, |state| format!("code=right&state={state}"));
    let home = Home::new();
    // A page that the person has open sends the browser to the port first.
    let port = "port=$(echo \"$1\" | sed 's/.*127.0.0.1%3A\\([0-9]*\\)%2Fcatcher.*/\\1/')";
    let planted = "curl -s -o planted.html \"http://127.0.0.1:$port/catcher?code=planted&state=x\"";
    let browser = home.browser(&format!("{port}\n{planted}\n{BROWSER}"));
    let mut command = home.command(server.port, "login");
    Said::of(command.env("BROWSER", browser)).ok();
    let handed_in = server.asked("POST /v1/iam/session");
    assert_eq!(handed_in.len(), 1);
    assert_eq!(handed_in[0].body["code"], "right");
    home.wait_for("planted.html", "You are not signed in.");
}

#[test]
fn a_server_of_v1_gives_a_cookie() {
    let server = Server::start(|asked| match asked.line.split(['?', ' ']).nth(1)? {
        "/v1/iam/redirect" => {
            let redirect = &query(asked)["redirect"];
            Some(Answer::to(&format!("{redirect}?cookie=_oauth2_proxy%3Dabc%7C1%3D")))
        }
        "/v1/iam/organization" => Some(match asked.cookie.as_deref() {
            Some("_oauth2_proxy=abc|1=") => Answer::json(200, &json!([])),
            _ => Answer::error(401, "who is this?"),
        }),
        _ => None,
    });
    let home = Home::new();
    let said = sign_in(&home, server.port, "login");
    assert_eq!(said.ok(), "You have successfully logged in\n");
    assert_eq!(home.context()["cookie"], "_oauth2_proxy=abc|1=");
}

#[test]
fn a_server_of_v1_has_no_other_way() {
    let (server, home) = (Server::start(|_| None), Home::new());
    for words in ["login --provider corp", "login --device", "login --username ada"] {
        let said = home.run(server.port, words);
        assert!(said.failed(&[]).contains("no identity provider"), "{words}: {said:?}");
    }
}

#[test]
fn the_address_can_be_visited_by_hand() {
    let providers = json!([provider("corp", &["browser", "device"])]);
    let server = server(providers, |state| format!("code=c&state={state}"));
    let home = Home::new();
    let mut command = home.command(server.port, "login --no-browser");
    // Were it opened all the same, the file would be there.
    let mut child = command.env("BROWSER", home.browser("touch opened")).spawn().unwrap();
    let shown = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let url = shown.map(|line| line.trim().to_owned()).find(|line| line.starts_with("http"));
    let page = Command::new("curl").args(["-sLm", "30", &url.unwrap()]).output().unwrap();
    assert!(String::from_utf8_lossy(&page.stdout).contains("You are signed in."), "{page:?}");
    Said::at_end(child).ok();
    assert_eq!(home.context()["token"], TOKEN);
    assert!(!home.has("opened"));
}

#[test]
fn the_page_says_when_the_server_refuses_the_code() {
    let server = Server::start(|asked| match asked.line.split(['?', ' ']).nth(1)? {
        "/v1/iam/identityprovider" => {
            Some(Answer::json(200, &json!([provider("corp", &["browser"])])))
        }
        "/v1/iam/oauth2/start" => {
            let query = query(asked);
            let (redirect, state) = (&query["redirect"], &query["state"]);
            Some(Answer::to(&format!("{redirect}?code=the-code&state={state}")))
        }
        _ => Some(Answer::error(401, "the code is used up")),
    });
    let home = Home::new();
    let said = sign_in(&home, server.port, "login");
    assert!(said.failed(&["the-code"]).contains("[Code: 401] the code is used up"), "{said:?}");
    home.wait_for("page.html", "the code is used up");
}
