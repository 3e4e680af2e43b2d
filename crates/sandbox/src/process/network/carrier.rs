//! Carries a worker's connections to the hosts its function names.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::watched::Watched;
use super::{Network, PROXY, proxy};
use crate::egress::Refusal;

/// Pause when no connection can be accepted, because descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For each worker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_connections: usize,
    /// After so long without a byte either way a connection is closed.
    pub idle: Duration,
}

/// Serves one worker's listeners; everything it carries ends when it is dropped.
#[derive(Debug)]
pub struct Carrier {
    _listeners: JoinSet<()>,
}

/// What one connection is served with.
#[derive(Clone)]
struct Service {
    network: Arc<Network>,
    limits: Limits,
    /// One permit for each connection there may be; more wait to be accepted.
    places: Arc<Semaphore>,
}

impl Carrier {
    pub fn start(
        network: &Arc<Network>,
        listeners: Vec<OwnedFd>,
        limits: Limits,
    ) -> io::Result<Self> {
        let places = Arc::new(Semaphore::new(limits.max_connections));
        let service = Service { network: network.clone(), limits, places };
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let listener = std::net::TcpListener::from(listener);
            listener.set_nonblocking(true)?;
            tasks.spawn(accept(TcpListener::from_std(listener)?, service.clone()));
        }
        Ok(Self { _listeners: tasks })
    }
}

async fn accept(listener: TcpListener, service: Service) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = service.places.clone().acquire_owned().await else { return };
        while open.try_join_next().is_some() {}
        let service = service.clone();
        open.spawn(async move {
            let _place = place;
            if let Err(refusal) = service.serve(stream).await {
                tracing::debug!(%refusal, "a function's connection was refused");
            }
        });
    }
}

impl Service {
    async fn serve(&self, stream: TcpStream) -> Result<(), Refusal> {
        let Ok(place) = stream.local_addr() else { return Ok(()) };
        let _ = stream.set_nodelay(true);
        if place == PROXY && self.network.has_proxy {
            let (stream, used) = Watched::new(stream);
            tokio::select! {
                () = proxy::serve(stream, &self.network) => {}
                () = used.silence(self.limits.idle) => {}
            }
            return Ok(());
        }
        let connected = match self.network.routes.get(&place) {
            Some((host, port)) => self.network.egress.connect(host, *port).await,
            None => Err(Refusal::NotNamed(place.to_string())),
        };
        let mut host = match connected {
            Ok(host) => host,
            Err(refusal) => {
                // Resets the connection, as a machine does on which nobody listens.
                let _ = stream.set_zero_linger();
                return Err(refusal);
            }
        };
        let _ = host.set_nodelay(true);
        let (mut stream, used) = Watched::new(stream);
        tokio::select! {
            // Whichever side failed, both are closed.
            _ = tokio::io::copy_bidirectional(&mut stream, &mut host) => {}
            () = used.silence(self.limits.idle) => {}
        }
        Ok(())
    }
}
