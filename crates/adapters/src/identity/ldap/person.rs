//! An entry of a directory as somebody.

use std::fmt::Write as _;

use dispatch_driver::identity::SignedIn;
use dispatch_driver::{Error, Result, Retry};
use dispatch_model::code;
use ldap3::SearchEntry;
use serde_json::{Map, json};

use super::filter::equal;
use super::settings::Settings;

/// What is looked at besides what the settings name.
const ALWAYS: [&str; 4] =
    ["userAccountControl", "accountExpires", "shadowExpire", "pwdAccountLockedTime"];
/// Subjects of any bytes, which are written in hexadecimal digits.
const BINARY: [&str; 2] = ["objectGUID", "objectSid"];

/// Attributes that a search for people asks for.
pub fn attributes(settings: &Settings) -> Vec<&str> {
    let mut all = ALWAYS.to_vec();
    let named = [&settings.subject, &settings.display_name, &settings.email, &settings.login];
    all.extend(named.into_iter().chain(&settings.names).map(String::as_str));
    all.sort_unstable();
    all.dedup();
    all
}

/// # Errors
/// `IDENTITY004` when what tells people apart is missing.
pub fn signed_in(entry: &SearchEntry, settings: &Settings) -> Result<SignedIn> {
    let missing = |what: &str| {
        let text = format!("the directory does not tell the {what} of somebody");
        Error::backend(code::IDENTITY004, Retry::Never, text)
    };
    let subject = subject(entry, &settings.subject).ok_or_else(|| missing(&settings.subject))?;
    let name = settings.names.iter().find_map(|name| first(entry, name));
    let name = name.ok_or_else(|| missing(&settings.names.join(" or ")))?;
    let mut claims = Map::new();
    claims.insert("dn".to_owned(), json!(entry.dn));
    let person = SignedIn::new(&subject, name)?
        .displayed(first(entry, &settings.display_name))
        .with_email(first(entry, &settings.email));
    Ok(person.with_claims(claims))
}

fn is_binary(attribute: &str) -> bool {
    BINARY.iter().any(|binary| binary.eq_ignore_ascii_case(attribute))
}

fn subject(entry: &SearchEntry, attribute: &str) -> Option<String> {
    if !is_binary(attribute) {
        return first(entry, attribute).map(str::to_owned);
    }
    // Bytes that happen to be text arrive as such.
    let text = first(entry, attribute).map(str::as_bytes);
    let bytes = text.or_else(|| {
        let found = entry.bin_attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        Some(found?.1.first()?.as_slice())
    })?;
    Some(bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes all");
        hex
    }))
}

/// Finds the entry of a subject again. None for a subject that this directory never told.
pub fn subject_filter(subject: &str, attribute: &str) -> Option<String> {
    if !is_binary(attribute) {
        return Some(equal(attribute, subject.as_bytes()));
    }
    let digits = subject.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    Some(equal(attribute, &bytes.filter(|_| subject.len().is_multiple_of(2))?))
}

/// The first value of an attribute; directories write their names in any case.
pub fn first<'a>(entry: &'a SearchEntry, attribute: &str) -> Option<&'a str> {
    let named = |name: &String| name.eq_ignore_ascii_case(attribute);
    let values = entry.attrs.iter().find(|(name, _)| named(name))?.1;
    values.first().map(String::as_str).filter(|value| !value.is_empty())
}
