//! `dispatch create`: from a file, or one thing by its words.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api_object::{self, Beside, FromFile, Waiting};
use super::create_engine::{self, CreateEngine};
use super::create_placement::Placement;
use super::create_secret::{self, CreateSecret};
use super::{Context, seed};
use crate::complete;
use crate::document::{Document, tag};
use crate::hint::wrong;
use crate::noun::Noun;
use crate::{pack, value};

const EXAMPLES: &str = "\
Examples:
  dispatch create seed-images
  dispatch create function hello hello.py --image python3 --handler hello.handle --wait
  dispatch create api hello hello --method POST --path /hello
  dispatch create -f dispatch.yaml --wait
  dispatch create -f https://example.org/dispatch.yaml --application shop";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true,
          after_help = EXAMPLES)]
pub struct Create {
    /// File with YAML documents, a URL, or - for standard input
    #[arg(long, short, value_name = "FILE-or-URL")]
    file: Option<String>,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    waiting: Waiting,
    #[command(subcommand)]
    what: Option<What>,
}

const BASE_IMAGE_EXAMPLES: &str = "\
Examples:
  dispatch create base-image python3-base host:python3 --language python3
  dispatch create base-image debian registry.example.org/debian:12 --language python3 --wait
  dispatch create base-image photon private.example.org/photon:5 --language binary --secret pull";

const IMAGE_EXAMPLES: &str = "\
Examples:
  dispatch create image python3 python3-base
  dispatch create image science python3-base --runtime-deps requirements.txt";

const FUNCTION_EXAMPLES: &str = "\
Examples:
  dispatch create function hello hello.py --image python3 --handler hello.handle
  dispatch create function vault vault --image nodejs --handler ./index.js --secret open-sesame
  dispatch create function sum sum.py --image python3 --handler sum.handle \\
      --schema-in in.json --timeout 5000 --env LOG=debug --retries 3
  dispatch create function infer infer.py --image science --handler infer.run \\
      --require gpu=a100 --burst-to lambda-eu --idempotent";

const API_EXAMPLES: &str = "\
Examples:
  dispatch create api hello hello --method POST --path /hello
  dispatch create api shop shop -m GET -m POST -p '/items/{id}' -d shop.example.org --https-only";

