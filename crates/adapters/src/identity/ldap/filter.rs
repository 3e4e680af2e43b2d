//! Filters and names with somebody's words in them, which stay words.

use std::fmt::Write as _;

use ldap3::{dn_escape, ldap_escape};

/// A filter with words filled in.
pub fn filled(filter: &str, name: &str, dn: &str) -> String {
    // In one pass: a name that looks like a place to fill must not be filled.
    let mut parts = filter.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix("name}") {
            out.push_str(&ldap_escape(name));
            out.push_str(rest);
        } else if let Some(rest) = part.strip_prefix("dn}") {
            out.push_str(&ldap_escape(dn));
            out.push_str(rest);
        } else {
            out.push('{');
            out.push_str(part);
        }
    }
    out
}

/// A filter for one value, whatever bytes it has.
pub fn equal(attribute: &str, value: &[u8]) -> String {
    let mut filter = format!("({attribute}=");
    for byte in value {
        write!(filter, "\\{byte:02x}").expect("a text takes all");
    }
    filter + ")"
}

/// Whether a pattern makes the name of an entry, and not of an account.
pub fn is_dn(pattern: &str) -> bool {
    pattern.contains('=')
}

/// What a name is bound as. None for a name that cannot be one of an account.
pub fn bound(pattern: &str, name: &str) -> Option<String> {
    if is_dn(pattern) {
        return Some(pattern.replacen("{name}", &dn_escape(name), 1));
    }
    // As Active Directory has it for names of accounts; with them, a name could reach another
    // domain.
    let wrong = |c: char| c.is_whitespace() || "@\\/\"[]:;|=,+*?<>".contains(c);
    (!name.contains(wrong)).then(|| pattern.replacen("{name}", name, 1))
}

#[cfg(test)]
mod tests {
    use ldap3::parse_filter;

    use super::*;

    #[test]
    fn a_name_stays_one_word_of_a_filter() {
        let filter = "(&(objectClass=person)(uid={name}))";
        for name in [
            "*",
            "a*",
            "ann)(uid=*",
            "*)(objectClass=*))(|(a=b",
            "\\2a",
            "a\0b",
            "{dn}",
            "{name}",
            "é(",
        ] {
            let made = filled(filter, name, "cn=evil)(cn=*");
            assert!(parse_filter(&made).is_ok(), "{made}");
            assert_eq!(made.matches('(').count(), 3, "{made}");
            assert_eq!(made.matches('*').count(), 0, "{made}");
            assert!(!made.contains("evil"), "{made}");
        }
        assert_eq!(filled("(member={dn})", "", "cn=a*(b)"), "(member=cn=a\\2a\\28b\\29)");
    }

    #[test]
    fn a_name_stays_one_value_of_a_dn() {
        let pattern = "uid={name},ou=people,dc=example,dc=org";
        let made = bound(pattern, "ann,ou=admins").unwrap();
        assert_eq!(made, "uid=ann\\2cou\\3dadmins,ou=people,dc=example,dc=org");
        for name in ["a+cn=b", "#1", " a", "a\"b", "a\\", "a;b", "a<b>", "a\0b"] {
            let made = bound(pattern, name).unwrap();
            let value = made.strip_prefix("uid=").unwrap();
            let value = value.strip_suffix(",ou=people,dc=example,dc=org").unwrap();
            assert!(!value.contains([',', '+', '"', ';', '<', '>', '=', '\0', '#']), "{made}");
        }
    }

    #[test]
    fn a_name_of_an_account_reaches_no_other_domain() {
        assert_eq!(bound("{name}@corp.example", "ann").unwrap(), "ann@corp.example");
        for name in ["ann@evil.example", "EVIL\\ann", "a/b", "a b", "a*"] {
            assert!(bound("{name}@corp.example", name).is_none(), "{name}");
        }
    }

    #[test]
    fn any_bytes_are_held_equal() {
        assert_eq!(equal("objectGUID", &[0, 0x2a, 0xff]), "(objectGUID=\\00\\2a\\ff)");
        assert!(parse_filter(equal("entryUUID", b"a*)(b")).is_ok());
    }
}
