//! How a cluster is reached: a kubeconfig, or what every pod has.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_driver::Result;
use dispatch_driver::engine_type::refused;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::exec::Plugin;

/// Where a pod finds its own account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long a token that was read from a file is taken for the file's content.
const FRESH: Duration = Duration::from_secs(60);
/// Longest time to a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Everything that is needed to speak to one cluster.
pub struct Access {
    /// Without a slash at its end.
    pub server: String,
    /// Namespace of the context, or of the pod.
    pub namespace: Option<String>,
    /// For its API.
    pub client: reqwest::Client,
    /// For calls through the API server, each on a connection of its own.
    pub caller: reqwest::Client,
    credential: Credential,
}

enum Credential {
    /// A client's certificate, or nothing.
    OfConnection,
    Fixed(HeaderValue),
    File(PathBuf, Mutex<Option<(Instant, HeaderValue)>>),
    Plugin(Plugin),
}

impl Access {
    /// Of a kubeconfig's text; files and programs it names lie beside `folder`. Without one it may
    /// name none: who writes a secret is not who may read the server's files.
    pub fn of_kubeconfig(text: &str, folder: Option<&Path>, context: Option<&str>) -> Result<Self> {
        let config: Kubeconfig = serde_saphyr::from_str(text).map_err(|error| unread(&error))?;
        let wanted = context.unwrap_or(&config.current_context);
        let context = find(&config.contexts, "context", wanted)?;
        let cluster = &find(&config.clusters, "cluster", &context.context.cluster)?.cluster;
        let user = match context.context.user.as_str() {
            "" => &User::default(),
            name => &find(&config.users, "user", name)?.user,
        };
        let (client, caller) = clients(cluster, user, folder)?;
        let credential = credential(user, folder)?;
        let server = cluster.server.trim_end_matches('/').to_owned();
        let namespace = context.context.namespace.clone();
        Ok(Self { server, namespace, client, caller, credential })
    }

    /// Of the pod that this process runs in.
    pub fn of_pod() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let (host, port) = variable("KUBERNETES_SERVICE_HOST")
            .zip(variable("KUBERNETES_SERVICE_PORT"))
            .ok_or_else(|| {
                refused("this server runs in no pod: set kubeconfigFile or the secret kubeconfig")
            })?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let folder = Path::new(ACCOUNT);
        let cluster = Cluster {
            server: format!("https://{host}:{port}"),
            certificate_authority: Some("ca.crt".to_owned()),
            ..Cluster::default()
        };
        let user = User { token_file: Some("token".to_owned()), ..User::default() };
        let (client, caller) = clients(&cluster, &user, Some(folder))?;
        let namespace = std::fs::read_to_string(folder.join("namespace")).ok();
        let credential = credential(&user, Some(folder))?;
        Ok(Self { server: cluster.server, namespace, client, caller, credential })
    }

    /// The `Authorization` of a request now.
    ///
    /// # Errors
    /// When a file or program does not give it.
    pub async fn authorization(&self) -> std::result::Result<Option<HeaderValue>, String> {
        match &self.credential {
            Credential::OfConnection => Ok(None),
            Credential::Fixed(header) => Ok(Some(header.clone())),
            Credential::Plugin(plugin) => plugin.authorization().await.map(Some),
            Credential::File(file, known) => {
                let kept = known.lock().expect("no panic holds it").clone();
                if let Some((_, header)) = kept.filter(|(since, _)| since.elapsed() < FRESH) {
                    return Ok(Some(header));
                }
                let shown = file.display();
                let text = tokio::fs::read_to_string(file).await;
                let text = text.map_err(|error| format!("the token file {shown}: {error}"))?;
                let header = bearer(text.trim()).ok_or_else(|| {
                    format!("the token file {shown} has characters no token can have")
                })?;
                *known.lock().expect("no panic holds it") = Some((Instant::now(), header.clone()));
                Ok(Some(header))
            }
        }
    }
}

impl Access {
    /// The API does not take the `Authorization` of a request. True: there may be another one now.
    pub fn refused(&self, used: &HeaderValue) -> bool {
        match &self.credential {
            Credential::Plugin(plugin) => plugin.refused(used),
            _ => false,
        }
    }
}

/// The header of a token; it is never shown.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Where it cannot be read. An error's own words quote what is there, which may be a token.
fn unread(error: &serde_saphyr::Error) -> dispatch_driver::Error {
    let place =
        error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    let place = place.unwrap_or_default();
    refused(format!("the kubeconfig cannot be read: it is no YAML of a kubeconfig{place}"))
}

/// The folder of what a kubeconfig names.
fn beside<'a>(folder: Option<&'a Path>, what: &str) -> Result<&'a Path> {
    folder.ok_or_else(|| {
        refused(format!(
            "the secret kubeconfig has {what}, which is of the server's machine: write what it \
             holds or gives into the secret, or use kubeconfigFile"
        ))
    })
}

