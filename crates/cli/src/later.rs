//! Words of v1 whose time has not come: each is answered by one sentence.

use crate::hint::Wrong;

/// What a group of words needs, the words, and what to do meanwhile.
struct Group {
    what: &'static str,
    words: &'static [&'static str],
    hint: &'static str,
}

/// Dashes and plurals are left out: `event-driver-types` is `eventdrivertype`.
const GROUPS: [Group; 3] = [
    Group {
        what: "events (emit, subscriptions, event drivers and their types) are not there yet",
        words: &["emit", "subscription", "eventdriver", "eventdrivertype", "driver", "drivertype"],
        hint: "a function is called by `dispatch exec`, by an API, or by POST /v1/runs",
    },
    Group {
        what: "service brokers (service classes and instances) are not there yet",
        words: &["serviceclass", "serviceinstance", "servicebinding"],
        hint: "a secret can hold a service's credentials: dispatch create secret NAME FILE",
    },
    Group {
        what: "nothing is to be installed: the server is one program",
        words: &["install", "uninstall"],
        hint: "dispatch-server run",
    },
];

/// The answer to a word of v1 that this version does not have.
pub fn answer(word: &str) -> Option<Wrong> {
    let plain = word.to_lowercase().replace(['-', '_'], "");
    let singular = plain.strip_suffix("es").filter(|s| s.ends_with("class"));
    let singular = singular.or_else(|| plain.strip_suffix('s').filter(|s| !s.ends_with("clas")));
    let singular = singular.unwrap_or(&plain);
    let group = GROUPS.iter().find(|group| group.words.contains(&singular))?;
    let message = format!("{word}: {} (version {})", group.what, env!("CARGO_PKG_VERSION"));
    Some(Wrong::new(message, group.hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_v1_is_answered() {
        for word in [
            "emit",
            "subscription",
            "subscriptions",
            "eventdriver",
            "event-drivers",
            "event-driver-types",
            "eventdriver-type",
            "DriverType",
            "serviceclass",
            "serviceclasses",
            "serviceinstances",
            "ServiceInstance",
            "install",
        ] {
            let answer = answer(word).unwrap_or_else(|| panic!("{word}"));
            assert!(answer.to_string().starts_with(word), "{answer}");
        }
        for word in ["function", "classes", "", "s"] {
            assert!(answer(word).is_none(), "{word}");
        }
    }
}
