//! `dispatch manage bootstrap`: from the local administrator to a signed-in service account.

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, login};
use crate::arguments::Global;

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
    /// Delete the policy it made; a bootstrap user of the server's configuration can make another
    #[arg(long, short)]
    disable: bool,
}

/// The policy that v1 made.
const POLICY: &str = "default-policy";

impl Bootstrap {
    pub async fn run(self, mut context: Context, global: &Global) -> Result<()> {
        let client = context.session.client.clone();
        if self.disable {
            let path = format!("iam/policy/{POLICY}");
            client.send(Method::DELETE, &path, &[], None).await?;
            context.printer.say(&format!("Deleted policy: {POLICY}"));
            return Ok(());
        }
        make(&client, "iam/organization", &json!({"name": self.bootstrap_org})).await?;
        // The account and the policy are the new organization's.
        let client = client.of_organization(&self.bootstrap_org);
        let (private, public) = key_pair()?;
        let folder = context.session.config.folder().to_owned();
        let account = &self.bootstrap_svc_account;
        let file = folder.join(format!("{}-{account}.pem", self.bootstrap_org));
        std::fs::create_dir_all(&folder)?;
        crate::config::write_private(&file, private.as_bytes())?;
        let body = json!({"name": account, "publicKey": STANDARD.encode(public)});
        make(&client, "iam/serviceaccount", &body).await.context("service account")?;
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
        context.session.config.set(&host, &values);
        context.session.config.save()?;
        context.printer.say(&format!("Created organization: {}", self.bootstrap_org));
        context.printer.say(&format!("Created service account: {account}"));
        context.printer.say(&format!("Created policy: {POLICY}"));
        context.printer.say(&format!("The private key is in {}", file.display()));
        Ok(())
    }
}

/// Creates something that may be there already.
async fn make(client: &dispatch_wire::client::Client, path: &str, body: &Value) -> Result<()> {
    match client.send(Method::POST, path, &[], Some(body)).await {
        Err(error) if error.status() == Some(409) && path == "iam/organization" => Ok(()),
        outcome => Ok(outcome.map(|_| ())?),
    }
}

/// A fresh RSA key pair as PEM: private (PKCS #8), public.
fn key_pair() -> Result<(String, String)> {
    let failed = || anyhow::anyhow!("an RSA key could not be made");
    let pair = KeyPair::generate(KeySize::Rsa3072).map_err(|_| failed())?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| failed())?;
    Ok((pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref())))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
