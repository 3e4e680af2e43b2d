//! Precedence, conflicts, organizations, and the table against a naive model.

use http::Method;
use proptest::prelude::*;

use super::super::path::Path;
use super::*;

fn org(text: &str) -> OrgName {
    OrgName::trusted(text)
}

fn spec(methods: &[&str], hosts: &[&str], uris: &[&str]) -> ApiSpec {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
    ApiSpec {
        function: "hello".to_owned(),
        methods: owned(methods),
        uris: owned(uris),
        hosts: owned(hosts),
        protocols: Vec::new(),
        authentication: "public".to_owned(),
        enabled: true,
        cors: false,
        tls: None,
    }
}

/// Puts an API `organization/name`, or `organization/name@created`. Returns what an older one has.
fn put(table: &Table, api: &str, spec: &ApiSpec) -> Result<(), Violation> {
    let (api, created) = api.split_once('@').unwrap_or((api, "0"));
    let (org, name) = api.split_once('/').unwrap();
    let (org, name) = (OrgName::trusted(org), Name::trusted(name));
    let rank = Rank { created_ms: created.parse().unwrap(), id: uuid::Uuid::nil() };
    table.put(&org, &name, rank, spec)?;
    table.conflict(&org, &name).map_or(Ok(()), Err)
}

/// The API that answers, `405 <methods>`, or `404`.
fn find(table: &Table, method: &str, host: &str, path: &str) -> String {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    match table.find(host, path, Methods::one(&method)) {
        Found::Route { place, .. } => format!("{}/{}", place.route.org, place.route.api),
        Found::Method { allowed, .. } => format!("405 {}", allowed.list()),
        Found::Nothing => "404".to_owned(),
    }
}

#[test]
fn the_most_specific_route_answers() {
    let table = Table::default();
    let apis = [
        ("o/exact", spec(&[], &["a.example.org"], &["/x", "/x/{id}"])),
        ("o/wild", spec(&[], &["*.example.org"], &["/x", "/y"])),
        ("o/text", spec(&["GET", "POST"], &[], &["/u/me"])),
        ("o/parameter", spec(&["GET", "PUT"], &[], &["/u/{id}"])),
        ("o/short", spec(&["GET", "DELETE"], &[], &["/u/*"])),
        ("o/long", spec(&[], &[], &["/u/me/deep/*"])),
        ("o/root", spec(&[], &[], &[])),
    ];
    for (api, spec) in &apis {
        put(&table, api, spec).unwrap();
    }
    let cases = [
        ("GET", "a.example.org", "/x", "o/exact"),
        ("GET", "a.example.org", "/x/1", "o/exact"),
        ("GET", "a.example.org", "/y", "o/wild"),
        ("GET", "b.example.org", "/x", "o/wild"),
        ("GET", "b.c.example.org", "/x", "404"),
        ("GET", "example.org", "/x", "404"),
        ("GET", "b.example.org", "/x/1", "404"),
        ("GET", "a.example.org", "/o/u/me", "o/text"),
        ("GET", "localhost", "/o/u/me", "o/text"),
        ("HEAD", "localhost", "/o/u/me", "o/text"),
        ("PUT", "localhost", "/o/u/me", "o/parameter"),
        ("DELETE", "localhost", "/o/u/me", "o/short"),
        ("PATCH", "localhost", "/o/u/me", "405 GET, HEAD, POST, PUT, DELETE"),
        ("GET", "", "/o/u/you", "o/parameter"),
        ("GET", "", "/o/u/you/1", "o/short"),
        ("GET", "", "/o/u", "o/short"),
        ("GET", "", "/o/u/", "o/short"),
        ("GET", "", "/o/u/me/deep", "o/long"),
        ("GET", "", "/o/u/me/deep/er", "o/long"),
        ("GET", "", "/o/u/me/shallow", "o/short"),
        ("GET", "", "/o", "o/root"),
        ("GET", "", "/o/", "o/root"),
        ("GET", "", "/o//", "404"),
        ("GET", "", "/o/u/%6de", "o/parameter"),
        ("GET", "", "/p/u/me", "404"),
        ("GET", "", "/", "404"),
    ];
    for (method, host, path, expected) in cases {
        assert_eq!(find(&table, method, host, path), expected, "{method} {host} {path}");
    }
}

