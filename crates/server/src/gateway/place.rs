//! Routes at their places: one path of one scope each.

use std::collections::BTreeSet;
use std::sync::Arc;

use dispatch_model::api::ApiSpec;
use dispatch_model::{Name, OrgName, Violation};

use super::host;
use super::method::Methods;
use super::path::Path;
use super::rank::Rank;
use super::route::Route;
use super::scope::Scope;

/// A route at one path of one scope.
#[derive(Debug)]
pub struct Place {
    pub route: Arc<Route>,
    pub path: Path,
    pub(super) scope: Scope<Box<str>>,
    /// The route's: here they cost a lookup no further step.
    pub(super) methods: Methods,
}

impl Place {
    pub(super) fn is_at(&self, other: &Place) -> bool {
        self.scope == other.scope && self.path.is_like(&other.path)
    }
}

/// The hosts among the scopes.
pub(super) fn hosts(places: &[Arc<Place>]) -> BTreeSet<(Scope<Box<str>>, Rank)> {
    let host = |place: &&Arc<Place>| !matches!(place.scope, Scope::Organization(_));
    places.iter().filter(host).map(|p| (p.scope.clone(), p.route.rank)).collect()
}

pub(super) fn are_equal(old: &[Arc<Place>], new: &[Arc<Place>]) -> bool {
    let equal = |(one, other): (&Arc<Place>, &Arc<Place>)| {
        let paths = one.path.uri() == other.path.uri();
        paths && one.scope == other.scope && one.route == other.route
    };
    old.len() == new.len() && old.iter().zip(new).all(equal)
}

/// Places that are not among the others.
pub(super) fn gone<'a>(
    places: &'a [Arc<Place>],
    others: &'a [Arc<Place>],
) -> impl Iterator<Item = &'a Arc<Place>> {
    let same = |one: &Place, other: &Place| {
        one.is_at(other) && one.methods == other.methods && one.route.rank == other.route.rank
    };
    places.iter().filter(move |place| !others.iter().any(|other| same(place, other)))
}

/// All places of an API, scope by scope, none twice.
pub(super) fn places(
    org: &OrgName,
    name: &Name,
    rank: Rank,
    spec: &ApiSpec,
) -> Result<Vec<Arc<Place>>, Violation> {
    let route = Arc::new(Route::new(org, name, rank, spec)?);
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
