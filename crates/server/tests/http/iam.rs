//! A server where everybody signs in, and who there is: the bootstrap user, and accounts of the
//! organizations acme and other, all with one key.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatch_testkit::{Answer, Database, Options, Server, send};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub const PRIVATE: &str = include_str!("../../src/authn/tests/private.pem");
const PUBLIC: &str = include_str!("../../src/authn/tests/public.pem");

/// The user who may work on iam before there is anybody else.
pub const BOOT: &str = "boot";

pub fn public_key() -> String {
    STANDARD.encode(PUBLIC)
}

/// A token that lives so long.
pub fn token(issuer: &str, seconds: i64) -> String {
    let key = EncodingKey::from_rsa_pem(PRIVATE.as_bytes()).unwrap();
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
    let claims = json!({"iss": issuer, "iat": now - 60, "exp": now + seconds});
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

pub fn rule(subject: &str, actions: &[&str], resources: &[&str]) -> Value {
    json!({"subjects": [subject], "actions": actions, "resources": resources})
}

/// Of a server where everybody signs in.
pub fn settings(more: &str) -> String {
    format!(
        "[bootstrap]\nuser = \"{BOOT}\"\npublic_key = \"{}\"\n\
         [auth]\nmode = \"required\"\n{more}",
        public_key()
    )
}

pub struct Iam {
    pub server: Server,
    tokens: Mutex<HashMap<String, String>>,
}

impl Iam {
    /// The accounts acme/admin, who may do everything everywhere, acme/one, acme/rest and
    /// acme/denied, who may do nothing, and other/eve, who may do everything in her own
    /// organization.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same with more settings of `[auth]`, and what may follow them.
    pub async fn start_with(more: &str) -> Self {
        Self::start_on(Database::chosen().await, more).await
    }

    pub async fn start_on(database: Database, more: &str) -> Self {
        let options = Options { settings: settings(more) };
        let server = Server::start_on(database, options).await;
        let iam = Self { server, tokens: Mutex::default() };
        for org in ["acme", "other"] {
            let made = json!({"name": org});
            iam.call(BOOT, None, Method::POST, "/v1/iam/organization", &made).await.expect(201);
        }
        for account in ["acme/admin", "acme/one", "acme/rest", "acme/denied", "other/eve"] {
            iam.account(account).await;
        }
        iam.policy("acme", "admin", true, json!([rule("admin", &["*"], &["*"])])).await;
        iam.policy("other", "eve", false, json!([rule("eve", &["*"], &["*"])])).await;
        iam
    }

    pub async fn account(&self, issuer: &str) {
        let (org, name) = issuer.split_once('/').unwrap();
        let body = json!({"name": name, "publicKey": public_key()});
        let path = "/v1/iam/serviceaccount";
        self.call(BOOT, Some(org), Method::POST, path, &body).await.expect(201);
    }

    /// Makes a policy, or makes it another one.
    pub async fn policy(&self, org: &str, name: &str, global: bool, rules: Value) {
        let body = json!({"name": name, "global": global, "rules": rules});
        let path = format!("/v1/iam/policy/{name}");
        let put = self.call(BOOT, Some(org), Method::PUT, &path, &body).await;
        if put.status == 404 {
            let path = "/v1/iam/policy";
            self.call(BOOT, Some(org), Method::POST, path, &body).await.expect(201);
        } else {
            put.expect(200);
        }
    }

    /// A request that is not sent yet; of nobody without an issuer.
    pub fn request(&self, issuer: &str, method: Method, path: &str) -> RequestBuilder {
        let request = self.server.request(method, path);
        if issuer.is_empty() {
            return request;
        }
        let mut tokens = self.tokens.lock().unwrap();
        let token = tokens.entry(issuer.to_owned()).or_insert_with(|| token(issuer, 3_600));
        request.bearer_auth(token)
    }

    pub async fn call(
        &self,
        issuer: &str,
        org: Option<&str>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let mut request = self.request(issuer, method.clone(), path);
        if let Some(org) = org {
            request = request.header("x-dispatch-org", org);
        }
        if matches!(method, Method::POST | Method::PUT) {
            request = request.json(body);
        }
        send(request).await
    }
}
