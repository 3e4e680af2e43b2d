//! Rules of policies in words.

use serde_json::Value;

use super::text;

/// `ci may get function as viewer, in application shop, from 10.0.0.0/8`.
pub fn rule(rule: &Value) -> String {
    let part = |field: &str| text(&rule[field]);
    let deny = rule["effect"] == "deny";
    let what = match (part("roles"), deny) {
        (roles, false) if !roles.is_empty() => format!("is {roles}"),
        (roles, true) if !roles.is_empty() => format!("must not do what {roles} may"),
        (_, deny) => {
            let may = if deny { "must not" } else { "may" };
            format!("{may} {} {}", part("actions"), part("resources"))
        }
    };
    let mut said = format!("{} {what}", part("subjects"));
    let applications = part("applications");
    if !applications.is_empty() {
        said += &format!(", in application {applications}");
    }
    match condition(&rule["condition"]) {
        when if when.is_empty() => said,
        when => format!("{said}, {when}"),
    }
}

/// `get, create function, api`.
pub fn permission(permission: &Value) -> String {
    format!("{} {}", text(&permission["actions"]), text(&permission["resources"]))
}

/// What must be so for a rule to hold; empty when nothing must.
pub fn condition(condition: &Value) -> String {
    let mut said = Vec::new();
    let tags = condition["tags"].as_array().into_iter().flatten();
    let tags = tags.map(|tag| format!("{}={}", text(&tag["key"]), text(&tag["value"])));
    let tags = tags.collect::<Vec<_>>().join(", ");
    if !tags.is_empty() {
        said.push(format!("with {tags}"));
    }
    for (field, word) in [("notBefore", "since"), ("notAfter", "until")] {
        if let Some(time) = condition[field].as_str() {
            said.push(format!("{word} {time}"));
        }
    }
    let hours = &condition["hours"];
    if hours.is_object() {
        let part = |field: &str| text(&hours[field]);
        let days = Some(part("days")).filter(|days| !days.is_empty());
        let days = days.unwrap_or_else(|| "every day".to_owned());
        said.push(format!("{days} {}-{} ({})", part("from"), part("to"), part("timeZone")));
    }
    let addresses = text(&condition["sourceAddresses"]);
    if !addresses.is_empty() {
        said.push(format!("from {addresses}"));
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let plain = json!({"subjects": ["ci"], "actions": ["get"], "resources": ["function"]});
        assert_eq!(rule(&plain), "ci may get function");
        let role = json!({"subjects": ["group:ops"], "actions": [], "resources": [],
            "roles": ["operator"], "applications": ["shop"],
            "condition": {"sourceAddresses": ["10.0.0.0/8"]}});
        let said = "group:ops is operator, in application shop, from 10.0.0.0/8";
        assert_eq!(rule(&role), said);
        let deny = json!({"subjects": ["*"], "actions": ["delete"], "resources": ["*"],
            "effect": "deny", "condition": {"tags": [{"key": "stage", "value": "prod"}],
            "hours": {"from": "18:00", "to": "06:00", "timeZone": "UTC"}}});
        let said = "* must not delete *, with stage=prod, every day 18:00-06:00 (UTC)";
        assert_eq!(rule(&deny), said);
    }
}
