//! Against a stand-in that speaks GitHub's documented endpoints.

use std::sync::Arc;
use std::time::Duration;

use dispatch_driver::identity::{
    Answer, DevicePoll, IdentityProvider, Pending, Refresh, SecretText, SignedIn, Start,
};
use dispatch_driver::{Result, Retry};
use dispatch_systems::identity::Browser;
use dispatch_systems::identity::github::{CLIENT, Github, Person, SECRET};

use super::kit::{Pairs, answer, fails, make};

const BACK: &str = "https://dispatch.example/back";
const PATIENCE: Duration = Duration::from_secs(20);

fn person(login: &'static str, id: u64) -> Person {
    Person { login, id, emails: &[], organizations: Vec::new(), teams: Vec::new() }
}

fn people() -> Vec<Person> {
    let team = |organization: &str, slug: &str| (organization.to_owned(), slug.to_owned());
    let many: Vec<String> = (0..250).map(|n| format!("org-{n:03}")).collect();
    vec![
        Person {
            emails: &[("old@example.org", false, true), ("ann@example.org", true, true)],
            organizations: vec!["Acme".to_owned(), "hobby".to_owned()],
            teams: vec![team("Acme", "developers"), team("hobby", "all")],
            ..person("ann", 1)
        },
        Person {
            emails: &[("ann@example.org", true, false), ("m@example.org", false, true)],
            organizations: vec!["acme-fans".to_owned()],
            ..person("mallory", 2)
        },
        Person { organizations: many.clone(), ..person("many", 3) },
        Person { organizations: many, ..person("astray", 4) },
        person("limited", 5),
        person("expiring", 6),
    ]
}

fn at(github: &Github, more: Pairs, secret: &str) -> Arc<dyn IdentityProvider> {
    let url = github.url();
    let mut settings = vec![("url", url.as_str()), ("clientId", CLIENT)];
    settings.extend(more);
    make("github", &settings, &[("clientSecret", secret)]).unwrap()
}

async fn back(at: &dyn IdentityProvider, login: &str) -> (Pending, Answer) {
    let start = Start { login_hint: Some(login.to_owned()), ..Start::new(BACK) };
    let started = at.start(start).await.unwrap();
    (started.pending, answer(&Browser::new().open(&started.url).await.left()))
}

async fn sign_in(at: &dyn IdentityProvider, login: &str) -> Result<SignedIn> {
    let (pending, answer) = back(at, login).await;
    at.finish(pending, answer).await
}

fn refresh(of: &SignedIn) -> Refresh {
    Refresh { subject: of.subject.clone(), token: of.refresh.clone() }
}

#[tokio::test]
async fn members_sign_in_with_their_organizations_and_teams() {
    let github = Github::start(people()).await;
    // Anybody makes an organization of any name there: those that are not named are no groups.
    let open = at(&github, &[], SECRET);
    assert_eq!(sign_in(&*open, "ann").await.unwrap().groups, [""; 0]);
    let at = at(&github, &[("allowedOrganizations", "acme,hobby")], SECRET);
    let (pending, answer) = back(&*at, "ann").await;
    let ann = at.finish(pending.clone(), answer.clone()).await.unwrap();
    assert_eq!((ann.subject.as_str(), ann.name.as_str()), ("1", "ann@example.org"));
    assert_eq!(ann.groups, ["Acme", "Acme/developers", "hobby", "hobby/all"]);
    assert!(ann.notices.is_empty(), "{:?}", ann.notices);
    fails(at.finish(pending, answer).await, "IDENTITY005");
    let again = at.refresh(refresh(&ann)).await.unwrap();
    assert_eq!((again.subject.as_str(), &again.groups), ("1", &ann.groups));
    let stolen = Refresh { subject: "2".to_owned(), ..refresh(&ann) };
    fails(at.refresh(stolen).await, "IDENTITY004");
    github.revoke_all();
    fails(at.refresh(refresh(&ann)).await, "IDENTITY005");
    assert!(at.health().await.ok);
}

#[tokio::test]
async fn only_a_primary_and_verified_email_names_somebody() {
    let github = Github::start(people()).await;
    let mallory = sign_in(&*at(&github, &[], SECRET), "mallory").await.unwrap();
    assert_eq!((mallory.name.as_str(), mallory.email), ("mallory", None));
    let ann = sign_in(&*at(&github, &[("name", "login")], SECRET), "ann").await.unwrap();
    assert_eq!((ann.name.as_str(), ann.email.as_deref()), ("ann", Some("ann@example.org")));
}

