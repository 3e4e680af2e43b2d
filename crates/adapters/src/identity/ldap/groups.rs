//! Groups of somebody, and groups of those groups.

use std::collections::{BTreeSet, HashSet};

use dispatch_driver::Result;
use dispatch_driver::identity::{GROUPS, SignedIn};
use ldap3::{Scope, SearchEntry, ldap_escape};

use super::connection::Connection;
use super::filter::filled;
use super::person::first;
use super::settings::{Nested, Settings};

/// Most levels of groups in groups.
const LEVELS: usize = 16;
/// Groups that one search asks about at the same time.
const TOGETHER: usize = 50;
/// Active Directory follows members of members itself (MS-ADTS, 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// Adds somebody's groups.
pub async fn add(
    person: SignedIn,
    entry: &SearchEntry,
    connection: &mut Connection,
    settings: &Settings,
) -> Result<SignedIn> {
    let mut walk = Walk { connection, settings, seen: HashSet::new(), names: BTreeSet::new() };
    let login = first(entry, &settings.login).unwrap_or_default();
    let whole = match settings.nested {
        Nested::Chain => walk.chain(&entry.dn).await?,
        nested => walk.levels(login, &entry.dn, nested == Nested::Walk).await?,
    };
    let names = walk.names;
    let mut person = person.in_groups(names);
    if !whole {
        person.note(format!("not all groups: there are more than {GROUPS}, or {LEVELS} levels"));
    }
    Ok(person)
}

struct Walk<'a> {
    connection: &'a mut Connection,
    settings: &'a Settings,
    /// Groups that were met, in lower case: one that holds itself ends the walk.
    seen: HashSet<String>,
    names: BTreeSet<String>,
}

impl Walk<'_> {
    /// All in one search. Whether that was all.
    async fn chain(&mut self, dn: &str) -> Result<bool> {
        let filter = format!("(&(objectClass=group)(member:{IN_CHAIN}:={}))", ldap_escape(dn));
        Ok(self.search(&filter).await?.1)
    }

    /// Level by level. Whether that was all.
    async fn levels(&mut self, login: &str, dn: &str, deeper: bool) -> Result<bool> {
        let filter = filled(&self.settings.group_filter, login, dn);
        let (mut level, mut whole) = self.search(&filter).await?;
        for _ in 1..LEVELS {
            if level.is_empty() || !deeper || self.seen.len() > GROUPS {
                break;
            }
            let mut next = Vec::new();
            for some in level.chunks(TOGETHER) {
                // Groups have no login.
                let filled = |dn: &String| filled(&self.settings.group_filter, "", dn);
                let filter = format!("(|{})", some.iter().map(filled).collect::<String>());
                let (found, all) = self.search(&filter).await?;
                next.extend(found);
                whole &= all;
            }
            level = next;
        }
        Ok(whole && (level.is_empty() || !deeper))
    }

    /// Names of entries that were not met before, and whether those found are all.
    async fn search(&mut self, filter: &str) -> Result<(Vec<String>, bool)> {
        let (base, name) = (&self.settings.group_base, &self.settings.group_name);
        let attributes = [name.as_str()];
        let search = self.connection.search(base, Scope::Subtree, filter, &attributes, GROUPS + 1);
        let found = search.await?;
        let mut new = Vec::new();
        for entry in found.entries {
            self.names.extend(first(&entry, name).map(str::to_owned));
            if self.seen.insert(entry.dn.to_lowercase()) {
                new.push(entry.dn);
            }
        }
        Ok((new, found.all))
    }
}
