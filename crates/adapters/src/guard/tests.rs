//! What the guard lets through, and what it does not.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

fn guard(written: &str) -> Guard {
    Guard::of(&Url::parse(written).unwrap())
}

#[test]
fn a_public_provider_leads_to_https_only_and_never_to_the_machine_or_its_link() {
    let guard = guard("https://id.example.org/realms/a");
    for good in ["https://id.example.org/x", "https://10.1.2.3/", "https://[2001:db8::1]:8443/"] {
        assert!(guard.url(good).is_ok(), "{good}");
    }
    for bad in [
        "http://id.example.org/x",
        "http://127.0.0.1/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://2852039166/",
        "https://0xa9.0xfe.0xa9.0xfe/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://255.255.255.255/",
        "https://user:word@id.example.org/",
        "file:///etc/passwd",
        "ftp://id.example.org/",
        "gopher://id.example.org/",
        "not a url",
    ] {
        let refused = guard.url(bad).err();
        assert!(refused.is_some(), "{bad} is let through");
        assert_eq!(Error::from(refused.unwrap()).code, code::IDENTITY007);
    }
    assert!(guard.url(&format!("https://id.example.org/{}", "a".repeat(5_000))).is_err());
}

#[test]
fn a_provider_on_the_machine_may_do_without_tls_but_only_there() {
    for written in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"] {
        let guard = guard(written);
        assert!(guard.url("http://localhost:9000/jwks").is_ok());
        assert!(guard.url("https://id.example.org/jwks").is_ok());
        for bad in ["http://id.example.org/jwks", "http://10.0.0.1/", "https://169.254.169.254/"] {
            assert!(guard.url(bad).is_err(), "{written}: {bad}");
        }
    }
}

/// A guard whose names lead where a test says, one answer after another.
fn scripted(written: &str, answers: &'static [&'static [&'static str]]) -> Guard {
    let asked = Arc::new(AtomicUsize::new(0));
    let look_up = move |_: String| -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let at = asked.fetch_add(1, Ordering::SeqCst);
        let found = answers[at].iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(std::future::ready(Ok(found)))
    };
    Guard { look_up: Arc::new(look_up), ..guard(written) }
}

#[tokio::test]
async fn a_name_that_leads_to_a_good_and_a_bad_address_is_refused() {
    let guard = scripted("https://id.example.org", &[&["192.0.2.1", "169.254.169.254"], &[]]);
    let error = guard.addresses("id.example.org").await.unwrap_err();
    assert!(refusal(&error).is_some(), "{error}");
    assert!(refusal(&guard.addresses("id.example.org").await.unwrap_err()).is_none());
}

/// Rebinding: the name is good when it is checked, and leads to metadata when it is connected to.
#[tokio::test]
async fn a_connection_goes_only_where_its_own_look_up_was_accepted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let mut served = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            served += 1;
            let _ = stream.read(&mut [0; 1024]).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = stream.write_all(answer).await;
            if served == 2 {
                break;
            }
        }
        served
    });
    // The third answer is never asked for: there is one look-up for each connection.
    let steps: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"], &["127.0.0.1"]];
    let guard = Arc::new(scripted("http://localhost", steps));
    let http = reqwest::Client::builder().no_proxy().dns_resolver(guard.clone()).build().unwrap();
    let url = format!("http://rebound.example:{port}/");
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
    let error = http.get(&url).send().await.unwrap_err();
    let refused = refusal(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(refused.to_string().contains("metadata"), "{refused}");
    assert_eq!(http.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(served.await.unwrap(), 2);
}

#[tokio::test]
async fn localhost_is_the_machine_whatever_a_name_server_says() {
    let guard = scripted("http://localhost:1", &[&["192.0.2.1"], &["127.0.0.1"]]);
    assert!(guard.addresses("localhost").await.is_err());
    assert!(guard.addresses("localhost").await.is_ok());
}
