//! Outgoing HTTP of a guest: one connection for each request, to an address egress allows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dispatch_driver::{Error as DriverError, Result as DriverResult};
use dispatch_model::code;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpHooks};

use super::egress::Egress;
use crate::egress::CONNECT;

type Body = UnsyncBoxBody<Bytes, Error>;
type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// Whom TLS connections trust.
pub type Trust = Arc<ClientConfig>;

/// Whom guests' TLS connections trust: whom the machine trusts, and whom the configuration names.
pub struct Tls {
    named: Vec<CertificateDer<'static>>,
    /// Made when the first function needs it: the machine's certificates are many.
    trust: OnceCell<Trust>,
}

impl Tls {
    /// # Errors
    /// When the file cannot be read or holds no certificate; an empty path is no file.
    pub fn new(ca_file: &Path) -> DriverResult<Self> {
        let mut named = Vec::new();
        if !ca_file.as_os_str().is_empty() {
            let read = CertificateDer::pem_file_iter(ca_file);
            let read = read.and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
            let wrong = |why: String| {
                let text = format!("wasm.ca_file {}: {why}", ca_file.display());
                DriverError::ours(code::ENGINE006, text)
            };
            named = read.map_err(|e| wrong(e.to_string()))?;
            if named.is_empty() {
                return Err(wrong("it holds no certificate in PEM".to_owned()));
            }
        }
        Ok(Self { named, trust: OnceCell::new() })
    }

    pub async fn trust(&self) -> DriverResult<Trust> {
        let read = || async {
            let named = self.named.clone();
            let read = tokio::task::spawn_blocking(move || {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots.add_parsable_certificates(named);
                client_config(roots)
            });
            read.await.map_err(|e| DriverError::ours(code::ENGINE006, e.to_string()))
        };
        self.trust.get_or_try_init(read).await.cloned()
    }
}

fn client_config(roots: RootCertStore) -> Trust {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the default versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

impl WasiHttpHooks for Egress {
    fn send_request(
        &mut self,
        request: Request<Body>,
        options: Option<RequestOptions>,
        _sent: Io,
    ) -> Box<dyn Future<Output = Result<(Response<Body>, Io), Error>> + Send> {
        let egress = self.clone();
        Box::new(async move { send(&egress, request, options.unwrap_or_default()).await })
    }
}

async fn send(
    egress: &Egress,
    mut request: Request<Body>,
    options: RequestOptions,
) -> Result<(Response<Body>, Io), Error> {
    let uri = request.uri();
    let https = uri.scheme() == Some(&Scheme::HTTPS);
    let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?.to_owned();
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(path).map_err(|_| Error::HttpRequestUriInvalid)?;

    let connect = async {
        let tcp = egress.connect(&host, port).await?;
        let _ = tcp.set_nodelay(true);
        Ok(match &egress.tls {
            Some(tls) if https => Connection::Tls(Box::new(handshake(tls, &host, tcp).await?)),
            _ if https => return Err(Error::TlsProtocolError),
            _ => Connection::Tcp(tcp),
        })
    };
    // Unless the guest asks for less. The call's own deadline ends everything else.
    let limit = options.connect_timeout.unwrap_or(CONNECT).min(CONNECT);
    let connected = tokio::time::timeout(limit, connect).await;
    match connected.map_err(|_| Error::ConnectionTimeout)?? {
        Connection::Tcp(stream) => exchange(stream, request, options).await,
        Connection::Tls(stream) => exchange(stream, request, options).await,
    }
}

enum Connection {
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn handshake(
    tls: &Trust,
    host: &str,
    tcp: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| Error::HttpRequestUriInvalid)?;
    TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(Error::Tls)
}

async fn exchange<S>(
    stream: S,
    request: Request<Body>,
    options: RequestOptions,
) -> Result<(Response<Body>, Io), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = Box::pin(connection);
    let sent = sender.send_request(request);
    let first_byte = options.first_byte_timeout.unwrap_or(Duration::MAX);
    let exchanged = async {
        tokio::select! {
            response = sent => response.map_err(Error::Hyper),
            // A connection that ends before the response failed, or was closed on us.
            ended = &mut connection => {
                ended?;
                Err(Error::ConnectionTerminated)
            }
        }
    };
    let response = tokio::time::timeout(first_byte, exchanged)
        .await
        .map_err(|_| Error::ConnectionReadTimeout)??;
    let response = response.map(|body| body.map_err(Error::Hyper).boxed_unsync());
    let io: Io = Box::new(async move { connection.await.map_err(Error::Hyper) });
    Ok((response, io))
}
