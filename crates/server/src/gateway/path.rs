//! The paths of APIs: exact, with parameters (`/users/{id}`), or a prefix (`/files/*`).
//!
//! Paths are compared as they were sent: nothing is decoded, so an encoded slash never becomes a
//! separator.

use dispatch_model::Violation;

/// A path of an API, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    Exact(String),
    /// A matchit pattern whose parameters are numbered, so that two APIs may name them
    /// differently, and the names.
    Pattern { pattern: String, names: Vec<String> },
}

/// The name the rest of a prefix's path goes by.
const REST: &str = "path";

impl Path {
    /// Reads a uri of an API.
    pub fn parse(uri: &str) -> Result<Path, Violation> {
        let wrong = |rule: &str| Violation::new("uris", format!("{uri:?} {rule}"));
        let mut names = Vec::new();
        let mut pattern = String::new();
        let segments: Vec<&str> = uri.split('/').skip(1).collect();
        for (at, segment) in segments.iter().enumerate() {
            pattern.push('/');
            if *segment == "*" {
                if at + 1 != segments.len() {
                    return Err(wrong("may have * as its last segment only"));
                }
                pattern.push_str("{*rest}");
                names.push(REST.to_owned());
            } else if let Some(name) = segment.strip_prefix('{') {
                let name = name.strip_suffix('}').filter(|name| is_name(name));
                let name = name.ok_or_else(|| wrong("has a parameter that is not {name}"))?;
                if names.iter().any(|n| n == name) {
                    return Err(wrong("names a parameter twice"));
                }
                pattern.push_str(&format!("{{p{}}}", names.len()));
                names.push(name.to_owned());
            } else if segment.contains(['{', '}', '*']) {
                return Err(wrong("has {, } or * inside a segment: they stand for whole ones"));
            } else {
                pattern.push_str(segment);
            }
        }
        if names.is_empty() { Ok(Path::Exact(pattern)) } else { Ok(Path::Pattern { pattern, names }) }
    }

    /// What two routes must not share.
    pub fn key(&self) -> &str {
        match self {
            Path::Exact(path) | Path::Pattern { pattern: path, .. } => path,
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_or_refused_with_a_reason() {
        assert_eq!(Path::parse("/a/b").unwrap(), Path::Exact("/a/b".into()));
        assert_eq!(Path::parse("/").unwrap(), Path::Exact("/".into()));
        let pattern = Path::parse("/a/{id}/b/{n}").unwrap();
        assert_eq!(pattern.key(), "/a/{p0}/b/{p1}");
        assert_eq!(Path::parse("/f/*").unwrap().key(), "/f/{*rest}");
        for bad in ["/a/*/b", "/{}", "/{a}/{a}", "/a{b}", "/a*", "/{a", "/a}"] {
            assert_eq!(Path::parse(bad).unwrap_err().field, "uris", "{bad}");
        }
    }
}
