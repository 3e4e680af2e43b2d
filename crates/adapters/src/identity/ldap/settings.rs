//! What can be set on a directory, and its reading.

use std::time::Duration;

use dispatch_driver::identity::refused;
use dispatch_driver::{Config, Result, Setting, Value};
use ldap3::parse_filter;

use super::filter::filled;

const TIMEOUT_MOST: Duration = Duration::from_secs(60);

pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "url",
        Value::Text,
        "`ldaps://HOST[:PORT]`, or `ldap://HOST[:PORT]`, which is then encrypted by StartTLS.",
    )
    .required(),
    Setting::new(
        "plain",
        Value::Flag,
        "Do without TLS on `ldap://`; only towards the machine itself, for tests.",
    )
    .default("false"),
    Setting::new(
        "directory",
        Value::Choice(&["generic", "activeDirectory"]),
        "Chooses what holds for settings that are not given.",
    )
    .default("generic"),
    Setting::new("baseDn", Value::Text, "Below which people are looked for.").required(),
    Setting::new(
        "bindDn",
        Value::Text,
        "Account by which people are looked for; may read them and groups, and nothing else.",
    ),
    Setting::new("bindPassword", Value::Text, "Its password.").secret(),
    Setting::new(
        "userPattern",
        Value::Text,
        "How a name becomes what is bound as, instead of looking for it: \
         `uid={name},ou=people,dc=example,dc=org`, or `{name}@corp.example`.",
    ),
    Setting::new(
        "userFilter",
        Value::Text,
        "Finds the one who is called `{name}`; `(&(objectClass=person)(uid={name}))`, in Active \
         Directory by sAMAccountName or userPrincipalName.",
    ),
    Setting::new(
        "subjectAttribute",
        Value::Text,
        "What never changes of a person; `entryUUID`, in Active Directory `objectGUID`.",
    ),
    Setting::new(
        "nameAttributes",
        Value::List,
        "What policies name people by, the first that they have; `uid`, in Active Directory \
         `userPrincipalName,sAMAccountName`. People must not be able to write it themselves.",
    ),
    Setting::new("displayNameAttribute", Value::Text, "For people to read; `cn` or `displayName`."),
    Setting::new("emailAttribute", Value::Text, "The e-mail.").default("mail"),
    Setting::new("groupBaseDn", Value::Text, "Below which groups are looked for; `baseDn` else."),
    Setting::new(
        "groupFilter",
        Value::Text,
        "Finds groups with the member `{dn}`, or `{name}`: a person's `uid`; groupOfNames, \
         groupOfUniqueNames and posixGroup, in Active Directory `group`.",
    ),
    Setting::new("groupNameAttribute", Value::Text, "What policies name groups by.").default("cn"),
    Setting::new(
        "nestedGroups",
        Value::Choice(&["none", "walk", "chain"]),
        "Groups of groups: not at all, looked for level by level, or by the directory itself \
         (LDAP_MATCHING_RULE_IN_CHAIN); `walk`, in Active Directory `chain`.",
    ),
    Setting::new("caFile", Value::Text, "Certificates (PEM) trusted besides the machine's."),
    Setting::new("timeout", Value::Duration, "Longest time of one step; at most `60s`.")
        .default("10s"),
];

/// Defaults of a kind of directory.
struct Preset {
    user_filter: &'static str,
    subject: &'static str,
    names: &'static [&'static str],
    login: &'static str,
    display_name: &'static str,
    group_filter: &'static str,
    nested: Nested,
}

const GENERIC: Preset = Preset {
    user_filter: "(&(objectClass=person)(uid={name}))",
    subject: "entryUUID",
    names: &["uid"],
    login: "uid",
    display_name: "cn",
    group_filter: "(|(&(objectClass=groupOfNames)(member={dn}))\
        (&(objectClass=groupOfUniqueNames)(uniqueMember={dn}))\
        (&(objectClass=posixGroup)(memberUid={name})))",
    nested: Nested::Walk,
};

