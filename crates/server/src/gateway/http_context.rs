//! What a handler sees of the HTTP request: one JSON object, written straight into one string.

use std::fmt::Write as _;

use dispatch_model::RawJson;
use http::request::Parts;

use super::place::Place;
use super::table::within;

/// The header that names the organization: always the route's own, whatever the client sent.
const ORGANIZATION: &str = "x-dispatch-org";

/// What the gateway writes itself: a client's header of that name is left out.
fn is_own(header: &str) -> bool {
    matches!(
        header,
        ORGANIZATION
            | "args"
            | "request"
            | "request-uri"
            | "scheme"
            | "server-protocol"
            | "uri"
            | "upstream-uri"
            | "method"
            | "params"
    )
}

/// Headers in lower case, and what v1 puts beside them. Parameters of the path stand in `params`.
pub fn write(parts: &Parts, place: &Place, uri_start: usize, https: bool) -> RawJson {
    let mut out = String::with_capacity(512);
    out.push('{');
    let mut last = None;
    for name in parts.headers.keys() {
        if is_own(name.as_str()) || last == Some(name) {
            continue;
        }
        last = Some(name);
        key(&mut out, name.as_str());
        let mut values = parts.headers.get_all(name).iter();
        let first = values.next().map(|v| String::from_utf8_lossy(v.as_bytes()));
        let mut value = first.unwrap_or_default();
        for more in values {
            let more = String::from_utf8_lossy(more.as_bytes());
            value = format!("{value}, {more}").into();
        }
        string(&mut out, &value);
    }
    pair(&mut out, ORGANIZATION, place.route.org.as_str());
    let query = parts.uri.query().unwrap_or_default();
    pair(&mut out, "args", query);
    let path = parts.uri.path();
    key(&mut out, "request-uri");
    joined(&mut out, &[path, if query.is_empty() { "" } else { "?" }, query]);
    key(&mut out, "request");
    let version = version(parts.version);
    let mark = if query.is_empty() { "" } else { "?" };
    joined(&mut out, &[parts.method.as_str(), " ", path, mark, query, " ", version]);
    pair(&mut out, "scheme", if https { "https" } else { "http" });
    pair(&mut out, "server-protocol", version);
    pair(&mut out, "uri", path);
    let uri = within(path, uri_start);
    pair(&mut out, "upstream-uri", uri);
    pair(&mut out, "method", parts.method.as_str());
    if place.path.exact().is_none() {
        key(&mut out, "params");
        out.push('{');
        place.path.parameters(uri).for_each(|(name, value)| pair(&mut out, name, &value));
        out.push('}');
    }
    out.push('}');
    RawJson::written(out)
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

fn pair(out: &mut String, name: &str, value: &str) {
    key(out, name);
    string(out, value);
}

fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    string(out, name);
    out.push(':');
}

fn joined(out: &mut String, parts: &[&str]) {
    out.push('"');
    parts.iter().for_each(|part| escape(out, part));
    out.push('"');
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text);
    out.push('"');
}

/// JSON's escapes. Most text has none, and is copied in one piece.
fn escape(out: &mut String, text: &str) {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !text.bytes().any(special) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}
