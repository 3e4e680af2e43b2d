//! The route table: host, then path, then method.
//!
//! Before everything an exact host, then a wildcard, then `/<organization>` on every host. Within
//! these the most specific path that has the method: text before a parameter before the rest of a
//! prefix, from the first segment on. A path without parameters is one hash away; those with
//! parameters are a tree whose nodes are found by the hash of the way to them. A hash only leads
//! somewhere: what is found there is compared with the request. Reading takes no lock and
//! allocates nothing, and a change touches what the API has, not what the others have.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName, Violation};

use super::host::{self, Claims};
use super::method::Methods;
use super::path::{Path, Segment, first_segment};
use super::route::Route;
use super::scope::Scope;
use super::shards::Shards;

// Set the parts of a key off from each other: bytes that are in no text.
const CLAIM: u8 = 0xf8;
const EXACT: u8 = 0xf9;
const TEXT: u8 = 0xfa;
const PARAMETER: u8 = 0xfb;
const REST: u8 = 0xfc;

/// A route at one path of one scope.
#[derive(Debug)]
pub struct Place {
    pub route: Arc<Route>,
    pub path: Path,
    scope: Scope<Box<str>>,
    /// The route's: here they cost a lookup no further step.
    methods: Methods,
}

/// What lies at a hash.
#[derive(Clone, Default)]
struct Slot {
    /// Routes that end here.
    places: Vec<Arc<Place>>,
    /// Routes with parameters that end here or further on.
    through: usize,
    /// Whose host it is, when this is a host.
    owner: Option<OrgName>,
}

/// What only changes look at.
#[derive(Default)]
struct Book {
    places: HashMap<(OrgName, Name), Vec<Arc<Place>>>,
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
    path: &'a str,
    method: Methods,
    /// Methods of the routes that have another one, and whether one of them allows CORS.
    allowed: Methods,
    cors: bool,
}

impl Table {
    pub fn put(&self, org: &OrgName, name: &Name, spec: &ApiSpec) -> Result<(), Violation> {
        let new = if spec.enabled { places(org, name, spec)? } else { Vec::new() };
        let mut book = self.book();
        for place in &new {
            book.claims.check(org, &place.scope)?;
            self.check(place)?;
        }
        // First the new, then without the old: an unchanged route is there all the time.
        self.claim(&mut book, org, &new);
        new.iter().for_each(|place| self.insert(place));
        self.take_out(&mut book, org, name);
        if !new.is_empty() {
            book.places.insert((org.clone(), name.clone()), new);
        }
        Ok(())
    }

    pub fn remove(&self, org: &OrgName, name: &Name) {
        self.take_out(&mut self.book(), org, name);
    }

