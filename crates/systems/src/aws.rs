//! AWS Lambda's API on loopback: ministack, which really runs functions as processes of this
//! machine and holds every request's signature against the key it was made with.

mod http;
mod images;
mod moto;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::group::Group;
use crate::programs::{self, free_address};

pub use images::{LambdaImages, VARIABLE as IMAGES_VARIABLE};
pub use moto::Moto;

/// The region it is in.
pub const REGION: &str = "eu-central-1";
/// The role that functions run with.
pub const ROLE: &str = "arn:aws:iam::000000000000:role/dispatch-functions";
const ROLE_NAME: &str = "dispatch-functions";
/// Longest time to its first answer.
const START: Duration = Duration::from_secs(60);
/// Who owns the account; its requests are not held against a signature.
const OWNER_HEADER: &str = "Authorization: AWS4-HMAC-SHA256 \
                            Credential=test/20260101/eu-central-1/lambda/aws4_request, \
                            SignedHeaders=host, Signature=0";

/// Ministack; ended when dropped.
pub struct Ministack {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    port: u16,
    variables: &'static [(&'static str, &'static str)],
    /// With the processes of its functions, which it leaves behind; `None` while it is stopped.
    running: Option<Group>,
    // The last field: it has ended when its directory goes.
    state: TempDir,
}

/// The access key of a user.
#[derive(Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
}

impl Ministack {
    /// None, plainly said, where it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same, with some of its own settings.
    pub fn start_with(variables: &'static [(&'static str, &'static str)]) -> Option<Self> {
        program("ministack")?;
        let port = free_address().port();
        let state = tempfile::tempdir().expect("a temporary directory");
        let url = format!("http://127.0.0.1:{port}");
        let mut ministack = Self { url, port, variables, running: None, state };
        ministack.resume();
        make_role(&ministack.url);
        Some(ministack)
    }

    /// Starts it, again with the port and the state it had.
    pub fn resume(&mut self) {
        let place = |name: &str| self.state.path().join(name);
        let log = File::create(place("log")).expect("a log");
        let mut command = Group::command(program("ministack").expect("it was there before"));
        // Nothing of this machine's own account, and a home without anybody's files.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.state.path()).env("TMPDIR", self.state.path());
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", self.port.to_string());
        command.env("MINISTACK_REGION", REGION).env("AUTH", "true");
        command.env("PERSIST_STATE", "1").env("STATE_DIR", place("state"));
        command.envs(self.variables.iter().copied());
        command.stdout(Stdio::null()).stderr(log);
        self.running = Some(Group::start(command));
        let deadline = Instant::now() + START;
        while !self.answers() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(place("log")).unwrap_or_default();
                panic!("ministack does not answer; its log:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it; what it knows, which it writes down then, stays for [`Ministack::resume`].
    pub fn stop(&mut self) {
        drop(self.running.take());
    }

    /// A new user who may do what the policy says.
    pub fn user(&self, name: &str, policy: &Value) -> AccessKey {
        self.iam(&[("Action", "CreateUser"), ("UserName", name)]);
        let document = policy.to_string();
        let policy = [
            ("Action", "PutUserPolicy"),
            ("UserName", name),
            ("PolicyName", "all"),
            ("PolicyDocument", &document),
        ];
        self.iam(&policy);
        let told = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]);
        let value = |name: &str| {
            let (_, rest) = told.split_once(&format!("<{name}>")).expect("it answers with a key");
            rest.split('<').next().unwrap_or_default().to_owned()
        };
        AccessKey { id: value("AccessKeyId"), secret: value("SecretAccessKey") }
    }

    /// What boto3's Lambda client is told as the account's owner: `get_function`, with its
    /// arguments.
    #[track_caller]
    pub fn boto3(&self, method: &str, arguments: &Value) -> Value {
        let arguments = arguments.to_string();
        let words = [self.url.as_str(), REGION, method, &arguments];
        let told = python(include_str!("aws/call.py"), &words, "");
        serde_json::from_str(&told.expect("it is beside ministack")).expect("it tells JSON")
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        curl(&["--fail", &format!("{}/_ministack/health", self.url)]).is_some()
    }

    #[track_caller]
    fn iam(&self, parameters: &[(&str, &str)]) -> String {
        iam(&self.url, parameters)
    }
}

/// The role of [`ROLE`]'s name, which Lambda may take.
fn make_role(url: &str) {
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }]});
    let trust = trust.to_string();
    let trust = ("AssumeRolePolicyDocument", trust.as_str());
    iam(url, &[("Action", "CreateRole"), ("RoleName", ROLE_NAME), trust]);
}

/// One request to IAM, as the account's owner.
#[track_caller]
fn iam(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut words = vec!["--fail-with-body".to_owned(), url.to_owned()];
    words.extend(["--header".to_owned(), OWNER_HEADER.replace("/lambda/", "/iam/")]);
    for (name, value) in parameters {
        words.extend(["--data-urlencode".to_owned(), format!("{name}={value}")]);
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    curl(&words).unwrap_or_else(|| panic!("{parameters:?} failed"))
}

fn curl(words: &[&str]) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*"]).args(words);
    let output = command.output().expect("curl starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// The values of `Authorization` that botocore, the library of AWS's own tools, gives requests: a
/// list of objects with `stamp`, `id`, `secret`, `token`, `service`, `region`, `method`, `url`,
/// `headers` and `body`. None, plainly said, where it is not installed.
pub fn botocore_signatures(requests: &Value) -> Option<Vec<String>> {
    let told = python(include_str!("aws/sign.py"), &[], &requests.to_string())?;
    Some(serde_json::from_str(&told).expect("it tells a list of texts"))
}

#[track_caller]
fn python(script: &str, words: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(program("python3")?);
    command.args(["-c", script]).args(words).env_remove("AWS_PROFILE");
    // A library that finds no files of this machine's own account.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "*");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 starts");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(input.as_bytes()).expect("python3 reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python3 ends");
    let text = String::from_utf8(output.stdout).expect("it prints JSON");
    assert!(output.status.success(), "python3: {}\n{text}", output.status);
    Some(text)
}

/// A program of the virtual environment that `cargo xtask setup` makes.
fn program(name: &str) -> Option<PathBuf> {
    let program = programs::tools().join("aws/bin").join(name);
    if !program.is_file() {
        println!("could not run: AWS's stand-ins are not here; `cargo xtask test` installs them");
        return None;
    }
    Some(program)
}
