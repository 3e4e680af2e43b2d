//! The words for kinds of resources on the command line.

use dispatch_wire::client::Client;

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
    #[value(aliases = ["functions", "func"])]
    Function,
    #[value(aliases = ["secrets"])]
    Secret,
    #[value(aliases = ["organizations", "org"])]
    Organization,
    #[value(aliases = ["policies"])]
    Policy,
    #[value(aliases = ["serviceaccounts", "service-account", "service-accounts"])]
    Serviceaccount,
}

impl Noun {
    pub const ALL: [Noun; 9] = [
        Noun::BaseImage,
        Noun::Image,
        Noun::Function,
        Noun::Secret,
        Noun::Api,
        Noun::Application,
        Noun::Organization,
        Noun::Policy,
        Noun::Serviceaccount,
    ];

    /// As v1's messages have it: `Created base image: x`.
    pub fn words(self) -> &'static str {
        self.kind().words()
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

    /// Things that others name come first: creating in this order and deleting in the reverse
    /// leaves nothing dangling.
    pub fn rank(self) -> usize {
        let order = [
            Noun::Organization,
            Noun::Application,
            Noun::Serviceaccount,
            Noun::Policy,
            Noun::Secret,
            Noun::BaseImage,
            Noun::Image,
            Noun::Function,
            Noun::Api,
        ];
        order.iter().position(|noun| *noun == self).unwrap_or(order.len())
    }

    fn kind(self) -> dispatch_model::ResourceKind {
        use dispatch_model::ResourceKind as Kind;
        match self {
            Noun::Api => Kind::Api,
            Noun::Application => Kind::Application,
            Noun::BaseImage => Kind::BaseImage,
            Noun::Image => Kind::Image,
            Noun::Function => Kind::Function,
            Noun::Secret => Kind::Secret,
            Noun::Organization => Kind::Organization,
            Noun::Policy => Kind::Policy,
            Noun::Serviceaccount => Kind::ServiceAccount,
        }
    }
}

/// One resource.
pub async fn read(
    client: &Client,
    noun: Noun,
    name: &str,
) -> Result<serde_json::Value, dispatch_wire::client::Error> {
    client.get(&format!("{}/{name}", noun.path())).await
}
