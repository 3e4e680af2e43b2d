//! What is stored and cannot be read: for the log and a metric.

use std::fmt;

use dispatch_model::{Name, OrgName};

use crate::rule::Which;

/// Something that is stored and does not hold as it is written. It never allows more for that: a
/// part that cannot be read allows nothing, and denies everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub org: OrgName,
    /// `policy readers`, `policy readers, rule 0` or `role packer`.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl Broken {
    pub(crate) fn rule(which: &Which, what: String) -> Broken {
        let place = format!("policy {}, rule {}", which.policy, which.rule);
        Broken { org: which.org.clone(), place, what }
    }

    pub(crate) fn policy(org: &OrgName, name: &Name, what: String) -> Broken {
        Broken { org: org.clone(), place: format!("policy {name}"), what }
    }

    pub(crate) fn role(org: &OrgName, name: &Name, what: String) -> Broken {
        Broken { org: org.clone(), place: format!("role {name}"), what }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of organization {}: {}", self.place, self.org, self.what)
    }
}
