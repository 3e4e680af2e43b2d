//! A function's image outside of Dispatch: pushed, and run unchanged by Docker.

use std::fs;
use std::time::Duration;

use dispatch_testkit::docker::{self, Docker};
use dispatch_testkit::programs::{free_address, has_root_and};
use dispatch_testkit::{eventually, send};
use serde_json::{Value, json};

use crate::bed::{Bed, system};

const SOURCE: &str = "\
import subprocess, sys
def handle(context, payload):
    print('said', payload['name'])
    sys.stderr.write('whispered\\n')
    if payload['name'] == 'nobody':
        raise ValueError('nobody is there')
    program = subprocess.run(['jq', '-r', '.name'], input='{\"name\": \"jq\"}', text=True,
                             capture_output=True, check=True)
    return {'hello': payload['name'], 'from': program.stdout.strip(), 'who': context.get('who')}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_container_engine_runs_a_functions_image() {
    if !has_root_and(docker::PROGRAMS) {
        return;
    }
    let Some(bed) = Bed::start("").await else { return };
    let image = bed.image("tools", system(&["jq"])).await;
    assert_eq!(image["status"], "READY", "{image}");
    let function = bed.function("hello", "tools", SOURCE).await;
    let expected = json!({"hello": "you", "from": "jq", "who": null});
    assert_eq!(bed.call("hello", json!({"name": "you"})).await, expected);
    let url = function["functionImageURL"].as_str().unwrap();
    let name = url.strip_prefix(&format!("{}/", bed.registry.address)).expect("it was pushed");
    assert_eq!(name, "tests/dispatch/functions/hello");

    // What others read in the registry is what the server says is there.
    let digest = function["digest"].as_str().unwrap();
    let told = bed.registry.inspect(name);
    assert_eq!(told["Digest"], digest, "{told}");
    assert_eq!(bed.registry.inspect(&format!("{name}:{}", &digest[7..19]))["Digest"], digest);
    assert_eq!(told["Labels"]["io.dispatch.function"], "hello", "{told}");
    let tools = bed.registry.inspect("tests/dispatch/images/tools");
    assert_eq!(tools["Digest"], image["digest"], "{tools}");
    let (below, all) = (tools["Layers"].as_array().unwrap(), told["Layers"].as_array().unwrap());
    assert_eq!(all[..below.len()], below[..]);
    unpacked(&bed, &format!("{name}:latest"));

    let docker = Docker::start();
    let served = Served::start(&docker, url).await;
    assert_eq!(served.get("/healthz").await, (200, json!({})));
    let call = json!({"context": {"who": "docker"}, "payload": {"name": "you"}});
    let (status, answer) = served.post(&call).await;
    let expected = json!({"hello": "you", "from": "jq", "who": "docker"});
    assert_eq!((status, &answer["payload"]), (200, &expected), "{answer}");
    let logs = json!({"stdout": ["said you"], "stderr": ["whispered"]});
    assert_eq!(answer["context"], json!({"error": null, "logs": logs}));
    let call = json!({"context": {}, "payload": {"name": "nobody"}});
    let (status, answer) = served.post(&call).await;
    assert_eq!((status, &answer["context"]["error"]["type"]), (200, &json!("FunctionError")));
    assert!(answer["context"]["error"]["message"].as_str().unwrap().contains("nobody is there"));
    assert_eq!(served.stop(), "0");
}

/// umoci finds the function's source and the command that serves it.
fn unpacked(bed: &Bed, name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    bed.registry.unpack(name, &bundle);
    let source = fs::read_to_string(bundle.join("rootfs/function/hello.py")).unwrap();
    assert_eq!(source, SOURCE);
    let config = fs::read_to_string(bundle.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["process"]["cwd"], "/function", "{config}");
    let arguments = config["process"]["args"].as_array().unwrap();
    let serve = arguments.last().unwrap().as_str().unwrap();
    assert!(bundle.join("rootfs").join(serve.trim_start_matches('/')).is_file(), "{config}");
    let environment = config["process"]["env"].as_array().unwrap();
    assert!(environment.contains(&json!("DISPATCH_HANDLER=hello.handle")), "{config}");
}

/// A container that serves a function on this machine's loopback.
struct Served<'a> {
    docker: &'a Docker,
    container: String,
    url: String,
    client: reqwest::Client,
}

impl<'a> Served<'a> {
    async fn start(docker: &'a Docker, image: &str) -> Self {
        let address = free_address();
        let port = format!("PORT={}", address.port());
        // Its messages about that go where the container's id is expected.
        docker.run(&["pull", "--quiet", image]);
        let container = docker.run(&["run", "--detach", "--network=host", "--env", &port, image]);
        let client = reqwest::Client::new();
        let served = Self { docker, container, url: format!("http://{address}"), client };
        eventually("the container answers", async || {
            let request = served.client.get(format!("{}/healthz", served.url));
            let request = request.timeout(Duration::from_secs(5));
            request.send().await.map(drop).map_err(|_| docker.logs(&served.container))
        })
        .await;
        served
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = send(self.client.get(format!("{}{path}", self.url))).await;
        (answer.status, answer.json())
    }

    async fn post(&self, body: &Value) -> (u16, Value) {
        let answer = send(self.client.post(&self.url).json(body)).await;
        (answer.status, answer.json())
    }

    /// SIGTERM, and the exit code.
    fn stop(self) -> String {
        self.docker.run(&["kill", "--signal=TERM", &self.container]);
        self.docker.run(&["wait", &self.container])
    }
}
