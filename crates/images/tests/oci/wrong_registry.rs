//! Registries that stall, break off, lie and fail. They speak HTTP/1.1 by hand, since no real one
//! does so on request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dispatch_images::registry::{Credentials, Reference};
use dispatch_images::{Digest, Error, Image};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::bed::{Bed, documents, tar};

/// What is wrong with the layer it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    Stalls,
    /// In the first two transfers.
    BreaksOff,
    AlwaysBreaksOff,
    SaysTooMuch,
    SendsMore,
    SendsOther,
    Fails,
    SendsEndlessManifest,
}

struct Site {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
    wrong: Wrong,
    asked: AtomicUsize,
}

async fn serve(wrong: Wrong) -> (String, Arc<Site>) {
    let layer = tar(&[("a", tar::EntryType::Regular, &"x".repeat(100_000))]);
    let digest = Digest::of(&layer);
    let (manifest, config) = documents(&[(digest.clone(), layer.len() as u64, digest)]);
    let site = Arc::new(Site { manifest, config, layer, wrong, asked: AtomicUsize::new(0) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = site.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, served.clone()));
        }
    });
    (address, site)
}

async fn answer(mut stream: TcpStream, site: Arc<Site>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let path = head.split_whitespace().nth(1)?.to_owned();
    if path == "/v2/" {
        return reply(&mut stream, "200 OK", 2, b"{}").await;
    }
    if path.contains("/manifests/") {
        if site.wrong == Wrong::SendsEndlessManifest {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(&[b' '; 65536]).await.ok()?;
            }
        }
        return reply(&mut stream, "200 OK", site.manifest.len(), &site.manifest).await;
    }
    if path.ends_with(Digest::of(&site.config).as_str()) {
        return reply(&mut stream, "200 OK", site.config.len(), &site.config).await;
    }
    let range = head.lines().find_map(|l| l.strip_prefix("range: bytes=")?.strip_suffix('-'));
    let from: usize = range.and_then(|range| range.parse().ok()).unwrap_or(0);
    let (layer, asked) = (&site.layer, site.asked.fetch_add(1, Ordering::SeqCst));
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let rest = &layer[from..];
    let half = &rest[..rest.len() / 2];
    match site.wrong {
        Wrong::Fails => reply(&mut stream, "500 Oh", 2, b"no").await,
        Wrong::Stalls => {
            reply(&mut stream, status, rest.len(), half).await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Some(())
        }
        Wrong::BreaksOff if asked < 2 => reply(&mut stream, status, rest.len(), half).await,
        Wrong::AlwaysBreaksOff => reply(&mut stream, status, rest.len(), half).await,
        Wrong::SaysTooMuch => reply(&mut stream, status, rest.len() + 10, rest).await,
        Wrong::SendsMore => {
            let more = [rest, b"more"].concat();
            reply(&mut stream, status, more.len(), &more).await
        }
        Wrong::SendsOther => {
            let other = vec![b'y'; rest.len()];
            reply(&mut stream, status, other.len(), &other).await
        }
        _ => reply(&mut stream, status, rest.len(), rest).await,
    }
}

async fn reply(stream: &mut TcpStream, status: &str, length: usize, body: &[u8]) -> Option<()> {
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body).await.ok()
}

async fn pull(wrong: Wrong) -> (Result<Image, Error>, Bed, Arc<Site>) {
    let (bed, (address, site)) = (Bed::new(), serve(wrong).await);
    let reference: Reference = format!("{address}/a/b:1").parse().unwrap();
    let registries = bed.registries(&address);
    let pulled = registries.pull(&reference, &Credentials::Nobody, &bed.content).await;
    (pulled, bed, site)
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let (pulled, bed, site) = pull(Wrong::BreaksOff).await;
    let image = pulled.unwrap();
    assert_eq!(site.asked.load(Ordering::SeqCst), 3);
    image.unpack(&bed.content).await.unwrap();
    pull(Wrong::Nothing).await.0.unwrap();
    // All of it came, whatever was announced: its digest says so.
    pull(Wrong::SaysTooMuch).await.0.unwrap();
}

#[tokio::test]
async fn two_that_want_the_same_layer_fetch_it_once() {
    let (bed, (address, site)) = (Bed::new(), serve(Wrong::BreaksOff).await);
    let registries = bed.registries(&address);
    let nobody = Credentials::Nobody;
    let names = ["a/b:1", "a/b:2", "c/d:1"].map(|name| format!("{address}/{name}"));
    let references = names.map(|name| name.parse::<Reference>().unwrap());
    let pulls = references.each_ref().map(|to| registries.pull(to, &nobody, &bed.content));
    let images = futures::future::try_join_all(pulls).await.unwrap();
    assert_eq!(images.len(), 3);
    assert_eq!(site.asked.load(Ordering::SeqCst), 3, "twice it broke off");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_kept() {
    let cases = [
        (Wrong::Stalls, true, "for too long"),
        (Wrong::AlwaysBreaksOff, true, "broke off"),
        (Wrong::SendsMore, false, "sends more"),
        (Wrong::SendsOther, false, "was asked for"),
        (Wrong::Fails, true, "500"),
        (Wrong::SendsEndlessManifest, false, "document of more than"),
    ];
    let pulls = cases.map(async |(wrong, passing, words)| {
        let (pulled, bed, _) = pull(wrong).await;
        let error = pulled.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words) && error.is_passing() == passing, "{wrong:?}: {text}");
        let blobs = std::fs::read_dir(bed.path("content/blobs/sha256")).unwrap().count();
        let half = std::fs::read_dir(bed.path("content/new")).unwrap().count();
        assert_eq!((blobs, half), (0, 0), "{wrong:?}");
    });
    futures::future::join_all(pulls).await;
}
