//! Which identity provider a person signs in with, and by which of its ways.

use std::io::IsTerminal as _;

use anyhow::Result;
use dispatch_wire::IdentityProvider;
use dispatch_wire::client::{Client, Error};

use super::password::prompt;
use crate::command::identity_provider;
use crate::hint::{self, wrong};
use crate::printer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Browser,
    Device,
    Password,
}

impl Way {
    const ALL: [Way; 3] = [Way::Browser, Way::Device, Way::Password];

    fn words(self) -> &'static str {
        match self {
            Way::Browser => "a browser",
            Way::Device => "a code on another device",
            Way::Password => "a password",
        }
    }

    fn is_of(self, provider: &IdentityProvider) -> bool {
        match self {
            Way::Browser => provider.browser,
            Way::Device => provider.device,
            Way::Password => provider.password,
        }
    }
}

/// What to do without an identity provider.
const INSTEAD: &str = "--service-account [ORG/]NAME --jwt-private-key FILE, or --token TOKEN; an \
                       operator names identity providers in the server's auth.providers_file";

pub fn nothing() -> anyhow::Error {
    wrong("the server has no identity provider to sign in with", INSTEAD)
}

/// The server's identity providers; None of a server that knows of none at all, as v1's.
pub async fn offered(client: &Client) -> Result<Option<Vec<IdentityProvider>>> {
    let answer = match client.get(identity_provider::PATH).await {
        Err(error) if error.status() == Some(404) => return Ok(None),
        answer => answer?,
    };
    let read = serde_json::from_value(answer);
    Ok(Some(read.map_err(|error| Error::NotJson(error.to_string()))?))
}

/// The one of the name; without a name the one there is, or the one a person picks.
pub fn choose(
    offered: Vec<IdentityProvider>,
    name: Option<&str>,
    wanted: Option<Way>,
) -> Result<IdentityProvider> {
    if offered.is_empty() {
        return Err(nothing());
    }
    if let Some(name) = name {
        let known = offered.iter().map(|provider| provider.name.as_str());
        let unknown = hint::unknown("identity provider", name, known);
        return Ok(offered.into_iter().find(|p| p.name == name).ok_or(unknown)?);
    }
    let fits = |provider: &IdentityProvider| match wanted {
        Some(way) => way.is_of(provider),
        None => Way::ALL.iter().any(|way| way.is_of(provider)),
    };
    let mut fitting: Vec<_> = offered.into_iter().filter(fits).collect();
    match (fitting.len(), wanted) {
        (0, None) => Err(nothing()),
        (0, Some(way)) => {
            let said = format!("no identity provider has sign-in by {}", way.words());
            Err(wrong(said, "`dispatch login` alone takes what there is"))
        }
        (1, _) => Ok(fitting.remove(0)),
        _ => pick(fitting),
    }
}

fn pick(mut providers: Vec<IdentityProvider>) -> Result<IdentityProvider> {
    let names: Vec<_> = providers.iter().map(|provider| provider.name.clone()).collect();
    let needed = || wrong(several(&names), "--provider NAME chooses one");
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(needed());
    }
    for (at, provider) in (1..).zip(&providers) {
        printer::progress(&format!("{at:>3}  {}  {}", provider.name, provider.title));
    }
    let answer = prompt("Sign in with (number or name): ")?;
    match found(&names, answer.trim()) {
        Some(at) => Ok(providers.remove(at)),
        None if answer.trim().is_empty() => Err(needed()),
        None => {
            Err(hint::unknown("identity provider", answer.trim(), names.iter().map(String::as_str))
                .into())
        }
    }
}

fn several(names: &[String]) -> String {
    format!("there are several identity providers to sign in with: {}", names.join(", "))
}

/// Where the name is, or the number that counts from 1.
fn found(names: &[String], answer: &str) -> Option<usize> {
    let number = || answer.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < names.len());
    names.iter().position(|name| name == answer).or_else(number)
}

