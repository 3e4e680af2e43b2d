//! Precedence, conflicts, organizations, and the table against a naive model.

use http::Method;
use proptest::prelude::*;

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

fn put(table: &Table, api: &str, spec: &ApiSpec) -> Result<(), Violation> {
    let (org, name) = api.split_once('/').unwrap();
    table.put(&OrgName::trusted(org), &Name::trusted(name), spec)
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

#[test]
fn the_first_api_keeps_its_route_and_the_second_learns_whose_it_is() {
    let table = Table::default();
    put(&table, "o/first", &spec(&["GET"], &[], &["/a/{id}", "/b"])).unwrap();
    let second = spec(&["POST", "HEAD"], &[], &["/c", "/a/{name}"]);
    let violation = put(&table, "o/second", &second).unwrap_err();
    assert_eq!(violation.field, "uris");
    assert!(violation.rule.contains("api first"), "{violation}");
    assert_eq!(find(&table, "POST", "", "/o/c"), "404");
    put(&table, "o/second", &spec(&["POST"], &[], &["/a/{name}"])).unwrap();
    assert_eq!(find(&table, "POST", "", "/o/a/1"), "o/second");
    // A refused change leaves the routes as they were.
    put(&table, "o/second", &spec(&["POST", "GET"], &[], &["/b"])).unwrap_err();
    assert_eq!(find(&table, "POST", "", "/o/a/1"), "o/second");
    let disabled = ApiSpec { enabled: false, ..spec(&["GET"], &[], &["/b"]) };
    put(&table, "o/third", &disabled).unwrap();
    table.remove(&org("o"), &Name::trusted("first"));
    put(&table, "o/third", &spec(&["GET"], &[], &["/b"])).unwrap();
    assert_eq!(find(&table, "GET", "", "/o/b"), "o/third");
    put(&table, "o/third", &disabled).unwrap();
    assert_eq!(find(&table, "GET", "", "/o/b"), "404");
    assert_eq!(find(&table, "POST", "", "/o/a/1"), "o/second");
}

#[test]
fn organizations_do_not_meet() {
    let table = Table::default();
    put(&table, "a/one", &spec(&[], &["One.Example.org"], &["/x"])).unwrap();
    put(&table, "b/path", &spec(&[], &[], &["/x"])).unwrap();
    put(&table, "a/path", &spec(&[], &[], &["/x"])).unwrap();
    for host in ["one.example.org", "ONE.example.org", "*.example.org"] {
        let violation = put(&table, "b/two", &spec(&[], &[host], &["/y"])).unwrap_err();
        assert_eq!(violation.field, "hosts", "{host}");
        assert!(!violation.rule.contains("one\""), "does not tell whose: {violation}");
        table.check_hosts(&org("b"), &[host.to_owned()]).unwrap_err();
    }
    put(&table, "b/two", &spec(&[], &["two.example.org"], &["/y"])).unwrap();
    put(&table, "c/wild", &spec(&[], &["*.example.com"], &["/y"])).unwrap();
    put(&table, "d/under", &spec(&[], &["d.example.com"], &["/y"])).unwrap_err();
    assert_eq!(find(&table, "GET", "one.example.org", "/x"), "a/one");
    assert_eq!(find(&table, "GET", "one.example.org", "/a/x"), "a/path");
    assert_eq!(find(&table, "GET", "one.example.org", "/b/x"), "404");
    assert_eq!(find(&table, "GET", "any.example.com", "/b/x"), "404");
    assert_eq!(find(&table, "GET", "localhost", "/b/x"), "b/path");
    table.remove(&org("a"), &Name::trusted("one"));
    assert_eq!(find(&table, "GET", "one.example.org", "/b/x"), "b/path");
    put(&table, "b/three", &spec(&[], &["*.example.org"], &["/y"])).unwrap();
    assert_eq!(find(&table, "GET", "one.example.org", "/y"), "b/three");
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
        requests in proptest::collection::vec(request(), 20),
    ) {
        let methods = ["POST", "PUT", "DELETE"];
        let table = Table::default();
        let mut model = Vec::new();
        for (at, (uri, method)) in apis.iter().enumerate() {
            let (api, path) = (format!("o/api{at}"), Path::parse(uri).unwrap());
            let mut spec = spec(&[methods[*method]], &["h"], &[uri]);
            let taken = model.iter().any(|(_, p, m): &(String, Path, usize)| {
                m == method && p.is_like(&path)
            });
            prop_assert_eq!(put(&table, &api, &spec).is_err(), taken);
            if taken {
                continue;
            }
            if gone[at] {
                spec.uris = vec!["/gone".to_owned(), uri.clone()];
                let _ = put(&table, &api, &spec);
                table.remove(&org("o"), &Name::trusted(&api[2..]));
            } else {
                model.push((api, path, *method));
            }
        }
        for request in &requests {
            for (at, method) in methods.iter().enumerate() {
                let matching = model.iter().filter(|(_, path, _)| path.matches(request));
                let (own, others): (Vec<_>, Vec<_>) = matching.partition(|(_, _, m)| *m == at);
                let best = own.iter().min_by_key(|(_, path, _)| rank(path));
                let found = find(&table, method, "h", request);
                match best {
                    Some((api, _, _)) => prop_assert_eq!(&found, api, "{} {}", method, request),
                    None => prop_assert_eq!(found.starts_with("405"), !others.is_empty()),
                }
            }
        }
        for (api, _, _) in &model {
            table.remove(&org("o"), &Name::trusted(&api[2..]));
        }
        prop_assert_eq!(table.slots.len(), 0);
    }
}
