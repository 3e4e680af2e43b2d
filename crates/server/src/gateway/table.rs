//! The route table: host, then path, then method.
//!
//! Where several APIs want the same route, the one that was created first has it, in whatever order
//! they become known; when it goes, the next has it at once.
//!
//! Before everything an exact host, then a wildcard, then `/<organization>` on every host. Within
//! these the most specific path that has the method: text before a parameter before the rest of a
//! prefix, from the first segment on. A path without parameters is one hash away; those with
//! parameters are a tree whose nodes are found by the hash of the way to them. A hash only leads
//! somewhere: what is found there is compared with the request. Reading takes no lock and
//! allocates nothing, and a change touches what the API has, not what the others have.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName, Violation};

use super::claims::Claims;
use super::host;
use super::method::Methods;
use super::path::{Segment, first_segment};
use super::place::{Place, are_equal, gone, hosts, places};
use super::rank::{ApiName, Rank};
use super::scope::Scope;
use super::shards::Shards;

// Set the parts of a key off from each other: bytes that are in no text.
const CLAIM: u8 = 0xf8;
const EXACT: u8 = 0xf9;
const TEXT: u8 = 0xfa;
const PARAMETER: u8 = 0xfb;
const REST: u8 = 0xfc;

/// What lies at a hash.
#[derive(Clone, Default)]
struct Slot {
    /// Routes that end here, the oldest API's first: of those that want a request it is served.
    places: Vec<Arc<Place>>,
    /// Routes with parameters that end here or further on.
    through: usize,
    /// Whose host it is, when this is a host.
    owner: Option<OrgName>,
}

/// What only changes look at.
#[derive(Default)]
struct Book {
    places: HashMap<ApiName, Vec<Arc<Place>>>,
    claims: Claims,
}

/// All routes of a gateway.
#[derive(Default)]
pub struct Table {
    slots: Shards<Arc<Slot>>,
    hashes: RandomState,
    /// Hosts that somebody has.
    hosts: AtomicUsize,
    book: Mutex<Book>,
}

/// What a request meets.
#[derive(Debug)]
pub enum Found {
    Route {
        place: Arc<Place>,
        /// Where in the request's path the API's begins.
        uri_start: usize,
    },
    /// The path is there, for other methods.
    Method {
        allowed: Methods,
        cors: bool,
    },
    Nothing,
}

/// A lookup under way.
struct Search<'a> {
    scope: Scope<&'a str>,
    /// Who has the host, when somebody does: only its routes count.
    owner: Option<OrgName>,
    path: &'a str,
    method: Methods,
    /// Methods of the routes that have another one, and whether one of them allows CORS.
    allowed: Methods,
    cors: bool,
}

impl Table {
    /// Makes an API's routes those of its spec. What an older API has stays with it; what a younger
    /// one had is this one's now. Returns the other APIs for which that makes a difference.
    ///
    /// # Errors
    /// When the spec can be no route's at all; then nothing is changed.
    pub fn put(
        &self,
        org: &OrgName,
        name: &Name,
        rank: Rank,
        spec: &ApiSpec,
    ) -> Result<Vec<ApiName>, Violation> {
        let new = if spec.enabled { places(org, name, rank, spec)? } else { Vec::new() };
        Ok(self.replace((org.clone(), name.clone()), new))
    }

    /// Takes an API's routes away; who wanted them too has them at once. Returns these APIs.
    pub fn remove(&self, org: &OrgName, name: &Name) -> Vec<ApiName> {
        self.replace((org.clone(), name.clone()), Vec::new())
    }

    /// What an API wants and has not, because an older one has it.
    pub fn conflict(&self, org: &OrgName, name: &Name) -> Option<Violation> {
        let book = self.book();
        let places = book.places.get(&(org.clone(), name.clone()))?;
        places.iter().find_map(|place| {
            if book.claims.owner(&place.scope).is_some_and(|owner| owner != org) {
                let rule = format!("{} belongs to another organization", place.scope);
                return Some(Violation::new("hosts", rule));
            }
            let older = self.rivals(place, |rank| rank < place.route.rank);
            let (_, other) = older.iter().find(|(owner, _)| owner == org)?;
            let uri = place.path.uri();
            let rule = format!("{uri:?} is a route of api {other}, which was created before");
            Some(Violation::new("uris", rule))
        })
    }

