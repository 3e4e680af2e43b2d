//! The identity providers of this server, as its operator wrote them down: a file, since what it
//! says is who may be let in at all, and no tenant may change that.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use dispatch_driver::Config;
use dispatch_driver::identity::{IdentityProvider, IdentityType, SignedIn, plain};
use dispatch_model::Name;
use dispatch_model::session::Membership;
use serde::Deserialize;
use toml::{Table, Value};

use super::rule::{self, Rule};

/// Makes the providers of each type there is.
pub type Types = Vec<Box<dyn IdentityType>>;

/// What begins a group in the subjects of a policy: no provider can be called so, since its name
/// begins those of people.
const RESERVED: &str = "group";

/// The providers, in the order of their names.
#[derive(Default)]
pub struct Providers {
    all: BTreeMap<String, Arc<Provider>>,
}

/// One provider, and what its claims mean here.
pub struct Provider {
    pub name: String,
    pub type_name: &'static str,
    /// For people to read.
    pub title: String,
    pub driver: Arc<dyn IdentityProvider>,
    /// Begins the names of its people.
    prefix: Option<String>,
    rules: Vec<Rule>,
}

/// A provider as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    settings: Table,
    #[serde(default)]
    secrets: HashMap<String, Hidden>,
    #[serde(default)]
    rules: Vec<Rule>,
}

/// Where something secret is found.
#[derive(Deserialize)]
#[serde(untagged)]
enum Hidden {
    Text(String),
    Elsewhere(Elsewhere),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Elsewhere {
    File(String),
    Env(String),
}

impl Providers {
    /// Reads the file; there are none when it is not named.
    ///
    /// # Errors
    /// What in it is wrong, by its place. Never holds anything secret.
    pub fn open(file: &Path, types: &Types) -> anyhow::Result<Self> {
        if file.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let shown = || format!("auth.providers_file, {}", file.display());
        let text = std::fs::read_to_string(file).with_context(shown)?;
        // The parser's words show the line, which may be one with a secret.
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            anyhow::anyhow!("{}: line {line}: {}", shown(), error.message())
        })?;
        let mut all = BTreeMap::new();
        for (name, value) in table {
            let one = || format!("{}: [{name}]", shown());
            let Value::Table(table) = value else {
                bail!("{} stands outside of a provider: write [NAME] before it", one());
            };
            let made = Provider::new(&name, table, types).with_context(one)?;
            all.insert(name, Arc::new(made));
        }
        Ok(Self { all })
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.all.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.all.values()
    }
}

impl Provider {
    fn new(name: &str, table: Table, types: &Types) -> anyhow::Result<Self> {
        Name::new(name).map_err(anyhow::Error::msg)?;
        if name == RESERVED {
            bail!("{RESERVED:?} is what policies call groups: choose another name");
        }
        let written: Written =
            serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
                let path = error.path().to_string();
                anyhow::anyhow!("{path}: {}", error.into_inner().message())
            })?;
        let known = || types.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
        let found = types.iter().find(|known| known.name() == written.type_name);
        let kind = found.with_context(|| {
            format!("type: {:?} is not known; types are: {}", written.type_name, known())
        })?;
        for (i, rule) in written.rules.iter().enumerate() {
            rule.check().map_err(|error| anyhow::anyhow!("rules[{i}].{error}"))?;
        }
        if written.prefix.as_ref().is_some_and(|p| !p.is_empty() && !plain(p)) {
            bail!("prefix: must be plain text");
        }
        let settings = written.settings.into_iter().map(|(key, value)| {
            let text = text(&value).with_context(|| format!("settings.{key}"))?;
            Ok((key, text))
        });
        let secrets = written.secrets.into_iter().map(|(key, hidden)| {
            let text = hidden.read().with_context(|| format!("secrets.{key}"))?;
            Ok((key, text))
        });
        let settings = settings.collect::<anyhow::Result<_>>()?;
        let secrets = secrets.collect::<anyhow::Result<_>>()?;
        let config = Config::check(name, kind.known(), settings, secrets);
        let driver = kind.make(config.map_err(anyhow::Error::msg)?)?;
        Ok(Self {
            name: name.to_owned(),
            type_name: kind.name(),
            title: written.title.unwrap_or_else(|| name.to_owned()),
            driver,
            prefix: written.prefix,
            rules: written.rules,
        })
    }

    /// What policies call somebody. A name that is not the e-mail the provider has verified could
    /// be a service account's, or somebody's of another provider: the provider's name goes before
    /// it. An empty prefix says that its names are good as they are, as far as no account can have
    /// them.
    pub fn subject(&self, person: &SignedIn) -> String {
        let verified = person.email.as_ref() == Some(&person.name);
        match self.prefix.as_deref() {
            Some("") if person.name.contains('@') => person.name.clone(),
            None if verified => person.name.clone(),
            Some("") | None => format!("{}:{}", self.name, person.name),
            Some(prefix) => format!("{prefix}{}", person.name),
        }
    }

    /// The organizations somebody is a member of; empty when no rule lets them in.
    pub fn memberships(&self, person: &SignedIn) -> Vec<Membership> {
        rule::memberships(&self.rules, person)
    }

    /// The values of one of somebody's claims.
    pub fn claim(person: &SignedIn, claim: &str) -> Vec<String> {
        rule::values(person, claim)
    }
}

