//! A policy held against what is known of an image.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Utc};
use serde::{Deserialize, Serialize};

use dispatch_model::image_policy::{
    Effect, Globs, ImagePolicySpec, Match, Mode, Rule, VersionRange,
};

use super::glob;
use crate::Digest;
use crate::inventory::{Ecosystem, Package, licence};
use crate::vulnerability::version::compare;
use crate::vulnerability::{Finding, ecosystem};

/// The licence of packages that name none.
const NO_LICENCE: &str = "NOASSERTION";

/// When a rule was first found broken by a subject: (rule, subject) → time. What is not in it
/// is found now for the first time.
pub type Since = BTreeMap<(String, String), DateTime<Utc>>;

/// What is known of an image.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub packages: &'a [Package],
    pub findings: &'a [Finding],
    /// The images it is made of.
    pub images: &'a [ImageFact],
    pub since: &'a Since,
    pub now: DateTime<Utc>,
}

/// An image in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    /// As it was named: `registry.example.com/base/debian:12`, `host:python3`.
    pub reference: String,
    /// `None` for the machine's own programs.
    pub digest: Option<Digest>,
    /// Whether it is a base: rules on base images look at these only.
    pub base: bool,
    /// Whether a key the organization trusts signed that digest.
    pub signed: bool,
}

/// A rule that an image breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    pub rule: String,
    /// What breaks it, the same text every time: `deb/openssl@3.0.9-1`,
    /// `CVE-2024-1 in npm/x@1.0.0`, a base image's reference.
    pub subject: String,
    /// One sentence for the author, without its full stop.
    pub message: String,
    /// Whether it stops a build or deployment now.
    pub enforced: bool,
    /// Until when it does not although the rule denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<DateTime<Utc>>,
}

/// Violations in the order of packages, vulnerabilities, images; each subject at most once.
pub fn evaluate(policy: &ImagePolicySpec, facts: &Facts<'_>) -> Vec<Violation> {
    let judge = Judge::new(policy, facts);
    let mut violations = Vec::new();
    for package in facts.packages {
        let decided = judge.first(About::Package, |rule| rule.package(package));
        violations.extend(decided.and_then(|rule| judge.package(rule, package)));
    }
    for finding in facts.findings {
        let decided = judge.first(About::Vulnerability, |rule| rule.vulnerability(finding));
        violations.extend(decided.and_then(|rule| judge.vulnerability(rule, finding)));
    }
    for image in facts.images {
        if image.base {
            let decided = judge.first(About::BaseImage, |rule| rule.image(image));
            violations.extend(decided.and_then(|rule| {
                let message = format!("the base image {} is", named(image));
                judge.violation(rule, &image.reference, &message)
            }));
        }
        if !image.signed {
            let decided = judge.first(About::Signature, |rule| rule.image(image));
            violations.extend(decided.and_then(|rule| {
                let message =
                    format!("the image {} has no signature we trust: it is", named(image));
                judge.violation(rule, &format!("unsigned {}", image.reference), &message)
            }));
        }
    }
    // The same package may be installed in several places.
    let mut seen = std::collections::HashSet::new();
    violations.retain(|found| seen.insert((found.rule.clone(), found.subject.clone())));
    violations
}

fn named(image: &ImageFact) -> String {
    match &image.digest {
        Some(digest) => format!("{} ({digest})", image.reference),
        None => image.reference.clone(),
    }
}

/// What kind of thing a rule decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Package,
    BaseImage,
    Vulnerability,
    Signature,
}

fn about_of(matches: &Match) -> About {
    match matches {
        Match { unsigned: Some(_), .. } => About::Signature,
        Match { severity: Some(_), .. } | Match { vulnerability: Some(_), .. } => {
            About::Vulnerability
        }
        Match { base_image: Some(_), .. } => About::BaseImage,
        _ => About::Package,
    }
}

fn fits(globs: &Globs, text: &str) -> bool {
    globs.all().iter().any(|glob| glob::matches(glob, text))
}

/// A rule with what is parsed once.
struct Ready<'a> {
    rule: &'a Rule,
    range: Option<VersionRange<'a>>,
}

struct Judge<'a> {
    rules: Vec<Ready<'a>>,
    mode: Mode,
    facts: &'a Facts<'a>,
}

impl<'a> Judge<'a> {
    fn new(policy: &'a ImagePolicySpec, facts: &'a Facts<'a>) -> Self {
        // A range that cannot be parsed did not pass the check; such a rule matches nothing.
        let ready = |rule: &'a Rule| match rule.matches.version.as_deref().map(VersionRange::parse)
        {
            None => Some(Ready { rule, range: None }),
            Some(range) => Some(Ready { rule, range: Some(range.ok()?) }),
        };
        let rules = policy.rules.iter().filter_map(ready).collect();
        Self { rules, mode: policy.mode, facts }
    }

