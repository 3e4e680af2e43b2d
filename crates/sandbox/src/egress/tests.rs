//! What an entry means, and where a name may lead.

use std::cell::Cell;

use super::*;

fn allows(entry: &str, host: &str, port: u16) -> bool {
    Rule::parse(entry).unwrap().allows(host, port)
}

/// What a host's addresses come to under one entry, when it has these.
async fn resolved(entry: &str, host: &str, addresses: &[&str]) -> Result<Vec<IpAddr>, Refusal> {
    let egress = Egress::new(&[entry.to_owned()], true).unwrap();
    let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
    egress.resolve(host, 443, async |_: &str| Ok(addresses)).await
}

async fn is_closed(entry: &str, host: &str, address: &str) -> bool {
    matches!(resolved(entry, host, &[address]).await, Err(Refusal::Closed { .. }))
}

#[test]
fn an_entry_names_hosts() {
    assert!(allows("example.org", "Example.ORG", 443));
    assert!(allows("example.org", "example.org.", 443));
    assert!(!allows("example.org", "www.example.org", 443));
    assert!(!allows("example.org", "example.org.evil.net", 443));
    assert!(allows("*.example.org", "a.b.example.org", 80));
    assert!(!allows("*.example.org", "example.org", 80));
    assert!(!allows("*.example.org", "evilexample.org", 80));
    assert!(allows("example.org:8080", "example.org", 8080));
    assert!(!allows("example.org:8080", "example.org", 80));
    assert!(allows("127.0.0.1:80", "127.0.0.1", 80));
    assert!(!allows("127.0.0.1:80", "127.0.0.1", 81));
    assert!(allows("[::1]:80", "::1", 80));
    assert!(allows("::1", "::1", 80));
    assert!(!allows("*.0.0.1", "127.0.0.1", 80));
}

#[test]
fn entries_that_name_no_host_are_refused() {
    for entry in ["", "*", "*.", "*example.org", "a b", "http://a.org", "a.org:x", "a/b", "a:0"] {
        assert!(Rule::parse(entry).is_err(), "{entry:?}");
    }
    for entry in ["169.254.169.254", "169.254.169.254:80", "[fe80::1]:80", "0.0.0.0"] {
        let refused = Rule::parse(entry).unwrap_err().to_string();
        assert!(refused.contains("no function may reach"), "{refused}");
    }
}

#[tokio::test]
async fn names_do_not_lead_to_the_machine_or_its_link() {
    let closed = [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "169.254.169.254",
        "100.100.100.200",
        "::1",
        "::",
        "fe80::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
    ];
    for address in closed {
        assert!(is_closed("a.org", "a.org", address).await, "{address}");
        assert!(is_closed("*.org", "a.org", address).await, "{address}");
    }
    for address in ["93.184.216.34", "2606:2800:220:1::1"] {
        assert!(!is_closed("*.org", "a.org", address).await, "{address}");
    }
}

#[tokio::test]
async fn private_addresses_and_the_machine_are_reached_by_names_that_mean_them() {
    for address in ["10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd12::1"] {
        assert!(!is_closed("db.corp", "db.corp", address).await, "{address}");
        assert!(is_closed("*.corp", "db.corp", address).await, "{address}");
    }
    assert!(!is_closed("localhost", "LOCALHOST", "127.0.0.1").await);
    assert!(is_closed("localhost", "localhost", "169.254.169.254").await);
    assert!(is_closed("*.localhost", "a.localhost", "127.0.0.1").await);
    let literal = resolved("127.0.0.1", "127.0.0.1", &[]).await.unwrap();
    assert_eq!(literal, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn of_several_addresses_the_open_ones_are_left() {
    let left = resolved("a.org", "a.org", &["127.0.0.1", "93.184.216.34", "fe80::1"]).await;
    assert_eq!(left.unwrap(), ["93.184.216.34".parse::<IpAddr>().unwrap()]);
}

/// A name that changes its address after the check has no second chance: it is not asked again.
#[tokio::test]
async fn a_name_is_looked_up_once() {
    let egress = Egress::new(&["a.org".to_owned()], true).unwrap();
    let asked = Cell::new(0);
    let look_up = async |_: &str| {
        asked.set(asked.get() + 1);
        Ok(vec!["93.184.216.34".parse().unwrap()])
    };
    egress.resolve("a.org", 443, look_up).await.unwrap();
    let denied = egress.resolve("b.org", 443, look_up).await.unwrap_err();
    assert!(matches!(denied, Refusal::NotNamed(_)), "{denied}");
    assert_eq!(asked.get(), 1);
}

/// Numbers that resolvers read as addresses are names here: no entry but theirs means them.
#[tokio::test]
async fn numbers_in_disguise_lead_nowhere() {
    for name in ["2852039166", "0xa9fea9fe", "2130706433", "127.1"] {
        let egress = Egress::new(&[name.to_owned()], true).unwrap();
        let refused = egress.connect(name, 80).await.unwrap_err();
        assert!(matches!(refused, Refusal::Closed { .. }), "{name}: {refused}");
    }
}

#[test]
fn the_machine_is_named_only_where_the_operator_allows_it() {
    for entry in ["localhost", "LocalHost.:8080", "127.0.0.1:8080", "127.8.8.8", "[::1]:443"] {
        let entries = ["example.org".to_owned(), entry.to_owned()];
        let refused = Egress::new(&entries, false).unwrap_err();
        assert!(refused.rule.contains("egress_to_machine = true"), "{}", refused.rule);
        assert!(refused.rule.contains(entry), "{}", refused.rule);
        assert!(Egress::new(&entries, true).is_ok());
    }
    let elsewhere = ["10.0.0.5:5432".to_owned(), "*.example.org".to_owned()];
    assert!(Egress::new(&elsewhere, false).is_ok());
}
