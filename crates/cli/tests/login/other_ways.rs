//! Sign-in without a browser: by another device, a password, a token.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::run::Home;
use super::server::{Answer, Server, TOKEN, provider, signed_in};

/// A server with a device's sign-in that has to be asked for twice.
fn of_devices(end: fn() -> Answer) -> Server {
    let times = AtomicUsize::new(0);
    Server::start(move |asked| match asked.line.as_str() {
        "GET /v1/iam/identityprovider" => {
            Some(Answer::json(200, &json!([provider("corp", &["browser", "device"])])))
        }
        "POST /v1/iam/session/device" => Some(Answer::json(
            201,
            &json!({
                "device": "secret-of-the-device", "userCode": "WDJB-MJHT", "expiresIn": 4,
                "interval": 1, "verificationUrl": "https://id.example.org/device",
                "verificationUrlComplete": "https://id.example.org/device?code=WDJB-MJHT",
            }),
        )),
        "POST /v1/iam/session" => match times.fetch_add(1, Ordering::SeqCst) {
            0 => Some(Answer::json(202, &json!({"slower": 1}))),
            _ => Some(end()),
        },
        _ => None,
    })
}

#[test]
fn a_code_is_typed_on_another_device() {
    let (server, home) = (of_devices(signed_in), Home::new());
    // Without a display, nobody has to ask for it.
    let said = home.run(server.port, "login");
    assert!(said.ok().starts_with("You have successfully logged in\nada@example.org"), "{said:?}");
    let shown = ["No browser opens here", "WDJB-MJHT", "https://id.example.org/device?code=WDJB"];
    assert!(shown.iter().all(|part| said.err.contains(part)), "{}", said.err);
    assert!(!said.err.contains("secret-of-the-device"), "{}", said.err);
    assert_eq!(server.asked("POST /v1/iam/session/device")[0].body, json!({"provider": "corp"}));
    let polled = server.asked("POST /v1/iam/session").into_iter();
    let polled: Vec<_> = polled.filter(|asked| !asked.line.ends_with("device")).collect();
    assert_eq!(polled.len(), 2);
    let pause = polled[1].at - polled[0].at;
    assert!(pause >= Duration::from_secs(2), "the server asked for 1 s more than 1: {pause:?}");
    assert!(polled.iter().all(|a| a.body == json!({"device": "secret-of-the-device"})));
    assert_eq!(home.context()["token"], TOKEN);
}

#[test]
fn a_device_that_nobody_answers_for_is_an_error() {
    let waiting = || Answer::json(202, &json!({"slower": 0}));
    let (server, home) = (of_devices(waiting), Home::new());
    let said = home.run(server.port, "login --device");
    let words = said.failed(&["secret-of-the-device"]);
    assert!(words.contains("nobody typed the code within 4 s"), "{words}");
    assert!(!words.contains("No browser opens here"), "it was asked for: {words}");
    let (server, home) = (of_devices(|| Answer::error(403, "not for you")), Home::new());
    let said = home.run(server.port, "login --device");
    assert!(said.failed(&["secret-of-the-device"]).contains("[Code: 403] not for you"));
    assert!(home.context().is_null());
}

fn of_passwords() -> Server {
    Server::start(|asked| match asked.line.as_str() {
        "GET /v1/iam/identityprovider" => Some(Answer::json(
            200,
            &json!([provider("corp", &["browser"]), provider("ldap", &["password"])]),
        )),
        "POST /v1/iam/session" => Some(match asked.body["password"].as_str() {
            Some(" open sesame ") => signed_in(),
            Some("again") => Answer::error(429, "too many attempts").with("Retry-After", "30"),
            _ => Answer::error(401, "the name or the password is wrong"),
        }),
        _ => None,
    })
}

#[test]
fn a_password_comes_from_standard_input() {
    let (server, home) = (of_passwords(), Home::new());
    let words = "login --username ada --password-stdin";
    home.run_with(server.port, words, " open sesame \n").ok();
    let body = &server.asked("POST /v1/iam/session")[0].body;
    let expected = json!({"provider": "ldap", "username": "ada", "password": " open sesame "});
    assert_eq!(*body, expected);
    assert_eq!(home.context()["token"], TOKEN);

    let said = home.run_with(server.port, words, "hunter2\n");
    assert!(said.failed(&["hunter2"]).contains("[Code: 401]"), "{said:?}");
    let said = home.run_with(server.port, words, "again\n");
    let words = said.failed(&["again\n"]);
    assert!(words.contains("too many attempts"), "{words}");
    assert!(words.contains("hint: try again in 30 s"), "{words}");
    assert_eq!(home.context()["token"], TOKEN, "what is there stays when a sign-in fails");
}

#[test]
fn what_is_missing_is_named() {
    let (server, home) = (of_passwords(), Home::new());
    for (words, parts) in [
        ("login", ["several identity providers", "corp, ldap", "--provider NAME"]),
        ("login --provider lap", ["\"lap\" is not known", "did you mean ldap?", "hint"]),
        ("login --provider ldap", ["there is no terminal", "--password-stdin", "hint"]),
        ("login --device", ["no identity provider has", "another device", "hint"]),
        ("login --provider ldap --device", ["provider ldap has no", "by a password", "hint"]),
        ("login --password-stdin", ["--username <NAME>", "not provided", "login"]),
        ("login --device --no-browser", ["--device", "cannot be used with", "--no-browser"]),
    ] {
        let said = home.run(server.port, words);
        let error = said.failed(&[]);
        assert!(parts.iter().all(|part| error.contains(part)), "{words}: {error}");
    }
    let empty = Server::start(|_| Some(Answer::json(200, &json!([]))));
    let said = home.run(empty.port, "login");
    let parts = ["no identity provider", "--service-account", "--token TOKEN", "providers_file"];
    assert!(parts.iter().all(|part| said.failed(&[]).contains(part)), "{said:?}");
    assert!(server.asked("POST").is_empty());
}

#[test]
fn a_program_signs_in_with_a_token_it_was_given() {
    let server = Server::start(|asked| {
        let is = asked.line == "POST /v1/iam/session" && asked.body["token"] == "a.b.c";
        Some(if is { signed_in() } else { Answer::error(401, "the token is not good") })
    });
    let home = Home::new();
    let file = home.file("token.jwt", "a.b.c\n");
    let words = "login --service-account acme/ci --identity-token-file";
    home.run(server.port, &format!("{words} {}", file.display())).ok();
    assert_eq!(home.context()["token"], TOKEN);
    let said = home.run_with(server.port, &format!("{words} - -o json"), "a.b.c");
    let session: serde_json::Value = serde_json::from_str(said.ok()).unwrap();
    assert_eq!(session["subject"], "ada@example.org");
    assert!(!said.out.contains(TOKEN), "{}", said.out);
    let asked = server.asked("");
    assert_eq!(asked.len(), 2);
    for one in asked {
        assert_eq!(one.body, json!({"serviceAccount": "acme/ci", "token": "a.b.c"}));
        assert_eq!(one.authorization, None);
    }
    let said = home.run_with(server.port, &format!("{words} -"), "x.y.z");
    assert!(said.failed(&["x.y.z"]).contains("the token is not good"), "{said:?}");
    for (more, part) in [
        ("- --jwt-private-key k.pem", "must be left out"),
        ("gone.jwt", "cannot read gone.jwt"),
        ("-", "it is empty"),
        ("- --device", "cannot be used with"),
    ] {
        let said = home.run(server.port, &format!("{words} {more}"));
        assert!(said.failed(&[]).contains(part), "{more}: {said:?}");
    }
}
