//! Who the claims are about.

use std::time::{Duration, UNIX_EPOCH};

use dispatch_driver::identity::SignedIn;
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use serde_json::{Map, Value};

use super::settings::Settings;

/// Claims of the protocol, which say nothing of the person.
const OF_PROTOCOL: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];
/// Entra ID has left groups out: there are more than a token holds.
const OVERAGE: &str = "the provider left groups out, as they are too many for a token (group \
    overage of Entra ID): let it send only groups assigned to the application, or app roles with \
    groupsClaim=roles";

/// # Errors
/// `IDENTITY004` when the claim that names people is missing or no plain text.
pub fn signed_in(mut claims: Map<String, Value>, settings: &Settings) -> Result<SignedIn> {
    let subject = text(&claims, "sub").unwrap_or_default().to_owned();
    let name = name(&claims, settings, &subject)?;
    let mut person = SignedIn::new(&subject, &name)?;
    person = person.displayed(text(&claims, "name"));
    person = person.with_email(text(&claims, "email").filter(|_| is_verified(&claims)));
    person = person.in_groups(groups(find(&claims, &settings.groups_claim)));
    if has_overage(&claims) {
        person.note(OVERAGE);
    }
    let expires_s = claims.get("exp").and_then(Value::as_u64);
    person.expires_at = expires_s.and_then(|s| UNIX_EPOCH.checked_add(Duration::from_secs(s)));
    for claim in OF_PROTOCOL {
        claims.remove(claim);
    }
    Ok(person.with_claims(claims))
}

/// Whether userinfo may say more: where groups, or what people are named by, are missing.
pub fn is_incomplete(claims: &Map<String, Value>, settings: &Settings) -> bool {
    let wanted = match &settings.name_claim {
        Some(claim) => find(claims, claim).is_none(),
        None => text(claims, "email").is_none(),
    };
    wanted || find(claims, &settings.groups_claim).is_none()
}

fn name(claims: &Map<String, Value>, settings: &Settings, subject: &str) -> Result<String> {
    let Some(claim) = &settings.name_claim else {
        let email = text(claims, "email").filter(|_| is_verified(claims));
        // People choose this one themselves at many providers: it must not pass for an e-mail.
        let login = text(claims, "preferred_username").filter(|login| !login.contains('@'));
        return Ok(email.or(login).unwrap_or(subject).to_owned());
    };
    let refuted = claim == "email" && claims.contains_key("email_verified") && !is_verified(claims);
    match find(claims, claim).and_then(Value::as_str) {
        Some(name) if !refuted => Ok(name.to_owned()),
        found => {
            let why = if found.is_some() { "it says is not verified" } else { "it does not tell" };
            let text = format!("the provider is to name people by the claim {claim}, which {why}");
            Err(Error::backend(code::IDENTITY004, Retry::Never, text))
        }
    }
}

/// Some providers send the word.
fn is_verified(claims: &Map<String, Value>) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(word)) => word == "true",
        _ => false,
    }
}

fn text<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a str> {
    claims.get(claim).and_then(Value::as_str)
}

/// A claim by its whole name, which may have dots; else by a path of objects.
fn find<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(claim) {
        return Some(found);
    }
    let mut path = claim.split('.');
    let first = claims.get(path.next()?)?;
    path.try_fold(first, |value, part| value.get(part))
}

/// AD FS sends a text where there is one group, and a list where there are more.
fn groups(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn has_overage(claims: &Map<String, Value>) -> bool {
    let named = claims.get("_claim_names").and_then(|names| names.get("groups"));
    named.is_some() || claims.get("hasgroups").is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dispatch_driver::Config;
    use dispatch_driver::identity::IdentityType as _;
    use serde_json::json;

    use super::super::OidcType;
    use super::*;

    fn settings(more: &[(&str, &str)]) -> Settings {
        let all = [("issuer", "https://id.example.org"), ("clientId", "us")];
        let all = all.iter().chain(more).map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let config = Config::check("id", OidcType.known(), all, BTreeMap::new()).unwrap();
        Settings::read(&config).unwrap()
    }

    fn named(claims: Value, more: &[(&str, &str)]) -> Result<SignedIn> {
        signed_in(claims.as_object().unwrap().clone(), &settings(more))
    }

    #[test]
    fn an_email_names_somebody_only_when_it_is_verified() {
        let ann = json!({"sub": "1", "email": "ann@example.org", "email_verified": true});
        let ann = named(ann, &[]).unwrap();
        assert_eq!(
            (ann.name.as_str(), ann.email.as_deref()),
            ("ann@example.org", Some("ann@example.org"))
        );
        for (claims, name) in [
            (json!({"sub": "1", "email": "ann@example.org"}), "1"),
            (json!({"sub": "1", "email": "ann@example.org", "email_verified": false}), "1"),
            (json!({"sub": "1", "preferred_username": "ann"}), "ann"),
            (json!({"sub": "1", "preferred_username": "boss@example.org"}), "1"),
            (json!({"sub": "1", "email": "a@b.c", "email_verified": "true"}), "a@b.c"),
        ] {
            assert_eq!(named(claims.clone(), &[]).unwrap().name, name, "{claims}");
        }
        assert!(named(json!({"email": "a@b.c", "email_verified": true}), &[]).is_err());
    }

    #[test]
    fn settings_choose_another_claim_which_must_be_there() {
        let claims = json!({"sub": "1", "upn": "ann@corp.example", "email": "x@y.z"});
        assert_eq!(
            named(claims.clone(), &[("nameClaim", "upn")]).unwrap().name,
            "ann@corp.example"
        );
        assert_eq!(named(claims.clone(), &[("nameClaim", "email")]).unwrap().name, "x@y.z");
        let error = named(claims, &[("nameClaim", "oid")]).unwrap_err();
        assert_eq!(error.code, code::IDENTITY004);
        let refuted = json!({"sub": "1", "email": "x@y.z", "email_verified": false});
        assert!(named(refuted, &[("nameClaim", "email")]).is_err());
    }

    #[test]
    fn groups_are_a_list_a_text_or_lie_deeper() {
        let of = |claims, claim| named(claims, &[("groupsClaim", claim)]).unwrap().groups;
        assert_eq!(of(json!({"sub": "1", "groups": ["b", "a", 7, "a"]}), "groups"), ["a", "b"]);
        assert_eq!(of(json!({"sub": "1", "group": "one"}), "group"), ["one"]);
        let deep = json!({"sub": "1", "realm_access": {"roles": ["r"]}});
        assert_eq!(of(deep, "realm_access.roles"), ["r"]);
        assert_eq!(of(json!({"sub": "1", "https://e.org/g": ["x"]}), "https://e.org/g"), ["x"]);
        assert!(of(json!({"sub": "1", "groups": {"a": 1}}), "groups").is_empty());
    }

    #[test]
    fn groups_that_entra_leaves_out_are_noted() {
        let claims = json!({"sub": "1", "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x"}}});
        let ann = named(claims, &[]).unwrap();
        assert!(ann.groups.is_empty() && ann.notices[0].contains("overage"), "{:?}", ann.notices);
        assert_eq!(named(json!({"sub": "1", "hasgroups": true}), &[]).unwrap().notices.len(), 1);
    }
}
