//! Against OpenLDAP's own server.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use dispatch_driver::Result;
use dispatch_driver::identity::{IdentityProvider, Refresh, SecretText, SignedIn};
use dispatch_systems::identity::directory::{BASE, Directory, MANY, PASSWORD, SERVICE};
use ldap3::LdapConnAsync;

use super::kit::{Pairs, fails, make};

static SHARED: Mutex<Weak<Directory>> = Mutex::new(Weak::new());

/// One directory for all tests that run together.
fn shared() -> Option<Arc<Directory>> {
    let mut shared = SHARED.lock().unwrap();
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(Directory::start()?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

/// Looks people up by the service's account, over TLS.
fn by_search(at: &Directory, more: Pairs) -> Arc<dyn IdentityProvider> {
    let authority = at.authority.display().to_string();
    let mut settings = vec![
        ("url", at.secure.as_str()),
        ("caFile", &authority),
        ("baseDn", BASE),
        ("bindDn", SERVICE),
    ];
    settings.retain(|(key, _)| more.iter().all(|(own, _)| own != key));
    settings.extend(more);
    make("ldap", &settings, &[("bindPassword", PASSWORD)]).unwrap()
}

/// Binds as what a name becomes by a pattern.
fn by_pattern(at: &Directory) -> Arc<dyn IdentityProvider> {
    let authority = at.authority.display().to_string();
    let pattern = format!("uid={{name}},ou=people,{BASE}");
    let settings = [
        ("url", at.secure.as_str()),
        ("caFile", &authority),
        ("baseDn", BASE),
        ("userPattern", &pattern),
    ];
    make("ldap", &settings, &[]).unwrap()
}

async fn sign_in(at: &dyn IdentityProvider, name: &str) -> Result<SignedIn> {
    at.bind(name, &SecretText::new(PASSWORD)).await
}

/// All groups of `ann`, those of groups in a circle too.
const OF_ANN: [&str; 6] = ["circle", "company", "developers", "engineering", "posix", "unique"];

#[tokio::test]
async fn people_sign_in_over_tls_and_starttls_and_on_the_machine_without() {
    let Some(directory) = shared() else { return };
    let plain = directory.plain.as_str();
    let ways: [Pairs; 3] = [&[], &[("url", plain)], &[("url", plain), ("plain", "true")]];
    for more in ways {
        let at = by_search(&directory, more);
        let ann = sign_in(&*at, "ann").await.unwrap();
        assert_eq!((ann.name.as_str(), ann.email.as_deref()), ("ann", Some("ann@example.org")));
        assert_eq!((ann.subject.len(), ann.display_name.as_str()), (36, "ann Example"));
        assert_eq!(ann.groups, OF_ANN, "{more:?}");
        assert_eq!(ann.claims["dn"], format!("uid=ann,ou=people,{BASE}"));
        assert!(at.health().await.ok);
    }
    assert_eq!(sign_in(&*by_pattern(&directory), "ann").await.unwrap().groups, OF_ANN);
}

#[tokio::test]
async fn nothing_tells_what_was_wrong_with_a_name_or_password() {
    let Some(directory) = shared() else { return };
    let mut told = std::collections::BTreeSet::new();
    for at in [by_search(&directory, &[]), by_pattern(&directory)] {
        for (name, password) in [
            ("ann", "wrong"),
            ("nobody", PASSWORD),
            ("ann", ""),
            ("", PASSWORD),
            ("", ""),
            ("expired", PASSWORD),
            ("an\0n", PASSWORD),
            (" ann", PASSWORD),
        ] {
            let refused = at.bind(name, &SecretText::new(password)).await;
            told.insert(fails(refused, "IDENTITY001").message);
        }
        for (name, password) in
            [("a".repeat(300), PASSWORD.into()), ("ann".into(), "p".repeat(2_000))]
        {
            let password: String = password;
            fails(at.bind(&name, &SecretText::new(password)).await, "IDENTITY001");
        }
    }
    // Of two who are called so, nobody is taken for the other.
    fails(sign_in(&*by_search(&directory, &[]), "twin").await, "IDENTITY001");
    assert_eq!(told.len(), 1, "{told:?}");
}

/// The directory itself calls a bind without a password a success: it is not asked.
#[tokio::test]
async fn an_empty_password_is_refused_though_the_directory_takes_it() {
    let Some(directory) = shared() else { return };
    let (connection, mut ldap) = LdapConnAsync::new(&directory.plain).await.unwrap();
    tokio::spawn(connection.drive());
    let bound = ldap.simple_bind(&format!("uid=ann,ou=people,{BASE}"), "").await.unwrap();
    assert_eq!(bound.rc, 0, "{bound}");
    for at in [by_search(&directory, &[]), by_pattern(&directory)] {
        fails(at.bind("ann", &SecretText::new("")).await, "IDENTITY001");
    }
}

#[tokio::test]
async fn names_that_look_like_filters_or_entries_are_only_names() {
    let Some(directory) = shared() else { return };
    let (searches, binds) = (by_search(&directory, &[]), by_pattern(&directory));
    for name in [
        "*",
        "an*",
        "ann)(uid=*",
        "ann)(|(uid=ann",
        "*)(objectClass=*))(|(uid=*",
        "\\61nn",
        "ann,ou=people",
        "ann+cn=ann",
        "ann,ou=people,dc=example,dc=org??sub?(uid=*)",
        "{name}",
        "{dn}",
    ] {
        fails(sign_in(&*searches, name).await, "IDENTITY001");
        fails(sign_in(&*binds, name).await, "IDENTITY001");
    }
    // Such characters are as good as others where somebody is really called so.
    for name in ["star*", "paren(x)", "comma, name"] {
        for at in [&searches, &binds] {
            assert_eq!(sign_in(&**at, name).await.unwrap().name, name);
        }
    }
}

#[tokio::test]
async fn groups_are_read_to_their_end_and_as_deep_as_is_wanted() {
    let Some(directory) = shared() else { return };
    let at = by_search(&directory, &[]);
    assert_eq!(sign_in(&*at, "many").await.unwrap().groups.len(), MANY);
    assert_eq!(sign_in(&*at, "bob").await.unwrap().groups.len(), 4);
    let flat = by_search(&directory, &[("nestedGroups", "none")]);
    let ann = sign_in(&*flat, "ann").await.unwrap();
    assert_eq!(ann.groups, ["developers", "posix", "unique"]);
    let below = by_search(&directory, &[("groupBaseDn", "ou=others,dc=example,dc=org")]);
    assert!(sign_in(&*below, "ann").await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn somebody_is_looked_up_again_by_the_subject() {
    let Some(directory) = shared() else { return };
    let at = by_search(&directory, &[]);
    let ann = sign_in(&*at, "ann").await.unwrap();
    let refresh = |subject: &str| Refresh { subject: subject.to_owned(), token: None };
    let again = at.refresh(refresh(&ann.subject)).await.unwrap();
    assert_eq!((again.name.as_str(), again.groups), ("ann", ann.groups));
    for gone in ["00000000-0000-0000-0000-000000000000", "*", "ann)(uid=*", ""] {
        fails(at.refresh(refresh(gone)).await, "IDENTITY005");
    }
    assert!(at.methods().refresh && !by_pattern(&directory).methods().refresh);
    fails(by_pattern(&directory).refresh(refresh(&ann.subject)).await, "IDENTITY008");
}

#[tokio::test]
async fn a_directory_that_cannot_be_trusted_or_heard_is_told_as_such() {
    let Some(directory) = shared() else { return };
    for url in [&directory.secure, &directory.plain] {
        let settings = [("url", url.as_str()), ("baseDn", BASE), ("bindDn", SERVICE)];
        let unknown = make("ldap", &settings, &[("bindPassword", PASSWORD)]).unwrap();
        let error = fails(sign_in(&*unknown, "ann").await, "IDENTITY002");
        assert!(error.message.contains("certificate"), "{error}");
        assert!(!unknown.health().await.ok);
    }
    let wrong = by_search(&directory, &[("bindDn", "cn=nobody,dc=example,dc=org")]);
    fails(sign_in(&*wrong, "ann").await, "IDENTITY003");
    // It takes the connection, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for scheme in ["ldap", "ldaps"] {
        let url = format!("{scheme}://{}", silent.local_addr().unwrap());
        let at = by_search(&directory, &[("url", &url), ("timeout", "300ms")]);
        let begun = Instant::now();
        fails(sign_in(&*at, "ann").await, "IDENTITY002");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    let nobody = by_search(&directory, &[("url", "ldaps://127.0.0.1:1")]);
    fails(sign_in(&*nobody, "ann").await, "IDENTITY002");
}

#[test]
fn settings_that_would_show_passwords_or_find_anybody_are_refused() {
    let base = [("baseDn", BASE), ("bindDn", SERVICE)];
    let bad: [Pairs; 9] = [
        &[("url", "ldap://ldap.example.org"), ("plain", "true")],
        &[("url", "ldap://10.0.0.1"), ("plain", "true")],
        &[("url", "ldaps://127.0.0.1"), ("plain", "true")],
        &[("url", "http://ldap.example.org")],
        &[("url", "ldaps://user@ldap.example.org")],
        &[("url", "ldaps://ldap.example.org/dc=example??sub")],
        &[("url", "ldaps://ldap.example.org"), ("userFilter", "(uid=*)")],
        &[("url", "ldaps://ldap.example.org"), ("userFilter", "(uid={name}")],
        &[("url", "ldaps://ldap.example.org"), ("nameAttributes", "uid)(a=b")],
    ];
    for more in bad {
        let settings: Vec<_> = base.iter().chain(more).copied().collect();
        let error = make("ldap", &settings, &[("bindPassword", PASSWORD)]).err();
        assert_eq!(error.map(|error| error.code), Some("IDENTITY003"), "{more:?}");
    }
    let settings = [("url", "ldaps://ldap.example.org"), ("baseDn", BASE), ("bindDn", SERVICE)];
    assert_eq!(make("ldap", &settings, &[]).err().unwrap().code, "IDENTITY003");
    assert_eq!(make("ldap", &settings[..2], &[]).err().unwrap().code, "IDENTITY003");
}