fn credential(user: &User, folder: Option<&Path>) -> Result<Credential> {
    let unreadable = || refused("a token or password of the kubeconfig cannot be in a header");
    if user.auth_provider.is_some() {
        return Err(refused("auth-provider of the kubeconfig is of the past: use exec"));
    }
    if let Some(exec) = &user.exec {
        return Ok(Credential::Plugin(Plugin::new(exec.clone(), beside(folder, "exec")?)));
    }
    if let Some(file) = &user.token_file {
        let file = beside(folder, "tokenFile")?.join(file);
        return Ok(Credential::File(file, Mutex::default()));
    }
    if let Some(token) = &user.token {
        return Ok(Credential::Fixed(bearer(token).ok_or_else(unreadable)?));
    }
    let Some((name, password)) = user.username.as_ref().zip(user.password.as_ref()) else {
        return Ok(Credential::OfConnection);
    };
    let both = STANDARD.encode(format!("{name}:{password}"));
    let mut header = HeaderValue::from_str(&format!("Basic {both}")).map_err(|_| unreadable())?;
    header.set_sensitive(true);
    Ok(Credential::Fixed(header))
}

fn clients(cluster: &Cluster, user: &User, folder: Option<&Path>) -> Result<(Client, Client)> {
    if cluster.tls_server_name.is_some() {
        return Err(refused("tls-server-name of the kubeconfig is not supported: name the server"));
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(cluster.insecure_skip_tls_verify);
    let mut plain = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(cluster.insecure_skip_tls_verify);
    let authority = (&cluster.certificate_authority_data, &cluster.certificate_authority);
    if let Some(pem) = content("certificate-authority", authority, folder)? {
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| refused(format!("certificate-authority: {error}")))?;
        builder = builder.tls_certs_only(authorities.clone());
        plain = plain.tls_certs_only(authorities);
    }
    let certificate = (&user.client_certificate_data, &user.client_certificate);
    let key = (&user.client_key_data, &user.client_key);
    let certificate = content("client-certificate", certificate, folder)?;
    if let Some((mut pem, key)) = certificate.zip(content("client-key", key, folder)?) {
        pem.push(b'\n');
        pem.extend(key);
        let identity = reqwest::Identity::from_pem(&pem)
            .map_err(|error| refused(format!("client-certificate and client-key: {error}")))?;
        builder = builder.identity(identity.clone());
        plain = plain.identity(identity);
    }
    if let Some(proxy) = &cluster.proxy_url {
        let proxy = reqwest::Proxy::all(proxy)
            .map_err(|error| refused(format!("proxy-url of the kubeconfig: {error}")))?;
        builder = builder.proxy(proxy.clone());
        plain = plain.proxy(proxy);
    }
    let build = |builder: reqwest::ClientBuilder| {
        builder.build().map_err(|error| refused(format!("the kubeconfig's cluster: {error}")))
    };
    Ok((build(builder)?, build(plain)?))
}

/// What a field says itself, in base 64, or the file it names.
fn content(
    name: &str,
    (data, file): (&Option<String>, &Option<String>),
    folder: Option<&Path>,
) -> Result<Option<Vec<u8>>> {
    if let Some(data) = data.as_ref().filter(|data| !data.is_empty()) {
        let decoded = STANDARD.decode(data.split_whitespace().collect::<String>());
        return decoded.map(Some).map_err(|_| refused(format!("{name}-data is not base 64")));
    }
    let Some(file) = file.as_ref().filter(|file| !file.is_empty()) else { return Ok(None) };
    let file = beside(folder, name)?.join(file);
    let read = std::fs::read(&file);
    read.map(Some).map_err(|error| refused(format!("{name} {}: {error}", file.display())))
}

fn find<'a, T: Named>(all: &'a [T], what: &str, wanted: &str) -> Result<&'a T> {
    all.iter().find(|entry| entry.name() == wanted).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(Named::name).collect();
        let names = names.join(", ");
        refused(format!("the kubeconfig has no {what} {wanted:?}, but: {names}"))
    })
}

type Client = reqwest::Client;

trait Named {
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($type:ident { $field:ident: $inner:ty })*) => { $(
        #[derive(Deserialize)]
        struct $type { name: String, #[serde(default)] $field: $inner }

        impl Named for $type {
            fn name(&self) -> &str {
                &self.name
            }
        }
    )* };
}

named! {
    NamedCluster { cluster: Cluster }
    NamedContext { context: Context }
    NamedUser { user: User }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Context {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    username: Option<String>,
    password: Option<String>,
    exec: Option<super::exec::Exec>,
    auth_provider: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests;
