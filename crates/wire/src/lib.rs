//! How nouns travel: the v1 JSON shapes, the error body, and (feature `client`) a typed client.
//!
//! Shapes here are flat, as v1 wrote them; conversions to and from [`dispatch_model`] stand beside
//! each shape. Fields that v1 does not have are additions and never required. Unknown fields are
//! refused, read-only fields are taken and ignored.

pub mod api;
pub mod application;
pub mod audit;
pub mod base_image;
#[cfg(feature = "client")]
pub mod client;
pub mod content;
pub mod convert;
pub mod engine;
pub mod error;
pub mod function;
pub mod function_version;
pub mod iam;
pub mod image;
pub mod image_policy;
pub mod parse;
pub mod placement;
pub mod placement_report;
pub mod quota;
pub mod root_key;
pub mod run;
pub mod secret;
pub mod secret_source;
pub mod secret_version;
pub mod shared;
pub mod version;
pub mod vulnerability;

pub use api::Api;
pub use application::Application;
pub use audit::{AuditActor, AuditBreak, AuditEntry, AuditEvent, AuditVerdict};
pub use base_image::BaseImage;
pub use content::{Content, Layer, Link, Package, PackageCount, PackageUser};
pub use convert::{FromModel, ToModel};
pub use engine::{Engine, EngineSetting, EngineType};
pub use error::ErrorBody;
pub use function::Function;
pub use function_version::{FunctionVersion, Rollout};
pub use iam::{
    BootstrapClaim, BootstrapUser, CanI, DeviceCode, DeviceSignIn, DeviceWaiting, Group,
    IdentityProvider, Membership, Organization, Policy, Right, Role, Rule, ServiceAccount, Session,
    SignIn, SignedIn, SignedOut, Trust,
};
pub use image::Image;
pub use image_policy::ImagePolicy;
pub use parse::parse;
pub use placement::Placement;
pub use placement_report::PlacementReport;
pub use quota::{Quota, Usage};
pub use root_key::{RootKey, RootKeys, Rotation};
pub use run::{InvocationError, Run, RunLogs};
pub use secret::Secret;
pub use secret_source::SecretSource;
pub use secret_version::{SecretReader, SecretRollback, SecretUse, SecretVersion};
pub use shared::Tag;
pub use version::Version;
pub use vulnerability::{
    Pruned, Vulnerability, VulnerabilityDatabase, VulnerabilityReport, VulnerabilityUser,
};
