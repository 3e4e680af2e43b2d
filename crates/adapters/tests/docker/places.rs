//! Where images come from, and networks containers are in.

use std::collections::BTreeMap;

use dispatch_driver::{Deployment, Fault, Observed};
use dispatch_systems::programs::has;
use serde_json::json;

use crate::bed::{Bed, made, result};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_pulled_with_a_password() {
    if !has(&["htpasswd"]) {
        return;
    }
    let Some(bed) = Bed::start().await else { return };
    let open = bed.deployment("def handle(context, payload):\n    return payload\n").await;
    let guarded = bed.registry.guarded("ada", "pass wörd");
    let image = open.function_image.as_ref().unwrap();
    let image = image.replace(&bed.registry.address, &guarded.address);
    let deployment = Deployment { function_image: Some(image), ..open };
    let stranger = bed.engine(&[]).await;
    let error = stranger.build(&deployment).await.unwrap_err();
    assert_eq!((error.code, error.fault), ("ENGINE006", Fault::Backend), "{error}");
    assert_eq!(stranger.observe(deployment.id).await.unwrap(), Observed::Absent);
    let secrets = [("username", "ada"), ("password", "pass wörd")];
    let secrets: BTreeMap<_, _> =
        secrets.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let engine = made(bed.settings(&[]), secrets).await.unwrap();
    engine.build(&deployment).await.unwrap();
    assert_eq!(result(&*engine, &deployment, json!(1)).await, 1);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_are_reached_in_networks_of_their_own() {
    let Some(bed) = Bed::start().await else { return };
    let network = ["network", "create", "functions"].map(str::to_owned);
    let docker = bed.docker.clone().unwrap();
    let made = move || docker.lock().unwrap().try_run(&network.each_ref().map(String::as_str));
    if let Err(why) = tokio::task::spawn_blocking(made).await.unwrap() {
        println!("could not run: this machine lets Docker make no network: {why}");
        return;
    }
    for reach in ["published", "container"] {
        let engine = bed.engine(&[("network", "functions"), ("reach", reach)]).await;
        let deployment = bed.built(&*engine, |_| {}).await;
        assert_eq!(result(&*engine, &deployment, json!({"echo": reach})).await, reach);
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_is_spoken_to_with_tls_and_a_certificate() {
    let Some(bed) = Bed::with_tls().await else { return };
    let (host, [ca, certificate, key]) = {
        let docker = bed.docker.as_ref().unwrap().lock().unwrap();
        let files = ["authority.crt", "client.crt", "client.key"];
        (docker.tls_host(), files.map(|name| docker.certificate(name)))
    };
    let stranger = bed.engine(&[("host", &host), ("caFile", &ca)]).await;
    let health = stranger.health().await;
    assert!(!health.ok && health.message.contains(&host), "{health:?}");
    let files = [("caFile", &*ca), ("certificateFile", &*certificate), ("keyFile", &*key)];
    let engine = bed.engine(&[&[("host", &*host)][..], &files].concat()).await;
    assert!(engine.health().await.ok, "{:?}", engine.health().await);
    let deployment = bed.built(&*engine, |_| {}).await;
    assert_eq!(result(&*engine, &deployment, json!({"echo": 1})).await, 1);
    engine.shutdown().await;
}
