//! `dispatch manage bootstrap`: from the local administrator, or the one-time credential of a new
//! installation, to a signed-in service account.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use dispatch_wire::client::{Client, Credentials};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, login};
use crate::arguments::Global;
use crate::{connect, key_pair, secret_file};

#[derive(Debug, Args)]
pub struct Bootstrap {
    /// Subject that gets all rights beside the service account
    #[arg(long, value_name = "USER")]
    bootstrap_user: Option<String>,
    /// Organization to make
    #[arg(long, default_value = "dispatch", value_name = "ORGANIZATION")]
    bootstrap_org: String,
    /// Service account to make
    #[arg(long, default_value = "default-svc", value_name = "NAME")]
    bootstrap_svc_account: String,
    /// The one-time credential that a new server prints
    #[arg(
        long,
        value_name = "TEXT",
        env = "DISPATCH_BOOTSTRAP_CREDENTIAL",
        hide_env_values = true,
        conflicts_with = "disable"
    )]
    credential: Option<String>,
    /// A file with that credential; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["credential", "disable"])]
    credential_file: Option<PathBuf>,
    /// End the bootstrap user, and delete the policy it made; a bootstrap user of the server's
    /// configuration can make another
    #[arg(long, short)]
    disable: bool,
}

/// The policy that v1 made.
const POLICY: &str = "default-policy";

impl Bootstrap {
    pub async fn run(self, mut context: Context, global: &Global) -> Result<()> {
        if self.disable {
            return disable(&context).await;
        }
        let client = self.client(&context, global).await?;
        make(&client, "iam/organization", &json!({"name": self.bootstrap_org})).await?;
        // The account and the policy are the new organization's.
        let client = client.of_organization(&self.bootstrap_org);
        let (private, public) = key_pair::rsa()?;
        let account = &self.bootstrap_svc_account;
        let file = self.key_file(&context);
        // Beside the key of an attempt before, which holds until the server has taken this one.
        let next = file.with_extension(format!("{}.pem", std::process::id()));
        std::fs::create_dir_all(context.session.config.folder())?;
        crate::config::write_private(&next, private.as_bytes())?;
        let body = json!({"name": account, "publicKey": STANDARD.encode(public)});
        let made = make(&client, "iam/serviceaccount", &body).await;
        match made.context("service account") {
            // Left behind by an attempt that was cut off: the credential shows a new installation.
            Err(error) if self.has_credential() && is_there(&error) => {
                let path = format!("iam/serviceaccount/{account}");
                client.send(Method::PUT, &path, &[], Some(&body)).await?;
            }
            Err(error) if is_refusal(&error) => {
                let _ = std::fs::remove_file(&next);
                return Err(error);
            }
            // It may have been made all the same.
            made => made.with_context(|| {
                format!("if the account was made, its private key is in {}", next.display())
            })?,
        }
        std::fs::rename(&next, &file).with_context(|| file.display().to_string())?;
        let mut subjects = vec![account.clone()];
        subjects.extend(self.bootstrap_user.clone());
        let rule = json!({"subjects": subjects, "actions": ["*"], "resources": ["*"]});
        // The policy comes last: with it local mode ends, and the account must be there by then.
        let policy = json!({"name": POLICY, "global": true, "rules": [rule]});
        let issuer = format!("{}/{account}", self.bootstrap_org);
        let mut values = Vec::new();
        let host = login::remember_server(&mut values, &context, global);
        values.extend([
            ("organization", json!(self.bootstrap_org)),
            ("serviceaccount", json!(issuer)),
            ("jwtprivatekey", json!(file.canonicalize()?)),
            ("cookie", Value::Null),
            ("token", Value::Null),
        ]);
        make(&client, "iam/policy", &policy).await.context("policy")?;
        context.session.config.change(|config| {
            config.set(&host, &values);
            Ok(())
        })?;
        context.printer.say(&format!("Created organization: {}", self.bootstrap_org));
        context.printer.say(&format!("Created service account: {account}"));
        context.printer.say(&format!("Created policy: {POLICY}"));
        context.printer.say(&format!("The private key is in {}", file.display()));
        Ok(())
    }
}

impl Bootstrap {
    /// Where the account's private key goes: never over that of another server's account.
    fn key_file(&self, context: &Context) -> PathBuf {
        let config = &context.session.config;
        let name = format!("{}-{}.pem", self.bootstrap_org, self.bootstrap_svc_account);
        let own = config.text("jwtprivatekey").map(PathBuf::from);
        let url = url::Url::parse(context.session.client.base()).ok();
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or_default();
        let longer = format!("{}-{name}", config.name_for(host));
        let more = (2..).map(|number: u64| format!("{number}-{longer}"));
        let files = [name, longer.clone()].into_iter().chain(more);
        let mut files = files.map(|name| config.folder().join(name));
        let free =
            |file: &PathBuf| !file.exists() || own.as_ref().is_some_and(|own| same_file(own, file));
        files.find(free).unwrap_or_else(|| config.folder().join(longer))
    }

    /// Who makes all this: the one-time credential's user, else whoever is signed in.
    async fn client(&self, context: &Context, global: &Global) -> Result<Client> {
        let client = context.session.client.clone();
        let Some(credential) = self.credential()? else { return Ok(client) };
        let (private_key_pem, public) = key_pair::ed25519()?;
        let with_it = client.signed_in_with(Credentials::Token(credential));
        let claim = json!({"publicKey": STANDARD.encode(public)});
        let made = with_it.send(Method::POST, "iam/bootstrap", &[], Some(&claim)).await;
        let made = made.context("the one-time credential")?.body;
        let issuer = made["issuer"].as_str().unwrap_or("bootstrap").to_owned();
        let audience = connect::audience(global, &context.session.config);
        Ok(client.signed_in_with(Credentials::Account { issuer, private_key_pem, audience }))
    }

    fn has_credential(&self) -> bool {
        self.credential.is_some() || self.credential_file.is_some()
    }

    fn credential(&self) -> Result<Option<String>> {
        match (&self.credential, &self.credential_file) {
            (Some(text), _) => Ok(Some(text.trim().to_owned())),
            (None, Some(file)) => secret_file::read(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The bootstrap user first: whoever deletes the policy may lose the right to.
async fn disable(context: &Context) -> Result<()> {
    let client = &context.session.client;
    client.send(Method::DELETE, "iam/bootstrap", &[], None).await?;
    context.printer.say("The bootstrap user can no longer sign in");
    client.send(Method::DELETE, &format!("iam/policy/{POLICY}"), &[], None).await?;
    context.printer.say(&format!("Deleted policy: {POLICY}"));
    Ok(())
}

/// Whether an error says that nothing was made.
fn is_refusal(error: &anyhow::Error) -> bool {
    let answer = error.downcast_ref::<dispatch_wire::client::Error>();
    answer.and_then(|answer| answer.status()).is_some_and(|status| (400..500).contains(&status))
}

/// Whether an error says that there is one of the name.
fn is_there(error: &anyhow::Error) -> bool {
    let answer = error.downcast_ref::<dispatch_wire::client::Error>();
    answer.is_some_and(|answer| answer.status() == Some(409))
}

/// Creates something that may be there already.
async fn make(client: &Client, path: &str, body: &Value) -> Result<()> {
    match client.send(Method::POST, path, &[], Some(body)).await {
        Err(error) if error.status() == Some(409) && path == "iam/organization" => Ok(()),
        outcome => Ok(outcome.map(|_| ())?),
    }
}
