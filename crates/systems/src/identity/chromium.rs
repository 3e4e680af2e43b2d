//! Chromium without a screen, driven over WebDriver (<https://www.w3.org/TR/webdriver2/>): what
//! people see and type, scripts, cookies and redirects of a real browser.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::group::Group;
use crate::programs::{free_address, has};

const START: Duration = Duration::from_secs(30);
/// Longest time a page may take to have what is looked for.
const LOOK: Duration = Duration::from_secs(20);
/// By this WebDriver names an element in JSON (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a profile of its own; ended when dropped.
pub struct Chromium {
    client: Client,
    session: String,
    _driver: Group,
}

impl Chromium {
    /// None, plainly said, where it is not here.
    pub async fn start() -> Option<Self> {
        if !has(&["chromium", "chromedriver"]) {
            return None;
        }
        let address = free_address();
        let mut command = Group::command("chromedriver");
        command.arg(format!("--port={}", address.port())).arg("--silent");
        let driver = Group::start(command);
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "chromedriver does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let client = Client::builder().no_proxy().build().expect("a client");
        // As root it runs without a sandbox of its own only; what it opens is this machine's.
        let flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let options = json!({"args": flags});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let url = format!("http://{address}/session");
        let answer = client.post(&url).json(&wanted).send().await.expect("chromedriver answers");
        let answer: Value = answer.json().await.expect("JSON");
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        Some(Self { client, session: format!("{url}/{id}"), _driver: driver })
    }

    /// Opens an address, and waits for the page.
    pub async fn open(&self, url: &str) {
        self.post("url", json!({"url": url})).await.expect("the page opens");
    }

    /// Types into the first field that a CSS selector finds.
    pub async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        let typed = self.post(&format!("element/{field}/value"), json!({"text": text})).await;
        typed.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Clicks the first element that a CSS selector finds.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        let clicked = self.post(&format!("element/{element}/click"), json!({})).await;
        clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// The text of the page, once it holds some words.
    pub async fn reads(&self, words: &str) -> String {
        let deadline = Instant::now() + LOOK;
        loop {
            let body = self.find("body").await;
            let text = self.get(&format!("element/{body}/text")).await;
            // An element of the page before is no more.
            let text = text.ok().and_then(|text| text.as_str().map(str::to_owned));
            let text = text.unwrap_or_default();
            if text.contains(words) {
                return text;
            }
            assert!(Instant::now() < deadline, "{words:?} is not in the page:\n{text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A cookie of the page's site, with its attributes.
    pub async fn cookie(&self, name: &str) -> Option<Value> {
        self.get(&format!("cookie/{name}")).await.ok()
    }

    /// What a script of the page answers.
    pub async fn script(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.post("execute/sync", body).await.expect("the script runs")
    }

    async fn find(&self, selector: &str) -> String {
        let deadline = Instant::now() + LOOK;
        loop {
            let body = json!({"using": "css selector", "value": selector});
            let found = self.post("element", body).await;
            match found {
                Ok(found) => return found[ELEMENT].as_str().expect("an element").to_owned(),
                Err(error) => assert!(Instant::now() < deadline, "{selector}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Value> {
        value(self.client.get(format!("{}/{path}", self.session))).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Value> {
        value(self.client.post(format!("{}/{path}", self.session)).json(&body)).await
    }
}

/// The value of an answer, or its error.
async fn value(request: reqwest::RequestBuilder) -> Result<Value, Value> {
    let answer = request.send().await.expect("chromedriver answers");
    let good = answer.status().is_success();
    let mut body: Value = answer.json().await.expect("JSON");
    let value = body["value"].take();
    if good { Ok(value) } else { Err(value) }
}
