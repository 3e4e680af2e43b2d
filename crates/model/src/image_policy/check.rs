//! Whether a policy says something: errors name the field.

use std::collections::HashSet;

use super::{
    Effect, Globs, ImagePolicySpec, MAX_ALL_GLOBS, MAX_GLOBS, MAX_GRACE_DAYS, MAX_KEY_BYTES,
    MAX_KEYS, MAX_RULES, MAX_TEXT, Match, Rule, VersionRange,
};
use crate::Violation;

/// Characters of a rule's name.
const MAX_NAME: usize = 64;

impl ImagePolicySpec {
    /// # Errors
    /// The first field that breaks a rule, by its JSON path.
    pub fn check(&self) -> Result<(), Violation> {
        if self.rules.len() > MAX_RULES {
            let text = format!("has {} entries, at most {MAX_RULES}", self.rules.len());
            return Err(Violation::new("rules", text));
        }
        let mut names = HashSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            let field = format!("rules[{at}]");
            if !names.insert(rule.name.as_str()) {
                let text = format!("{:?} is the name of another rule too", rule.name);
                return Err(Violation::new(format!("{field}.name"), text));
            }
            check_rule(rule, &field)?;
        }
        let globs: usize = self.rules.iter().map(|rule| rule.matches.globs()).sum();
        if globs > MAX_ALL_GLOBS {
            let text = format!("have {globs} globs together, at most {MAX_ALL_GLOBS}");
            return Err(Violation::new("rules", text));
        }
        self.check_keys()
    }

    fn check_keys(&self) -> Result<(), Violation> {
        if self.keys.len() > MAX_KEYS {
            let text = format!("has {} entries, at most {MAX_KEYS}", self.keys.len());
            return Err(Violation::new("keys", text));
        }
        let pem = |key: &&String| {
            key.len() <= MAX_KEY_BYTES && key.trim_start().starts_with("-----BEGIN PUBLIC KEY-----")
        };
        match self.keys.iter().position(|key| !pem(&key)) {
            Some(at) => {
                let text = format!(
                    "must be a public key in PEM (-----BEGIN PUBLIC KEY-----), at most \
                     {MAX_KEY_BYTES} bytes"
                );
                Err(Violation::new(format!("keys[{at}]"), text))
            }
            None => Ok(()),
        }
    }
}

impl Match {
    fn globs(&self) -> usize {
        let all = [&self.package, &self.licence, &self.base_image, &self.vulnerability];
        all.into_iter().flatten().map(|globs| globs.all().len()).sum()
    }
}

fn check_rule(rule: &Rule, field: &str) -> Result<(), Violation> {
    let length = rule.name.chars().count();
    if rule.name.trim().is_empty() || length > MAX_NAME || rule.name.chars().any(char::is_control) {
        let text = format!("{:?} must have 1 to {MAX_NAME} printable characters", rule.name);
        return Err(Violation::new(format!("{field}.name"), text));
    }
    if rule.grace_days > MAX_GRACE_DAYS {
        let text = format!("{} is more than {MAX_GRACE_DAYS}", rule.grace_days);
        return Err(Violation::new(format!("{field}.graceDays"), text));
    }
    if rule.grace_days > 0 && rule.effect != Effect::Deny {
        let text = "only rules with the effect deny have a grace period";
        return Err(Violation::new(format!("{field}.graceDays"), text));
    }
    check_match(&rule.matches, &format!("{field}.match"))
}

fn check_match(matches: &Match, field: &str) -> Result<(), Violation> {
    if *matches == Match::default() {
        let text = "is empty: name a package, ecosystem, version, licence, baseImage, \
                    vulnerability, severity or unsigned";
        return Err(Violation::new(field, text));
    }
    let globs = [
        ("package", &matches.package),
        ("licence", &matches.licence),
        ("baseImage", &matches.base_image),
        ("vulnerability", &matches.vulnerability),
    ];
    for (name, globs) in globs {
        if let Some(globs) = globs {
            check_globs(globs, &format!("{field}.{name}"))?;
        }
    }
    if let Some(version) = &matches.version {
        let name = format!("{field}.version");
        if version.len() > MAX_TEXT {
            return Err(Violation::new(name, format!("is longer than {MAX_TEXT} bytes")));
        }
        VersionRange::parse(version).map_err(|text| Violation::new(name, text))?;
    }
    if matches.unsigned == Some(false) {
        let text = "can only be true: what is signed is admitted anyway; leave it out";
        return Err(Violation::new(format!("{field}.unsigned"), text));
    }
    check_mixture(matches, field)
}

fn check_globs(globs: &Globs, field: &str) -> Result<(), Violation> {
    let all = globs.all();
    if all.is_empty() || all.len() > MAX_GLOBS {
        let text = format!("has {} entries, must have 1 to {MAX_GLOBS}", all.len());
        return Err(Violation::new(field, text));
    }
    let bad = |glob: &&String| {
        glob.is_empty() || glob.len() > MAX_TEXT || glob.chars().any(char::is_control)
    };
    match all.iter().find(bad) {
        Some(glob) => {
            let start: String = glob.chars().take(40).collect();
            let text = format!("{start:?} must have 1 to {MAX_TEXT} bytes that can be printed");
            Err(Violation::new(field, text))
        }
        None => Ok(()),
    }
}

/// A rule speaks of one kind of thing: fields of other kinds could never match.
fn check_mixture(matches: &Match, field: &str) -> Result<(), Violation> {
    let given = [
        ("package", matches.package.is_some()),
        ("ecosystem", matches.ecosystem.is_some()),
        ("version", matches.version.is_some()),
        ("licence", matches.licence.is_some()),
        ("baseImage", matches.base_image.is_some()),
        ("vulnerability", matches.vulnerability.is_some()),
        ("severity", matches.severity.is_some()),
    ];
    let (kind, fitting): (_, &[&str]) = match matches {
        Match { unsigned: Some(_), .. } => ("unsigned", &["baseImage"]),
        Match { severity: Some(_), .. } => {
            ("severity", &["package", "ecosystem", "version", "vulnerability", "severity"])
        }
        Match { vulnerability: Some(_), .. } => {
            ("vulnerability", &["package", "ecosystem", "version", "vulnerability"])
        }
        Match { base_image: Some(_), .. } => ("baseImage", &["baseImage"]),
        _ => return Ok(()),
    };
    let odd = given.iter().find(|(name, set)| *set && !fitting.contains(name));
    match odd {
        Some((name, _)) => {
            let text = format!("does not go with {kind}: make two rules of them");
            Err(Violation::new(format!("{field}.{name}"), text))
        }
        None => Ok(()),
    }
}
