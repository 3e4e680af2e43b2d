//! A whole server over an engine in memory, both of which fail when they are told to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch_driver::EngineType;
use dispatch_model::function::Function;
use dispatch_model::{ListQuery, code};
use dispatch_store::testing::Faults;
use reqwest::Method;
use serde_json::{Value, json};

use super::scripted::scripted;
use crate::boot::engines::Made;
use crate::boot::{Running, prepare, start};
use crate::config::Layers;
use crate::invoke::testing::{TestEngine, function_error, ok, outcome};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bed {
    pub running: Running,
    pub engine: Arc<TestEngine>,
    pub faults: Faults,
    http: reqwest::Client,
    _data: tempfile::TempDir,
}

impl Bed {
    /// A server with a base image, an image, and a function that echoes, or fails for good when its
    /// payload is "die".
    pub async fn start(database: String) -> Self {
        Self::with(database, scripted().0).await
    }

    /// The same with types of engines that can be added.
    pub async fn with(database: String, types: Vec<Box<dyn EngineType>>) -> Self {
        prepare();
        let data = tempfile::tempdir().unwrap();
        let mut layers = Layers::default();
        layers.toml("[runs]\nlease_s = 1\npoll_ms = 50").unwrap();
        layers.toml("[engines]\nhealth_interval_ms = 100").unwrap();
        layers.text("server", "data_dir", &data.path().display().to_string()).unwrap();
        layers.text("server", "database", &database).unwrap();
        for (section, key) in [("api", "listen"), ("gateway", "http"), ("gateway", "https")] {
            layers.text(section, key, "127.0.0.1:0").unwrap();
        }
        let config = layers.config().unwrap();
        let faults = Faults::of(&config.database_url());
        let engine = TestEngine::new(|_, call| async move {
            match &*call.payload {
                br#""die""# => outcome(Err(function_error("it died"))),
                _ => ok(call.payload),
            }
        });
        let made = engine.clone();
        let engines = async move |_: &_, _: &_, _: &_| {
            let mut all = Made { types, ..Made::default() };
            all.engines.add(made);
            Ok(all)
        };
        let running = start::start_with(config, engines).await.unwrap();
        let http = reqwest::Client::new();
        let bed = Self { running, engine, faults, http, _data: data };
        for (noun, name) in [("baseimage", "base"), ("image", "image"), ("function", "echo")] {
            let shape = super::shape(noun, name);
            bed.insist(Method::POST, &format!("/v1/{noun}"), &shape, None).await;
            bed.settled(&format!("/v1/{noun}/{name}"), |thing| thing["status"] == "READY").await;
        }
        bed
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// The status and the body of an answer. A `key` in the query is the idempotency key.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let (path, key) = path.split_once("&key=").unwrap_or((path, ""));
        let mut request = self.http.request(method, format!("http://{}{path}", self.running.api));
        if !body.is_null() {
            request = request.json(body);
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| json!(text)))
    }

    /// Asks until the answer is a good one, or the one (`done`) that says it happened before. In
    /// between there may only be the answer that says to come back.
    pub async fn insist(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        done: Option<u16>,
    ) -> Value {
        let mut asked = 0;
        loop {
            let (status, answer) = self.ask(method.clone(), path, body).await;
            asked += 1;
            if (200..300).contains(&status) || (asked > 1 && Some(status) == done) {
                return answer;
            }
            let what = format!("{method} {path}: {status} {answer}");
            assert_eq!(answer["errorCode"], code::API010, "{what}");
            assert!(asked < 5, "one fault, and again: {what}");
        }
    }

    /// Waits for what is at a path to be so; null when there is nothing.
    pub async fn settled(&self, path: &str, so: impl Fn(&Value) -> bool) {
        self.eventually(async || {
            let (status, thing) = self.ask(Method::GET, path, &Value::Null).await;
            let there = match status {
                200 => thing,
                404 => Value::Null,
                _ => return Err(format!("{status}: {thing}")),
            };
            if so(&there) { Ok(()) } else { Err(format!("{path}: {there}")) }
        })
        .await
    }

    /// The ids of a list of runs once all have ended and there are this many.
    pub async fn runs(&self, path: &str, count: usize) -> Vec<String> {
        self.eventually(async || {
            let (_, list) = self.ask(Method::GET, path, &Value::Null).await;
            let runs = list.as_array().cloned().unwrap_or_default();
            let ended = runs.iter().all(|run| !run["finishedTime"].is_null());
            if runs.len() != count || !ended {
                return Err(format!("{} of {count} runs, all ended: {ended}", runs.len()));
            }
            Ok(runs.iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect())
        })
        .await
    }

    /// No run waits, and the engine holds what the functions name and nothing else.
    pub async fn nothing_left_over(&self) {
        let store = &self.running.app.store;
        self.eventually(async || {
            let functions = store.list_all::<Function>(&ListQuery::default()).await.unwrap().items;
            let deployments = functions.iter().flat_map(|f| &f.status.deployments);
            let named: HashSet<_> = deployments.map(|deployed| deployed.faas_id).collect();
            let held = self.engine.ensured.lock().unwrap().clone();
            let waiting = store.run_pending().await.unwrap();
            if held.is_subset(&named) && waiting == 0 {
                return Ok(());
            }
            let extra = held.difference(&named).count();
            Err(format!("{extra} deployments too many, {waiting} runs wait"))
        })
        .await
    }

    pub async fn eventually<T>(&self, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match look().await {
                Ok(found) => return found,
                Err(last) => assert!(Instant::now() < deadline, "never; last: {last}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
