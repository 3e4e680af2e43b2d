//! A function's image outside of Dispatch: pushed, and run unchanged by Docker.

use std::fs;
use std::time::Duration;

use dispatch_systems::docker::{self, Docker};
use dispatch_systems::programs::{free_address, has_root_and};
use dispatch_testkit::{eventually, send};
use serde_json::{Value, json};

use crate::bed::{Bed, system};

const SOURCE: &str = "\
import subprocess, sys, time
def handle(context, payload):
    print('said', payload['name'])
    sys.stderr.write('whispered\\n')
    if payload['name'] == 'nobody':
        raise ValueError('nobody is there')
    if payload['name'] == 'slow':
        open('/tmp/begun', 'w').close()
        time.sleep(1)
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
    // Its messages about that would go where a container's id is expected.
    docker.run(&["pull", "--quiet", url]);
    let served = Served::start(&docker, url, &[]).await;
    assert_eq!(served.get("/healthz").await, (200, json!({})));
    let answer = served.call("you").await;
    let expected = json!({"hello": "you", "from": "jq", "who": "docker"});
    assert_eq!(answer["payload"], expected, "{answer}");
    let logs = json!({"stdout": ["said you"], "stderr": ["whispered"]});
    assert_eq!(answer["context"], json!({"error": null, "logs": logs}));
    let answer = served.call("nobody").await;
    let error = &answer["context"]["error"];
    assert_eq!(error["type"], "FunctionError", "{answer}");
    assert!(error["message"].as_str().unwrap().contains("nobody is there"), "{answer}");
    // What is under way when it is told to stop is answered first.
    let (answer, code) = tokio::join!(served.call("slow"), served.stop_once("/tmp/begun"));
    assert_eq!((&answer["payload"]["hello"], code.as_str()), (&json!("slow"), "0"), "{answer}");

    // As careful operators run what others wrote.
    let closed = ["--user=12345", "--read-only", "--cap-drop=ALL", "--pids-limit=64"];
    let served = Served::start(&docker, url, &closed).await;
    assert_eq!(served.call("you").await["payload"], expected);
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
    async fn start(docker: &'a Docker, image: &str, more: &[&str]) -> Self {
        let address = free_address();
        let port = format!("PORT={}", address.port());
        let run = ["run", "--detach", "--network=host", "--env", &port];
        let container = docker.run(&[&run, more, &[image]].concat());
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

    /// Calls the function with a name; the answer is 200 whatever became of it.
    async fn call(&self, name: &str) -> Value {
        let body = json!({"context": {"who": "docker"}, "payload": {"name": name}});
        send(self.client.post(&self.url).json(&body)).await.expect(200).json()
    }

    /// SIGTERM as soon as the container has a file, and the exit code.
    async fn stop_once(&self, file: &str) -> String {
        eventually("the call has begun", async || {
            let there = format!("test -e {file} && echo yes || echo no");
            let told = self.docker.run(&["exec", &self.container, "sh", "-c", &there]);
            if told == "yes" { Ok(()) } else { Err(told) }
        })
        .await;
        self.stop()
    }

    /// SIGTERM, and the exit code.
    fn stop(&self) -> String {
        self.docker.run(&["kill", "--signal=TERM", &self.container]);
        self.docker.run(&["wait", &self.container])
    }
}
