//! The route table: host, then path, then method.
//!
//! A scope is a host, a wildcard of hosts (`*.example.org`), or an organization (`/org/…` on every
//! host). Exact paths are one hash away; paths with parameters and prefixes are in a radix tree
//! that is swapped when they change. Looking up takes no lock but a shard's read lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName, Violation};

use super::method::Methods;
use super::path::Path;
use super::route::Route;

/// What lies at one path: routes that differ in their methods.
type Leaf = Vec<Arc<Entry>>;

#[derive(Debug)]
struct Entry {
    route: Arc<Route>,
    names: Vec<String>,
}

/// All routes of a host or an organization.
#[derive(Default)]
struct Scope {
    exact: DashMap<String, Leaf>,
    patterns: ArcSwap<matchit::Router<Leaf>>,
}

/// Where an API's routes are.
struct Place {
    scope: String,
    path: Path,
}

/// What only changes look at.
#[derive(Default)]
struct Book {
    places: HashMap<(OrgName, Name), Vec<Place>>,
    /// Which organization has a host, and by how many of its APIs.
    hosts: HashMap<String, (OrgName, usize)>,
    /// The pattern routes of each scope, from which its tree is made.
    patterns: HashMap<String, HashMap<String, Leaf>>,
}

#[derive(Default)]
pub struct Table {
    scopes: DashMap<String, Arc<Scope>>,
    book: Mutex<Book>,
}

/// What a request meets.
#[derive(Debug)]
pub enum Found {
    Route {
        route: Arc<Route>,
        /// Values of the path's parameters, by name.
        parameters: Vec<(String, String)>,
        /// The path within the API.
        uri_start: usize,
    },
    /// The path is there, for other methods.
    Method { allowed: Methods, cors: bool },
    Nothing,
}

impl Table {
    pub fn put(&self, org: &OrgName, name: &Name, spec: &ApiSpec) -> Result<(), Violation> {
        let paths = if spec.uris.is_empty() { &["/".to_owned()][..] } else { &spec.uris };
        let paths = paths.iter().map(|uri| Path::parse(uri)).collect::<Result<Vec<_>, _>>()?;
        let scopes: Vec<String> = if spec.hosts.is_empty() {
            vec![organization_scope(org.as_str())]
        } else {
            spec.hosts.clone()
        };
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let methods = Methods::of_api(&spec.methods);
        for scope in &scopes {
            self.check(&book, org, name, scope, &paths, methods)?;
        }
        self.take_out(&mut book, org, name);
        let Some(route) = Route::new(org, name, spec).filter(|_| spec.enabled) else {
            return Ok(());
        };
        let route = Arc::new(route);
        let mut places = Vec::new();
        for scope in scopes {
            if !scope.starts_with('/') {
                book.hosts.entry(scope.clone()).or_insert((org.clone(), 0)).1 += 1;
            }
            for path in &paths {
                self.insert(&mut book, &scope, path, &route);
                places.push(Place { scope: scope.clone(), path: path.clone() });
            }
            self.rebuild(&book, &scope, &paths);
        }
        book.places.insert((org.clone(), name.clone()), places);
        Ok(())
    }

