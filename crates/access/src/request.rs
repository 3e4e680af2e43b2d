//! What is asked: may this principal do this to that, now and from there?

use std::net::IpAddr;

use dispatch_model::application::APPLICATION_TAG;
use dispatch_model::{OrgName, Tags};

use crate::Action;

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The organization its name belongs to. A name proves nothing elsewhere: without a home no
    /// rule names it.
    pub home: Option<OrgName>,
    pub name: String,
    /// What its identity provider says it is in; groups that are stored are known here.
    pub groups: Vec<String>,
}

/// The thing that is asked about, as it is or as it would be made. Who changes a thing asks twice:
/// of what is there, and of what it would be.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Of a run, the name of its function; below `iam`, the kind and the name (`group/ops`).
    pub name: &'a str,
    /// None while they have not been read.
    pub tags: Option<&'a Tags>,
}

/// A question. Without an object it is about a whole kind, whatever there is of it: then a rule
/// that allows must hold for all of it, and one that denies need only reach a part.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub principal: &'a Principal,
    pub org: &'a OrgName,
    pub action: Action,
    /// The word policies have for the kind: `function`, `runs`, `iam`.
    pub resource: &'a str,
    pub object: Option<Object<'a>>,
    /// The address it comes from. Unknown, a rule that allows for some addresses does not hold, and
    /// one that denies for some does.
    pub from: Option<IpAddr>,
    /// Unix milliseconds.
    pub now_ms: i64,
}

impl<'a> Object<'a> {
    /// The application it is in.
    pub(crate) fn application(&self) -> Option<&'a str> {
        self.tags?.get(APPLICATION_TAG).map(String::as_str)
    }
}

impl<'a> Request<'a> {
    /// The same question about one thing.
    pub fn about(self, object: Object<'a>) -> Request<'a> {
        Request { object: Some(object), ..self }
    }
}
