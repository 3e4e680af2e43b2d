//! Why a directory lets nobody in: for the operator's log, never for who tries.

use std::time::{SystemTime, UNIX_EPOCH};

use ldap3::{LdapResult, SearchEntry};

/// Bit of `userAccountControl`: the account is disabled.
const DISABLED: u64 = 2;
/// Seconds from 1601, where Active Directory counts from, to 1970.
const EPOCH_1601_S: u64 = 11_644_473_600;
const DAY_S: u64 = 86_400;

/// What Active Directory means by the number in its words.
pub fn of_bind(result: &LdapResult) -> &'static str {
    let number = result.text.split("data ").nth(1).unwrap_or_default();
    let number = number.split(|c: char| !c.is_ascii_hexdigit()).next().unwrap_or_default();
    match number {
        "525" => "the account does not exist",
        "52e" => "the password is wrong",
        "530" => "the account may not sign in at this time",
        "531" => "the account may not sign in from here",
        "532" => "the password has expired",
        "533" => "the account is disabled",
        "701" => "the account has expired",
        "773" => "the password must be changed first",
        "775" => "the account is locked",
        _ if result.rc == super::connection::INVALID_CREDENTIALS => "the password is wrong",
        _ => "the directory refuses",
    }
}

/// Why an entry that is there must not be let in.
pub fn of_entry(entry: &SearchEntry) -> Option<&'static str> {
    let number = |name| super::person::first(entry, name).and_then(|text| text.parse().ok());
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if number("userAccountControl").is_some_and(|bits: u64| bits & DISABLED != 0) {
        return Some("the account is disabled");
    }
    // 0 and the largest number stand for never; it counts tenths of microseconds.
    let expires: Option<u64> = number("accountExpires").filter(|at| *at != 0);
    if expires.is_some_and(|at| (at / 10_000_000).saturating_sub(EPOCH_1601_S) < now_s) {
        return Some("the account has expired");
    }
    // Days since 1970, as /etc/shadow has it.
    if number("shadowExpire").is_some_and(|day: u64| day < now_s / DAY_S) {
        return Some("the account has expired");
    }
    super::person::first(entry, "pwdAccountLockedTime").map(|_| "the account is locked")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn said(rc: u32, text: &str) -> &'static str {
        let text = text.to_owned();
        let (matched, refs, ctrls) = (String::new(), Vec::new(), Vec::new());
        of_bind(&LdapResult { rc, matched, text, refs, ctrls })
    }

    #[test]
    fn numbers_of_active_directory_are_told_apart() {
        let words = |number: &str| {
            let text = format!(
                "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data \
                 {number}, v4563"
            );
            said(49, &text)
        };
        let all = ["525", "52e", "532", "533", "701", "773", "775"].map(words);
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(words("533"), "the account is disabled");
        assert_eq!(said(49, "invalid credentials"), "the password is wrong");
        assert_eq!(said(53, ""), "the directory refuses");
    }

    #[test]
    fn accounts_that_are_closed_are_seen() {
        let entry = |name: &str, value: &str| SearchEntry {
            dn: "cn=ann".to_owned(),
            attrs: HashMap::from([(name.to_owned(), vec![value.to_owned()])]),
            bin_attrs: HashMap::new(),
        };
        for (name, value, closed) in [
            ("userAccountControl", "512", false),
            ("userAccountControl", "514", true),
            ("accountExpires", "0", false),
            ("accountExpires", "9223372036854775807", false),
            ("accountExpires", "132000000000000000", true),
            ("shadowExpire", "-1", false),
            ("shadowExpire", "18000", true),
            ("pwdAccountLockedTime", "20240101000000Z", true),
            ("cn", "ann", false),
        ] {
            assert_eq!(of_entry(&entry(name, value)).is_some(), closed, "{name}: {value}");
        }
    }
}
