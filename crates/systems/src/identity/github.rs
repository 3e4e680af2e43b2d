//! A stand-in for GitHub, written from its public documents: no package carries it. It speaks the
//! OAuth endpoints of browsers and devices, and what the REST API tells of a token's owner.

mod api;
mod oauth;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const CLIENT: &str = "Iv1.dispatch";
pub const SECRET: &str = "a-secret-of-github";
/// Seconds between two polls of a device.
const INTERVAL_S: u64 = 1;

/// A running stand-in; ended when dropped.
pub struct Github {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

/// What was given to whom.
#[derive(Default)]
struct Given {
    codes: HashMap<String, Code>,
    devices: HashMap<String, Device>,
    /// Access tokens, and whose they are with which scopes.
    tokens: HashMap<String, (String, String)>,
    refresh_tokens: HashMap<String, String>,
}

struct Code {
    login: String,
    scope: String,
    redirect_uri: String,
    challenge: String,
}

struct Device {
    user_code: String,
    scope: String,
    login: Option<String>,
    polled: Option<Instant>,
}

struct State {
    base: String,
    given: Mutex<Given>,
    people: Vec<Person>,
    /// Paths that were asked for.
    asked: Mutex<Vec<String>>,
}

/// Somebody who has an account there.
#[derive(Clone)]
pub struct Person {
    pub login: &'static str,
    pub id: u64,
    /// Address, whether primary, whether verified.
    pub emails: &'static [(&'static str, bool, bool)],
    pub organizations: Vec<String>,
    /// Organization and slug.
    pub teams: Vec<(String, String)>,
}

impl Github {
    pub async fn start(people: Vec<Person>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let address = listener.local_addr().expect("it has an address");
        let base = format!("http://{address}");
        let state =
            Arc::new(State { base, given: Mutex::default(), people, asked: Mutex::default() });
        let app = Router::new()
            .route("/login/oauth/authorize", get(oauth::authorize))
            .route("/login/oauth/access_token", post(oauth::token))
            .route("/login/device/code", post(oauth::device))
            .route("/api/v3/meta", get(async || "{}"))
            .route("/api/v3/user", get(api::user))
            .route("/api/v3/user/emails", get(api::emails))
            .route("/api/v3/user/orgs", get(api::organizations))
            .route("/api/v3/user/teams", get(api::teams))
            .with_state(state.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Self { address, state, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Somebody types a device's code and agrees.
    pub fn approve(&self, user_code: &str, login: &str) {
        let mut given = self.state.given();
        let device = given.devices.values_mut().find(|device| device.user_code == user_code);
        device.expect("such a code").login = Some(login.to_owned());
    }

    /// Takes back everything that was given.
    pub fn revoke_all(&self) {
        *self.state.given() = Given::default();
    }

    /// Different paths that were asked for, with their queries.
    pub fn asked(&self) -> HashSet<String> {
        self.state.asked.lock().expect("nobody panics with it").iter().cloned().collect()
    }
}

impl Drop for Github {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl State {
    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().expect("nobody panics with it")
    }
}

fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
