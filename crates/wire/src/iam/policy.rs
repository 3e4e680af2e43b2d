//! Policies as v1 writes them. Roles, effects, applications and conditions are additions: a rule
//! without them is written as v1 wrote it.

use dispatch_model::policy::{Effect, Policy as Marker, PolicySpec, Rule as ModelRule};
use dispatch_model::{Kind, Resource, Violation};
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::convert::{FromModel, ToModel, plain_name_and_tags};
use crate::shared::{is_false, resource_shape};

resource_shape! {
    /// Who may do what to what.
    Policy {
        #[serde(default)]
        rules: Vec<Rule>,
        /// Holds in every organization.
        #[serde(default, skip_serializing_if = "is_false")]
        global: bool,
    }
}

/// Gives every subject every action on every resource listed, or keeps them from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Names of users and service accounts, `group:NAME`, or `*`.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// get, create, update, delete or *; none when there are roles.
    #[serde(default)]
    pub actions: Vec<String>,
    /// function, runs, iam, … or *; with names as `function/shop` or `function/shop-*`; none when
    /// there are roles.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Roles, in place of actions and resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// `allow`, which is the default, or `deny`, which wins over all that allows.
    #[serde(default, skip_serializing_if = "Effect::is_allow")]
    pub effect: Effect,
    /// Applications it reaches; none for all things.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// What must be so besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

impl Rule {
    fn to_model(&self, at: &str) -> Result<ModelRule, Violation> {
        let condition = self.condition.as_ref();
        let condition = condition.map(|condition| condition.to_model(&format!("{at}.condition")));
        Ok(ModelRule {
            subjects: self.subjects.clone(),
            actions: self.actions.clone(),
            resources: self.resources.clone(),
            roles: self.roles.clone(),
            effect: self.effect,
            applications: self.applications.clone(),
            condition: condition.transpose()?.unwrap_or_default(),
        })
    }

    pub fn from_model(rule: &ModelRule) -> Self {
        Rule {
            subjects: rule.subjects.clone(),
            actions: rule.actions.clone(),
            resources: rule.resources.clone(),
            roles: rule.roles.clone(),
            effect: rule.effect,
            applications: rule.applications.clone(),
            condition: Condition::from_model(&rule.condition),
        }
    }
}

impl ToModel for Policy {
    type Kind = Marker;

    plain_name_and_tags!();

    fn spec(&self) -> Result<PolicySpec, Violation> {
        let rules = self.rules.iter().enumerate();
        let rules = rules.map(|(i, rule)| rule.to_model(&format!("rules[{i}]")));
        let spec = PolicySpec { rules: rules.collect::<Result<_, _>>()?, global: self.global };
        spec.check()?;
        Ok(spec)
    }
}

impl FromModel for Policy {
    type Kind = Marker;

    fn from_model(resource: &Resource<Marker>) -> Self {
        let rules = resource.spec.rules.iter().map(Rule::from_model).collect();
        Policy { rules, global: resource.spec.global, ..Policy::default() }
            .with_meta(Marker::KIND, &resource.meta)
    }
}

#[cfg(test)]
mod tests {
    use dispatch_model::{Name, OrgName, State, Tags};
    use serde_json::{Value, json};

    use super::*;

    /// A policy with these rules, stored and written again.
    fn back(rules: &Value) -> Result<Value, Violation> {
        let body = json!({"name": "p", "rules": rules}).to_string();
        let spec = crate::parse::<Policy>(body.as_bytes())?.spec()?;
        let (org, name) = (OrgName::trusted("o"), Name::trusted("p"));
        let stored = Resource::<Marker>::new(org, name, Tags::new(), State::Ready, spec);
        Ok(serde_json::to_value(Policy::from_model(&stored).rules).unwrap())
    }

    #[test]
    fn a_rule_of_v1_is_written_as_v1_wrote_it() {
        let rules = json!([{"subjects": ["ci"], "actions": ["get"], "resources": ["function"]}]);
        assert_eq!(back(&rules).unwrap(), rules);
    }

    #[test]
    fn all_that_was_added_comes_back() {
        let rules = json!([{
            "subjects": ["group:ops"], "actions": [], "resources": [], "roles": ["operator"],
            "effect": "deny", "applications": ["shop"],
            "condition": {
                "tags": [{"key": "stage", "value": "prod"}],
                "notBefore": "2026-12-01T00:00:00Z", "notAfter": "2026-12-24T16:00:00Z",
                "hours": {"from": "09:00", "to": "17:30", "days": ["monday", "friday"],
                          "timeZone": "Europe/Vienna"},
                "sourceAddresses": ["10.0.0.0/8", "2001:db8::1"],
            },
        }]);
        assert_eq!(back(&rules).unwrap(), rules);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let rule = |more: Value| {
            let mut rule = json!({"subjects": ["a"], "actions": ["get"], "resources": ["api"]});
            let fields = more.as_object().unwrap();
            fields.iter().for_each(|(key, value)| rule[key] = value.clone());
            back(&json!([rule])).unwrap_err()
        };
        let hours = |from: &str| json!({"condition": {"hours": {"from": from, "to": "12:00"}}});
        for (more, field) in [
            (json!({"effect": "permit"}), "rules[0].effect"),
            (json!({"actions": ["read"]}), "rules[0].actions"),
            (json!({"roles": ["viewer"]}), "rules[0].roles"),
            (json!({"condition": {"notAfter": "soon"}}), "rules[0].condition.notAfter"),
            (hours("9"), "rules[0].condition.hours.from"),
            (hours("24:00"), "rules[0].condition.hours"),
            (
                json!({"condition": {"sourceAddresses": ["10"]}}),
                "rules[0].condition.sourceAddresses",
            ),
            (json!({"condition": {"tags": [{"key": ""}]}}), "rules[0].condition.tags[0].key"),
        ] {
            assert_eq!(rule(more).field, field);
        }
    }
}
