//! `dispatch login` as people use it: the command opens a real browser, and finishes by itself.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use dispatch_systems::identity::Chromium;
use dispatch_systems::identity::directory::PASSWORD;
use dispatch_systems::identity::oidc_provider::ANN;
use dispatch_testkit::{Cli, eventually};
use serde_json::{Value, json};

use crate::sign_in_bed::{Bed, With};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_opens_the_browser_and_finishes_by_itself() {
    let Some(bed) = Bed::start().await else { return };
    let Some(chromium) = Chromium::start().await else { return };
    let cli = Cli::of(&bed.url);
    // What would open the browser writes down where to.
    let asked = cli.home().join("asked");
    let opener = cli.file("open", &format!("#!/bin/sh\necho \"$1\" > {}\n", asked.display()));
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let cli = cli.with("BROWSER", &opener.display().to_string());
    let login = tokio::task::spawn_blocking(move || {
        let said = cli.ok("login");
        (cli, said)
    });
    let url = eventually("the browser is opened", async || {
        let text = std::fs::read_to_string(&asked).unwrap_or_default();
        text.ends_with('\n').then(|| text.trim().to_owned()).ok_or("nothing yet")
    })
    .await;
    chromium.open(&url).await;
    chromium.fill("[name=login]", ANN).await;
    chromium.fill("[name=password]", "any").await;
    chromium.click("[type=submit]").await;
    // She agrees.
    chromium.reads("Continue").await;
    chromium.click("[type=submit]").await;
    chromium.reads("You may close this window").await;
    let (cli, said) = tokio::time::timeout(Duration::from_secs(20), login).await.unwrap().unwrap();
    assert!(said.contains("You have successfully logged in"), "{said}");
    let sessions = cli.json("iam get session");
    let names = |key: &str| -> Vec<Value> {
        sessions.as_array().unwrap().iter().map(|session| session[key].clone()).collect()
    };
    assert_eq!(names("subject"), [json!("ann@example.org")]);
    assert_eq!(names("current"), [json!(true)]);
    cli.ok("get functions");
    let refused = cli.fails("get secrets");
    assert!(refused.contains("ann@example.org may not get secret"), "{refused}");
    // The browser is signed in at the provider, and here not: the session is the command's.
    assert_eq!(chromium.cookie("dispatch_session").await, None);
    let said = cli.run("logout").ok("logout");
    assert!(said.contains("logged out"), "{said}");
    assert!(cli.fails("get functions").contains("IAM001"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_keeps_its_session_from_scripts_and_other_sites() {
    let Some(bed) = Bed::with(With { directory: true, ..With::default() }).await else { return };
    let Some(chromium) = Chromium::start().await else { return };
    chromium.open(&bed.start_url("")).await;
    chromium.reads("Corp").await;
    chromium.click("a.way[href*=books]").await;
    chromium.fill("[name=username]", "ann").await;
    chromium.fill("[name=password]", PASSWORD).await;
    chromium.click("button").await;
    chromium.reads("You are signed in").await;
    let cookie = chromium.cookie("dispatch_session").await.expect("a cookie");
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Lax")));
    assert_eq!(chromium.script("return document.cookie").await, json!(""));
    // The page lets no script run by its own rules; the API's page may speak to the API.
    chromium.open(&format!("{}/docs/", bed.url)).await;
    let own = "return fetch('/v1/iam/session/current').then(answer => answer.json())";
    assert_eq!(chromium.script(own).await["subject"], "books:ann");
    // Another site, which is this machine under its other name: it can neither read nor change.
    let other = bed.url.replace("127.0.0.1", "localhost");
    chromium.open(&format!("{other}/docs/")).await;
    let act = |method: &str| {
        format!(
            "return fetch('{}/v1/iam/session/current', {{method: '{method}', mode: 'no-cors', \
             credentials: 'include'}}).then(answer => answer.type).catch(error => 'failed')",
            bed.url
        )
    };
    chromium.script(&act("POST")).await;
    let sent = format!(
        "let form = document.createElement('form'); form.method = 'POST'; \
         form.action = '{}/v1/iam/oauth2/logout'; document.body.append(form); form.submit();",
        bed.url
    );
    chromium.script(&sent).await;
    chromium.reads("IAM001").await;
    chromium.open(&format!("{}/docs/", bed.url)).await;
    assert_eq!(chromium.script(own).await["subject"], "books:ann", "she is still signed in");
    chromium.open(&bed.start_url("provider=books")).await;
    chromium.fill("[name=username]", "ann").await;
    chromium.fill("[name=password]", "wrong").await;
    chromium.click("button").await;
    chromium.reads("the name or the password is wrong").await;
}
