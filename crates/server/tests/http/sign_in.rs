//! People and programs sign in: by the pages of a certified OpenID provider, by a directory, by a
//! device's code, by a token of an issuer that is trusted.

use dispatch_systems::identity::Browser;
use dispatch_systems::identity::browser::Page;
use dispatch_systems::identity::directory::PASSWORD;
use dispatch_systems::identity::oidc_provider::ANN;
use dispatch_testkit::{eventually, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::iam::BOOT;
use crate::sign_in_bed::{Bed, VERIFIER, With, agree, forge, nothing_of};

/// What a page of JSON says.
#[track_caller]
fn shown(page: &Page) -> Value {
    let Page::Here { html, .. } = page else { panic!("{page:?}") };
    serde_json::from_str(html).unwrap_or_else(|_| panic!("{html}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_signs_in_and_out() {
    let Some(bed) = Bed::start().await else { return };
    let browser = Browser::new();
    let page = browser.open(&bed.start_url("rd=/v1/iam/session/current")).await;
    let session = shown(&agree(&browser, page, ANN).await);
    assert_eq!(session["subject"], "ann@example.org");
    assert_eq!(session["displayName"], "ann Example");
    assert_eq!((&session["provider"], &session["client"]), (&json!("corp"), &json!("browser")));
    let wanted = json!([{"organization": "acme", "groups": ["developers", "staff"]},
        {"organization": "other"}]);
    assert_eq!(session["memberships"], wanted);
    assert_eq!(session["current"], true);
    // Her group may read functions, and no more.
    let functions = browser.open(&format!("{}/v1/function", bed.url)).await;
    assert_eq!(shown(&functions), json!([]));
    let secrets = shown(&browser.open(&format!("{}/v1/secret", bed.url)).await);
    assert_eq!(secrets["errorCode"], "IAM002", "{secrets}");
    // The provider knows the browser, and asks only whether she agrees.
    let page = browser.open(&bed.start_url("")).await;
    let page = browser.send(&page, &[]).await;
    let Page::Here { html, .. } = &page else { panic!("{page:?}") };
    assert!(html.contains("You are signed in"), "{html}");
    let out = browser.send(&page, &[]).await;
    let Page::Here { html, .. } = &out else { panic!("{out:?}") };
    assert!(html.contains("/session/end?"), "where she signs out at the provider: {html}");
    let after = browser.open(&format!("{}/v1/iam/session/current", bed.url)).await;
    assert_eq!(shown(&after)["errorCode"], "IAM001");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_gets_a_session_by_a_code_that_is_good_once() {
    let Some(bed) = Bed::start().await else { return };
    let left = bed.command(&Browser::new(), ANN).await.left();
    assert_eq!(left["state"], "of-the-command");
    let exchange = |code: &str, verifier: &str| json!({"code": code, "verifier": verifier});
    let code = left["code"].as_str();
    let answer = bed.sign_in(exchange(code, VERIFIER)).await.expect(201).json();
    let token = answer["token"].as_str().unwrap();
    assert!(token.starts_with("dispatch_session_"), "{token}");
    assert_eq!(answer["session"]["client"], "command-line");
    bed.by(token, "", Method::GET, "/v1/function").await.expect(200);
    bed.by(token, "acme", Method::GET, "/v1/secret").await.expect(403);
    bed.by(token, "", Method::DELETE, "/v1/function/f").await.expect(403);
    // She is a member of other too, where no rule names her; and of nothing else.
    bed.by(token, "other", Method::GET, "/v1/function").await.expect(403);
    bed.by(token, "dispatch", Method::GET, "/v1/function").await.expect(403);
    let again = bed.sign_in(exchange(code, VERIFIER)).await.expect(401).json();
    assert_eq!(again["errorCode"], "IDENTITY005");
    // Who does not know what the challenge was made of gets nothing, and the code is spent.
    let left = bed.command(&Browser::new(), ANN).await.left();
    let code = left["code"].as_str();
    bed.sign_in(exchange(code, &VERIFIER.replace('d', "e"))).await.expect(401);
    bed.sign_in(exchange(code, VERIFIER)).await.expect(401);
    bed.sign_in(exchange("rubbish", VERIFIER)).await.expect(401);
    nothing_of(&bed, &[token, code, "a:secret/of+basic %"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_signs_in_by_a_code_that_is_typed_elsewhere() {
    let Some(bed) = Bed::start().await else { return };
    let begin = json!({"provider": "corp"});
    let begun = bed.iam.server.post("/v1/iam/session/device", begin).await.expect(201).json();
    let device = json!({"device": begun["device"]});
    let waits = bed.sign_in(device.clone()).await.expect(202).json();
    assert_eq!(waits, json!({"slower": 0}));
    let (browser, text) = (Browser::new(), |key: &str| begun[key].as_str().unwrap().to_owned());
    let page = browser.open(&text("verificationUrl")).await;
    let page = browser.send(&page, &[("user_code", &text("userCode"))]).await;
    let page = browser.send(&page, &[]).await;
    let page = browser.send(&page, &[("login", ANN), ("password", "any")]).await;
    browser.send(&page, &[]).await;
    // Asked too early, the server does not ask the provider.
    let answer = eventually("the device may ask again", async || {
        let answer = bed.sign_in(device.clone()).await;
        (answer.status == 201).then(|| answer.json()).ok_or(answer.text)
    })
    .await;
    let token = answer["token"].as_str().unwrap();
    bed.by(token, "", Method::GET, "/v1/function").await.expect(200);
}

fn body(username: &str, password: &str) -> Value {
    json!({"provider": "books", "username": username, "password": password})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_a_directory_sign_in_by_password_here_or_in_a_page() {
    let Some(bed) = Bed::with(With { directory: true, ..With::default() }).await else { return };
    let answer = bed.sign_in(body("ann", PASSWORD)).await.expect(201).json();
    // A name that is no e-mail is the provider's: no service account can be called so.
    assert_eq!(answer["session"]["subject"], "books:ann");
    let token = answer["token"].as_str().unwrap();
    bed.by(token, "", Method::GET, "/v1/function").await.expect(200);
    let wrong = bed.sign_in(body("ann", "wrong")).await.expect(401).json();
    let unknown = bed.sign_in(body("nobody", "wrong")).await.expect(401).json();
    assert_eq!(wrong["errorCode"], "IDENTITY001");
    assert_eq!(wrong["message"], unknown["message"], "the same for who is not there");
    // Bob is there, and no rule lets him in.
    let bob = bed.sign_in(body("bob", PASSWORD)).await.expect(403).json();
    assert_eq!(bob["errorCode"], "IDENTITY006");
    assert!(bob["message"].as_str().unwrap().contains("books:bob"), "{bob}");
    // In a page: two providers, so the first asks which.
    let browser = Browser::new();
    let page = browser.open(&bed.start_url("rd=/v1/iam/session/current")).await;
    let Page::Here { html, .. } = &page else { panic!("{page:?}") };
    assert!(html.contains("Corp") && html.contains("Books"), "{html}");
    let form = bed.start_url("rd=/v1/iam/session/current&provider=books");
    let page = browser.open(&form).await;
    let page = browser.send(&page, &[("username", "ann"), ("password", "wrong")]).await;
    let Page::Here { html, .. } = &page else { panic!("{page:?}") };
    assert!(html.contains("class=\"wrong\""), "{html}");
    let page = browser.send(&page, &[("username", "ann"), ("password", PASSWORD)]).await;
    assert_eq!(shown(&page)["subject"], "books:ann");
    nothing_of(&bed, &[PASSWORD, token]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_vouched_for_and_let_in_by_no_rule_is_told_so() {
    let Some(bed) = Bed::start().await else { return };
    for (who, says) in [("dave", "no rule"), ("carol", "nowhere, which is not there yet")] {
        let left = bed.command(&Browser::new(), who).await.left();
        assert_eq!(left["error"], "access_denied");
        assert!(left["error_description"].contains(says), "{left:?}");
        assert_eq!(left["state"], "of-the-command");
    }
    let browser = Browser::new();
    let page = browser.open(&bed.start_url("rd=/v1/version")).await;
    let page = agree(&browser, page, "dave").await;
    let Page::Here { html, .. } = &page else { panic!("{page:?}") };
    assert!(html.contains("IDENTITY006") && html.contains("dave"), "{html}");
}

/// A token of the forge: `wrong` names what is wrong with it.
async fn minted(issuer: &str, audience: &str, wrong: &str) -> String {
    let back = reqwest::Url::parse_with_params("https://d.example/back", [("wrong", wrong)]);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", "any"),
        ("client_id", audience),
        ("redirect_uri", back.unwrap().as_str()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = reqwest::Client::new().post(format!("{issuer}/token")).form(&form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["id_token"].as_str().expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_account_trusts_tokens_of_an_issuer() {
    let Some(forge) = forge() else { return };
    let Some(bed) = Bed::with(With { forge: true, ..With::default() }).await else { return };
    let account = |claims: Value| {
        let trust = json!({"provider": "builds", "claims": claims});
        json!({"name": "builder", "trust": [trust]})
    };
    let path = "/v1/iam/serviceaccount";
    let make = async |method: Method, path: &str, body: Value| {
        bed.iam.call(BOOT, Some("acme"), method, path, &body).await
    };
    for (body, field) in [
        (account(json!({})), "trust[0].claims"),
        (account(json!({"sub": []})), "trust[0].claims.sub"),
        (json!({"name": "builder"}), "publicKey"),
        (
            json!({"name": "builder", "trust": [{"provider": "none",
            "claims": {"sub": ["x"]}}]}),
            "trust[0].provider",
        ),
    ] {
        let answer = make(Method::POST, path, body).await.expect(400).json();
        assert_eq!(answer["field"], field, "{answer}");
    }
    make(Method::POST, path, account(json!({"sub": ["john*"]}))).await.expect(201);
    bed.iam
        .policy(
            "acme",
            "builder",
            false,
            json!([{"subjects": ["builder"], "actions": ["get"], "resources": ["image"]}]),
        )
        .await;
    let show = |account: &str, token: &str| json!({"serviceAccount": account, "token": token});
    let good = minted(forge.issuer(), "dispatch", "nothing").await;
    let answer = bed.sign_in(show("acme/builder", &good)).await.expect(201).json();
    assert_eq!(answer["session"]["subjectKind"], "service-account");
    assert_eq!(answer["session"]["client"], "program");
    let session = answer["token"].as_str().unwrap();
    bed.by(session, "", Method::GET, "/v1/image").await.expect(200);
    bed.by(session, "", Method::GET, "/v1/secret").await.expect(403);
    // Jobs that run at once end each other's sessions no sooner than people's would.
    for _ in 0..60 {
        bed.sign_in(show("acme/builder", &good)).await.expect(201);
    }
    bed.by(session, "", Method::GET, "/v1/image").await.expect(200);
    // What no token may be.
    let mut said = Vec::new();
    for wrong in [
        "alg none",
        "HS256 with the public key",
        "another issuer",
        "another audience",
        "expired",
        "claims changed after signing",
    ] {
        let token = minted(forge.issuer(), "dispatch", wrong).await;
        let answer = bed.sign_in(show("acme/builder", &token)).await;
        assert_eq!(answer.status, 401, "{wrong}: {}", answer.text);
        said.push(answer.json()["message"].clone());
    }
    let other = minted(forge.issuer(), "another-service", "nothing").await;
    said.push(
        bed.sign_in(show("acme/builder", &other)).await.expect(401).json()["message"].clone(),
    );
    // Whether an account is there shows in nothing.
    let nobody = bed.sign_in(show("acme/nobody1", &good)).await.expect(401).json();
    let nobody = nobody["message"].as_str().unwrap().replace("nobody1", "builder");
    assert!(said.iter().all(|own| *own == nobody), "{said:?} {nobody}");
    // The account trusts others from now on: who could sign in as it before cannot any more.
    let path = "/v1/iam/serviceaccount/builder";
    make(Method::PUT, path, account(json!({"sub": ["jane"]}))).await.expect(200);
    bed.sign_in(show("acme/builder", &good)).await.expect(401);
    bed.by(session, "", Method::GET, "/v1/image").await.expect(401);
    // One of its name is another: a session of before is not its.
    make(Method::PUT, path, account(json!({"sub": ["john*"]}))).await.expect(200);
    let again = bed.sign_in(show("acme/builder", &good)).await.expect(201).json();
    let session = again["token"].as_str().unwrap();
    bed.by(session, "", Method::GET, "/v1/image").await.expect(200);
    make(Method::DELETE, path, Value::Null).await.expect(200);
    let path = "/v1/iam/serviceaccount";
    make(Method::POST, path, account(json!({"sub": ["john*"]}))).await.expect(201);
    bed.by(session, "", Method::GET, "/v1/image").await.expect(401);
}

/// An issuer that is away keeps nobody out whom another vouches for, and says that it is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_issuers_an_account_trusts_one_may_be_away() {
    let Some(forge) = forge() else { return };
    let Some(bed) = Bed::with(With { forge: true, ..With::default() }).await else { return };
    let trust = |provider: &str| json!({"provider": provider, "claims": {"sub": ["john*"]}});
    let account = json!({"name": "builder", "trust": [trust("gone"), trust("builds")]});
    let path = "/v1/iam/serviceaccount";
    bed.iam.call(BOOT, Some("acme"), Method::POST, path, &account).await.expect(201);
    let show = |token: &str| json!({"serviceAccount": "acme/builder", "token": token});
    let good = minted(forge.issuer(), "dispatch", "nothing").await;
    bed.sign_in(show(&good)).await.expect(201);
    // Nobody can say whether the other would know it: that is no failure of whoever shows it.
    let other = minted(forge.issuer(), "another-service", "nothing").await;
    for _ in 0..20 {
        let answer = bed.sign_in(show(&other)).await.expect(502).json();
        assert_eq!(answer["errorCode"], "IDENTITY002", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_an_account_trusts_is_a_grant() {
    let Some(bed) = Bed::start().await else { return };
    // One may change accounts, and has no right to what this one may do.
    bed.iam
        .policy(
            "acme",
            "one",
            false,
            json!([{"subjects": ["one"], "actions": ["*"], "resources": ["iam"]}]),
        )
        .await;
    let trust = json!({"name": "admin", "publicKey": crate::iam::public_key(),
        "trust": [{"provider": "corp", "claims": {"sub": ["eve"]}}]});
    let path = "/v1/iam/serviceaccount/admin";
    let answer = bed.iam.call("acme/one", None, Method::PUT, path, &trust).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[tokio::test]
async fn what_there_is_to_sign_in_with_is_told_to_everybody() {
    let Some(bed) = Bed::start().await else { return };
    let list = bed.iam.server.get("/v1/iam/identityprovider").await.expect(200).json();
    let wanted = json!([{"name": "corp", "type": "oidc", "title": "Corp", "browser": true,
        "device": true, "password": false, "token": true}]);
    assert_eq!(list, wanted);
    for (body, field) in [
        (json!({}), "body"),
        (json!({"provider": "corp"}), "body"),
        (json!({"provider": "corp", "username": "a"}), "body"),
        (json!({"provider": "none", "username": "a", "password": "b"}), "provider"),
        (json!({"username": "a", "password": "b"}), "provider"),
        (json!({"code": "a", "verifier": "b", "device": "c"}), "body"),
        (json!({"provider": "corp", "username": "a", "password": "b".repeat(20_000)}), "body"),
    ] {
        let answer = bed.sign_in(body.clone()).await.expect(400).json();
        assert_eq!(answer["field"], field, "{body}: {answer}");
    }
    let lacks = json!({"provider": "corp", "username": "a", "password": "b"});
    assert_eq!(bed.sign_in(lacks).await.expect(400).json()["errorCode"], "IDENTITY008");
    let unknown = bed.iam.server.request(Method::GET, "/v1/iam/oauth2/start?provider=none");
    assert_eq!(send(unknown).await.expect(400).json()["field"], "provider");
}