fn touched(table: &Table, api: &str, spec: Option<&ApiSpec>) -> Vec<String> {
    let (api, created) = api.split_once('@').unwrap();
    let name = Name::trusted(api);
    let rank = Rank { created_ms: created.parse().unwrap(), id: uuid::Uuid::nil() };
    let others = match spec {
        Some(spec) => table.put(&org("o"), &name, rank, spec).unwrap(),
        None => table.remove(&org("o"), &name),
    };
    others.iter().map(|(_, name)| name.to_string()).collect()
}

#[test]
fn the_older_api_has_the_route_in_whatever_order_they_come() {
    let older = spec(&["GET"], &[], &["/a/{id}", "/b"]);
    let younger = spec(&["POST", "HEAD"], &[], &["/c", "/a/{name}"]);
    for older_first in [true, false] {
        let table = Table::default();
        if older_first {
            put(&table, "o/older@1", &older).unwrap();
        }
        let conflict = put(&table, "o/younger@2", &younger).err();
        if !older_first {
            assert_eq!(conflict, None);
            assert_eq!(find(&table, "HEAD", "", "/o/a/1"), "o/younger");
            put(&table, "o/older@1", &older).unwrap();
        }
        let violation = table.conflict(&org("o"), &Name::trusted("younger")).unwrap();
        assert_eq!(violation.field, "uris");
        assert!(violation.rule.contains("api older"), "{violation}");
        assert_eq!(find(&table, "HEAD", "", "/o/a/1"), "o/older");
        // What nobody else wants is its own all the same.
        assert_eq!(find(&table, "POST", "", "/o/a/1"), "o/younger");
        assert_eq!(find(&table, "POST", "", "/o/c"), "o/younger");

        assert_eq!(table.remove(&org("o"), &Name::trusted("older")).len(), 1);
        assert_eq!(find(&table, "HEAD", "", "/o/a/1"), "o/younger");
        assert_eq!(table.conflict(&org("o"), &Name::trusted("younger")), None);
    }
}

#[test]
fn a_change_names_those_it_makes_a_difference_for() {
    let table = Table::default();
    let (a, b) = (spec(&[], &[], &["/a"]), spec(&[], &[], &["/b"]));
    let both = spec(&[], &[], &["/a", "/b"]);
    let none = Vec::<String>::new();
    assert_eq!(touched(&table, "one@1", Some(&a)), none);
    assert_eq!(touched(&table, "two@2", Some(&b)), none);
    assert_eq!(touched(&table, "three@3", Some(&both)), none, "older ones have what they want");
    assert_eq!(touched(&table, "two@2", Some(&b)), none, "nothing changed");
    let other = ApiSpec { function: "other".to_owned(), ..b };
    assert_eq!(touched(&table, "two@2", Some(&other)), none, "the route is the same");
    assert_eq!(touched(&table, "two@2", Some(&a)), ["three"]);
    assert_eq!(find(&table, "GET", "", "/o/b"), "o/three");
    let disabled = ApiSpec { enabled: false, ..a };
    assert_eq!(touched(&table, "one@1", Some(&disabled)), ["three", "two"]);
    assert_eq!(find(&table, "GET", "", "/o/a"), "o/two");
    assert_eq!(touched(&table, "two@2", None), ["three"]);
    assert_eq!(touched(&table, "three@3", None), none);
    assert_eq!(find(&table, "GET", "", "/o/a"), "404");
}

