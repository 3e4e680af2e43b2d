//! The catcher against browsers that are none.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::proof::Proof;
use super::*;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(15);

/// Sends a request as it is, and reads the answer to its end.
async fn ask(port: u16, request: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // One that is refused early may not read it all.
    let _ = connection.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LONG, connection.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

/// What is caught while the requests are sent one after another, and their answers. The last one
/// is answered by the page of a success.
async fn catch(expected: Expected, requests: Vec<String>) -> (Caught, Vec<String>) {
    let catcher = Catcher::bind().await.unwrap();
    let port = catcher.port;
    let asked = tokio::spawn(async move {
        let mut answers = Vec::new();
        for request in requests {
            answers.push(ask(port, &request).await);
        }
        answers
    });
    let catching = tokio::time::timeout(LONG, catcher.catch(expected)).await;
    let (caught, browser) = catching.unwrap_or_else(|_| panic!("nothing is caught"));
    browser.show(Page::signed_in()).await;
    (caught, asked.await.unwrap())
}

fn code(caught: Caught) -> String {
    match caught {
        Caught::Code(text) => text,
        Caught::Cookie(text) | Caught::Refused(text) => panic!("not a code: {text}"),
    }
}

#[tokio::test]
async fn only_the_answer_with_the_state_is_taken() {
    let (state, other) = (Proof::new().unwrap().state, Proof::new().unwrap().state);
    let (right, wrong) = (state.as_str(), other.as_str());
    let requests = vec![
        get("/favicon.ico"),
        get("/"),
        get(&format!("/catcher/?code=stolen&state={right}")),
        get("/catcher?code=planted"),
        get(&format!("/catcher?code=planted&state={wrong}")),
        get(&format!("/catcher?error=access_denied&state={wrong}")),
        get(&format!("/catcher?cookie=a%3Db&state={right}")),
        format!("POST /catcher?code=posted&state={right} HTTP/1.1\r\n\r\n"),
        "\r\n\r\n".to_owned(),
        "nonsense \u{0}\u{1}\r\n\r\n".to_owned(),
        get(&format!("/catcher?state={right}&code=a%2Bb")),
    ];
    let (caught, answers) = catch(Expected::Code(state), requests).await;
    assert_eq!(code(caught), "a+b");
    let statuses: Vec<_> = answers.iter().map(|answer| &answer[9..12]).collect();
    let expected = ["404", "404", "404", "400", "400", "400", "400", "404", "404", "404", "200"];
    assert_eq!(statuses, expected);
    assert!(answers[10].contains("You may close this window."), "{}", answers[10]);
}

#[tokio::test]
async fn a_refusal_is_text_without_control_characters() {
    let state = Proof::new().unwrap().state;
    let why = "%1b%5d0%3bowned%07no%20%3Cb%3E".to_owned() + &"x".repeat(1_000);
    let target = format!("/catcher?error=access_denied&error_description={why}&state=");
    let request = get(&(target + state.as_str()));
    let (caught, _) = catch(Expected::Code(state), vec![request]).await;
    let Caught::Refused(text) = caught else { panic!("it is a refusal") };
    assert!(text.starts_with("]0;ownedno <b>x"), "{text}");
    assert_eq!(text.chars().count(), SAID_MAX);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_and_the_next_taken() {
    let state = Proof::new().unwrap().state;
    let huge = format!("GET /catcher HTTP/1.1\r\nCookie: {}\r\n\r\n", "x".repeat(2 * HEAD_MAX));
    let right = get(&format!("/catcher?code=c&state={}", state.as_str()));
    let (caught, answers) = catch(Expected::Code(state), vec![huge, right]).await;
    assert_eq!(code(caught), "c");
    // The connection may be reset before the page is read, but it is never a success.
    assert!(answers[0].is_empty() || answers[0].starts_with("HTTP/1.1 431"), "{}", answers[0]);
}

#[tokio::test]
async fn connections_that_say_nothing_hold_nobody_up() {
    let catcher = Catcher::bind().await.unwrap();
    let port = catcher.port;
    let state = Proof::new().unwrap().state;
    let right = get(&format!("/catcher?code=c&state={}", state.as_str()));
    let asked = tokio::spawn(async move {
        let mut silent = Vec::new();
        for said in ["", "GET /catcher?code"].into_iter().cycle().take(CONNECTIONS - 1) {
            let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            connection.write_all(said.as_bytes()).await.unwrap();
            silent.push(connection);
        }
        ask(port, &right).await
    });
    let within = tokio::time::timeout(SILENCE / 2, catcher.catch(Expected::Code(state)));
    let (caught, browser) = within.await.unwrap_or_else(|_| panic!("held up"));
    assert_eq!(code(caught), "c");
    browser.show(Page::signed_in()).await;
    assert!(asked.await.unwrap().contains("200 OK"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_ends() {
    let catcher = Catcher::bind().await.unwrap();
    let port = catcher.port;
    let expected = Expected::Code(Proof::new().unwrap().state);
    let catching = tokio::spawn(async move { catcher.catch(expected).await.0 });
    let ended = tokio::time::timeout(SILENCE + Duration::from_secs(3), ask(port, "GET /"));
    assert_eq!(ended.await.unwrap(), "");
    catching.abort();
}

#[tokio::test]
async fn a_cookie_of_v1_is_taken_where_it_is_waited_for() {
    let requests = vec![get("/catcher?code=c"), get("/catcher?cookie=_oauth2_proxy%3Dabc%3D")];
    let (caught, answers) = catch(Expected::Cookie, requests).await;
    let Caught::Cookie(cookie) = caught else { panic!("it is a cookie") };
    assert_eq!(cookie, "_oauth2_proxy=abc=");
    assert!(answers[0].contains("400"), "{}", answers[0]);
}