/// The way that is wanted, or the one that suits where the person sits.
pub fn way(provider: &IdentityProvider, wanted: Option<Way>, browser_is_here: bool) -> Result<Way> {
    let has = |way: &Way| way.is_of(provider);
    if let Some(way) = wanted.filter(|way| !has(way)) {
        let ways: Vec<_> = Way::ALL.into_iter().filter(has).map(Way::words).collect();
        let said = format!("provider {} has no sign-in by {}", provider.name, way.words());
        return Err(match ways.is_empty() {
            true => wrong(said, PROGRAMS),
            false => wrong(said, format!("it has sign-in by {}", ways.join(", by "))),
        });
    }
    let order = match browser_is_here {
        true => [Way::Browser, Way::Device, Way::Password],
        false => [Way::Device, Way::Browser, Way::Password],
    };
    wanted.or_else(|| order.into_iter().find(has)).ok_or_else(|| {
        wrong(format!("provider {} signs in programs only", provider.name), PROGRAMS)
    })
}

const PROGRAMS: &str = "--service-account ORG/NAME --identity-token-file FILE";

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, ways: &[Way]) -> IdentityProvider {
        IdentityProvider {
            name: name.to_owned(),
            browser: ways.contains(&Way::Browser),
            device: ways.contains(&Way::Device),
            password: ways.contains(&Way::Password),
            ..IdentityProvider::default()
        }
    }

    fn hint(error: &anyhow::Error) -> &str {
        &error.downcast_ref::<hint::Wrong>().unwrap().hint
    }

    #[test]
    fn what_suits_is_taken() {
        let both = [Way::Browser, Way::Device];
        let all = || vec![provider("corp", &both), provider("ldap", &[Way::Password])];
        assert_eq!(choose(all(), Some("ldap"), None).unwrap().name, "ldap");
        assert_eq!(choose(all(), None, Some(Way::Device)).unwrap().name, "corp");
        let with_programs = vec![provider("ci", &[]), provider("corp", &both)];
        assert_eq!(choose(with_programs, None, None).unwrap().name, "corp");

        let corp = provider("corp", &both);
        assert_eq!(way(&corp, None, true).unwrap(), Way::Browser);
        assert_eq!(way(&corp, None, false).unwrap(), Way::Device);
        assert_eq!(way(&corp, Some(Way::Browser), false).unwrap(), Way::Browser);
        let pages_only = provider("pages", &[Way::Browser]);
        assert_eq!(way(&pages_only, None, false).unwrap(), Way::Browser);
    }

    #[test]
    fn what_does_not_suit_says_what_does() {
        let corp = || provider("corp", &[Way::Browser]);
        let error = choose(vec![], None, None).unwrap_err();
        assert!(hint(&error).contains("auth.providers_file"), "{error}");
        assert!(hint(&error).contains("--service-account"), "{error}");
        let error = choose(vec![corp()], Some("crop"), None).unwrap_err();
        assert_eq!(hint(&error), "did you mean corp?");
        let error = choose(vec![corp()], None, Some(Way::Password)).unwrap_err();
        assert_eq!(error.to_string(), "no identity provider has sign-in by a password");
        let error = way(&corp(), Some(Way::Device), true).unwrap_err();
        assert_eq!(hint(&error), "it has sign-in by a browser");
        let error = way(&provider("ci", &[]), None, true).unwrap_err();
        assert!(hint(&error).contains("--identity-token-file"), "{error}");
    }

    #[test]
    fn one_is_picked_by_its_number_or_name() {
        let names = ["corp".to_owned(), "1st".to_owned(), "1".to_owned()];
        for (answer, at) in [("corp", Some(0)), ("2", Some(1)), ("1", Some(2)), ("0", None)] {
            assert_eq!(found(&names, answer), at, "{answer}");
        }
        assert_eq!(found(&names, "4"), None);
        assert_eq!(found(&names, ""), None);
    }
}
