//! The closed list of resource kinds, with every spelling each one has.

use serde::{Deserialize, Serialize};

/// A kind of stored resource. Runs are not resources: see [`crate::Run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResourceKind {
    BaseImage,
    Image,
    ImagePolicy,
    Function,
    FunctionVersion,
    Secret,
    Api,
    Application,
    Organization,
    Policy,
    ServiceAccount,
    Role,
    Group,
    Session,
    Engine,
}

impl ResourceKind {
    pub const ALL: [ResourceKind; 15] = [
        ResourceKind::BaseImage,
        ResourceKind::Image,
        ResourceKind::ImagePolicy,
        ResourceKind::Function,
        ResourceKind::FunctionVersion,
        ResourceKind::Secret,
        ResourceKind::Api,
        ResourceKind::Application,
        ResourceKind::Organization,
        ResourceKind::Policy,
        ResourceKind::ServiceAccount,
        ResourceKind::Role,
        ResourceKind::Group,
        ResourceKind::Session,
        ResourceKind::Engine,
    ];

    /// The `kind:` of YAML documents and of the JSON field `kind`; also the stored spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            ResourceKind::BaseImage => "BaseImage",
            ResourceKind::Image => "Image",
            ResourceKind::ImagePolicy => "ImagePolicy",
            ResourceKind::Function => "Function",
            ResourceKind::FunctionVersion => "FunctionVersion",
            ResourceKind::Secret => "Secret",
            ResourceKind::Api => "API",
            ResourceKind::Application => "Application",
            ResourceKind::Organization => "Organization",
            ResourceKind::Policy => "Policy",
            ResourceKind::ServiceAccount => "ServiceAccount",
            ResourceKind::Role => "Role",
            ResourceKind::Group => "Group",
            ResourceKind::Session => "Session",
            ResourceKind::Engine => "Engine",
        }
    }

    /// The words people read in messages: `base image hello not found`.
    pub fn words(self) -> &'static str {
        match self {
            ResourceKind::BaseImage => "base image",
            ResourceKind::Image => "image",
            ResourceKind::ImagePolicy => "image policy",
            ResourceKind::Function => "function",
            ResourceKind::FunctionVersion => "function version",
            ResourceKind::Secret => "secret",
            ResourceKind::Api => "api",
            ResourceKind::Application => "application",
            ResourceKind::Organization => "organization",
            ResourceKind::Policy => "policy",
            ResourceKind::ServiceAccount => "service account",
            ResourceKind::Role => "role",
            ResourceKind::Group => "group",
            ResourceKind::Session => "session",
            ResourceKind::Engine => "engine",
        }
    }

    /// The path below `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            ResourceKind::BaseImage => "baseimage",
            ResourceKind::Image => "image",
            ResourceKind::ImagePolicy => "imagepolicy",
            // A version is always asked for below its function.
            ResourceKind::Function | ResourceKind::FunctionVersion => "function",
            ResourceKind::Secret => "secret",
            ResourceKind::Api => "api",
            ResourceKind::Application => "application",
            ResourceKind::Organization => "iam/organization",
            ResourceKind::Policy => "iam/policy",
            ResourceKind::ServiceAccount => "iam/serviceaccount",
            ResourceKind::Role => "iam/role",
            ResourceKind::Group => "iam/group",
            ResourceKind::Session => "iam/session",
            ResourceKind::Engine => "engine",
        }
    }

    /// The `resources` word a policy uses (the first path segment, as in v1).
    pub fn policy_resource(self) -> &'static str {
        match self {
            ResourceKind::Organization
            | ResourceKind::Policy
            | ResourceKind::ServiceAccount
            | ResourceKind::Role
            | ResourceKind::Group
            | ResourceKind::Session => "iam",
            other => other.path(),
        }
    }

    pub fn parse(text: &str) -> Option<ResourceKind> {
        ResourceKind::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

impl std::fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
