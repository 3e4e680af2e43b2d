//! HTTP methods as a set in one word.

use http::Method;

const NAMES: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// Some of the nine methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Methods(u16);

impl Methods {
    pub const HEAD: Methods = Methods(1 << 1);
    pub const OPTIONS: Methods = Methods(1 << 6);

    pub fn one(method: &Method) -> Self {
        Self::named(method.as_str())
    }

    fn named(name: &str) -> Self {
        NAMES.iter().position(|n| *n == name).map_or(Self(0), |at| Self(1 << at))
    }

    /// The methods of an API; none named is GET. Whoever serves GET serves HEAD.
    pub fn of_api(methods: &[String]) -> Self {
        let get = Self::named("GET");
        let mut set = methods.iter().fold(Self(0), |set, name| set.with(Self::named(name)));
        if set.is_empty() {
            set = get;
        }
        if set.meets(get) { set.with(Self::HEAD) } else { set }
    }

    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As the `Allow` header lists them.
    pub fn list(self) -> String {
        let named = NAMES.iter().enumerate().filter(|(at, _)| self.0 & (1 << at) != 0);
        named.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }
}