const ACTIVE_DIRECTORY: Preset = Preset {
    user_filter: "(&(objectCategory=person)(objectClass=user)\
        (|(sAMAccountName={name})(userPrincipalName={name})))",
    subject: "objectGUID",
    names: &["userPrincipalName", "sAMAccountName"],
    login: "sAMAccountName",
    display_name: "displayName",
    group_filter: "(&(objectClass=group)(member={dn}))",
    nested: Nested::Chain,
};

/// How groups of groups are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    None,
    Walk,
    Chain,
}

/// Settings in the form the driver uses.
pub struct Settings {
    pub base: String,
    pub bind_dn: Option<String>,
    pub user_pattern: Option<String>,
    pub user_filter: String,
    pub subject: String,
    pub names: Vec<String>,
    /// The short name, which `{name}` of a group filter is.
    pub login: String,
    pub display_name: String,
    pub email: String,
    pub group_base: String,
    pub group_filter: String,
    pub group_name: String,
    pub nested: Nested,
    pub timeout: Duration,
}

impl Settings {
    pub fn read(config: &Config) -> Result<Self> {
        let active_directory = config.text("directory") == Some("activeDirectory");
        let preset = if active_directory { &ACTIVE_DIRECTORY } else { &GENERIC };
        let or = |key, default: &str| config.text(key).unwrap_or(default).to_owned();
        let base = or("baseDn", "");
        let mut names: Vec<_> =
            config.list("nameAttributes").into_iter().map(str::to_owned).collect();
        if names.is_empty() {
            names = preset.names.iter().map(|name| (*name).to_owned()).collect();
        }
        let read = Self {
            bind_dn: config.text("bindDn").map(str::to_owned),
            user_pattern: config.text("userPattern").map(str::to_owned),
            user_filter: or("userFilter", preset.user_filter),
            subject: or("subjectAttribute", preset.subject),
            names,
            login: preset.login.to_owned(),
            display_name: or("displayNameAttribute", preset.display_name),
            email: or("emailAttribute", ""),
            group_base: or("groupBaseDn", &base),
            group_filter: or("groupFilter", preset.group_filter),
            group_name: or("groupNameAttribute", ""),
            nested: match config.text("nestedGroups") {
                Some("none") => Nested::None,
                Some("walk") => Nested::Walk,
                Some("chain") => Nested::Chain,
                _ => preset.nested,
            },
            timeout: config.duration("timeout").unwrap_or(TIMEOUT_MOST),
            base,
        };
        read.check(config.text("bindPassword").is_some())?;
        Ok(read)
    }

    fn check(&self, password: bool) -> Result<()> {
        if self.timeout > TIMEOUT_MOST {
            return Err(refused("settings.timeout is too long; write 60s or less"));
        }
        if self.bind_dn.is_some() != password {
            return Err(refused("settings.bindDn and secrets.bindPassword go together"));
        }
        if self.bind_dn.is_none() && self.user_pattern.is_none() {
            let text = "give settings.bindDn with secrets.bindPassword, or settings.userPattern";
            return Err(refused(text));
        }
        let names =
            self.user_pattern.as_ref().is_none_or(|text| text.matches("{name}").count() == 1);
        if !names {
            return Err(refused("settings.userPattern must have {name} in it, once"));
        }
        for (key, filter, needs) in [
            ("userFilter", &self.user_filter, "{name}"),
            ("groupFilter", &self.group_filter, "{dn}"),
        ] {
            if !filter.contains(needs) || parse_filter(filled(filter, "x", "x")).is_err() {
                let text = format!("settings.{key} must be a filter with {needs} in it");
                return Err(refused(text));
            }
        }
        let attributes = self.names.iter().chain([
            &self.subject,
            &self.display_name,
            &self.email,
            &self.group_name,
        ]);
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ';' | '.');
        for attribute in attributes {
            if attribute.is_empty() || !attribute.chars().all(letter) {
                return Err(refused(format!("{attribute:?} is no name of an attribute")));
            }
        }
        Ok(())
    }
}