#[test]
fn organizations_do_not_meet() {
    let table = Table::default();
    put(&table, "a/one@1", &spec(&[], &["One.Example.org"], &["/x"])).unwrap();
    put(&table, "b/path@2", &spec(&[], &[], &["/x"])).unwrap();
    put(&table, "a/path@3", &spec(&[], &[], &["/x"])).unwrap();
    for host in ["one.example.org", "ONE.example.org"] {
        let violation = put(&table, "b/two@4", &spec(&[], &[host], &["/y"])).unwrap_err();
        assert_eq!(violation.field, "hosts", "{host}");
        assert!(!violation.rule.contains("one\""), "does not tell whose: {violation}");
        let rank = Rank { created_ms: 4, id: uuid::Uuid::nil() };
        let own = table.own_hosts(&org("b"), rank, &[host.to_owned(), "b.org".to_owned()]);
        assert_eq!(own.unwrap(), ["b.org"]);
        assert_eq!(find(&table, "GET", "one.example.org", "/y"), "404");
    }
    put(&table, "b/two@4", &spec(&[], &["two.example.org"], &["/y"])).unwrap();
    put(&table, "c/wild@5", &spec(&[], &["*.example.com"], &["/y"])).unwrap();
    put(&table, "d/under@6", &spec(&[], &["d.example.com"], &["/y"])).unwrap_err();
    assert_eq!(find(&table, "GET", "d.example.com", "/y"), "c/wild");
    assert_eq!(find(&table, "GET", "one.example.org", "/x"), "a/one");
    assert_eq!(find(&table, "GET", "one.example.org", "/a/x"), "a/path");
    assert_eq!(find(&table, "GET", "one.example.org", "/b/x"), "404");
    assert_eq!(find(&table, "GET", "any.example.com", "/b/x"), "404");
    assert_eq!(find(&table, "GET", "localhost", "/b/x"), "b/path");

    // A wildcard is for the hosts below it that are nobody else's.
    put(&table, "b/wild@7", &spec(&[], &["*.example.org"], &["/x", "/y"])).unwrap();
    assert_eq!(find(&table, "GET", "three.example.org", "/x"), "b/wild");
    assert_eq!(find(&table, "GET", "one.example.org", "/x"), "a/one");
    assert_eq!(find(&table, "GET", "one.example.org", "/y"), "404");
    put(&table, "a/late@8", &spec(&[], &["late.example.org"], &["/x"])).unwrap_err();
    assert_eq!(find(&table, "GET", "late.example.org", "/x"), "b/wild");

    let freed = table.remove(&org("b"), &Name::trusted("wild"));
    assert_eq!(freed, [(org("a"), Name::trusted("late"))]);
    assert_eq!(find(&table, "GET", "late.example.org", "/x"), "a/late");
    table.remove(&org("a"), &Name::trusted("one"));
    assert_eq!(find(&table, "GET", "one.example.org", "/b/x"), "b/path");
}

#[test]
fn an_older_wildcard_takes_the_hosts_below_it() {
    let table = Table::default();
    put(&table, "b/exact@2", &spec(&[], &["x.example.org"], &["/x"])).unwrap();
    put(&table, "b/more@3", &spec(&[], &["x.example.org"], &["/z"])).unwrap();
    assert_eq!(find(&table, "GET", "x.example.org", "/x"), "b/exact");
    let rank = Rank { created_ms: 1, id: uuid::Uuid::nil() };
    let wild = spec(&[], &["*.example.org"], &["/y"]);
    let lost = table.put(&org("a"), &Name::trusted("wild"), rank, &wild).unwrap();
    let name = |text| (org("b"), Name::trusted(text));
    assert_eq!(lost, [name("exact"), name("more")]);
    assert_eq!(find(&table, "GET", "x.example.org", "/x"), "404");
    assert_eq!(find(&table, "GET", "x.example.org", "/y"), "a/wild");
    assert_eq!(table.conflict(&org("b"), &Name::trusted("exact")).unwrap().field, "hosts");
    assert_eq!(table.remove(&org("a"), &Name::trusted("wild")), lost);
    assert_eq!(find(&table, "GET", "x.example.org", "/x"), "b/exact");
}

