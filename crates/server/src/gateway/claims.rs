//! Which organization has which host. None gets requests to another's, neither by naming it nor by
//! a wildcard.

use std::collections::{BTreeSet, HashMap};

use dispatch_model::OrgName;

use super::host::parent;
use super::rank::{ApiName, Rank};
use super::scope::Scope;

type Host = Scope<Box<str>>;

/// All hosts that APIs name.
#[derive(Default)]
pub struct Claims {
    /// Who names a host, the oldest first.
    named: HashMap<Host, BTreeSet<(Rank, ApiName)>>,
    /// The hosts that a wildcard covers or would cover, by its name.
    below: HashMap<Box<str>, BTreeSet<Box<str>>>,
}

impl Claims {
    pub fn add(&mut self, host: &Host, rank: Rank, api: &ApiName) {
        self.named.entry(host.clone()).or_default().insert((rank, api.clone()));
        if let Some((above, host)) = covered(host) {
            self.below.entry(above.into()).or_default().insert(host.into());
        }
    }

    pub fn take(&mut self, host: &Host, rank: Rank, api: &ApiName) {
        let Some(claims) = self.named.get_mut(host) else { return };
        claims.remove(&(rank, api.clone()));
        if !claims.is_empty() {
            return;
        }
        self.named.remove(host);
        if let Some((above, host)) = covered(host)
            && let Some(hosts) = self.below.get_mut(above)
        {
            hosts.remove(host);
            if hosts.is_empty() {
                self.below.remove(above);
            }
        }
    }

    /// The organization that has a host: that of the oldest API that names it, or a wildcard above.
    pub fn owner(&self, host: &Host) -> Option<&OrgName> {
        self.oldest(host).map(|(_, (org, _))| org)
    }

    /// Whether an organization would have a host by an API of this rank.
    pub fn would_own(&self, org: &OrgName, rank: Rank, host: &Host) -> bool {
        self.oldest(host).is_none_or(|(oldest, (owner, _))| owner == org || rank < *oldest)
    }

    /// Hosts that somebody names and whose owner hangs on who names this one.
    pub fn affected(&self, host: &Host) -> Vec<Host> {
        let below = match host {
            Scope::Wildcard(name) => self.below.get(name),
            Scope::Host(_) | Scope::Organization(_) => None,
        };
        let below = below.into_iter().flatten().map(|host| Scope::Host(host.clone()));
        below.chain([host.clone()]).collect()
    }

    /// The APIs that name a host.
    pub fn who_names(&self, host: &Host) -> impl Iterator<Item = &ApiName> {
        self.named.get(host).into_iter().flatten().map(|(_, api)| api)
    }

    fn oldest(&self, host: &Host) -> Option<&(Rank, ApiName)> {
        let first = |host: &Host| self.named.get(host).and_then(BTreeSet::first);
        let above = covered(host).and_then(|(above, _)| first(&Scope::Wildcard(above.into())));
        first(host).into_iter().chain(above).min()
    }
}

/// The name whose wildcard covers a host, and the host.
fn covered(host: &Host) -> Option<(&str, &str)> {
    match host {
        Scope::Host(host) => parent(host).map(|above| (above, &**host)),
        Scope::Wildcard(_) | Scope::Organization(_) => None,
    }
}
