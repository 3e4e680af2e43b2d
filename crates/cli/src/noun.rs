//! The words for kinds of resources on the command line.

use dispatch_model::Violation;
use dispatch_wire::client::Client;
use serde_json::Value;

/// A kind as people type it: v1's words, in singular and plural, with and without dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Noun {
    #[value(alias = "apis")]
    Api,
    #[value(aliases = ["applications", "app", "apps"])]
    Application,
    #[value(aliases = ["base-images", "baseimage", "baseimages"])]
    BaseImage,
    #[value(aliases = ["images"])]
    Image,
    #[value(aliases = ["image-policies", "imagepolicy", "imagepolicies"])]
    ImagePolicy,
    #[value(aliases = ["functions", "func"])]
    Function,
    #[value(aliases = ["secrets"])]
    Secret,
    #[value(aliases = ["organizations", "org"])]
    Organization,
    #[value(aliases = ["policies"])]
    Policy,
    #[value(aliases = ["engines"])]
    Engine,
    #[value(aliases = ["serviceaccounts", "service-account", "service-accounts"])]
    Serviceaccount,
    #[value(aliases = ["roles"])]
    Role,
    #[value(aliases = ["groups"])]
    Group,
}

impl Noun {
    pub const ALL: [Noun; 13] = [
        Noun::BaseImage,
        Noun::Image,
        Noun::ImagePolicy,
        Noun::Function,
        Noun::Secret,
        Noun::Api,
        Noun::Application,
        Noun::Organization,
        Noun::Policy,
        Noun::Serviceaccount,
        Noun::Role,
        Noun::Group,
        Noun::Engine,
    ];

    /// As v1's messages have it: `Created base image: x`.
    pub fn words(self) -> &'static str {
        self.kind().words()
    }

    /// As it is typed: `dispatch get base-image`.
    pub fn word(self) -> String {
        use clap::ValueEnum as _;
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// `kind:` of its documents.
    pub fn yaml(self) -> &'static str {
        self.kind().as_str()
    }

    /// Path below `/v1`.
    pub fn path(self) -> &'static str {
        self.kind().path()
    }

    pub fn of_yaml(kind: &str) -> Option<Noun> {
        Noun::ALL.into_iter().find(|noun| noun.yaml().eq_ignore_ascii_case(kind))
    }

    /// Whether a body has the shape the server takes.
    pub fn check(self, body: &Value) -> Result<(), Violation> {
        use dispatch_wire as wire;
        let bytes = body.to_string();
        let bytes = bytes.as_bytes();
        match self {
            Noun::Api => wire::parse::<wire::Api>(bytes).map(drop),
            Noun::Application => wire::parse::<wire::Application>(bytes).map(drop),
            Noun::BaseImage => wire::parse::<wire::BaseImage>(bytes).map(drop),
            Noun::Image => wire::parse::<wire::Image>(bytes).map(drop),
            Noun::ImagePolicy => wire::parse::<wire::ImagePolicy>(bytes).map(drop),
            Noun::Function => wire::parse::<wire::Function>(bytes).map(drop),
            Noun::Secret => wire::parse::<wire::Secret>(bytes).map(drop),
            Noun::Organization => wire::parse::<wire::Organization>(bytes).map(drop),
            Noun::Policy => wire::parse::<wire::Policy>(bytes).map(drop),
            Noun::Engine => wire::parse::<wire::Engine>(bytes).map(drop),
            Noun::Serviceaccount => wire::parse::<wire::ServiceAccount>(bytes).map(drop),
            Noun::Role => wire::parse::<wire::Role>(bytes).map(drop),
            Noun::Group => wire::parse::<wire::Group>(bytes).map(drop),
        }
    }

    /// Things that others name come first: creating in this order and deleting in the reverse
    /// leaves nothing dangling.
    pub fn rank(self) -> usize {
        let order = [
            Noun::Organization,
            Noun::Application,
            Noun::Serviceaccount,
            Noun::Role,
            Noun::Group,
            Noun::Policy,
            Noun::Secret,
            Noun::Engine,
            Noun::ImagePolicy,
            Noun::BaseImage,
            Noun::Image,
            Noun::Function,
            Noun::Api,
        ];
        order.iter().position(|noun| *noun == self).unwrap_or(order.len())
    }

    pub fn kind(self) -> dispatch_model::ResourceKind {
        use dispatch_model::ResourceKind as Kind;
        match self {
            Noun::Api => Kind::Api,
            Noun::Application => Kind::Application,
            Noun::BaseImage => Kind::BaseImage,
            Noun::Image => Kind::Image,
            Noun::ImagePolicy => Kind::ImagePolicy,
            Noun::Function => Kind::Function,
            Noun::Secret => Kind::Secret,
            Noun::Organization => Kind::Organization,
            Noun::Policy => Kind::Policy,
            Noun::Engine => Kind::Engine,
            Noun::Serviceaccount => Kind::ServiceAccount,
            Noun::Role => Kind::Role,
            Noun::Group => Kind::Group,
        }
    }
}

/// One resource.
pub async fn read(
    client: &Client,
    noun: Noun,
    name: &str,
) -> Result<Value, dispatch_wire::client::Error> {
    client.get(&format!("{}/{name}", noun.path())).await
}