    /// Those of an API's hosts that its organization has, or would have.
    pub fn own_hosts(
        &self,
        org: &OrgName,
        rank: Rank,
        hosts: &[String],
    ) -> Result<Vec<String>, Violation> {
        let book = self.book();
        let mut own = Vec::new();
        for host in hosts {
            if book.claims.would_own(org, rank, &host::of_api(host)?) {
                own.push(host.clone());
            }
        }
        Ok(own)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, api: ApiName, new: Vec<Arc<Place>>) -> Vec<ApiName> {
        let mut book = self.book();
        let old = book.places.remove(&api).unwrap_or_default();
        if are_equal(&old, &new) {
            if !old.is_empty() {
                book.places.insert(api, old);
            }
            return Vec::new();
        }
        // First the new, then without the old: an unchanged route is there all the time.
        new.iter().for_each(|place| self.insert(place));
        old.iter().for_each(|place| self.take_out(place));
        let mut others = BTreeSet::new();
        for place in gone(&old, &new).chain(gone(&new, &old)) {
            // Older ones have what they want with or without this one.
            others.extend(self.rivals(place, |rank| rank > place.route.rank));
        }
        self.claim(&mut book.claims, &api, &old, &new, &mut others);
        others.remove(&api);
        if !new.is_empty() {
            book.places.insert(api, new);
        }
        others.into_iter().collect()
    }

    /// The other APIs of some ranks that want what this place has.
    fn rivals(&self, place: &Place, of: impl Fn(Rank) -> bool) -> Vec<ApiName> {
        let key = *self.keys(place).last().expect("a path has at least one key");
        let rival = |other: &&Arc<Place>| {
            let (route, own) = (&other.route, &place.route);
            let mine = route.org == own.org && route.api == own.api;
            !mine && of(route.rank) && other.is_at(place) && other.methods.meets(place.methods)
        };
        let name = |place: &Arc<Place>| (place.route.org.clone(), place.route.api.clone());
        let look = |slot: &Arc<Slot>| slot.places.iter().filter(rival).map(name).collect();
        self.slots.read(key, look).unwrap_or_default()
    }

    /// Lets an API name the hosts of its new places instead of those of its old ones.
    fn claim(
        &self,
        claims: &mut Claims,
        api: &ApiName,
        old: &[Arc<Place>],
        new: &[Arc<Place>],
        others: &mut BTreeSet<ApiName>,
    ) {
        let (before, now) = (hosts(old), hosts(new));
        for (host, rank) in now.difference(&before) {
            claims.add(host, *rank, api);
        }
        for (host, rank) in before.difference(&now) {
            claims.take(host, *rank, api);
        }
        for (host, _) in before.symmetric_difference(&now) {
            for host in claims.affected(host) {
                if self.give(&host, claims.owner(&host)) {
                    others.extend(claims.who_names(&host).cloned());
                }
            }
        }
    }

