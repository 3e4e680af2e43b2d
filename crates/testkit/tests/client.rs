//! The typed client against a server.

use dispatch_testkit::Server;
use dispatch_wire::client::{Client, Credentials, Error};
use serde_json::json;

#[tokio::test]
async fn a_watch_that_is_cut_off_says_why() {
    let server = Server::start().await;
    let base = format!("http://{}", server.running().api);
    let client = Client::new(&base, None, Credentials::None, false).unwrap();
    server.post("/v1/secret", json!({"name": "s", "secrets": {}})).await.expect(201);
    let mut events = client.watch("secret", &[]).await.unwrap();
    let first = events.next().await.unwrap().expect("what is there comes first");
    assert_eq!((&first["type"], &first["object"]["name"]), (&json!("ADDED"), &json!("s")));
    // With the first policy the user of this machine has to sign in.
    let rule = json!({"subjects": ["a"], "actions": ["get"], "resources": ["*"]});
    server.post("/v1/iam/policy", json!({"name": "p", "rules": [rule]})).await.expect(201);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), events.next()).await;
    match ended.expect("the watch ends") {
        Err(Error::Answer(body)) => {
            assert_eq!((body.code, body.error_code.as_deref()), (401, Some("IAM001")));
        }
        other => panic!("{other:?}"),
    }
}
