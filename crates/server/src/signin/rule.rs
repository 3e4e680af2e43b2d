//! What a provider's claims make of people here: to which organizations they belong, and in which
//! groups they are there.

use std::collections::{BTreeMap, BTreeSet};

use dispatch_driver::identity::{GROUPS, SignedIn};
use dispatch_model::claims::{ClaimPatterns, matches};
use dispatch_model::session::Membership;
use dispatch_model::{OrgName, Violation};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Deepest claim a name with dots leads to.
const MAX_DEPTH: usize = 8;

/// One rule, as the operator writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whoever the rule fits is a member of it.
    #[serde(default)]
    organization: String,
    /// Whom it fits: everybody the provider vouches for when there are none.
    #[serde(default)]
    claims: ClaimPatterns,
    /// Which of the provider's groups count there, as patterns.
    #[serde(default = "all")]
    groups: Vec<String>,
    /// Groups they are in besides.
    #[serde(default)]
    join: Vec<String>,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Rule {
    /// # Errors
    /// The field that breaks a rule.
    pub fn check(&self) -> Result<(), Violation> {
        OrgName::new(&self.organization).map_err(|mut violation| {
            violation.field = "organization".to_owned();
            violation
        })?;
        self.claims.check("claims")
    }

    fn fits(&self, person: &SignedIn) -> bool {
        self.claims.fit(|claim| values(person, claim))
    }

    fn groups(&self, person: &SignedIn) -> impl Iterator<Item = String> {
        let counts = |group: &&String| self.groups.iter().any(|p| matches(p, group));
        let own = person.groups.iter().filter(counts).cloned();
        own.chain(self.join.iter().cloned()).collect::<Vec<_>>().into_iter()
    }
}

/// The organizations somebody is a member of, in the order of the rules; empty when none fits.
pub fn memberships(rules: &[Rule], person: &SignedIn) -> Vec<Membership> {
    let mut order: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.fits(person)) {
        let organization = rule.organization.as_str();
        if !order.contains(&organization) {
            order.push(organization);
        }
        groups.entry(organization).or_default().extend(rule.groups(person));
    }
    let membership = |organization: &str| Membership {
        organization: OrgName::trusted(organization),
        groups: groups.remove(organization).unwrap_or_default().into_iter().take(GROUPS).collect(),
    };
    order.into_iter().map(membership).collect()
}

/// The values of a claim, as texts. An e-mail is only one that the provider has verified.
pub fn values(person: &SignedIn, claim: &str) -> Vec<String> {
    match claim {
        "sub" | "subject" => vec![person.subject.clone()],
        "name" => vec![person.name.clone()],
        "email" => person.email.iter().cloned().collect(),
        "groups" => person.groups.clone(),
        other => found(&person.claims, other).map(texts).unwrap_or_default(),
    }
}

/// A claim by its name, or by a path with dots.
fn found<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut words = name.split('.').take(MAX_DEPTH);
    let first = claims.get(words.next()?)?;
    words.try_fold(first, |value, word| value.get(word))
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(_) | Value::Bool(_) => vec![value.to_string()],
        Value::Array(values) => {
            values.iter().filter(|value| !value.is_array()).flat_map(texts).collect()
        }
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(text: &str) -> Vec<Rule> {
        #[derive(Deserialize)]
        struct File {
            rules: Vec<Rule>,
        }
        toml::from_str::<File>(text).unwrap().rules
    }

    fn ada() -> SignedIn {
        let Value::Object(claims) = json!({
            "hd": "acme.example", "realm_access": {"roles": ["ops", 7]},
            "email": "liar@evil.example"
        }) else {
            unreachable!()
        };
        SignedIn::new("1", "ada@acme.example")
            .unwrap()
            .with_email(Some("ada@acme.example"))
            .in_groups(["acme-dev", "acme-ops", "chess"].map(str::to_owned))
            .with_claims(claims)
    }

    #[test]
    fn rules_say_where_somebody_belongs() {
        let rules = rules(
            r#"
            [[rules]]
            organization = "acme"
            claims = { email = ["*@acme.example"] }
            groups = ["acme-*"]
            join = ["staff"]
            [[rules]]
            organization = "chess"
            claims = { groups = ["chess"], hd = ["acme.example"] }
            groups = []
            [[rules]]
            organization = "ops"
            claims = { "realm_access.roles" = ["ops"] }
            [[rules]]
            organization = "evil"
            claims = { email = ["*@evil.example"] }
            [[rules]]
            organization = "acme"
            claims = { "realm_access.roles" = ["7"] }
            groups = []
            join = ["seven"]
            "#,
        );
        let seen: Vec<_> = memberships(&rules, &ada())
            .into_iter()
            .map(|m| format!("{}: {}", m.organization, m.groups.join(" ")))
            .collect();
        let wanted =
            ["acme: acme-dev acme-ops seven staff", "chess: ", "ops: acme-dev acme-ops chess"];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn an_e_mail_that_nobody_verified_fits_nothing() {
        let rules = rules(
            "[[rules]]\norganization = \"acme\"\nclaims = { email = [\"*@evil.example\"] }\n",
        );
        let mut eve = ada();
        eve.email = None;
        assert!(memberships(&rules, &eve).is_empty());
    }

    #[test]
    fn a_rule_names_an_organization() {
        let rule = &rules("[[rules]]\njoin = [\"x\"]")[0];
        assert_eq!(rule.check().unwrap_err().field, "organization");
        assert!(toml::from_str::<Rule>("org = \"acme\"").is_err(), "a word that is not known");
    }
}
