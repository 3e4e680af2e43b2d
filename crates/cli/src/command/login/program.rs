//! Sign-in of a program: a token of an identity provider that its service account trusts.

use std::path::Path;

use anyhow::Result;
use dispatch_wire::SignIn;

use super::exchange::{self, SignedIn};
use crate::arguments::Global;
use crate::connect::{self, Session};
use crate::hint::wrong;
use crate::secret_file;

pub async fn sign_in(session: &Session, global: &Global, file: &Path) -> Result<SignedIn> {
    let account = account(global, session.organization.as_deref())?;
    let token = secret_file::read(file)?;
    if token.is_empty() {
        let said = format!("--identity-token-file {}: it is empty", file.display());
        return Err(wrong(said, "it must hold a token (JWT) of a CI system or Kubernetes"));
    }
    let sign_in =
        SignIn { service_account: Some(account), token: Some(token), ..SignIn::default() };
    exchange::begin(&session.client, &sign_in).await
}

/// Whom the token signs in as: `ORG/NAME`.
fn account(global: &Global, organization: Option<&str>) -> Result<String> {
    if global.jwt_private_key.is_some() {
        return Err(wrong(
            "--jwt-private-key and --identity-token-file both sign in: one must be left out",
            "DISPATCH_JWT_PRIVATE_KEY counts as the first",
        ));
    }
    let Some(name) = &global.service_account else {
        let said = "--identity-token-file signs in as a service account, and none is named";
        return Err(wrong(said, "--service-account ORG/NAME"));
    };
    let whole = connect::issuer(name, organization);
    if !whole.contains('/') {
        let said = format!("--service-account {name} is of no organization");
        return Err(wrong(said, format!("--service-account ORG/{name}, or --organization ORG")));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Arguments;

    fn of(line: &str, organization: Option<&str>) -> Result<String> {
        let words = ["dispatch", "logout"].into_iter().chain(line.split_whitespace());
        account(&Arguments::try_parse_from(words)?.global, organization)
    }

    #[test]
    fn the_account_is_of_an_organization() {
        assert_eq!(of("--service-account acme/ci", Some("other")).unwrap(), "acme/ci");
        assert_eq!(of("--service-account ci", Some("acme")).unwrap(), "acme/ci");
        for (line, part) in [
            ("", "none is named"),
            ("--service-account ci", "of no organization"),
            ("--service-account acme/ci --jwt-private-key k.pem", "must be left out"),
        ] {
            let error = of(line, None).unwrap_err();
            assert!(error.to_string().contains(part), "{line}: {error}");
        }
    }
}
