//! Packages are found through the resources that have them, by their own organization only.

use dispatch_model::function::Function;
use dispatch_model::{Resource, ResourceKind};
use dispatch_store::content::{FindingRow, PackageCount, PackageQuery, PackageRow};

use crate::{function, on_both};

fn package(name: &str, version: &str) -> PackageRow {
    let body = format!("{{\"name\":\"{name}\"}}");
    let (name, version) = (name.to_owned(), version.to_owned());
    PackageRow { name, ecosystem: "deb".to_owned(), version, body }
}

fn on(image: &str, mut function: Resource<Function>) -> Resource<Function> {
    function.status.image_digest = Some(image.to_owned());
    function
}

fn named(name: &str) -> PackageQuery {
    PackageQuery { name: Some(name.to_owned()), limit: 100, ..PackageQuery::default() }
}

on_both!(an_organization_sees_the_packages_its_functions_have, |store| {
    let rows = [package("openssl", "3.0"), package("zlib", "1.2")];
    store.content_put("sha256:a", "another", &[package("never", "1")]).await.unwrap();
    store.content_put("sha256:a", "{}", &rows).await.unwrap();
    assert!(store.content_touch("sha256:a").await.unwrap());
    assert!(!store.content_touch("sha256:none").await.unwrap());
    store.content_put("sha256:b", "{}", &[package("openssl", "3.1")]).await.unwrap();
    store.insert(&on("sha256:a", function("o", "f"))).await.unwrap();
    store.insert(&on("sha256:a", function("o", "g"))).await.unwrap();
    store.insert(&on("sha256:b", function("p", "h"))).await.unwrap();

    assert_eq!(store.content_get("sha256:a").await.unwrap().as_deref(), Some("{}"));
    assert_eq!(store.content_packages("sha256:a").await.unwrap(), rows);
    let (o, p) = (crate::org("o"), crate::org("p"));
    let count = |name: &str, version: &str, functions| {
        let (name, version) = (name.to_owned(), version.to_owned());
        PackageCount { name, ecosystem: "deb".to_owned(), version, images: 0, functions }
    };
    let all = PackageQuery { limit: 100, ..PackageQuery::default() };
    let listed = store.package_list(&o, &all).await.unwrap();
    assert_eq!(listed, [count("openssl", "3.0", 2), count("zlib", "1.2", 2)]);
    let listed = store.package_list(&p, &named("openssl")).await.unwrap();
    assert_eq!(listed, [count("openssl", "3.1", 1)]);

    let users = store.package_users(&o, &named("openssl")).await.unwrap();
    let users: Vec<_> = users.iter().map(|u| (u.kind, u.user.as_str())).collect();
    assert_eq!(users, [(ResourceKind::Function, "f"), (ResourceKind::Function, "g")]);
    assert_eq!(store.package_users(&p, &named("zlib")).await.unwrap(), []);
    let first = PackageQuery { limit: 1, ..named("openssl") };
    assert_eq!(store.package_users(&o, &first).await.unwrap().len(), 1);
    let other = PackageQuery { version: Some("9".to_owned()), ..named("openssl") };
    assert_eq!(store.package_users(&o, &other).await.unwrap(), []);
});

on_both!(findings_are_of_one_database_and_go_with_unused_content, |store| {
    store.content_put("sha256:a", "{}", &[package("zlib", "1.2")]).await.unwrap();
    assert_eq!(store.content_unscanned("db1", 10).await.unwrap(), ["sha256:a"]);
    let finding = |id: &str, severity| FindingRow {
        ecosystem: "deb".to_owned(),
        digest: "sha256:a".to_owned(),
        id: id.to_owned(),
        package: "zlib".to_owned(),
        version: "1.2".to_owned(),
        severity,
        body: "{}".to_owned(),
    };
    let (low, high) = (finding("CVE-1", 1), finding("CVE-2", 3));
    let both = [low.clone(), high.clone()];
    store.finding_replace("sha256:a", "db1", &both).await.unwrap();
    assert_eq!(store.content_unscanned("db1", 10).await.unwrap(), [""; 0]);
    assert_eq!(store.finding_list("sha256:a").await.unwrap(), [high, low.clone()]);
    store.finding_replace("sha256:a", "db2", &[low]).await.unwrap();
    assert_eq!(store.finding_list("sha256:a").await.unwrap().len(), 1);

    let later = i64::MAX;
    store.insert(&on("sha256:a", function("o", "f"))).await.unwrap();
    assert_eq!(store.content_in_use().await.unwrap(), ["sha256:a"]);
    assert_eq!(store.content_collect(later).await.unwrap(), 0);
    let f = store.by_name::<Function>(&crate::org("o"), &crate::name("f")).await.unwrap();
    store.remove(&f.unwrap()).await.unwrap();
    assert_eq!(store.content_collect(0).await.unwrap(), 0);
    assert_eq!(store.content_collect(later).await.unwrap(), 1);
    assert_eq!(store.content_packages("sha256:a").await.unwrap(), []);
    assert_eq!(store.finding_list("sha256:a").await.unwrap(), []);
});
