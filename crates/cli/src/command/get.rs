//! `dispatch get`: tables, or the resources as JSON or YAML.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    Context, get_engine_type, get_package, get_placement, get_run, get_secret, get_usage,
    get_version,
};
use crate::complete;
use crate::hint::wrong;
use crate::noun::{self, Noun};
use crate::printer::{self, Format, Printer};
use crate::{table, value};

const EXAMPLES: &str = "\
Examples:
  dispatch get functions
  dispatch get function hello -o yaml
  dispatch get functions --application shop --sort -created --limit 10
  dispatch get functions --field image=python3 --tag team=blue
  dispatch get apis --func hello
  dispatch get engines --type remote
  dispatch get secret open-sesame --all
  dispatch get secret open-sesame --versions
  dispatch get secret open-sesame --used
  dispatch get runs hello --since 1h --status ERROR
  dispatch get usage --since 30d -o csv
  dispatch get functions --watch";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum What {
    /// Runs, the newest last
    #[command(visible_alias = "runs")]
    Run(get_run::GetRun),
    /// Runs that failed for good
    #[command(name = "deadletter", visible_aliases = ["deadletters", "dead-letters"])]
    DeadLetter(get_run::GetDeadLetter),
    /// Where functions run: how each is, what it runs, and what the machine lacks for it
    #[command(visible_alias = "engines")]
    Engine {
        #[command(flatten)]
        list: List,
        /// Only those of a type
        #[arg(long = "type", value_name = "TYPE", add = complete::engine_types())]
        engine_type: Option<String>,
    },
    /// Types of engines, or what may be set for one
    #[command(visible_alias = "engine-types", aliases = ["enginetype", "enginetypes"])]
    EngineType(get_engine_type::GetEngineType),
    /// Where calls of a function go, and why
    Placement(get_placement::GetPlacement),
    /// Versions of a function, and which of them take calls
    #[command(visible_alias = "versions")]
    Version(get_version::GetVersion),
    /// Packages in images and functions, and which have one
    #[command(visible_alias = "packages")]
    Package(get_package::GetPackage),
    /// What the organization used: runs, time, memory, bytes
    Usage(get_usage::GetUsage),
    /// Routes of the gateway
    #[command(visible_alias = "apis")]
    Api {
        #[command(flatten)]
        list: List,
        /// Only those of a function
        #[arg(long = "func", short, add = complete::names(Noun::Function))]
        function: Option<String>,
    },
    /// Groups of resources
    #[command(visible_aliases = ["applications", "app", "apps"])]
    Application(List),
    /// What images are built on
    #[command(visible_aliases = ["base-images", "baseimage", "baseimages"])]
    BaseImage(List),
    /// What functions run on
    #[command(visible_alias = "images")]
    Image(List),
    /// What is admitted into images
    #[command(visible_alias = "image-policies", aliases = ["imagepolicy", "imagepolicies"])]
    ImagePolicy(List),
    /// The public key that signs this installation's images, as cosign takes it
    SigningKey,
    /// Code with a handler
    #[command(visible_alias = "functions")]
    Function(List),
    /// Values handlers get
    #[command(visible_alias = "secrets")]
    Secret(get_secret::GetSecret),
}

/// Which resources, in what order.
#[derive(Debug, Clone, Args)]
pub struct List {
    #[arg(add = complete::names_by_line())]
    pub name: Option<String>,
    /// Only those of an application
    #[arg(long, short, add = complete::names(Noun::Application))]
    application: Option<String>,
    /// Only those with a tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = value::pair)]
    tags: Vec<String>,
    /// Only those whose field has the value; may be repeated
    #[arg(long = "field", value_name = "FIELD=VALUE", value_parser = value::pair)]
    fields: Vec<String>,
    /// name, created, modified; -name, … for descending
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    /// At most so many
    #[arg(long, value_parser = value::limit)]
    pub limit: Option<usize>,
    /// Go on and print what changes
    #[arg(long, short)]
    pub watch: bool,
}