    /// Makes an organization the owner of a host; false when it was before.
    fn give(&self, host: &Scope<Box<str>>, owner: Option<&OrgName>) -> bool {
        let key = self.claim_key(host.borrow());
        let before = self.slots.read(key, |slot| slot.owner.clone()).flatten();
        if before.as_ref() == owner {
            return false;
        }
        self.slots.change(key, |slot| {
            let mut slot = Arc::unwrap_or_clone(slot.unwrap_or_default());
            slot.owner = owner.cloned();
            slot.kept()
        });
        match (before.is_some(), owner.is_some()) {
            (false, true) => self.hosts.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.hosts.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        true
    }

    fn insert(&self, place: &Arc<Place>) {
        let keys = self.keys(place);
        for (at, key) in keys.iter().enumerate() {
            self.slots.change(*key, |slot| {
                let mut slot = Arc::unwrap_or_clone(slot.unwrap_or_default());
                slot.through += 1;
                if at + 1 == keys.len() {
                    let rank = place.route.rank;
                    let at = slot.places.partition_point(|other| other.route.rank <= rank);
                    slot.places.insert(at, place.clone());
                }
                Some(Arc::new(slot))
            });
        }
    }

    fn take_out(&self, place: &Arc<Place>) {
        for key in self.keys(place) {
            self.slots.change(key, |slot| {
                let mut slot = Arc::unwrap_or_clone(slot?);
                slot.through -= 1;
                slot.places.retain(|other| !Arc::ptr_eq(other, place));
                slot.kept()
            });
        }
    }

    /// Looks a request up: its host (without port, lower case), path and method.
    pub fn find(&self, host: &str, path: &str, method: Methods) -> Found {
        let scope = Scope::Host(host);
        let allowed = Methods::default();
        let mut search = Search { scope, owner: None, path, method, allowed, cors: false };
        if self.hosts.load(Ordering::Relaxed) > 0 {
            for scope in
                [Some(scope), host::parent(host).map(Scope::Wildcard)].into_iter().flatten()
            {
                let key = self.claim_key(scope);
                let Some(org) = self.slots.read(key, |s| s.owner.clone()).flatten() else {
                    continue;
                };
                // Below another's wildcard a host is its owner's all the same.
                if search.owner.as_ref().is_some_and(|owner| *owner != org) {
                    continue;
                }
                search.owner = Some(org);
                search.scope = scope;
                if let Some(place) = self.search(&mut search) {
                    return Found::Route { place, uri_start: 0 };
                }
            }
        }
        let (org, _) = first_segment(&path[1..]);
        // Who has a host shares it with nobody: its requests may carry cookies.
        if search.owner.as_ref().is_none_or(|owner| owner.as_str() == org) {
            let uri_start = 1 + org.len();
            search.scope = Scope::Organization(org);
            search.path = within(path, uri_start);
            if let Some(place) = self.search(&mut search) {
                return Found::Route { place, uri_start };
            }
        }
        if search.allowed.is_empty() {
            return Found::Nothing;
        }
        Found::Method { allowed: search.allowed, cors: search.cors }
    }

    /// Looks through one scope.
    fn search(&self, search: &mut Search<'_>) -> Option<Arc<Place>> {
        let root = self.root(search.scope);
        let exact = with(&root, EXACT, search.path).finish();
        if let Some(place) = self.slots.read(exact, |slot| search.pick(slot)).flatten() {
            return Some(place);
        }
        let path = search.path;
        self.walk(root, path.strip_prefix('/'), search)
    }

    /// Goes on from a node of the tree with the rest of the path.
    fn walk(
        &self,
        node: DefaultHasher,
        rest: Option<&str>,
        search: &mut Search<'_>,
    ) -> Option<Arc<Place>> {
        let ends = rest.is_none();
        let look = |slot: &Arc<Slot>| if ends { search.pick(slot) } else { None };
        if let Some(place) = self.slots.read(node.finish(), look)? {
            return Some(place);
        }
        if let Some(rest) = rest {
            let (first, more) = first_segment(rest);
            if let Some(place) = self.walk(with(&node, TEXT, first), more, search) {
                return Some(place);
            }
            if !first.is_empty()
                && let Some(place) = self.walk(with(&node, PARAMETER, ""), more, search)
            {
                return Some(place);
            }
        }
        let rest = with(&node, REST, "").finish();
        self.slots.read(rest, |slot| search.pick(slot)).flatten()
    }

    /// The keys a route passes; it ends at the last.
    fn keys(&self, place: &Place) -> Vec<u64> {
        let root = self.root(place.scope.borrow());
        if let Some(path) = place.path.exact() {
            return vec![with(&root, EXACT, path).finish()];
        }
        let mut keys = vec![root.finish()];
        let mut node = root;
        for segment in place.path.segments() {
            node = match segment {
                Segment::Text(text) => with(&node, TEXT, text),
                Segment::Parameter(_) => with(&node, PARAMETER, ""),
            };
            keys.push(node.finish());
        }
        if place.path.is_prefix() {
            keys.push(with(&node, REST, "").finish());
        }
        keys
    }

    fn root(&self, scope: Scope<&str>) -> DefaultHasher {
        let mut hasher = self.hashes.build_hasher();
        scope.feed(&mut hasher);
        hasher
    }

    fn claim_key(&self, scope: Scope<&str>) -> u64 {
        with(&self.root(scope), CLAIM, "").finish()
    }
}

impl Search<'_> {
    /// The route at a slot that is really meant and has the method.
    fn pick(&mut self, slot: &Slot) -> Option<Arc<Place>> {
        for place in &slot.places {
            let foreign = self.owner.as_ref().is_some_and(|owner| *owner != place.route.org);
            if foreign || place.scope.borrow() != self.scope || !place.path.matches(self.path) {
                continue;
            }
            if place.methods.meets(self.method) {
                return Some(place.clone());
            }
            self.allowed = self.allowed.with(place.methods);
            self.cors |= place.route.cors;
        }
        None
    }
}

impl Slot {
    fn kept(self) -> Option<Arc<Self>> {
        (self.through > 0 || self.owner.is_some()).then(|| Arc::new(self))
    }
}

/// The path within an API that begins at a byte of a request's path.
pub fn within(path: &str, from: usize) -> &str {
    if from >= path.len() { "/" } else { &path[from..] }
}

fn with(node: &DefaultHasher, kind: u8, text: &str) -> DefaultHasher {
    let mut hasher = node.clone();
    hasher.write_u8(kind);
    hasher.write(text.as_bytes());
    hasher
}

#[cfg(test)]
mod tests;