#[tokio::test]
async fn strangers_to_the_allowed_organizations_stay_out() {
    let github = Github::start(people()).await;
    let at = at(&github, &[("allowedOrganizations", "ACME")], SECRET);
    assert_eq!(sign_in(&*at, "ann").await.unwrap().groups, ["Acme", "Acme/developers"]);
    let error = fails(sign_in(&*at, "mallory").await, "IDENTITY006");
    assert!(!error.message.to_lowercase().contains("acme"), "{error}");
    fails(sign_in(&*at, "nobody").await, "IDENTITY006");
}

#[tokio::test]
async fn answers_of_another_sign_in_are_refused() {
    let github = Github::start(people()).await;
    let at = at(&github, &[], SECRET);
    let (mine, my_answer) = back(&*at, "ann").await;
    let (_, theirs) = back(&*at, "mallory").await;
    fails(at.finish(mine.clone(), theirs.clone()).await, "IDENTITY005");
    let injected = Answer { code: theirs.code, ..my_answer.clone() };
    fails(at.finish(mine.clone(), injected).await, "IDENTITY005");
    assert_eq!(at.finish(mine, my_answer).await.unwrap().subject, "1");
    let wrong = super::github::at(&github, &[], "another secret");
    fails(sign_in(&*wrong, "ann").await, "IDENTITY003");
}

#[tokio::test]
async fn lists_are_read_to_their_end_and_never_elsewhere() {
    let github = Github::start(people()).await;
    let all: Vec<String> = (0..250).map(|n| format!("org-{n:03}")).collect();
    let named = at(&github, &[("allowedOrganizations", &all.join(","))], SECRET);
    assert_eq!(sign_in(&*named, "many").await.unwrap().groups.len(), 250);
    let at = at(&github, &[], SECRET);
    assert!(github.asked().contains("/api/v3/user/orgs?per_page=100&page=3"));
    fails(sign_in(&*at, "astray").await, "IDENTITY007");
    let error = fails(sign_in(&*at, "limited").await, "IDENTITY002");
    let Retry::After(wait) = error.retry else { panic!("{error:?}") };
    assert!(wait > Duration::from_secs(60), "{wait:?}");
}

#[tokio::test]
async fn what_the_app_may_not_see_is_noted() {
    let github = Github::start(people()).await;
    let at = at(&github, &[("scopes", "read:user")], SECRET);
    let ann = sign_in(&*at, "ann").await.unwrap();
    assert_eq!((ann.name.as_str(), ann.groups.len(), ann.notices.len()), ("ann", 0, 1));
}

#[tokio::test]
async fn tokens_that_expire_are_refreshed_once_each() {
    let github = Github::start(people()).await;
    let at = at(&github, &[], SECRET);
    let first = sign_in(&*at, "expiring").await.unwrap();
    let second = at.refresh(refresh(&first)).await.unwrap();
    fails(at.refresh(refresh(&first)).await, "IDENTITY005");
    assert_eq!(at.refresh(refresh(&second)).await.unwrap().subject, "6");
    let nothing = Refresh { subject: "6".to_owned(), token: Some(SecretText::new("x")) };
    fails(at.refresh(nothing).await, "IDENTITY005");
}

/// The end of a device's sign-in, polled as the stand-in allows.
async fn polled(at: &dyn IdentityProvider, github: &Github, login: &str) -> Result<SignedIn> {
    let started = at.device_start().await?;
    assert!(started.verification_url.ends_with("/login/device"));
    let first = at.device_poll(&started.pending).await?;
    assert!(matches!(first, DevicePoll::Waiting { slower: false }), "{first:?}");
    let hasty = at.device_poll(&started.pending).await?;
    assert!(matches!(hasty, DevicePoll::Waiting { slower: true }), "{hasty:?}");
    github.approve(&started.user_code, login);
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        assert!(std::time::Instant::now() < deadline, "never signed in");
        tokio::time::sleep(started.interval + Duration::from_millis(20)).await;
        if let DevicePoll::SignedIn(who) = at.device_poll(&started.pending).await? {
            return Ok(*who);
        }
    }
}

#[tokio::test]
async fn devices_sign_in_by_a_code_without_a_secret() {
    let github = Github::start(people()).await;
    let url = github.url();
    let at = make("github", &[("url", &url), ("clientId", CLIENT)], &[]).unwrap();
    let (ann, refused) =
        tokio::join!(polled(&*at, &github, "ann"), polled(&*at, &github, "nobody"));
    assert_eq!(ann.unwrap().subject, "1");
    fails(refused, "IDENTITY006");
    fails(at.start(Start::new(BACK)).await, "IDENTITY008");
    assert!(at.methods().device && !at.methods().browser);
}
