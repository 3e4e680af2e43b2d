//! Signatures against those that AWS publishes, and against those of AWS's own library.

use dispatch_systems::aws::botocore_signatures;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use super::*;

const STAMP: &str = "20150830T123600Z";
const SCOPE: Scope<'static> = Scope { region: "us-east-1", service: "service" };
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    }
}

fn signature(
    method: &str,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
    scope: Scope<'_>,
) -> String {
    let request = Request { method, path: "/", query, headers, body_sha256: NOTHING };
    let value = authorization(&request, &credentials(), scope, STAMP);
    value.rsplit("Signature=").next().unwrap().to_owned()
}

/// From AWS's "Signature Version 4 Test Suite" (get-vanilla, post-vanilla,
/// get-vanilla-query-order-key-case, get-header-value-trim) and from the example of its guide to
/// IAM, which lists users.
#[test]
fn what_aws_publishes_is_signed_as_aws_says() {
    let host = ("host", "example.amazonaws.com");
    let date = ("x-amz-date", STAMP);
    assert_eq!(
        signature("GET", &[], &[host, date], SCOPE),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    assert_eq!(
        signature("POST", &[], &[host, date], SCOPE),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    );
    let query = [("Param2", "value2"), ("Param1", "value1")];
    assert_eq!(
        signature("GET", &query, &[host, date], SCOPE),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
    );
    let spaces = [host, date, ("my-header1", " value1"), ("my-header2", " \"a   b   c\"")];
    assert_eq!(
        signature("GET", &[], &spaces, SCOPE),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
    );
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let list = [("Action", "ListUsers"), ("Version", "2010-05-08")];
    let iam = Scope { region: "us-east-1", service: "iam" };
    assert_eq!(
        signature("GET", &list, &[form, ("host", "iam.amazonaws.com"), date], iam),
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

#[test]
fn a_body_in_parts_has_the_digest_of_the_whole() {
    let parts = [Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"bc")];
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((sha256(&parts), sha256(&[])), (abc.to_owned(), NOTHING.to_owned()));
}

/// A text of some characters that are special to somebody.
fn word(random: &mut impl rand::Rng, characters: &str) -> String {
    let all: Vec<_> = characters.chars().collect();
    let length = random.random_range(1..12);
    (0..length).filter_map(|_| all.choose(random)).collect()
}

#[test]
fn any_request_is_signed_as_awss_own_library_signs_it() {
    const PLAIN: &str = "abcXYZ019-._~";
    const ANY: &str = "aZ9-._~ /?&=+%:;,@$*'()[]\"üé世\u{1f44b}";
    let random = &mut rand::rng();
    let mut asked = Vec::new();
    let mut ours = Vec::new();
    for n in 0..200 {
        let method = *["GET", "POST", "PUT", "DELETE"].choose(random).unwrap();
        let function = word(random, PLAIN).replace('.', "x");
        let path =
            format!("/2015-03-31/functions/{function}/{}", encode(&word(random, ANY), false));
        let query: Vec<_> = (0..n % 4).map(|_| (word(random, ANY), word(random, ANY))).collect();
        let pairs: Vec<_> = query.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let text = pairs.iter().map(|(n, v)| format!("{}={}", encode(n, false), encode(v, false)));
        let text = text.collect::<Vec<_>>().join("&");
        let header = format!("{}  {}", word(random, PLAIN), word(random, PLAIN));
        let body = word(random, ANY);
        let token = (n % 2 == 0).then(|| word(random, PLAIN));
        let credentials = Credentials { session_token: token.clone(), ..credentials() };
        let mut headers =
            vec![("host", "127.0.0.1:4566"), ("x-amz-date", STAMP), ("x-amz-log-type", &header)];
        headers.extend(token.as_deref().map(|token| ("x-amz-security-token", token)));
        let body_sha256 = &sha256(&[Bytes::from(body.clone())]);
        let path_and_query = if text.is_empty() { path.clone() } else { format!("{path}?{text}") };
        let request =
            Request { method, path: &path, query: &pairs, headers: &headers, body_sha256 };
        let scope = Scope { region: "eu-central-1", service: "lambda" };
        ours.push(authorization(&request, &credentials, scope, STAMP));
        asked.push(json!({
            "stamp": STAMP, "id": credentials.access_key_id, "token": token,
            "secret": credentials.secret_access_key, "service": "lambda",
            "region": "eu-central-1", "method": method, "body": body,
            "url": format!("http://127.0.0.1:4566{path_and_query}"),
            "headers": {"X-Amz-Log-Type": header},
        }));
    }
    let Some(theirs) = botocore_signatures(&Value::from(asked.clone())) else { return };
    for ((ours, theirs), asked) in ours.iter().zip(&theirs).zip(&asked) {
        assert_eq!(ours, theirs, "{asked}");
    }
    assert_eq!(theirs.len(), 200);
}
