//! What a kubeconfig may name, and what an error of it may tell.

use std::path::Path;

use super::*;

const CANARY: &str = "canary-7f3a";

fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "current-context: here\n\
         contexts: [{{name: here, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:1', {cluster}}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n"
    )
}

fn refusal(text: &str, folder: Option<&Path>) -> String {
    Access::of_kubeconfig(text, folder, None).err().expect("it is refused").message
}

#[test]
fn an_error_tells_where_and_never_what() {
    for text in [
        kubeconfig("", &format!("token: {CANARY}, token: {CANARY}")),
        kubeconfig(&format!("insecure-skip-tls-verify: {CANARY}"), ""),
        format!("users:\n- name: u\n  user:\n    token: {CANARY}\n   wrong: [\n"),
        format!("users: {CANARY}\n"),
    ] {
        let message = refusal(&text, None);
        assert!(message.contains("cannot be read"), "{message}");
        assert!(message.contains(" at line "), "{message}");
        assert!(!message.contains(CANARY), "{message}");
    }
}

#[tokio::test]
async fn a_secret_names_nothing_of_the_machine() {
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: id}";
    for (cluster, user, what) in [
        ("", exec, "exec"),
        ("", "tokenFile: /etc/passwd", "tokenFile"),
        ("certificate-authority: /etc/passwd", "", "certificate-authority"),
        ("", "client-certificate: /etc/passwd", "client-certificate"),
        ("", "client-key: /etc/passwd", "client-key"),
    ] {
        let message = refusal(&kubeconfig(cluster, user), None);
        assert!(message.contains(&format!("has {what}, which")), "{message}");
    }
    let text = kubeconfig("", &format!("token: {CANARY}"));
    let access = Access::of_kubeconfig(&text, None, None).ok().unwrap();
    assert!(access.authorization().await.unwrap().is_some());
    let folder = Some(Path::new("/"));
    assert!(Access::of_kubeconfig(&kubeconfig("", exec), folder, None).is_ok());
}