#[derive(Debug, Subcommand)]
enum What {
    /// What images are built on
    #[command(visible_alias = "base-images", aliases = ["baseimage", "baseimages"],
              after_help = BASE_IMAGE_EXAMPLES)]
    BaseImage {
        name: String,
        /// host:LANGUAGE for the machine's own interpreter, registry/name:tag, or an OCI layout
        image: String,
        /// python3, nodejs, java, ruby, php, powershell, binary, wasm
        #[arg(long)]
        language: String,
        /// Secret with `username` and `password`, or `token`, for the registry
        #[arg(long, add = complete::names(Noun::Secret))]
        secret: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// What functions run on
    #[command(alias = "images", after_help = IMAGE_EXAMPLES)]
    Image {
        name: String,
        #[arg(add = complete::names(Noun::BaseImage))]
        base_image: String,
        /// File with the system's packages: JSON, or lines `name version`
        #[arg(long, value_name = "FILE")]
        system_deps: Option<PathBuf>,
        /// File with the language's packages (requirements.txt, package.json, …)
        #[arg(long, value_name = "FILE")]
        runtime_deps: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Code with a handler
    #[command(aliases = ["functions", "func"], after_help = FUNCTION_EXAMPLES)]
    Function(Box<Function>),
    /// Values handlers get
    #[command(alias = "secrets", after_help = create_secret::EXAMPLES)]
    Secret(CreateSecret),
    /// Where functions run
    #[command(alias = "engines", after_help = create_engine::EXAMPLES)]
    Engine(Box<CreateEngine>),
    /// A route of the gateway
    #[command(alias = "apis", after_help = API_EXAMPLES)]
    Api(Box<Api>),
    /// A group of resources
    #[command(visible_alias = "app", aliases = ["applications", "apps"])]
    Application { name: String },
    /// Base images and images for every language of the server
    #[command(visible_alias = "seed")]
    SeedImages {
        /// Write the documents to a file instead
        #[arg(long, short = 'O', value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct Common {
    /// Application it joins
    #[arg(long, short)]
    application: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
struct Function {
    name: String,
    /// Folder or file with the code
    path: PathBuf,
    /// Image it runs on
    #[arg(long, add = complete::names(Noun::Image))]
    image: String,
    /// Python: file.function; Node: ./file.js; Java: class; PowerShell: file.ps1::function
    #[arg(long, default_value = "")]
    handler: String,
    /// JSON Schema of the input
    #[arg(long, value_name = "FILE")]
    schema_in: Option<PathBuf>,
    /// JSON Schema of the output
    #[arg(long, value_name = "FILE")]
    schema_out: Option<PathBuf>,
    /// Secret the function gets; may be repeated
    #[arg(long = "secret", value_delimiter = ',', add = complete::names(Noun::Secret))]
    secrets: Vec<String>,
    /// Service instance the function gets; may be repeated
    #[arg(long = "service", value_delimiter = ',')]
    services: Vec<String>,
    /// Longest time of a run, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS", value_parser = value::number::<u64>)]
    timeout: u64,
    /// Memory of a worker, in MiB
    #[arg(long, value_name = "MIB", value_parser = value::number::<u64>)]
    memory: Option<u64>,
    /// Calls at the same time
    #[arg(long, value_name = "N", value_parser = value::number::<u32>)]
    concurrency: Option<u32>,
    /// Environment variable; may be repeated
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = value::pair)]
    environment: Vec<String>,
    /// Further attempts of a non-blocking run
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = value::number::<u32>)]
    retries: u32,
    /// Host the function may connect to; may be repeated
    #[arg(long = "egress", value_name = "HOST", value_delimiter = ',')]
    egress: Vec<String>,
    /// Engine to run on
    #[arg(long, add = complete::names(Noun::Engine))]
    engine: Option<String>,
    #[command(flatten)]
    placement: Placement,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Api {
    name: String,
    /// Function it calls
    #[arg(add = complete::names(Noun::Function))]
    function: String,
    /// Method; may be repeated
    #[arg(long = "method", short, value_delimiter = ',', default_value = "GET")]
    methods: Vec<String>,
    /// Path: /exact, /with/{parameter}, /prefix/*; may be repeated
    #[arg(long = "path", short, value_delimiter = ',', default_value = "/")]
    paths: Vec<String>,
    /// Host; may be repeated
    #[arg(long = "domain", short, value_delimiter = ',')]
    domains: Vec<String>,
    /// Refuse plain HTTP
    #[arg(long)]
    https_only: bool,
    /// Let pages of any origin call it
    #[arg(long)]
    cors: bool,
    /// Make it, but do not serve it
    #[arg(long)]
    disable: bool,
    /// public, basic or oauth2
    #[arg(long, default_value = "public")]
    auth: String,
    /// Secret with tls.crt and tls.key for the hosts
    #[arg(long, value_name = "SECRET")]
    tls: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Create {
    pub async fn run(self, context: &Context) -> Result<()> {
        let Some(what) = self.what else {
            let Some(file) = self.file else {
                return Err(wrong("nothing was named", "dispatch create -f FILE, or one by name"));
            };
            return FromFile { file, beside: self.beside }.create(context, &self.waiting).await;
        };
        match what {
            What::SeedImages { output_file } => seed::run(context, output_file.as_deref()).await,
            What::Application { name } => {
                let body = json!({ "name": name });
                one(context, Noun::Application, &name, body, None).await
            }
            What::BaseImage { name, image, language, secret, common } => {
                let mut body = json!({"name": name, "dockerUrl": image, "language": language});
                if let Some(secret) = secret {
                    body["secret"] = json!(secret);
                }
                one(context, Noun::BaseImage, &name, body, Some(&common)).await
            }
            What::Image { name, base_image, system_deps, runtime_deps, common } => {
                let mut body = json!({"name": name, "baseImageName": base_image});
                if let Some(file) = system_deps {
                    body["systemDependencies"] = system_packages(&read(&file)?)?;
                }
                if let Some(file) = runtime_deps {
                    body["runtimeDependencies"] = json!({"manifest": read(&file)?});
                }
                one(context, Noun::Image, &name, body, Some(&common)).await
            }
            What::Secret(secret) => {
                let (name, body) = (&secret.name, secret.body()?);
                one(context, Noun::Secret, name, body, Some(&secret.common)).await
            }
            What::Function(function) => {
                let body = function.body()?;
                one(context, Noun::Function, &function.name, body, Some(&function.common)).await
            }
            What::Engine(engine) => {
                let waiting = engine.waiting.clone();
                let common = Common { application: None, waiting };
                one(context, Noun::Engine, &engine.name, engine.body(), Some(&common)).await
            }
            What::Api(api) => {
                one(context, Noun::Api, &api.name, api.body(), Some(&api.common)).await
            }
        }
    }
}

impl Function {
    fn body(&self) -> Result<Value> {
        if self.handler.is_empty() && self.path.is_dir() {
            return Err(wrong(
                format!("--handler is needed: {} is a folder", self.path.display()),
                "Python: file.function; Node: ./file.js; Java: class; PowerShell: file.ps1::handle",
            ));
        }
        let mut environment = serde_json::Map::new();
        for (key, value) in self.environment.iter().filter_map(|pair| pair.split_once('=')) {
            environment.insert(key.to_owned(), json!(value));
        }
        let mut body = json!({
            "name": self.name, "image": self.image, "handler": self.handler,
            "source": pack::source(&self.path)?, "secrets": self.secrets,
            "services": self.services, "timeout": self.timeout, "memoryMib": self.memory,
            "concurrency": self.concurrency, "environment": environment,
            "retries": self.retries, "egress": self.egress, "engine": self.engine,
            "placement": self.placement.value(), "idempotent": self.placement.idempotent,
        });
        for (field, file) in [("in", &self.schema_in), ("out", &self.schema_out)] {
            if let Some(file) = file {
                let schema: Value = serde_json::from_str(&read(file)?)
                    .with_context(|| format!("{} is not JSON", file.display()))?;
                body["schema"][field] = schema;
            }
        }
        Ok(body)
    }
}

impl Api {
    fn body(&self) -> Value {
        let protocols = if self.https_only { json!(["https"]) } else { json!(["http", "https"]) };
        json!({
            "name": self.name, "function": self.function, "methods": self.methods,
            "uris": self.paths, "hosts": self.domains, "protocols": protocols,
            "authentication": self.auth, "enabled": !self.disable, "cors": self.cors,
            "tls": self.tls,
        })
    }
}

/// Creates one thing and says so in v1's words.
async fn one(
    context: &Context,
    noun: Noun,
    name: &str,
    mut body: Value,
    common: Option<&Common>,
) -> Result<()> {
    if let Some(application) = common.and_then(|common| common.application.as_deref()) {
        tag(&mut body, application);
    }
    let document = Document::new(noun, noun.words(), name, body);
    let made = api_object::create(&context.session.client, &document).await?;
    if let Some(common) = common {
        common.waiting.wait(&context.session.client, std::slice::from_ref(&document)).await?;
    }
    context.printer.say(&format!("Created {}: {name}", noun.words()));
    if context.printer.is_structured() {
        context.printer.value(&made)?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        let folder = std::env::current_dir().unwrap_or_default();
        let hint = format!("paths start from the folder you are in, {}", folder.display());
        wrong(format!("cannot read {}: {error}", file.display()), hint)
    })
}

pub fn object_of_strings(file: &Path) -> Result<Value> {
    let hint = r#"{"password": "OpenSesame"}"#;
    let file_name = file.display();
    // What is in the file is a secret: the error does not quote it.
    let value: Value = serde_json::from_str(&read(file)?)
        .map_err(|error| wrong(format!("{file_name} is not JSON (line {})", error.line()), hint))?;
    let Some(object) = value.as_object() else {
        return Err(wrong(format!("{file_name} must hold a JSON object of strings"), hint));
    };
    match object.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(wrong(format!("{file_name}: {key} must be a string"), hint)),
        None => Ok(value),
    }
}

/// JSON as it is; lines `name version` as packages.
fn system_packages(text: &str) -> Result<Value> {
    if text.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let package = |line: &str| match line.split_once(char::is_whitespace) {
        Some((name, version)) => json!({"name": name, "version": version.trim()}),
        None => json!({"name": line}),
    };
    Ok(json!({"packages": lines.map(package).collect::<Vec<_>>()}))
}