    fn first(&self, about: About, matches: impl Fn(&Ready<'a>) -> bool) -> Option<&'a Rule> {
        let of_kind = self.rules.iter().filter(|ready| about_of(&ready.rule.matches) == about);
        of_kind.into_iter().find(|ready| matches(ready)).map(|ready| ready.rule)
    }

    fn package(&self, rule: &Rule, package: &Package) -> Option<Violation> {
        let licences = match (&rule.matches.licence, package.licences.as_slice()) {
            (None, _) => String::new(),
            (Some(_), []) => " without a known licence".to_owned(),
            (Some(_), licences) => format!(" under {}", licences.join(", ")),
        };
        let message = format!(
            "the {} package {} {}{licences} is",
            package.ecosystem, package.name, package.version
        );
        self.violation(rule, &subject(package.ecosystem, &package.name, &package.version), &message)
    }

    fn vulnerability(&self, rule: &Rule, finding: &Finding) -> Option<Violation> {
        let place = subject(finding.ecosystem, &finding.package, &finding.version);
        let fix = match &finding.fixed_in {
            Some(version) => format!("fixed in {version}"),
            None => "no fix is known".to_owned(),
        };
        let message = format!(
            "the {} package {} {} has {} ({}, {fix}), which is",
            finding.ecosystem, finding.package, finding.version, finding.id, finding.severity
        );
        self.violation(rule, &format!("{} in {place}", finding.id), &message)
    }

    /// `None` when the rule allows it.
    fn violation(&self, rule: &Rule, subject: &str, what: &str) -> Option<Violation> {
        if rule.effect == Effect::Allow {
            return None;
        }
        let now = self.facts.now;
        let denied = rule.effect == Effect::Deny;
        let key = (rule.name.clone(), subject.to_owned());
        let since = self.facts.since.get(&key).copied().unwrap_or(now);
        let until = since.checked_add_days(Days::new(u64::from(rule.grace_days)));
        let grace_until = until.filter(|until| denied && *until > now);
        let verdict = match (denied, grace_until) {
            (false, _) => "discouraged".to_owned(),
            (true, None) => "denied".to_owned(),
            (true, Some(until)) => format!("denied from {} on", until.format("%Y-%m-%d %H:%M UTC")),
        };
        Some(Violation {
            message: format!("{what} {verdict} by the rule {:?}", rule.name),
            rule: key.0,
            subject: key.1,
            enforced: denied && grace_until.is_none() && self.mode == Mode::Enforce,
            grace_until,
        })
    }
}

fn subject(ecosystem: Ecosystem, name: &str, version: &str) -> String {
    format!("{ecosystem}/{name}@{version}")
}

impl Ready<'_> {
    fn matches(&self) -> &Match {
        &self.rule.matches
    }

    fn package(&self, package: &Package) -> bool {
        let source = package.source.as_ref().map(|source| source.name.as_str());
        self.named(package.ecosystem, &package.name, source)
            && self.installed(package.ecosystem, &package.version)
            && self.licence(package)
    }

    /// Whether the rule means a package of that name, or of that source. Ecosystems that do not
    /// tell `Evil_Pkg` from `evil-pkg` are compared by the form they keep.
    fn named(&self, ecosystem: Ecosystem, name: &str, source: Option<&str>) -> bool {
        let Some(globs) = &self.matches().package else { return true };
        let kept = ecosystem::name(ecosystem, name);
        let glob = |glob: &String| match ecosystem {
            Ecosystem::Pypi | Ecosystem::Composer => {
                glob::matches(&ecosystem::name(ecosystem, glob), &kept)
            }
            _ => glob::matches(glob, name) || source.is_some_and(|s| glob::matches(glob, s)),
        };
        globs.all().iter().any(glob)
    }

    fn installed(&self, ecosystem: Ecosystem, version: &str) -> bool {
        self.matches().ecosystem.is_none_or(|wanted| wanted == ecosystem)
            && self
                .range
                .as_ref()
                .is_none_or(|range| range.contains(|bound| compare(ecosystem, version, bound)))
    }

    /// Whether a licensee must accept (or, for an allowance, may use) what the globs name.
    fn licence(&self, package: &Package) -> bool {
        let Some(globs) = &self.matches().licence else { return true };
        let allows = self.rule.effect == Effect::Allow;
        let matched = |id: &str| fits(globs, id);
        let holds = |text: &String| match allows {
            true => licence::satisfied(text, &matched),
            false => !licence::satisfied(text, &|id| !matched(id)),
        };
        match package.licences.as_slice() {
            [] => matched(NO_LICENCE),
            all if allows => all.iter().all(holds),
            all => all.iter().any(holds),
        }
    }

    fn vulnerability(&self, finding: &Finding) -> bool {
        let matches = self.matches();
        let ids = || finding.aliases.iter().chain([&finding.id]);
        matches.vulnerability.as_ref().is_none_or(|globs| ids().any(|id| fits(globs, id)))
            && matches.severity.is_none_or(|severity| finding.severity > severity.above)
            && self.named(finding.ecosystem, &finding.package, finding.source.as_deref())
            && self.installed(finding.ecosystem, &finding.version)
    }

    fn image(&self, image: &ImageFact) -> bool {
        let Some(globs) = &self.matches().base_image else { return true };
        image.base && names(image).iter().any(|name| fits(globs, name))
    }
}

/// All ways to write an image: with tag, with digest, with both, without, the digest alone.
fn names(image: &ImageFact) -> Vec<String> {
    let tagged = image.reference.split('@').next().unwrap_or_default();
    let slash = tagged.rfind('/').map_or(0, |at| at + 1);
    let bare = tagged[slash..].find(':').map_or(tagged, |at| &tagged[..slash + at]);
    let mut names = vec![image.reference.clone(), tagged.to_owned()];
    // As people write what is on the hub.
    for hub in ["docker.io/library/", "docker.io/"] {
        names.extend(tagged.strip_prefix(hub).map(str::to_owned));
        names.extend(bare.strip_prefix(hub).map(str::to_owned));
    }
    // `host:python3` has no tag: that colon is part of its name.
    if let Some(digest) = &image.digest {
        names.push(bare.to_owned());
        names.push(format!("{bare}@{digest}"));
        names.push(format!("{tagged}@{digest}"));
        names.push(digest.to_string());
    }
    names
}
