//! `dispatch login` and `logout`: what the current context signs in with.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::arguments::Global;
use crate::connect;
use crate::hint::wrong;

#[derive(Debug, Args)]
pub struct Login {
    /// Do not ask the server whether the credentials are good
    #[arg(long)]
    no_check: bool,
    /// Print more while signing in
    #[arg(long, hide = true)]
    debug: bool,
}

impl Login {
    pub async fn run(self, mut context: Context, global: &Global) -> Result<()> {
        let mut values: Vec<(&str, Value)> = vec![("cookie", Value::Null)];
        if let Some(token) = &global.token {
            values.push(("token", json!(token)));
            values.extend(
                ["serviceaccount", "jwtprivatekey", "audience"].map(|key| (key, Value::Null)),
            );
        } else if let Some(account) = &global.service_account {
            let file = global.jwt_private_key.as_ref();
            let file = file.ok_or_else(|| connect::account_needs_key(account))?;
            let file: PathBuf = file.canonicalize().with_context(|| file.display().to_string())?;
            let issuer = connect::issuer(account, context.session.organization.as_deref());
            values.push(("serviceaccount", json!(issuer)));
            values.push(("jwtprivatekey", json!(file)));
            values.push(("audience", json!(global.audience)));
            values.push(("token", Value::Null));
        } else {
            return Err(wrong(
                "nothing was given to sign in with",
                "--service-account [ORG/]NAME --jwt-private-key FILE, or --token TOKEN; sign-in by \
                 browser is not there yet",
            ));
        }
        if !self.no_check {
            // Any answer but 401 shows that the server knows who this is.
            let known = context.session.client.get("iam/organization").await;
            if let Err(error) = known
                && error.status().is_none_or(|status| status == 401)
            {
                return Err(error.into());
            }
        }
        let host = remember_server(&mut values, &context, global);
        context.session.config.set(&host, &values);
        context.session.config.save()?;
        context.printer.say("You have successfully logged in");
        Ok(())
    }
}

/// Adds where the server is, so that later commands find it; returns its host.
pub fn remember_server(
    values: &mut Vec<(&'static str, Value)>,
    context: &Context,
    global: &Global,
) -> String {
    let base = context.session.client.base();
    let url = url::Url::parse(base).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("localhost").to_owned();
    values.push(("host", json!(host)));
    if let Some(url) = &url {
        values.push(("port", json!(url.port_or_known_default())));
        values.push(("scheme", json!(url.scheme())));
    }
    if let Some(organization) = &context.session.organization {
        values.push(("organization", json!(organization)));
    }
    if let Some(insecure) = global.insecure {
        values.push(("insecure", json!(insecure)));
    }
    host
}

/// Forgets the credentials of the current context.
pub fn logout(mut context: Context) -> Result<()> {
    let keys = ["cookie", "token", "serviceaccount", "jwtprivatekey", "audience"];
    let host = context.session.config.text("host").unwrap_or_else(|| "localhost".to_owned());
    context.session.config.set(&host, &keys.map(|key| (key, Value::Null)));
    context.session.config.save()?;
    context.printer.say("You have successfully logged out");
    Ok(())
}