#[test]
fn what_cannot_be_a_host_is_refused() {
    let table = Table::default();
    for host in ["a.*.org", "*", "*.", "a..b", ".a", "**.a"] {
        let violation = put(&table, "a/one", &spec(&[], &[host], &["/x"])).unwrap_err();
        assert_eq!(violation.field, "hosts", "{host}");
    }
}

/// A route's rank for a request it matches: smaller is better, segment by segment.
fn rank(path: &Path) -> Vec<u8> {
    let of = |segment: &Segment| match segment {
        Segment::Text(_) => 0,
        Segment::Parameter(_) => 1,
    };
    let mut rank: Vec<u8> = path.segments().iter().map(of).collect();
    rank.extend(path.is_prefix().then_some(2));
    rank
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("{x}"), Just("")].prop_map(str::to_owned)
}

fn uri() -> impl Strategy<Value = String> {
    (proptest::collection::vec(segment(), 0..4), any::<bool>()).prop_map(|(segments, prefix)| {
        let named = segments.iter().enumerate().map(|(at, s)| s.replace('x', &format!("x{at}")));
        let mut uri: String = named.map(|segment| format!("/{segment}")).collect();
        if prefix || uri.is_empty() {
            uri.push_str("/*");
        }
        uri
    })
}

fn request() -> impl Strategy<Value = String> {
    let segment = prop_oneof![Just("a"), Just("b"), Just("c"), Just("")];
    proptest::collection::vec(segment, 1..5)
        .prop_map(|segments| segments.iter().map(|s| format!("/{s}")).collect())
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_list(
        apis in proptest::collection::vec((uri(), 0..3_usize), 1..20),
        gone in proptest::collection::vec(any::<bool>(), 20),
        ranks in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle(),
        requests in proptest::collection::vec(request(), 20),
    ) {
        let methods = ["POST", "PUT", "DELETE"];
        let table = Table::default();
        let mut model = Vec::new();
        for (at, (uri, method)) in apis.iter().enumerate() {
            let (api, path) = (format!("o/api{at}"), Path::parse(uri).unwrap());
            let mut spec = spec(&[methods[*method]], &["h"], &[uri]);
            let same = |p: &Path, m: usize| m == *method && p.is_like(&path);
            let taken = model.iter().any(|(_, p, m, rank): &(String, Path, usize, usize)| {
                same(p, *m) && *rank < ranks[at]
            });
            let ranked = format!("{api}@{}", ranks[at]);
            prop_assert_eq!(put(&table, &ranked, &spec).is_err(), taken);
            if gone[at] {
                spec.uris = vec!["/gone".to_owned(), uri.clone()];
                let _ = put(&table, &ranked, &spec);
                table.remove(&org("o"), &Name::trusted(&api[2..]));
            } else {
                model.push((api, path, *method, ranks[at]));
            }
        }
        for request in &requests {
            for (at, method) in methods.iter().enumerate() {
                let matching = model.iter().filter(|(_, path, ..)| path.matches(request));
                let (own, others): (Vec<_>, Vec<_>) = matching.partition(|(_, _, m, _)| *m == at);
                let best = own.iter().min_by_key(|(_, path, _, at)| (rank(path), *at));
                let found = find(&table, method, "h", request);
                match best {
                    Some((api, ..)) => prop_assert_eq!(&found, api, "{} {}", method, request),
                    None => prop_assert_eq!(found.starts_with("405"), !others.is_empty()),
                }
            }
        }
        for (api, ..) in &model {
            table.remove(&org("o"), &Name::trusted(&api[2..]));
        }
        prop_assert_eq!(table.slots.len(), 0);
    }
}