    /// Refuses hosts that another organization has.
    pub fn check_hosts(&self, org: &OrgName, hosts: &[String]) -> Result<(), Violation> {
        let book = self.book();
        hosts.iter().try_for_each(|host| book.claims.check(org, &host::of_api(host)?))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a route that another API has.
    fn check(&self, place: &Place) -> Result<(), Violation> {
        let key = *self.keys(place).last().expect("a path has at least one key");
        let taken = self.slots.read(key, |slot| {
            let other = slot.places.iter().find(|other| {
                let (route, new) = (&other.route, &place.route);
                let mine = route.org == new.org && route.api == new.api;
                !mine && other.is_at(place) && other.methods.meets(place.methods)
            });
            other.map(|other| other.route.api.clone())
        });
        if let Some(api) = taken.flatten() {
            let rule = format!("{:?} is a route of api {api}", place.path.uri());
            return Err(Violation::new("uris", rule));
        }
        Ok(())
    }

    fn claim(&self, book: &mut Book, org: &OrgName, new: &[Arc<Place>]) {
        for scope in scopes(new) {
            book.claims.add(org, scope);
            self.slots.change(self.claim_key(scope.borrow()), |slot| {
                let mut slot = Arc::unwrap_or_clone(slot.unwrap_or_default());
                if slot.owner.replace(org.clone()).is_none() {
                    self.hosts.fetch_add(1, Ordering::Relaxed);
                }
                Some(Arc::new(slot))
            });
        }
    }

    fn insert(&self, place: &Arc<Place>) {
        let keys = self.keys(place);
        for (at, key) in keys.iter().enumerate() {
            self.slots.change(*key, |slot| {
                let mut slot = Arc::unwrap_or_clone(slot.unwrap_or_default());
                slot.through += 1;
                if at + 1 == keys.len() {
                    slot.places.push(place.clone());
                }
                Some(Arc::new(slot))
            });
        }
    }

    fn take_out(&self, book: &mut Book, org: &OrgName, name: &Name) {
        let old = book.places.remove(&(org.clone(), name.clone())).unwrap_or_default();
        for place in &old {
            for key in self.keys(place) {
                self.slots.change(key, |slot| {
                    let mut slot = Arc::unwrap_or_clone(slot?);
                    slot.through -= 1;
                    slot.places.retain(|other| !Arc::ptr_eq(other, place));
                    slot.kept()
                });
            }
        }
        for scope in scopes(&old) {
            if book.claims.take(org, scope) {
                self.hosts.fetch_sub(1, Ordering::Relaxed);
                self.slots.change(self.claim_key(scope.borrow()), |slot| {
                    Slot { owner: None, ..Arc::unwrap_or_clone(slot?) }.kept()
                });
            }
        }
    }

    /// Looks a request up: its host (without port, lower case), path and method.
    pub fn find(&self, host: &str, path: &str, method: Methods) -> Found {
        let scope = Scope::Host(host);
        let mut search = Search { scope, path, method, allowed: Methods::default(), cors: false };
        let mut owner = None;
        if self.hosts.load(Ordering::Relaxed) > 0 {
            for scope in
                [Some(scope), host::parent(host).map(Scope::Wildcard)].into_iter().flatten()
            {
                let key = self.claim_key(scope);
                let Some(org) = self.slots.read(key, |s| s.owner.clone()).flatten() else {
                    continue;
                };
                owner = Some(org);
                search.scope = scope;
                if let Some(place) = self.search(&mut search) {
                    return Found::Route { place, uri_start: 0 };
                }
            }
        }
        let (org, _) = first_segment(&path[1..]);
        // Who has a host shares it with nobody: its requests may carry cookies.
        if owner.is_none_or(|owner| owner.as_str() == org) {
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
            if place.scope.borrow() != self.scope || !place.path.matches(self.path) {
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

impl Place {
    fn is_at(&self, other: &Place) -> bool {
        self.scope == other.scope && self.path.is_like(&other.path)
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

/// The hosts among the scopes, each once.
fn scopes(places: &[Arc<Place>]) -> impl Iterator<Item = &Scope<Box<str>>> {
    let host = |scope: &&Scope<Box<str>>| !matches!(scope, Scope::Organization(_));
    let first = move |at: usize| {
        let scope = &places[at].scope;
        (at == 0 || places[at - 1].scope != *scope).then_some(scope)
    };
    (0..places.len()).filter_map(first).filter(host)
}

/// All places of an API, scope by scope, none twice.
fn places(org: &OrgName, name: &Name, spec: &ApiSpec) -> Result<Vec<Arc<Place>>, Violation> {
    let route = Arc::new(Route::new(org, name, spec)?);
    let uris = if spec.uris.is_empty() { &["/".to_owned()][..] } else { &spec.uris };
    let mut paths: Vec<Path> = Vec::new();
    for uri in uris {
        let path = Path::parse(uri)?;
        if !paths.iter().any(|other| other.is_like(&path)) {
            paths.push(path);
        }
    }
    let mut scopes = Vec::new();
    for host in &spec.hosts {
        let scope = host::of_api(host)?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        scopes.push(Scope::Organization(org.as_str().into()));
    }
    let place = |scope: &Scope<Box<str>>, path: &Path| {
        let (route, path, scope) = (route.clone(), path.clone(), scope.clone());
        Arc::new(Place { methods: route.methods, route, path, scope })
    };
    Ok(scopes.iter().flat_map(|s| paths.iter().map(move |p| place(s, p))).collect())
}

#[cfg(test)]
mod tests;
