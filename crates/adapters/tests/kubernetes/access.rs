//! Ways into a cluster, and what is said where there is none.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_driver::conformance::Program;
use dispatch_systems::kubernetes::api::Kind;
use dispatch_systems::kubernetes::{CERTIFICATE, LIMITED};
use serde_json::{Value, json};

use crate::ground::{echoed, make, turn};

const PAGE: &str = include_str!("../../../../docs/reference/engines/kubernetes.md");

fn setting(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_programs_and_secrets_give_access() {
    let Some(turn) = turn().await else { return };
    let file = turn.ground.kubernetes.kubeconfig();
    let path = file.display().to_string();
    let context = [setting("kubeconfigFile", &path), setting("context", CERTIFICATE)];
    let engine = make("kubernetes", context.into(), BTreeMap::new()).await.unwrap();
    let health = engine.health().await;
    assert!(health.ok, "{}", health.message);

    // A program beside the kubeconfig, as clouds have one.
    let program = file.with_file_name("credential");
    let said = r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "admin-token"}}"#;
    let script = format!("#!/bin/sh\ntest \"$1\" = token || exit 3\ncat <<E\n{said}\nE\n");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let user = "{apiVersion: client.authentication.k8s.io/v1, command: ./credential, args: [ARG]}";
    let exec = text.replace("token: admin-token", &format!("exec: {user}"));
    for (argument, ok) in [("token", true), ("nothing", false)] {
        let written = file.with_file_name("exec");
        fs::write(&written, exec.replace("ARG", argument)).unwrap();
        let file = [setting("kubeconfigFile", &written.display().to_string())];
        let engine = make("kubernetes", file.into(), BTreeMap::new()).await.unwrap();
        let health = engine.health().await;
        assert_eq!(health.ok, ok, "{}", health.message);
        assert!(ok || health.message.contains("exit status: 3"), "{}", health.message);
    }

    // A secret names no file of the machine, and holds what the file has.
    let secret = [setting("kubeconfig", &text)].into();
    let error = make("kubernetes", BTreeMap::new(), secret).await.err().unwrap();
    assert!(error.message.contains("has certificate-authority, which"), "{error}");
    let authority = file.with_file_name("authority.crt");
    let data = STANDARD.encode(fs::read(&authority).unwrap());
    let named = format!("certificate-authority: {}", authority.display());
    let text = text.replace(&named, &format!("certificate-authority-data: {data}"));
    let secret = [setting("kubeconfig", &text)].into();
    let engine = make("kubernetes", BTreeMap::new(), secret).await.unwrap();
    assert!(engine.health().await.ok);
    let secret = [setting("kubeconfig", &text.replace("admin-token", "wrong"))].into();
    let engine = make("kubernetes", BTreeMap::new(), secret).await.unwrap();
    let health = engine.health().await;
    assert!(!health.ok && health.message.contains("refuses the credentials"), "{health:?}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named() {
    let refused = async |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(key, value)| setting(key, value)).collect();
        make("kubernetes", settings, BTreeMap::new()).await.err().unwrap().message
    };
    let message = refused(&[]).await;
    assert!(message.contains("runs in no pod: set kubeconfigFile"), "{message}");
    let message = refused(&[("kubeconfigFile", "/nowhere")]).await;
    assert!(message.contains("kubeconfigFile \"/nowhere\": No such file"), "{message}");
    let message = refused(&[("minScale", "0")]).await;
    assert!(message.contains("minScale is 0; it must be at least 1"), "{message}");
    let message = refused(&[("reach", "ingress")]).await;
    assert!(message.contains("needs ingressDomain"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, "contexts: [{name: a, context: {}}]\ncurrent-context: b\n").unwrap();
    let message = refused(&[("kubeconfigFile", &file.display().to_string())]).await;
    assert!(message.contains("no context \"b\", but: a"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_of_the_page_is_enough_and_without_it_the_missing_right_is_named() {
    let Some(turn) = turn().await else { return };
    let ground = &turn.ground;
    let more = [
        ("context", LIMITED.to_owned()),
        ("namespace", "functions".to_owned()),
        ("reach", "proxy".to_owned()),
    ];
    let engine = ground.engine("kubernetes", &more).await;
    let deployment = ground.deployment(Program::Conformance).await;
    let words = "cannot get resource \"deployments\" in API group \"apps\"";
    let error = engine.build(&deployment).await.unwrap_err();
    assert!(error.message.contains(words), "{}", error.message);
    let health = engine.health().await;
    assert!(!health.ok && health.message.contains("cannot list"), "{health:?}");

    let yaml = PAGE.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    assert_eq!(objects.len(), 3);
    let api = ground.kubernetes.api();
    for object in &objects {
        let (version, name, plural) = match object["kind"].as_str().unwrap() {
            "Namespace" => ("v1", "Namespace", "namespaces"),
            "Role" => ("rbac.authorization.k8s.io/v1", "Role", "roles"),
            "RoleBinding" => ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
            other => panic!("{other}"),
        };
        api.create(Kind { version, name, plural }, object).await.unwrap();
    }
    engine.build(&deployment).await.unwrap();
    assert_eq!(echoed(&engine, deployment.id, json!("well")).await, "well");
    engine.remove(deployment.id).await.unwrap();
    for kind in ["knative", "riff"] {
        let health = ground.engine(kind, &more[..2]).await.health().await;
        assert!(health.ok, "{kind}: {}", health.message);
    }
}