    pub fn remove(&self, org: &OrgName, name: &Name) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_out(&mut book, org, name);
    }

    /// Refuses what another API or organization has.
    fn check(
        &self,
        book: &Book,
        org: &OrgName,
        name: &Name,
        scope: &str,
        paths: &[Path],
        methods: Methods,
    ) -> Result<(), Violation> {
        if book.hosts.get(scope).is_some_and(|(owner, _)| owner != org) {
            let rule = format!("{scope:?} belongs to another organization");
            return Err(Violation::new("hosts", rule));
        }
        let Some(found) = self.scopes.get(scope).map(|s| s.clone()) else { return Ok(()) };
        for path in paths {
            let leaf = match path {
                Path::Exact(path) => found.exact.get(path).map(|leaf| leaf.clone()),
                Path::Pattern { pattern, .. } => {
                    book.patterns.get(scope).and_then(|patterns| patterns.get(pattern)).cloned()
                }
            };
            let taken = leaf.into_iter().flatten().find(|entry| {
                let same = entry.route.org == *org && entry.route.api == *name;
                !same && entry.route.methods.meets(methods)
            });
            if let Some(other) = taken {
                let rule = format!("{:?} is a route of api {}", path.key(), other.route.api);
                return Err(Violation::new("uris", rule));
            }
        }
        Ok(())
    }

    fn insert(&self, book: &mut Book, scope: &str, path: &Path, route: &Arc<Route>) {
        let found = self.scopes.entry(scope.to_owned()).or_default().clone();
        match path {
            Path::Exact(path) => {
                let entry = Arc::new(Entry { route: route.clone(), names: Vec::new() });
                found.exact.entry(path.clone()).or_default().push(entry);
            }
            Path::Pattern { pattern, names } => {
                let entry = Arc::new(Entry { route: route.clone(), names: names.clone() });
                let patterns = book.patterns.entry(scope.to_owned()).or_default();
                patterns.entry(pattern.clone()).or_default().push(entry);
            }
        }
    }

    fn take_out(&self, book: &mut Book, org: &OrgName, name: &Name) {
        let Some(places) = book.places.remove(&(org.clone(), name.clone())) else { return };
        let other = |e: &Arc<Entry>| e.route.org != *org || e.route.api != *name;
        let mut hosts = std::collections::HashSet::new();
        for Place { scope, path } in &places {
            hosts.insert(scope.as_str());
            let Some(found) = self.scopes.get(scope).map(|s| s.clone()) else { continue };
            match path {
                Path::Exact(path) => {
                    found.exact.alter(path, |_, leaf| leaf.into_iter().filter(&other).collect());
                    found.exact.remove_if(path, |_, leaf| leaf.is_empty());
                }
                Path::Pattern { pattern, .. } => {
                    if let Some(patterns) = book.patterns.get_mut(scope) {
                        patterns.entry(pattern.clone()).or_default().retain(&other);
                        patterns.retain(|_, leaf| !leaf.is_empty());
                    }
                    self.rebuild(book, scope, std::slice::from_ref(path));
                }
            }
        }
        for host in hosts {
            let last = book.hosts.get_mut(host).is_some_and(|(_, apis)| {
                *apis -= 1;
                *apis == 0
            });
            if last {
                book.hosts.remove(host);
            }
            let empty = |scope: &Arc<Scope>| scope.exact.is_empty();
            let no_patterns = book.patterns.get(host).is_none_or(HashMap::is_empty);
            self.scopes.remove_if(host, |_, scope| no_patterns && empty(scope));
        }
    }

    /// Makes a scope's tree anew when one of the paths is a pattern.
    fn rebuild(&self, book: &Book, scope: &str, paths: &[Path]) {
        let changed = paths.iter().any(|path| matches!(path, Path::Pattern { .. }));
        let Some(found) = self.scopes.get(scope).filter(|_| changed) else { return };
        let mut tree = matchit::Router::new();
        for (pattern, leaf) in book.patterns.get(scope).into_iter().flatten() {
            let folder = pattern.strip_suffix("/{*rest}");
            for path in folder.iter().flat_map(|f| [(*f).to_owned(), format!("{f}/")]) {
                // The folder of a prefix may be another API's own pattern, which then wins.
                let path = if path.is_empty() { "/".to_owned() } else { path };
                let _ = tree.insert(path, leaf.clone());
            }
            // Patterns were checked when they were read, and two of one shape share a leaf.
            if let Err(error) = tree.insert(pattern.clone(), leaf.clone()) {
                tracing::error!(scope, pattern, %error, "a route cannot be served");
            }
        }
        found.patterns.store(Arc::new(tree));
    }

    /// Looks a request up: its host (without port, lower case), path and method.
    pub fn find(&self, host: &str, path: &str, method: Methods) -> Found {
        let mut met = (Methods::default(), false);
        let mut look = |scope: &str, from: usize| -> Option<Found> {
            let scope = self.scopes.get(scope)?;
            let path = if from == path.len() { "/" } else { &path[from..] };
            scope.find(path, method, &mut met).map(|(route, parameters)| Found::Route {
                route,
                parameters,
                uri_start: from,
            })
        };
        if let Some(found) = look(host, 0) {
            return found;
        }
        if let Some(found) = wildcard(host).and_then(|scope| look(&scope, 0)) {
            return found;
        }
        let end = path[1..].find('/').map_or(path.len(), |at| at + 1);
        if let Some(found) = look(&path[..end], end) {
            return found;
        }
        match met {
            (allowed, _) if allowed.is_empty() => Found::Nothing,
            (allowed, cors) => Found::Method { allowed, cors },
        }
    }
}

impl Scope {
    fn find(
        &self,
        path: &str,
        method: Methods,
        met: &mut (Methods, bool),
    ) -> Option<(Arc<Route>, Vec<(String, String)>)> {
        let mut of_method = |leaf: &Leaf| {
            let entry = leaf.iter().find(|entry| entry.route.methods.meets(method)).cloned();
            if entry.is_none() {
                for other in leaf {
                    met.0 = met.0.with(other.route.methods);
                    met.1 |= other.route.cors;
                }
            }
            entry
        };
        if let Some(entry) = self.exact.get(path).and_then(|leaf| of_method(&leaf)) {
            return Some((entry.route.clone(), Vec::new()));
        }
        let tree = self.patterns.load();
        let matched = tree.at(path).ok()?;
        let entry = of_method(matched.value)?;
        let values = matched.params.iter().map(|(_, value)| value.to_owned());
        let parameters = entry.names.iter().cloned().zip(values).collect();
        Some((entry.route.clone(), parameters))
    }
}

/// The scope of an organization's routes: the first segment of their path.
fn organization_scope(org: &str) -> String {
    format!("/{org}")
}

/// `a.example.org` is covered by `*.example.org`.
fn wildcard(host: &str) -> Option<String> {
    let (_, rest) = host.split_once('.')?;
    Some(format!("*.{rest}"))
}
