//! The nouns of Dispatch: names, resource kinds, their spec and status, runs.
//!
//! No IO, no HTTP and no SQL live here. Everything a caller can get wrong is checked here once, by
//! rules that say which field broke which rule ([`Violation`]).

pub mod api;
pub mod application;
pub mod audit;
pub mod base_image;
pub mod claims;
pub mod code;
pub mod ecosystem;
pub mod engine;
pub mod function;
pub mod function_version;
pub mod group;
pub mod image;
pub mod image_policy;
pub mod kind;
pub mod labels;
pub mod list;
pub mod name;
pub mod nearest;
pub mod organization;
pub mod placement;
pub mod policy;
pub mod quota;
pub mod raw_json;
pub mod reach;
pub mod resource;
pub mod role;
pub mod rollout;
pub mod run;
pub mod secret;
pub mod service_account;
pub mod session;
pub mod severity;
pub mod state;
pub mod violation;

pub use claims::ClaimPatterns;
pub use ecosystem::Ecosystem;
pub use kind::ResourceKind;
pub use labels::Labels;
pub use list::{ListQuery, Page, Sort};
pub use name::{Name, OrgName};
pub use nearest::nearest;
pub use quota::Quota;
pub use raw_json::RawJson;
pub use reach::Reach;
pub use resource::{Kind, Meta, NoStatus, Resource, Tags};
pub use run::{InvocationError, InvocationErrorType, Logs, Run};
pub use severity::Severity;
pub use state::State;
pub use violation::Violation;
