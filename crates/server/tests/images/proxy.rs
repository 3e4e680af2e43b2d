//! A proxy between builds and the mirror, which counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dispatch_systems::debian::Debian;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What apt asks for first of all, once each time it updates its lists.
const FIRST_ASKED: &[u8] = b"/InRelease ";

pub struct Proxy {
    /// `127.0.0.1:PORT`.
    pub address: String,
    updates: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// None, plainly said, where the mirror speaks TLS and no other proxy is there to ask: this
    /// one carries bytes, and servers understand what is meant for a proxy.
    pub async fn start(debian: &Debian) -> Option<Self> {
        let Some(behind) = debian.plain() else {
            println!("could not run: this machine's mirror speaks TLS, which cannot be counted");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address").to_string();
        let (updates, connections) = (Arc::default(), Arc::default());
        let proxy = Self { address, updates: Arc::clone(&updates), connections };
        let connections = Arc::clone(&proxy.connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (updates, behind) = (Arc::clone(&updates), behind.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(&behind).await {
                        carry(client, server, &updates).await;
                    }
                });
            }
        });
        Some(proxy)
    }

    /// How often apt updated its lists, and how often anybody connected.
    pub fn asked(&self) -> (usize, usize) {
        (self.updates.load(Ordering::SeqCst), self.connections.load(Ordering::SeqCst))
    }
}

async fn carry(client: TcpStream, server: TcpStream, updates: &AtomicUsize) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asks = async {
        let mut part = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from_client.read(&mut part).await {
            let asked = part[..length].windows(FIRST_ASKED.len());
            updates.fetch_add(asked.filter(|w| *w == FIRST_ASKED).count(), Ordering::SeqCst);
            if to_server.write_all(&part[..length]).await.is_err() {
                break;
            }
        }
        // An error: the server has gone already.
        let _ = to_server.shutdown().await;
    };
    let answers = async {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(asks, answers);
}
