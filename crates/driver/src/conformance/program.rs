//! What the suite deploys.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_model::{Name, OrgName};
use uuid::Uuid;

use crate::Deployment;

/// A program of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Does what its payload says.
    Conformance,
    /// The same, after a change: it answers another version.
    Second,
    /// Does not load.
    Broken,
}

const PYTHON: &str = include_str!("handler.py");
const JAVASCRIPT: &str = include_str!("handler.js");

impl Program {
    /// All, for beds that make images of them beforehand.
    pub const ALL: [Program; 3] = [Program::Conformance, Program::Second, Program::Broken];

    /// Its source in a language, as images spell it; for those the suite knows: `python3` and
    /// `nodejs`.
    pub fn source(self, language: &str) -> Option<String> {
        let text = match language {
            "python3" => PYTHON,
            "nodejs" => JAVASCRIPT,
            _ => return None,
        };
        Some(match self {
            Program::Conformance => text.to_owned(),
            Program::Second => text.replace("VERSION = 1", "VERSION = 2"),
            Program::Broken => "no ( program {\n".to_owned(),
        })
    }

    /// The handler that goes with [`Program::source`].
    pub fn handler(language: &str) -> Option<&'static str> {
        match language {
            "python3" => Some("handler.handle"),
            "nodejs" => Some("./handler.js"),
            _ => None,
        }
    }

    /// A new deployment of it with wide limits, in a language the suite has it in. Whoever deploys
    /// it says where its source or its image is.
    pub fn deployment(self, language: &str) -> Deployment {
        let org = OrgName::new("conformance").expect("it keeps the rules of such names");
        let function = Name::new("conformance").expect("it keeps the rules of names");
        Deployment {
            id: Uuid::now_v7(),
            org,
            function,
            version: self.version(),
            language: language.to_owned(),
            image_url: format!("host:{language}"),
            image_digest: None,
            function_image: None,
            handler: Program::handler(language).unwrap_or_default().to_owned(),
            source_digest: String::new(),
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(60),
            memory_mib: 256,
            concurrency: 4,
            idle: Duration::from_secs(60),
            egress: Vec::new(),
            require: BTreeMap::new(),
        }
    }

    /// What it answers when it is asked for its version; also the deployment's.
    pub fn version(self) -> u64 {
        match self {
            Program::Conformance | Program::Broken => 1,
            Program::Second => 2,
        }
    }
}
