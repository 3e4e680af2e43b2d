//! Against a certified OpenID provider, with its own pages.

use std::sync::{Arc, Mutex, Weak};

use dispatch_driver::identity::{
    Answer, DevicePoll, IdentityProvider, Logout, Pending, Refresh, SecretText, SignedIn, Start,
};
use dispatch_systems::identity::Browser;
use dispatch_systems::identity::browser::Page;
use dispatch_systems::identity::oidc_provider::{
    ANN, BACK, BASIC, OUT, OidcProvider, POST, PUBLIC,
};

use super::kit::{Pairs, answer, fails, make};

static SHARED: Mutex<Weak<OidcProvider>> = Mutex::new(Weak::new());

/// One provider for all tests that run together.
fn shared() -> Option<Arc<OidcProvider>> {
    let mut shared = SHARED.lock().unwrap();
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(OidcProvider::start()?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

fn client(at: &OidcProvider, (id, secret): (&str, &str), more: Pairs) -> Arc<dyn IdentityProvider> {
    let mut settings =
        vec![("issuer", at.issuer()), ("clientId", id), ("scopes", "openid,profile,email,groups")];
    settings.retain(|(key, _)| more.iter().all(|(own, _)| own != key));
    settings.extend(more);
    let secrets = [("clientSecret", secret)];
    let secrets: Pairs = if secret.is_empty() { &[] } else { &secrets };
    make("oidc", &settings, secrets).unwrap()
}

/// Somebody signs in on the provider's pages and agrees.
async fn agree(browser: &Browser, url: &str, login: &str) -> Page {
    let page = browser.open(url).await;
    let page = browser.send(&page, &[("login", login), ("password", "any")]).await;
    browser.send(&page, &[]).await
}

/// What a browser of somebody brings back.
async fn back(at: &dyn IdentityProvider, login: &str) -> (Pending, Answer) {
    let started = at.start(Start::new(BACK)).await.unwrap();
    let left = agree(&Browser::new(), &started.url, login).await.left();
    (started.pending, answer(&left))
}

async fn sign_in(at: &dyn IdentityProvider, login: &str) -> SignedIn {
    let (pending, answer) = back(at, login).await;
    at.finish(pending, answer).await.unwrap()
}

#[tokio::test]
async fn people_sign_in_by_browser_with_every_kind_of_client() {
    let Some(provider) = shared() else { return };
    for registered in [BASIC, POST, (PUBLIC, "")] {
        let at = client(&provider, registered, &[]);
        let (pending, answer) = back(&*at, ANN).await;
        // Kept sealed meanwhile, as a server does.
        let kept = serde_json::to_string(&pending).unwrap();
        let pending: Pending = serde_json::from_str(&kept).unwrap();
        let ann = at.finish(pending.clone(), answer.clone()).await.unwrap();
        assert_eq!((ann.subject.as_str(), ann.name.as_str()), (ANN, "ann@example.org"));
        assert_eq!(ann.email.as_deref(), Some("ann@example.org"));
        assert_eq!(ann.display_name, "ann Example");
        assert_eq!(ann.groups, ["developers", "operators"], "of userinfo");
        assert!(ann.expires_at.is_some() && ann.id_token.is_some() && ann.notices.is_empty());
        assert!(ann.claims.contains_key("iss") && !ann.claims.contains_key("nonce"));
        let replayed = fails(at.finish(pending, answer).await, "IDENTITY005");
        assert!(replayed.message.contains("invalid_grant"), "{replayed}");
    }
}

#[tokio::test]
async fn an_email_that_is_not_verified_names_nobody() {
    let Some(provider) = shared() else { return };
    let mallory = sign_in(&*client(&provider, BASIC, &[]), "mallory").await;
    assert_eq!((mallory.name.as_str(), mallory.email), ("mallory", None));
    assert!(mallory.groups.is_empty());
    let chosen = client(&provider, BASIC, &[("nameClaim", "email")]);
    let (pending, answer) = back(&*chosen, "mallory").await;
    fails(chosen.finish(pending, answer).await, "IDENTITY004");
}

#[tokio::test]
async fn answers_and_secrets_of_another_sign_in_are_refused() {
    let Some(provider) = shared() else { return };
    let at = client(&provider, BASIC, &[]);
    let (mine, my_answer) = back(&*at, ANN).await;
    let (_, their_answer) = back(&*at, "mallory").await;
    let error = fails(at.finish(mine.clone(), their_answer.clone()).await, "IDENTITY005");
    assert!(error.message.contains("another sign-in"), "{error}");
    // The code of one put into the answer of another: the verifier is not its own.
    let injected = Answer { code: their_answer.code.clone(), ..my_answer.clone() };
    let error = fails(at.finish(mine.clone(), injected).await, "IDENTITY005");
    assert!(error.message.contains("invalid_grant"), "{error}");
    // With the right verifier for it, the nonce still tells.
    let (theirs, their_answer) = back(&*at, "mallory").await;
    let swapped = Pending { nonce: mine.nonce.clone(), ..theirs };
    let error = fails(at.finish(swapped, their_answer).await, "IDENTITY004");
    assert!(error.message.contains("another sign-in"), "{error}");
    for iss in [None, Some("https://evil.example".to_owned())] {
        let other = Answer { iss, ..my_answer.clone() };
        let error = fails(at.finish(mine.clone(), other).await, "IDENTITY005");
        assert!(error.message.contains("another issuer"), "{error}");
    }
    // None of this has used up the true answer.
    assert_eq!(at.finish(mine, my_answer).await.unwrap().subject, ANN);
}

#[tokio::test]
async fn who_does_not_agree_is_not_signed_in() {
    let Some(provider) = shared() else { return };
    let at = client(&provider, BASIC, &[]);
    let started = at.start(Start::new(BACK)).await.unwrap();
    let browser = Browser::new();
    let Page::Here { url, .. } = browser.open(&started.url).await else { panic!("no page") };
    let left = browser.open(&format!("{url}/abort")).await.left();
    let error = fails(at.finish(started.pending, answer(&left)).await, "IDENTITY006");
    assert!(error.message.contains("access_denied"), "{error}");
}

#[tokio::test]
async fn a_client_that_the_provider_does_not_know_is_the_operators_matter() {
    let Some(provider) = shared() else { return };
    let (pending, answer) = back(&*client(&provider, BASIC, &[]), ANN).await;
    let wrong = client(&provider, (BASIC.0, "another secret"), &[]);
    let error = fails(wrong.finish(pending, answer).await, "IDENTITY003");
    assert!(!error.message.contains("another secret"), "{error}");
}

#[tokio::test]
async fn groups_are_looked_up_again_by_refreshing() {
    let Some(provider) = shared() else { return };
    let scopes = "openid,profile,email,groups,offline_access";
    let at = client(&provider, BASIC, &[("scopes", scopes)]);
    let ann = sign_in(&*at, ANN).await;
    let token = ann.refresh.clone();
    assert!(token.is_some());
    let refresh = |subject: &str, token| Refresh { subject: subject.to_owned(), token };
    let again = at.refresh(refresh(ANN, token.clone())).await.unwrap();
    assert_eq!((again.subject.as_str(), &again.groups), (ANN, &ann.groups));
    fails(at.refresh(refresh("bob", again.refresh)).await, "IDENTITY004");
    let garbage = Some(SecretText::new("garbage"));
    fails(at.refresh(refresh(ANN, garbage)).await, "IDENTITY005");
    fails(at.refresh(refresh(ANN, None)).await, "IDENTITY005");
}

#[tokio::test]
async fn devices_sign_in_by_a_code() {
    let Some(provider) = shared() else { return };
    let at = client(&provider, (PUBLIC, ""), &[]);
    let started = at.device_start().await.unwrap();
    let waits = at.device_poll(&started.pending).await.unwrap();
    assert!(matches!(waits, DevicePoll::Waiting { .. }), "{waits:?}");
    let browser = Browser::new();
    let page = browser.open(&started.verification_url).await;
    let page = browser.send(&page, &[("user_code", &started.user_code)]).await;
    let page = browser.send(&page, &[]).await;
    let page = browser.send(&page, &[("login", ANN), ("password", "any")]).await;
    browser.send(&page, &[]).await;
    let DevicePoll::SignedIn(ann) = at.device_poll(&started.pending).await.unwrap() else {
        panic!("still waiting")
    };
    assert_eq!((ann.subject.as_str(), ann.groups.len()), (ANN, 2));
    fails(at.device_poll(&started.pending).await, "IDENTITY005");
}

#[tokio::test]
async fn a_browser_is_signed_out_at_the_provider_too() {
    let Some(provider) = shared() else { return };
    let at = client(&provider, BASIC, &[]);
    let browser = Browser::new();
    let started = at.start(Start::new(BACK)).await.unwrap();
    let left = agree(&browser, &started.url, ANN).await.left();
    let ann = at.finish(started.pending, answer(&left)).await.unwrap();
    // Signed in there: nothing is asked any more.
    let again = at.start(Start::new(BACK)).await.unwrap();
    assert!(browser.open(&again.url).await.left().contains_key("code"));
    let logout = Logout {
        id_token: ann.id_token,
        redirect_url: Some(OUT.to_owned()),
        state: Some("out".to_owned()),
    };
    let url = at.logout_url(logout).await.unwrap().expect("it has such a place");
    let page = browser.open(&url).await;
    let left = browser.send(&page, &[("logout", "yes")]).await;
    assert!(matches!(&left, Page::Left(url) if url.as_str().starts_with(OUT)), "{left:?}");
    assert_eq!(left.left()["state"], "out");
    let again = at.start(Start::new(BACK)).await.unwrap();
    assert!(matches!(browser.open(&again.url).await, Page::Here { .. }), "asks for a password");
}

#[tokio::test]
async fn programs_show_tokens_of_an_issuer_that_is_trusted() {
    let Some(provider) = shared() else { return };
    let ann = sign_in(&*client(&provider, BASIC, &[]), ANN).await;
    let token = ann.id_token.expect("a token").reveal().to_owned();
    // Without a client: nobody signs in by it, and tokens are verified all the same.
    let at = make("oidc", &[("issuer", provider.issuer())], &[]).unwrap();
    assert_eq!(at.verify_token(&token, BASIC.0).await.unwrap().subject, ANN);
    let error = fails(at.verify_token(&token, "another").await, "IDENTITY009");
    assert!(error.message.contains("audience"), "{error}");
    for garbage in ["", "a.b.c", "garbage", &token[..token.len() - 4]] {
        fails(at.verify_token(garbage, BASIC.0).await, "IDENTITY009");
    }
    fails(at.start(Start::new(BACK)).await, "IDENTITY008");
    fails(at.bind(ANN, &SecretText::new("any")).await, "IDENTITY008");
    assert!(at.methods().token && !at.methods().browser);
    let health = at.health().await;
    assert!(health.ok, "{}", health.message);
}
