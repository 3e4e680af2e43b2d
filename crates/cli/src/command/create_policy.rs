//! `dispatch iam create policy`: one rule.

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use crate::complete;
use crate::noun::Noun;
use crate::value::{self, Days};

pub const EXAMPLES: &str = "\
Examples:
  dispatch iam create policy ci-deploys -s ci -a get,create,update -r function,api
  dispatch iam create policy shop -s group:shop --role developer --application shop
  dispatch iam create policy no-deletes -s '*' -a delete -r '*' --deny --tag stage=prod
  dispatch iam create policy office -s group:ops --role operator --source 10.0.0.0/8 \\
      --days mon-fri --hours 08:00-18:00 --time-zone Europe/Vienna";

/// One rule: the subjects may do the actions to the resources
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("part_of_the_week").multiple(true)))]
pub struct CreatePolicy {
    pub name: String,
    /// User, service account, group:NAME or *
    #[arg(long = "subject", short, value_delimiter = ',', required = true)]
    subjects: Vec<String>,
    /// get, create, update, delete or *
    #[arg(long = "action", short, value_delimiter = ',', required_unless_present = "roles")]
    actions: Vec<String>,
    /// function, runs, image, baseimage, secret, api, application, iam or *; of one thing as
    /// function/NAME, of several as function/BEGINNING*
    #[arg(long = "resource", short, value_delimiter = ',', required_unless_present = "roles")]
    resources: Vec<String>,
    /// Role that says what, in place of actions and resources
    #[arg(long = "role", value_delimiter = ',', add = complete::names(Noun::Role),
          conflicts_with_all = ["actions", "resources"])]
    roles: Vec<String>,
    /// Keep the subjects from it, whatever other rules allow
    #[arg(long)]
    deny: bool,
    /// Only things of an application
    #[arg(long = "application", value_delimiter = ',',
          add = complete::names(Noun::Application))]
    applications: Vec<String>,
    /// Holds in every organization
    #[arg(long)]
    global: bool,
    #[command(flatten)]
    condition: Condition,
}

/// What must be so besides.
#[derive(Debug, Args)]
struct Condition {
    /// Only things with the tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = value::pair)]
    tags: Vec<String>,
    /// Only requests from an address or a range such as 10.0.0.0/8
    #[arg(long = "source", value_name = "ADDRESS", value_delimiter = ',')]
    sources: Vec<String>,
    /// Only at these hours: 09:00-17:30
    #[arg(long, value_name = "FROM-TO", value_parser = value::hours, group = "part_of_the_week")]
    hours: Option<(String, String)>,
    /// Only on these days: mon-fri, or sat,sun
    #[arg(long, value_name = "DAYS", value_parser = value::days, group = "part_of_the_week")]
    days: Option<Days>,
    /// Where these hours and days are [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "part_of_the_week")]
    time_zone: Option<String>,
    /// Not before a time: 2026-12-01T08:00:00Z, or unix seconds
    #[arg(long, value_name = "TIME", value_parser = value::moment)]
    not_before: Option<Value>,
    /// Not from a time on
    #[arg(long, value_name = "TIME", value_parser = value::moment)]
    not_after: Option<Value>,
}

impl CreatePolicy {
    pub fn body(&self) -> Value {
        let mut rule = json!({"subjects": self.subjects, "actions": self.actions,
                              "resources": self.resources});
        if !self.roles.is_empty() {
            rule["roles"] = json!(self.roles);
        }
        if self.deny {
            rule["effect"] = "deny".into();
        }
        if !self.applications.is_empty() {
            rule["applications"] = json!(self.applications);
        }
        if let Some(condition) = self.condition.body() {
            rule["condition"] = condition;
        }
        json!({"name": self.name, "rules": [rule], "global": self.global})
    }
}

impl Condition {
    fn body(&self) -> Option<Value> {
        let mut body = json!({});
        if !self.tags.is_empty() {
            let pairs = self.tags.iter().filter_map(|pair| pair.split_once('='));
            let tags = pairs.map(|(key, value)| json!({"key": key, "value": value}));
            body["tags"] = tags.collect();
        }
        if !self.sources.is_empty() {
            body["sourceAddresses"] = json!(self.sources);
        }
        if let Some(hours) = self.hours() {
            body["hours"] = hours;
        }
        let times = [("notBefore", &self.not_before), ("notAfter", &self.not_after)];
        for (field, time) in times {
            if let Some(time) = time {
                body[field] = time.clone();
            }
        }
        (body != json!({})).then_some(body)
    }

    /// Days without hours are whole.
    fn hours(&self) -> Option<Value> {
        if self.hours.is_none() && self.days.is_none() {
            return None;
        }
        let whole = || ("00:00".to_owned(), "24:00".to_owned());
        let (from, to) = self.hours.clone().unwrap_or_else(whole);
        let mut hours = json!({"from": from, "to": to});
        if let Some(Days(days)) = &self.days {
            hours["days"] = json!(days);
        }
        if let Some(zone) = &self.time_zone {
            hours["timeZone"] = json!(zone);
        }
        Some(hours)
    }
}
