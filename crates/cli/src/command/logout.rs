//! `dispatch logout`: ends the session of the current context and forgets what signed in.

use anyhow::Result;
use dispatch_wire::client::Credentials;
use serde_json::Value;

use super::{Context, login, session};
use crate::printer;

pub async fn run(mut context: Context) -> Result<()> {
    let config = &mut context.session.config;
    if config.used().is_none() {
        let base = context.session.client.base();
        context.printer.say(&format!("The configuration file signs nobody in at {base}"));
        return Ok(());
    }
    let token = config.text("token").filter(|token| token.starts_with(login::SESSION));
    let ended = match token {
        Some(token) => {
            let client = context.session.client.signed_in_with(Credentials::Token(token));
            session::end(&client, "current").await
        }
        None => Ok(Value::Null),
    };
    config.change(|config| {
        config.unset(&login::KEYS);
        Ok(())
    })?;
    match ended {
        Ok(answer) => session::tell_where_else(context.printer, &answer),
        // It had ended already.
        Err(error) if error.status() == Some(401) => {}
        Err(error) => printer::warning(&format!(
            "the session is forgotten here, but the server did not end it: {error}"
        )),
    }
    context.printer.say("You have successfully logged out");
    Ok(())
}
