//! Against a domain of Active Directory, as Samba's controller serves it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use dispatch_driver::Result;
use dispatch_driver::identity::{IdentityProvider, Refresh, SecretText, SignedIn};
use dispatch_systems::identity::domain::{BASE, Domain, PASSWORD, SERVICE};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::kit::{fails, make};

/// What an operator finds in the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dispatch")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn by_search(domain: &Domain) -> Arc<dyn IdentityProvider> {
    let authority = domain.authority.display().to_string();
    let settings = [
        ("url", domain.url.as_str()),
        ("caFile", &authority),
        ("directory", "activeDirectory"),
        ("baseDn", BASE),
        ("bindDn", SERVICE),
    ];
    make("ldap", &settings, &[("bindPassword", PASSWORD)]).unwrap()
}

fn by_pattern(domain: &Domain) -> Arc<dyn IdentityProvider> {
    let authority = domain.authority.display().to_string();
    let settings = [
        ("url", domain.url.as_str()),
        ("caFile", &authority),
        ("directory", "activeDirectory"),
        ("baseDn", BASE),
        ("userPattern", "{name}@ad.example"),
    ];
    make("ldap", &settings, &[]).unwrap()
}

async fn sign_in(at: &dyn IdentityProvider, name: &str) -> Result<SignedIn> {
    at.bind(name, &SecretText::new(PASSWORD)).await
}

/// A domain takes seconds to make: all is tried on one.
#[tokio::test]
async fn a_domain_signs_its_people_in() {
    let Some(domain) = Domain::start() else { return };
    let (searches, binds) = (by_search(&domain), by_pattern(&domain));
    people(&*searches, &*binds).await;
    refusals(&*searches, &*binds).await;
    let bob = sign_in(&*searches, "bob").await.unwrap();
    domain.disable("bob");
    let refresh = Refresh { subject: bob.subject, token: None };
    fails(searches.refresh(refresh).await, "IDENTITY005");
}

async fn people(searches: &dyn IdentityProvider, binds: &dyn IdentityProvider) {
    let health = searches.health().await;
    assert!(health.ok, "{}", health.message);
    let ann = sign_in(searches, "ann").await.unwrap();
    assert_eq!(
        (ann.name.as_str(), ann.email.as_deref()),
        ("ann@ad.example", Some("ann@example.org"))
    );
    assert_eq!((ann.subject.len(), ann.display_name.as_str()), (32, "Ann Example"));
    // Through groups in groups, which lie in a circle.
    assert_eq!(ann.groups, ["circle", "company", "developers", "engineering"]);
    for (at, name) in [(searches, "ann@ad.example"), (searches, "ANN"), (binds, "ann")] {
        let same = sign_in(at, name).await.unwrap();
        assert_eq!((&same.subject, &same.groups), (&ann.subject, &ann.groups), "{name}");
    }
    let again = Refresh { subject: ann.subject.clone(), token: None };
    assert_eq!(searches.refresh(again).await.unwrap().groups, ann.groups);
    for gone in ["00".repeat(16), "0".to_owned(), "*".to_owned(), "zz".repeat(16)] {
        let refresh = Refresh { subject: gone, token: None };
        fails(searches.refresh(refresh).await, "IDENTITY005");
    }
    let bob = sign_in(searches, "bob").await.unwrap();
    assert_ne!(bob.subject, ann.subject);
    assert_eq!(bob.groups.len(), 4, "{:?}", bob.groups);
    // By her other name, she is herself.
    let carol = sign_in(binds, "carola").await.unwrap();
    assert_eq!(carol.subject, sign_in(searches, "carol").await.unwrap().subject);
    assert_eq!(sign_in(searches, "dave(x)").await.unwrap().name, "dave@ad.example");
}

async fn refusals(searches: &dyn IdentityProvider, binds: &dyn IdentityProvider) {
    let log = Log::default();
    let _kept = tracing::subscriber::set_default(log.clone());
    // Three wrong passwords lock an account.
    for _ in 0..3 {
        fails(searches.bind("locked", &SecretText::new("wrong")).await, "IDENTITY001");
    }
    assert!(log.take().contains("the password is wrong"));
    let mut told = std::collections::BTreeSet::new();
    for at in [searches, binds] {
        for (name, why) in [
            ("disabled", "the account is disabled"),
            ("expired", "the account has expired"),
            ("mustchange", "the password must be changed first"),
            ("locked", "the account is locked"),
            ("nobody", ""),
            ("*", ""),
            ("ann)(cn=*", ""),
            ("ann@evil.example", ""),
            ("AD\\ann", ""),
        ] {
            told.insert(fails(sign_in(at, name).await, "IDENTITY001").message);
            let logged = log.take();
            assert!(logged.contains(why), "{name}: {logged}");
            assert!(!logged.contains(PASSWORD) && logged.contains("tested"), "{logged}");
        }
        fails(at.bind("ann", &SecretText::new("")).await, "IDENTITY001");
    }
    assert_eq!(told.len(), 1, "{told:?}");
}
