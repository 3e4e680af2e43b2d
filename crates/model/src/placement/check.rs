//! Whether a placement says something that can hold: errors name the field.

use std::collections::HashSet;

use super::{
    Burst, MAX_ENGINES, MAX_PREFERENCES, MAX_QUEUED, MAX_WEIGHT, PlacementSpec, Preference,
};
use crate::labels::check_labels;
use crate::{Name, Violation};

impl PlacementSpec {
    /// Rules that need nothing but the placement itself.
    ///
    /// # Errors
    /// The first field that breaks a rule, by its path below `placement`.
    pub fn check(&self) -> Result<(), Violation> {
        check_labels("require", &self.require)?;
        check_preferences(self.prefer.as_deref().unwrap_or_default())?;
        check_engines("engines", self.engines.as_deref().unwrap_or_default())?;
        if let Some(burst) = &self.burst {
            check_burst(burst)?;
        }
        if let Some(canary) = self.canary {
            if canary.version == 0 {
                return Err(Violation::new("canary.version", "is 0, versions count from 1"));
            }
            if canary.percent > 100 {
                let rule = format!("is {}, must be 0 to 100", canary.percent);
                return Err(Violation::new("canary.percent", rule));
            }
        }
        Ok(())
    }

    /// The rules of defaults, which an application or an organization has.
    ///
    /// # Errors
    /// As [`PlacementSpec::check`]; and a canary, as only functions have versions.
    pub fn check_defaults(&self) -> Result<(), Violation> {
        if self.canary.is_some() {
            let rule = "belongs to a function: set it there, as nothing else has versions";
            return Err(Violation::new("canary", rule));
        }
        self.check()
    }
}

fn check_preferences(preferences: &[Preference]) -> Result<(), Violation> {
    at_most("prefer", preferences.len(), MAX_PREFERENCES, "preferences")?;
    for (at, preference) in preferences.iter().enumerate() {
        let field = format!("prefer[{at}]");
        if preference.labels.is_empty() {
            let rule =
                "names no label: write one beside the weight, as in {region: eu, weight: 80}";
            return Err(Violation::new(field, rule));
        }
        check_labels(&field, &preference.labels)?;
        if !(1..=MAX_WEIGHT).contains(&preference.weight) {
            let rule = format!("is {}, must be 1 to {MAX_WEIGHT}", preference.weight);
            return Err(Violation::new(format!("{field}.weight"), rule));
        }
    }
    Ok(())
}

fn check_engines(field: &str, engines: &[String]) -> Result<(), Violation> {
    at_most(field, engines.len(), MAX_ENGINES, "engines")?;
    let mut seen = HashSet::new();
    for (at, name) in engines.iter().enumerate() {
        let field = format!("{field}[{at}]");
        Name::new(name).map_err(|violation| Violation::new(&field, violation.rule))?;
        if !seen.insert(name.as_str()) {
            return Err(Violation::new(field, format!("{name:?} is named twice")));
        }
    }
    Ok(())
}

fn check_burst(burst: &Burst) -> Result<(), Violation> {
    check_engines("burst.to", &burst.to)?;
    if burst.when_queued.is_some_and(|queued| queued > MAX_QUEUED) {
        let queued = burst.when_queued.unwrap_or_default();
        let rule = format!("is {queued}, at most {MAX_QUEUED} calls are allowed");
        return Err(Violation::new("burst.whenQueued", rule));
    }
    if burst.when_saturated == Some(false) && burst.when_queued.is_none() && !burst.to.is_empty() {
        let rule = "is false and whenQueued is not set: calls would never burst; set one of them";
        return Err(Violation::new("burst.whenSaturated", rule));
    }
    Ok(())
}

fn at_most(field: &str, count: usize, max: usize, what: &str) -> Result<(), Violation> {
    if count <= max {
        return Ok(());
    }
    Err(Violation::new(field, format!("has {count} entries, at most {max} {what} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::super::Canary;
    use super::*;

    fn refused(spec: &PlacementSpec) -> String {
        spec.check().expect_err("must be refused").to_string()
    }

    fn preferring(preference: Preference) -> PlacementSpec {
        PlacementSpec { prefer: Some(vec![preference]), ..PlacementSpec::default() }
    }

    #[test]
    fn each_rule_names_its_field_and_value() {
        let labels = [("region".to_owned(), "eu".to_owned())].into();
        let spec = preferring(Preference { labels, weight: 80 });
        assert_eq!(spec.check(), Ok(()));
        let spec = preferring(Preference::default());
        assert!(refused(&spec).starts_with("prefer[0]: names no label"));
        let labels = [("region".to_owned(), "eu".to_owned())].into();
        let spec = preferring(Preference { labels, weight: 1_001 });
        assert_eq!(refused(&spec), "prefer[0].weight: is 1001, must be 1 to 1000");
        let mut spec = PlacementSpec::default();
        spec.require.insert("gpu".to_owned(), "a 100".to_owned());
        let rule = refused(&spec);
        assert!(rule.starts_with("require.gpu: \"a 100\" must be at most 63 letters"), "{rule}");
        let twice = Some(vec!["eu".to_owned(), "eu".to_owned()]);
        let spec = PlacementSpec { engines: twice, ..PlacementSpec::default() };
        assert_eq!(refused(&spec), "engines[1]: \"eu\" is named twice");
        let many = (0..=MAX_ENGINES).map(|n| format!("e{n}")).collect();
        let spec = PlacementSpec { engines: Some(many), ..PlacementSpec::default() };
        assert_eq!(refused(&spec), "engines: has 65 entries, at most 64 engines are allowed");
    }

    #[test]
    fn a_burst_must_be_able_to_happen() {
        let burst = |to: &str, when_queued, when_saturated| PlacementSpec {
            burst: Some(Burst { to: vec![to.to_owned()], when_queued, when_saturated }),
            ..PlacementSpec::default()
        };
        assert_eq!(burst("cloud", None, None).check(), Ok(()));
        assert_eq!(burst("cloud", Some(20), Some(false)).check(), Ok(()));
        assert!(refused(&burst("cloud", None, Some(false))).starts_with("burst.whenSaturated: "));
        assert!(refused(&burst("clo ud", None, None)).starts_with("burst.to[0]: \"clo ud\""));
        let queued = burst("cloud", Some(MAX_QUEUED + 1), None);
        assert!(refused(&queued).starts_with("burst.whenQueued: is 100001"));
    }

    #[test]
    fn a_canary_names_a_version_and_belongs_to_a_function() {
        let canary = |version, percent| PlacementSpec {
            canary: Some(Canary { version, percent }),
            ..PlacementSpec::default()
        };
        assert_eq!(canary(7, 5).check(), Ok(()));
        assert!(refused(&canary(0, 5)).starts_with("canary.version: is 0"));
        assert_eq!(refused(&canary(7, 101)), "canary.percent: is 101, must be 0 to 100");
        assert_eq!(canary(7, 5).check_defaults().unwrap_err().field, "canary");
    }
}
