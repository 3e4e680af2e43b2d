//! Versions of secrets, what they are sealed with, and who read them.

use dispatch_model::secret::{Content, Sealed, Secret, SecretSpec, SecretUse};
use dispatch_model::{RawJson, Resource, State, Tags};
use dispatch_store::{Error, Store};

use crate::{ended, name, on_both, org, run_of};

fn spec(version: u64, key: &str) -> SecretSpec {
    let sealed = Sealed {
        root_key_id: key.to_owned(),
        wrapped_key: String::new(),
        wrap_nonce: String::new(),
        nonce: String::new(),
        ciphertext: format!("values {version}"),
    };
    let content = Content::Sealed(sealed);
    SecretSpec { version, made_by: "ada \"root_key_id\":\"new\"".into(), made_ms: Some(1), content }
}

fn secret(called: &str, key: &str) -> Resource<Secret> {
    Resource::new(org("a"), name(called), Tags::new(), State::Ready, spec(1, key))
}

async fn next(store: &Store, secret: &mut Resource<Secret>, key: &str) {
    secret.spec = spec(secret.spec.version + 1, key);
    store.update(secret).await.unwrap();
}

async fn kept(store: &Store, secret: &Resource<Secret>) -> Vec<u64> {
    let kept = store.secret_versions(secret.meta.id).await.unwrap();
    kept.iter().map(|spec| spec.version).collect()
}

on_both!(replaced_versions_are_kept_up_to_a_number, |store| {
    let mut db = secret("db", "old");
    store.insert(&db).await.unwrap();
    let stale = db.clone();
    assert_eq!(kept(&store, &db).await, [0_u64; 0]);
    for _ in 0..3 {
        next(&store, &mut db, "old").await;
    }
    assert_eq!(kept(&store, &db).await, [3, 2, 1]);
    let second = store.secret_version(db.meta.id, 2).await.unwrap().unwrap();
    assert_eq!(second, spec(2, "old"));
    assert_eq!(
        store.secret_version(db.meta.id, 4).await.unwrap(),
        None,
        "it is the one that holds"
    );
    let mut stale = stale;
    stale.spec = spec(2, "other");
    store.update(&mut stale).await.unwrap_err();
    assert_eq!(kept(&store, &db).await, [3, 2, 1], "what was refused left nothing");
    for _ in 0..10 {
        next(&store, &mut db, "old").await;
    }
    assert_eq!(kept(&store, &db).await, (5..14).rev().collect::<Vec<_>>());
    assert!(store.remove(&db).await.unwrap());
    assert_eq!(kept(&store, &db).await, [0_u64; 0]);
});

/// Everything that is sealed with another key than `new`, resealed page by page.
async fn reseal(store: &Store, page: u32) -> u64 {
    let (mut changed, mut last) = (0, None);
    loop {
        let mut contents = store.sealed_page("new", last.as_ref(), page).await.unwrap();
        for content in &mut contents {
            let Content::Sealed(sealed) = &mut content.spec.content else { panic!("it is sealed") };
            sealed.root_key_id = "new".to_owned();
        }
        changed += store.reseal(&contents).await.unwrap();
        last = contents.pop();
        if last.is_none() {
            return changed;
        }
    }
}

on_both!(what_another_key_sealed_is_found_and_resealed, |store| {
    let mut all = Vec::new();
    for n in 0..7 {
        let mut secret = secret(&format!("s{n}"), "old");
        store.insert(&secret).await.unwrap();
        next(&store, &mut secret, if n == 0 { "new" } else { "old" }).await;
        all.push(secret);
    }
    let old = async || store.sealed_with("old").await.unwrap();
    assert_eq!((old().await, store.sealed_with("new").await.unwrap()), (13, 1));
    assert_eq!(store.sealed_otherwise("new").await.unwrap(), 13);
    let read = store.sealed_page("new", None, 1).await.unwrap();
    // Changed after it was read: its old content is a version now, and the new one stays.
    next(&store, &mut all[1], "new").await;
    assert_eq!(store.reseal(&read).await.unwrap(), 0);
    assert_eq!(reseal(&store, 2).await, 13);
    assert_eq!((old().await, store.sealed_otherwise("new").await.unwrap()), (0, 0));
    let there = store.by_name::<Secret>(&org("a"), &name("s3")).await.unwrap().unwrap();
    assert_eq!(there.meta.revision, all[3].meta.revision);
    assert_eq!(there.spec, spec(2, "new"));
    next(&store, &mut all[3], "new").await;
    assert_eq!(kept(&store, &all[3]).await, [2, 1]);
});

on_both!(runs_that_read_a_secret_are_found, |store| {
    let used = |secret: &str, version| SecretUse {
        name: secret.to_owned(),
        version,
        source_version: Some("7".to_owned()),
    };
    for n in 0..6_u64 {
        let mut run = run_of("a", if n % 2 == 0 { "even" } else { "odd" });
        if n < 4 {
            run.secrets_used = [used("other", 1), used("db", n)].into_iter().collect();
        } else {
            // It only looks like one.
            let text = r#"{"u":[{"n":"db","v":1}]}"#.to_owned();
            run.input = Some(RawJson::written(text));
        }
        store.run_record(&ended(run)).await;
    }
    store.run_record(&ended(run_of("b", "even"))).await;
    store.flush().await.unwrap();
    let versions = async |function: Option<&str>, among, limit| -> Vec<u64> {
        let function = function.map(name);
        let found =
            store.secret_uses(&org("a"), &name("db"), function.as_ref(), among, limit).await;
        let of = |run: &dispatch_model::Run| {
            let uses = run.secrets_used.as_slice();
            uses.iter().find(|used| used.name == "db").unwrap().version
        };
        found.unwrap().iter().map(of).collect()
    };
    assert_eq!(versions(None, 100, 10).await, [3, 2, 1, 0]);
    assert_eq!(versions(None, 100, 4).await, [3, 2], "of the four newest that look like one");
    assert_eq!(versions(None, 3, 10).await, [3], "only the newest are looked at");
    assert_eq!(versions(Some("even"), 100, 10).await, [2, 0]);
    assert_eq!(store.secret_uses(&org("b"), &name("db"), None, 9, 9).await.unwrap().len(), 0);
});

on_both!(changes_and_removals_of_one_secret_do_not_wait_for_each_other, |store| {
    for round in 0..40 {
        let mut db = secret(&format!("db{round}"), "old");
        store.insert(&db).await.unwrap();
        // More than are kept: each change drops one.
        for _ in 0..11 {
            next(&store, &mut db, "old").await;
        }
        let change = async {
            let mut db = db.clone();
            db.spec = spec(db.spec.version + 1, "old");
            match store.update(&mut db).await {
                Ok(()) | Err(Error::Missing) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let (_, removed) = tokio::join!(change, store.remove(&db));
        assert!(removed.unwrap());
        assert_eq!(kept(&store, &db).await, [0_u64; 0]);
    }
});
