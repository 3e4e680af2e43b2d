//! One suite over SQLite and PostgreSQL: every test runs on both.

mod suite {
    pub mod audit;
    pub mod changes;
    pub mod content;
    pub mod faults;
    pub mod organizations;
    pub mod queue;
    pub mod quotas;
    pub mod resources;
    pub mod runs;
    pub mod secrets;
    pub mod usage;
}

use dispatch_model::function::{Function, FunctionSpec};
use dispatch_model::{Name, OrgName, Resource, Run, State, Tags};
use dispatch_store::testing::postgres;
use dispatch_store::{Options, Store};
use uuid::Uuid;

/// A store under test with what keeps it alive.
struct Subject {
    store: Store,
    url: String,
    _folder: Option<tempfile::TempDir>,
}

async fn subjects() -> Vec<Subject> {
    subjects_with(Options::default()).await
}

async fn subjects_with(options: Options) -> Vec<Subject> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/test.db", folder.path().display());
    let store = Store::open(&url, options.clone()).await.unwrap();
    let mut all = vec![Subject { store, url, _folder: Some(folder) }];
    if let Some(server) = postgres() {
        let url = server.database().await;
        let store = Store::open(&url, options).await.unwrap();
        all.push(Subject { store, url, _folder: None });
    }
    all
}

/// Declares a test that runs its body on every kind of store.
#[macro_export]
macro_rules! on_both {
    ($name:ident, |$store:ident| $body:block) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for subject in $crate::subjects().await {
                let $store = subject.store.clone();
                $body
                $store.close().await;
            }
        }
    };
}

fn org(name: &str) -> OrgName {
    OrgName::new(name).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn function(in_org: &str, called: &str) -> Resource<Function> {
    let spec = FunctionSpec { image: "python3".into(), ..FunctionSpec::default() };
    Resource::new(org(in_org), name(called), Tags::new(), State::Initialized, spec)
}

fn run_of(in_org: &str, called: &str) -> Run {
    Run {
        id: Uuid::now_v7(),
        org: org(in_org),
        function_name: name(called),
        function_id: Uuid::nil(),
        faas_id: None,
        engine: None,
        qualifier: None,
        version: None,
        placement: None,
        blocking: false,
        state: State::Initialized,
        reason: Vec::new(),
        input: Some(serde_json::from_str(r#"{"a":  1}"#).unwrap()),
        output: None,
        error: None,
        logs: dispatch_model::Logs::default(),
        secrets: Vec::new(),
        secrets_used: Default::default(),
        services: Vec::new(),
        event: None,
        http_context: None,
        tags: Tags::new(),
        attempts: 0,
        accepted_us: dispatch_model::resource::now_ms() * 1_000,
        executed_us: None,
        finished_us: None,
    }
}

fn ended(mut run: Run) -> Run {
    run.state = State::Ready;
    run.finished_us = Some(run.accepted_us + 5);
    run
}
