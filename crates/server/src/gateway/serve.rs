//! Listeners and connections.

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Gateway;

/// Bytes of a request's head. In HTTP/1 it is looked at after each read, so the last may exceed it.
const MAX_HEAD: usize = 64 << 10;
/// Requests at the same time on one connection of HTTP/2.
const MAX_STREAMS: u32 = 250;
/// How often an idle client of HTTP/2 is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

impl Gateway {
    /// Serves both listeners until `stop`, and then lets requests under way finish.
    pub async fn serve(
        self: Arc<Self>,
        http: TcpListener,
        https: TcpListener,
        stop: CancellationToken,
    ) {
        let connections = Arc::new(Semaphore::new(self.settings.max_connections));
        let tls = TlsAcceptor::from(self.certificates.server_config());
        let tasks = TaskTracker::new();
        let plain = self.clone().accept(http, None, &connections, &tasks, &stop);
        let secure = self.clone().accept(https, Some(tls), &connections, &tasks, &stop);
        tokio::join!(plain, secure);
        tasks.close();
        tasks.wait().await;
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        connections: &Arc<Semaphore>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, mostly: give the connections there are time to end.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = connections.clone().acquire_owned() => permit,
            };
            let permit = permit.expect("the semaphore is never closed");
            let (gateway, tls, stop) = (self.clone(), tls.clone(), stop.clone());
            tasks.spawn(async move {
                gateway.connection(stream, tls, stop).await;
                drop(permit);
            });
        }
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
    ) {
        // Without it small answers wait for the client's acknowledgement; nothing else depends.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.http1(TokioIo::new(stream), false, stop).await;
        };
        let handshake = tokio::time::timeout(self.settings.read_timeout(), tls.accept(stream));
        let Ok(Ok(stream)) = handshake.await else { return };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(TokioIo::new(stream), stop).await;
        } else {
            self.http1(TokioIo::new(stream), true, stop).await;
        }
    }

    async fn http1<I>(self: Arc<Self>, io: I, https: bool, stop: CancellationToken)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.read_timeout())
            .max_headers(self.settings.max_headers)
            .max_buf_size(MAX_HEAD);
        let service = service_fn(|request| self.clone().answer(request, https));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        tokio::select! {
            // A connection that breaks is its client's affair.
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn http2<I>(self: Arc<Self>, io: I, stop: CancellationToken)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .max_header_list_size(MAX_HEAD as u32)
            .max_concurrent_streams(MAX_STREAMS);
        let service = service_fn(|request| self.clone().answer(request, true));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}
