//! How far a call got, and how much of an answer is read.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that takes connections and answers what it reads, if it has an answer.
async fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut taken = [0; 1024];
                while matches!(stream.read(&mut taken).await, Ok(1..)) {
                    // Who has enough may leave in the middle of it.
                    let _ = stream.write_all(&answer).await;
                }
            });
        }
    });
    address.to_string()
}

async fn called(url: String, limit: Duration) -> Error {
    let call = Call {
        run_id: uuid::Uuid::nil(),
        context: Bytes::from_static(b"{}"),
        payload: Bytes::from_static(b"null"),
        deadline: Instant::now() + limit,
    };
    let request = reqwest::Client::new().post(url).body(body(&call));
    send(request, &call).await.unwrap_err()
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_no_slow_function() {
    let silent = server(Vec::new()).await;
    let (begun, limit) = (Instant::now(), Duration::from_millis(600));
    // It does not answer TLS's first words.
    let error = called(format!("https://{silent}/"), limit).await;
    assert_eq!((error.code, error.reached), ("ENGINE006", Reached::No), "{error}");
    assert!(begun.elapsed() < limit, "{:?}", begun.elapsed());
    let ends = begun + Duration::from_millis(1);
    assert_eq!(unheard(error, begun, ends).unwrap_err().reached, Reached::No);

    let begun = Instant::now();
    let error = called(format!("http://{silent}/"), limit).await;
    assert_eq!((error.code, error.reached), ("ENGINE006", Reached::Maybe), "{error}");
    assert!(begun.elapsed() >= limit, "{:?}", begun.elapsed());
    let outcome = unheard(error, begun, begun + limit).unwrap();
    assert!(outcome.result.unwrap_err().message.contains("timed out after 600 ms"));
}

#[tokio::test]
async fn no_more_of_an_answer_is_read_than_it_may_have() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2097152\r\n\r\n".to_vec();
    answer.resize(answer.len() + (2 << 20), b'x');
    let url = format!("http://{}/", server(answer).await);
    let mut whole = reqwest::get(&url).await.unwrap();
    assert_eq!(read(&mut whole, 2 << 20).await.unwrap().len(), 2 << 20);
    let mut cut = reqwest::get(&url).await.unwrap();
    let error = read(&mut cut, MAX_SMALL).await.unwrap_err();
    assert!(error.message.contains("larger than 1048576 bytes"), "{error}");
}
