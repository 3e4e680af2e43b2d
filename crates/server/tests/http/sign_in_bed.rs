//! A server with identity providers, and people who sign in with them.

use std::sync::{Arc, Mutex, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_systems::identity::Browser;
use dispatch_systems::identity::browser::Page;
use dispatch_systems::identity::directory::{self, Directory};
use dispatch_systems::identity::oidc_provider::{ANN, BASIC, OidcProvider};
use dispatch_systems::identity::token_forge::TokenForge;
use dispatch_systems::programs::free_address;
use dispatch_testkit::{Answer, Database, send};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::iam::{Iam, settings};
use crate::isolation::no_secret_is_in_the_log;

/// Where a command waits, as browsers of tests see it: they go nowhere but to 127.0.0.1.
pub const CATCHER: &str = "http://localhost:1/catcher";
/// A verifier and its challenge (RFC 7636, appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

static DIRECTORY: Mutex<Weak<Directory>> = Mutex::new(Weak::new());
static FORGE: Mutex<Weak<TokenForge>> = Mutex::new(Weak::new());

/// One for all tests that run together.
fn shared<T>(held: &Mutex<Weak<T>>, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
    let mut held = held.lock().unwrap();
    if let Some(running) = held.upgrade() {
        return Some(running);
    }
    let started = Arc::new(start()?);
    *held = Arc::downgrade(&started);
    Some(started)
}

pub fn forge() -> Option<Arc<TokenForge>> {
    shared(&FORGE, TokenForge::start)
}

pub struct Bed {
    pub iam: Iam,
    pub url: String,
    settings: String,
    _folder: TempDir,
    _provider: Option<OidcProvider>,
    _directory: Option<Arc<Directory>>,
    _forge: Option<Arc<TokenForge>>,
}

/// What there is beside one OpenID provider, `corp`.
#[derive(Default)]
pub struct With {
    pub directory: bool,
    /// An issuer of tokens, `builds`, and one that nobody reaches, `gone`.
    pub forge: bool,
    /// The one that is chosen for all tests, if none is given.
    pub database: Option<Database>,
    /// More of `[auth]`.
    pub settings: &'static str,
}

impl Bed {
    /// Ann of `corp` is a member of acme, in the group developers, and of other.
    pub async fn start() -> Option<Self> {
        Self::with(With::default()).await
    }

    pub async fn with(with: With) -> Option<Self> {
        no_secret_is_in_the_log();
        let api = free_address();
        let url = format!("http://{api}");
        let back = format!("{url}/v1/iam/oauth2/callback");
        let provider = OidcProvider::start_for(&[&back])?;
        let directory = match with.directory {
            true => Some(shared(&DIRECTORY, Directory::start)?),
            false => None,
        };
        let forge = if with.forge { Some(forge()?) } else { None };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("providers.toml");
        let mut text = corp(provider.issuer());
        text += &directory.as_deref().map(books).unwrap_or_default();
        if let Some(forge) = &forge {
            for (name, issuer) in [("builds", forge.issuer()), ("gone", "http://127.0.0.1:1")] {
                text +=
                    &format!("[{name}]\ntype = \"oidc\"\nsettings = {{ issuer = \"{issuer}\" }}\n");
            }
        }
        std::fs::write(&file, text).unwrap();
        // Servers that share a database are given their key.
        let key = STANDARD.encode([7; 32]);
        let settings = format!(
            "providers_file = \"{}\"\n{}\n[seal]\nroot_key = \"{key}\"\n",
            file.display(),
            with.settings
        );
        let database = match with.database {
            Some(database) => database,
            None => Database::chosen().await,
        };
        let iam = format!("{settings}[api]\nlisten = \"{api}\"\n");
        let iam = Iam::start_on(database, &iam).await;
        let group = json!([{"subjects": ["group:developers"],
            "actions": ["get"], "resources": ["function"]}]);
        iam.policy("acme", "developers", false, group).await;
        Some(Self {
            iam,
            url,
            settings,
            _folder: folder,
            _provider: Some(provider),
            _directory: directory,
            _forge: forge,
        })
    }

    /// Settings of another server on the same database.
    pub fn settings_of_another(&self) -> String {
        settings(&self.settings)
    }

    /// Lets nobody reach `corp` any more.
    pub fn stop_corp(&mut self) {
        self._provider = None;
    }

    pub fn start_url(&self, query: &str) -> String {
        format!("{}/v1/iam/oauth2/start?{query}", self.url)
    }

    /// A request with a session's token.
    pub async fn by(&self, token: &str, org: &str, method: Method, path: &str) -> Answer {
        let request = self.iam.server.request(method, path).bearer_auth(token);
        let request = if org.is_empty() { request } else { request.header("x-dispatch-org", org) };
        send(request).await
    }

    pub async fn sign_in(&self, body: Value) -> Answer {
        self.iam.server.post("/v1/iam/session", body).await
    }

    /// Somebody signs in by a browser for a command; returns what the command is sent.
    pub async fn command(&self, browser: &Browser, who: &str) -> Page {
        let query = format!(
            "provider=corp&redirect={CATCHER}&code_challenge={CHALLENGE}&state=of-the-command"
        );
        let page = browser.open(&self.start_url(&query)).await;
        agree(browser, page, who).await
    }

    /// A session of ann.
    pub async fn ann(&self) -> (String, Value) {
        self.session_of(ANN).await
    }

    pub async fn session_of(&self, who: &str) -> (String, Value) {
        let left = self.command(&Browser::new(), who).await.left();
        let body = json!({"code": left["code"], "verifier": VERIFIER});
        let answer = self.sign_in(body).await.expect(201).json();
        (answer["token"].as_str().unwrap().to_owned(), answer["session"].clone())
    }
}

/// Somebody types a name and a password in the provider's pages, and agrees.
pub async fn agree(browser: &Browser, page: Page, who: &str) -> Page {
    let page = browser.send(&page, &[("login", who), ("password", "any")]).await;
    browser.send(&page, &[]).await
}

fn corp(issuer: &str) -> String {
    let (client, secret) = BASIC;
    format!(
        r#"
[corp]
type = "oidc"
title = "Corp"
[corp.settings]
issuer = "{issuer}"
clientId = "{client}"
scopes = ["openid", "profile", "email", "groups", "offline_access"]
[corp.secrets]
clientSecret = "{secret}"
[[corp.rules]]
organization = "acme"
claims = {{ groups = ["developers"] }}
groups = ["dev*"]
join = ["staff"]
[[corp.rules]]
organization = "other"
claims = {{ email = ["ann@*", "bob@*"] }}
groups = []
[[corp.rules]]
organization = "nowhere"
claims = {{ sub = ["carol"] }}
"#
    )
}

fn books(directory: &Directory) -> String {
    format!(
        r#"
[books]
type = "ldap"
title = "Books"
[books.settings]
url = "{}"
caFile = "{}"
baseDn = "{}"
bindDn = "{}"
[books.secrets]
bindPassword = "{}"
[[books.rules]]
organization = "acme"
claims = {{ groups = ["posix"] }}
"#,
        directory.secure,
        directory.authority.display(),
        directory::BASE,
        directory::SERVICE,
        directory::PASSWORD,
    )
}

/// Fails when the database or its files hold one of these, or the log what is secret.
pub fn nothing_of(bed: &Bed, secrets: &[&str]) {
    no_secret_is_in_the_log();
    for entry in std::fs::read_dir(bed.iam.server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}
