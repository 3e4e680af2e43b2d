//! Components that speak HTTP, in and out.

use dispatch_driver::{Deployment, Engine};
use serde_json::json;

use super::support::wasm::{Bench, Called, call, file};
use super::support::web;

async fn deployed(bench: &Bench, egress: &[String]) -> Deployment {
    let mut deployment = bench.deployment(file("http.wat"));
    deployment.egress = egress.to_vec();
    bench.deploy(&deployment).await;
    deployment
}

/// Calls as the gateway does when it was asked for `uri`.
async fn request(bench: &Bench, deployment: &Deployment, uri: &str, payload: &str) -> Called {
    let http = json!({"method": "PUT", "request-uri": uri, "host": "h", "content-length": "7"});
    let context = json!({"secrets": {}, "httpContext": http}).to_string();
    let call = call(&context, payload, deployment.timeout);
    Called(bench.engine.invoke(deployment.id, call).await.unwrap())
}

#[tokio::test]
async fn a_request_is_handled_and_its_body_is_the_answer() {
    let bench = Bench::new();
    let deployment = deployed(&bench, &[]).await;
    let payload = json!({"name": "Ada", "large": "x".repeat(100_000)}).to_string();
    let echoed = request(&bench, &deployment, "/dispatch/echo?a=b", &payload).await;
    assert_eq!(echoed.output().to_string(), payload);

    let plain = bench.call_again(&deployment, "[1]").await;
    assert_eq!(plain.output(), json!([1]), "without a gateway it is POST /");

    let text = request(&bench, &deployment, "/text", "1").await;
    assert_eq!(text.output(), json!("plain text"));
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure_of_the_function() {
    let bench = Bench::with(|config| config.max_payload_bytes = 1_000);
    let deployment = deployed(&bench, &[]).await;
    let failed = request(&bench, &deployment, "/fail", "1").await;
    let message = &failed.error().message;
    assert_eq!(message, "the component answered 503 Service Unavailable: broken");

    let nothing = request(&bench, &deployment, "/nothing", "1").await;
    assert_eq!(nothing.error().message, "the component returned without a response");

    let trapped = request(&bench, &deployment, "/x", "1").await;
    assert!(trapped.error().message.contains("unreachable"), "{:?}", trapped.error());

    let payload = json!("x".repeat(2_000)).to_string();
    let large = request(&bench, &deployment, "/echo", &payload).await;
    assert!(large.error().message.contains("larger than"), "{:?}", large.error());
}

#[tokio::test]
async fn requests_go_out_only_where_egress_allows() {
    let bench = Bench::new();
    let address = web::plain().await;
    let uri = format!("/u:{address}");
    let allowed = deployed(&bench, &[address.to_string()]).await;
    let fetched = request(&bench, &allowed, &uri, "1").await;
    assert_eq!(fetched.output(), json!({"path": "/", "host": address.to_string()}));

    let (ip, other) = (address.ip(), address.port() ^ 1);
    let elsewhere = [vec![], vec![format!("{ip}:{other}")], vec!["localhost".to_owned()]];
    for egress in elsewhere {
        let denied = deployed(&bench, &egress).await;
        let refused = request(&bench, &denied, &uri, "1").await;
        assert_eq!(refused.output(), json!("refused"), "{egress:?}");
    }
    // Only one name means the machine; the other one is a number resolvers read as 127.0.0.1.
    for (name, expected) in [
        ("localhost", json!({"path": "/", "host": format!("localhost:{}", address.port())})),
        ("2130706433", json!("refused")),
    ] {
        let named = deployed(&bench, &[name.to_owned()]).await;
        let by_name = format!("/u:{name}:{}", address.port());
        let answer = request(&bench, &named, &by_name, "1").await;
        assert_eq!(answer.output(), expected, "{name}");
    }

    let mut wrong = bench.deployment(file("http.wat"));
    wrong.egress = vec!["http://example.org/".to_owned()];
    let refused = bench.engine.build(&wrong).await.unwrap_err();
    assert!(refused.message.contains("egress"), "{refused}");
}

#[tokio::test]
async fn https_is_for_servers_that_somebody_trusted_vouches_for() {
    let (address, authority) = web::tls().await;
    let place = format!("localhost:{}", address.port());
    let uri = format!("/s:{place}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();

    let bench = Bench::with(|config| config.ca_file = file.clone());
    let allowed = deployed(&bench, std::slice::from_ref(&place)).await;
    let fetched = request(&bench, &allowed, &uri, "1").await;
    assert_eq!(fetched.output(), json!({"path": "/", "host": place}));
    // The certificate is for the name, not for the address.
    let numbers = deployed(&bench, &[address.to_string()]).await;
    let refused = request(&bench, &numbers, &format!("/s:{address}"), "1").await;
    assert_eq!(refused.output(), json!("refused"));

    let bench = Bench::new();
    let stranger = deployed(&bench, &[place]).await;
    let refused = request(&bench, &stranger, &uri, "1").await;
    assert_eq!(refused.output(), json!("refused"));
}