impl Get {
    pub async fn run(self, context: &Context) -> Result<()> {
        if context.printer.format == Format::Csv && !matches!(self.what, What::Usage(_)) {
            return Err(wrong("csv is a format of usage only", "-o json, yaml, wide or name"));
        }
        match self.what {
            What::Run(runs) => runs.run(context).await,
            What::DeadLetter(letters) => letters.run(context).await,
            What::Engine { list, engine_type } => {
                let more = engine_type.map(|wanted| ("type".to_owned(), wanted));
                resources(context, Noun::Engine, &list, more).await
            }
            What::EngineType(types) => types.run(context).await,
            What::Placement(placement) => placement.run(context).await,
            What::Version(versions) => versions.run(context).await,
            What::Package(packages) => packages.run(context).await,
            What::Usage(usage) => usage.run(context).await,
            What::Api { list, function } => {
                let more = function.map(|function| ("function".to_owned(), function));
                resources(context, Noun::Api, &list, more).await
            }
            What::Secret(secrets) => secrets.run(context).await,
            What::Application(list) => resources(context, Noun::Application, &list, None).await,
            What::BaseImage(list) => resources(context, Noun::BaseImage, &list, None).await,
            What::Image(list) => resources(context, Noun::Image, &list, None).await,
            What::ImagePolicy(list) => resources(context, Noun::ImagePolicy, &list, None).await,
            What::SigningKey => {
                printer::line(context.session.client.text("signingkey").await?.trim_end());
                Ok(())
            }
            What::Function(list) => resources(context, Noun::Function, &list, None).await,
        }
    }
}

impl List {
    pub fn query(&self, more: Option<(String, String)>) -> Vec<(String, String)> {
        let mut query: Vec<(String, String)> = more.into_iter().collect();
        let application = self.application.iter().map(|name| format!("Application={name}"));
        let tags = self.tags.iter().cloned().chain(application);
        query.extend(tags.map(|tag| ("tags".to_owned(), tag)));
        let fields = self.fields.iter().filter_map(|field| field.split_once('='));
        query.extend(fields.map(|(field, value)| (field.to_owned(), value.to_owned())));
        query.extend(self.sort.clone().map(|sort| ("sort".to_owned(), sort)));
        query
    }
}

/// One resource by name, or a list.
pub async fn resources(
    context: &Context,
    noun: Noun,
    list: &List,
    more: Option<(String, String)>,
) -> Result<()> {
    resources_as(context, context.printer, noun, list, more).await
}

/// The same in a format of its own.
pub async fn resources_as(
    context: &Context,
    printer: Printer,
    noun: Noun,
    list: &List,
    more: Option<(String, String)>,
) -> Result<()> {
    let client = &context.session.client;
    if let Some(name) = &list.name {
        return print_one(printer, noun, &noun::read(client, noun, name).await?);
    }
    let query = list.query(more);
    if list.watch {
        return watch(context, noun.path(), &query).await;
    }
    let items = client.list(noun.path(), &query, list.limit).await?;
    print_list(printer, noun, items)
}

pub fn print_one(printer: Printer, noun: Noun, item: &Value) -> Result<()> {
    print_one_as(printer, item, |items, wide| table::resources(noun, items, wide))?;
    // In a table of many there is no room for it; `-o wide` makes some.
    if printer.format == Format::Table {
        let reasons = item["reason"].as_array().into_iter().flatten().filter_map(Value::as_str);
        reasons.for_each(|reason| printer::line(&format!("reason: {reason}")));
    }
    Ok(())
}

/// The same of what is no resource to be written, with a table of its own.
pub fn print_one_as(
    printer: Printer,
    item: &Value,
    table: impl FnOnce(&[Value], bool) -> String,
) -> Result<()> {
    match printer.is_structured() {
        true => printer.value(item),
        false => print_list_as(printer, vec![item.clone()], table),
    }
}

pub fn print_list(printer: Printer, noun: Noun, items: Vec<Value>) -> Result<()> {
    print_list_as(printer, items, |items, wide| table::resources(noun, items, wide))
}

pub fn print_list_as(
    printer: Printer,
    items: Vec<Value>,
    table: impl FnOnce(&[Value], bool) -> String,
) -> Result<()> {
    match printer.format {
        Format::Json | Format::Yaml => printer.value(&Value::Array(items))?,
        Format::Name => {
            for item in &items {
                printer::line(&printer::one_line(item["name"].as_str().unwrap_or_default()));
            }
        }
        format => crate::printer::line(&table(&items, format == Format::Wide)),
    }
    Ok(())
}

/// Prints what changes below a path, until the server ends that.
pub async fn watch(context: &Context, path: &str, query: &[(String, String)]) -> Result<()> {
    let mut events = context.session.client.watch(path, query).await?;
    while let Some(event) = events.next().await? {
        if context.printer.is_structured() {
            context.printer.value(&event)?;
            continue;
        }
        let object = &event["object"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (change, name) = (text(&event["type"]), text(&object["name"]));
        printer::line(&format!("{change:<9} {name:<40} {}", text(&object["status"])));
    }
    Ok(())
}
