//! Signature Version 4, as AWS documents it: who sends a request proves it by a chain of HMACs over
//! the request's method, path, query, headers and the digest of its body.
//!
//! By hand, because AWS's crate for it would bring eight more that nothing else here needs.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use chrono::{DateTime, Utc};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who sends. A session's token goes with every request.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

/// For whom a request is: the service's name and its region.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Percent-encoded once, as it is sent.
    pub path: &'a str,
    /// Decoded names and values.
    pub query: &'a [(&'a str, &'a str)],
    /// Names in lower case; `host` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body, in hexadecimal digits.
    pub body_sha256: &'a str,
}

/// The time as requests carry it.
pub fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y%m%dT%H%M%SZ").to_string()
}

/// The value of `Authorization`. The headers have to hold `x-amz-date`, which is `stamp`, and the
/// session's token where there is one.
pub fn authorization(
    request: &Request<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    stamp: &str,
) -> String {
    let (canonical, signed) = canonical(request);
    let date = stamp.get(..8).unwrap_or(stamp);
    let scoped = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("{ALGORITHM}\n{stamp}\n{scoped}\n{digest}");
    let secret = format!("AWS4{}", credentials.secret_access_key);
    let words = [date, scope.region, scope.service, "aws4_request", &text];
    let key = words.iter().fold(secret.into_bytes(), |key, word| mac(&key, word));
    let (id, signature) = (&credentials.access_key_id, hex(&key));
    format!("{ALGORITHM} Credential={id}/{scoped}, SignedHeaders={signed}, Signature={signature}")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// The text that is signed, and the names of the headers in it.
fn canonical(request: &Request<'_>) -> (String, String) {
    let pair = |(name, value): &(&str, &str)| (encode(name, false), encode(value, false));
    let mut query: Vec<_> = request.query.iter().map(pair).collect();
    query.sort();
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers: Vec<_> = request.headers.iter().map(|(n, v)| (*n, spaced(v))).collect();
    headers.sort_by_key(|(name, _)| *name);
    let signed: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let signed = signed.join(";");
    let mut text = format!("{}\n", request.method);
    // A path that is encoded already is encoded once more, for every service but S3.
    let _ = write!(text, "{}\n{}\n", encode(request.path, true), query.join("&"));
    for (name, value) in &headers {
        let _ = writeln!(text, "{name}:{value}");
    }
    let _ = write!(text, "\n{signed}\n{}", request.body_sha256);
    (text, signed)
}

/// A header's value without space around it and with single spaces inside.
fn spaced(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub fn encode(text: &str, path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if path => encoded.push('/'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// SHA-256 of a body that is sent in parts.
pub fn sha256(parts: &[Bytes]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    hex(context.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