impl Hidden {
    fn read(self) -> anyhow::Result<String> {
        match self {
            Hidden::Text(text) => Ok(text),
            Hidden::Elsewhere(Elsewhere::File(file)) => {
                let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            Hidden::Elsewhere(Elsewhere::Env(name)) => {
                std::env::var(&name).with_context(|| format!("environment variable {name}"))
            }
        }
    }
}

/// A setting as its type reads it.
fn text(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Boolean(_) => Ok(value.to_string()),
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(text).collect::<anyhow::Result<_>>()?;
            Ok(texts.join(","))
        }
        _ => bail!("must be text, a number, true or false, or a list of them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> anyhow::Result<Providers> {
        crate::boot::prepare();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("providers.toml");
        std::fs::write(&file, text).unwrap();
        Providers::open(&file, &dispatch_adapters::identity::types())
    }

    const GOOD: &str = r#"
        [corp]
        type = "oidc"
        title = "Corp"
        settings = { issuer = "https://id.example.org", clientId = "dispatch" }
        secrets = { clientSecret = "canary" }
        [[corp.rules]]
        organization = "acme"
        [hub]
        type = "github"
        settings = { clientId = "x" }
        secrets = { clientSecret = "y" }
    "#;

    #[test]
    fn people_are_named_so_that_nobody_else_is() {
        let providers = open(GOOD).unwrap();
        let named = |providers: &Providers, name: &str, email: Option<&str>| {
            let person = SignedIn::new("1", name).unwrap().with_email(email);
            providers.get("corp").unwrap().subject(&person)
        };
        let (ada, mail) = ("ada@acme.example", Some("ada@acme.example"));
        assert_eq!(named(&providers, ada, mail), ada);
        assert_eq!(named(&providers, "ci", mail), "corp:ci");
        assert_eq!(named(&providers, ada, None), "corp:ada@acme.example", "nobody verified it");
        let with = |prefix: &str| {
            open(&GOOD.replace("title = \"Corp\"", &format!("prefix = {prefix:?}"))).unwrap()
        };
        assert_eq!(named(&with("partner:"), ada, mail), "partner:ada@acme.example");
        assert_eq!(named(&with(""), ada, None), ada, "as the operator says");
        assert_eq!(named(&with(""), "ci", None), "corp:ci", "never a service account");
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_secret_is_shown() {
        for (from, to, says) in [
            ("type = \"oidc\"", "type = \"saml\"", "types are: github, ldap, oidc"),
            ("title =", "titel =", "titel"),
            ("clientId = \"dispatch\"", "clientID = \"x\"", "clientId"),
            ("issuer = \"https://id.example.org\", ", "", "settings.issuer"),
            ("organization = \"acme\"", "organization = \"a/b\"", "rules[0].organization"),
            ("clientSecret = \"canary\"", "clientSecret = \"canary", "line"),
            ("clientSecret = \"canary\"", "clientSecret = { file = \"/no/file\" }", "/no/file"),
            ("[hub]", "[group]", "choose another name"),
            ("[corp]", "x = 1\n[corp]", "[NAME]"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let error = format!("{:#}", open(&text).err().expect(to));
            assert!(error.contains(says), "{to}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
        assert!(open("").unwrap().is_empty());
    }
}
