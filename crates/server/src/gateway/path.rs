//! The paths of APIs: exact, with parameters (`/users/{id}`), or a prefix (`/files/*`).
//!
//! Paths are compared as they were sent: nothing is decoded, so an encoded slash never becomes a
//! separator. Values of parameters are decoded after that.

use std::borrow::Cow;

use dispatch_model::Violation;

/// Most parameters in one path. A lookup may try each place both ways.
const MAX_PARAMETERS: usize = 8;
/// The name the rest of a prefix's path goes by.
const REST: &str = "path";

/// One segment of a path of an API.
#[derive(Debug, Clone)]
pub enum Segment {
    Text(Box<str>),
    /// Stands for any one segment that is not empty; has a name.
    Parameter(Box<str>),
}

/// A path of an API, taken apart.
#[derive(Debug, Clone)]
pub struct Path {
    uri: Box<str>,
    segments: Box<[Segment]>,
    /// Whether it stands for itself only.
    exact: bool,
    prefix: bool,
}

impl Path {
    /// Reads a uri of an API.
    pub fn parse(uri: &str) -> Result<Path, Violation> {
        let wrong = |rule: &str| Violation::new("uris", format!("{uri:?} {rule}"));
        let text = uri.strip_prefix('/').ok_or_else(|| wrong("must start with /"))?;
        let (text, prefix) = match text.strip_suffix('*') {
            Some("") => (None, true),
            Some(folder) if folder.ends_with('/') => (folder.strip_suffix('/'), true),
            _ => (Some(text), false),
        };
        let mut segments: Vec<Segment> = Vec::new();
        for segment in text.into_iter().flat_map(|text| text.split('/')) {
            let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            segments.push(match name {
                Some(name) if !is_name(name) => {
                    return Err(wrong("has a parameter that is not {name}"));
                }
                Some(name) => Segment::Parameter(name.into()),
                None if segment.contains(['{', '}', '*']) => {
                    let rule = "has {, } or * inside a segment: {name} stands for a whole one, \
                                and * for all that follow, at the end";
                    return Err(wrong(rule));
                }
                None if matches!(segment, "." | "..") => {
                    return Err(wrong("has a segment . or .., which no request has"));
                }
                None => Segment::Text(segment.into()),
            });
        }
        let mut names: Vec<&str> = segments.iter().filter_map(Segment::name).collect();
        names.extend(prefix.then_some(REST));
        if names.len() > MAX_PARAMETERS {
            return Err(wrong(&format!("has more than {MAX_PARAMETERS} parameters")));
        }
        if (1..names.len()).any(|at| names[..at].contains(&names[at])) {
            return Err(wrong("names a parameter twice; the rest at a * is named path"));
        }
        let exact = names.is_empty();
        Ok(Path { uri: uri.into(), segments: segments.into(), exact, prefix })
    }

    /// As its API spells it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The path itself, when it stands for one path only.
    pub fn exact(&self) -> Option<&str> {
        self.exact.then_some(&*self.uri)
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub fn is_prefix(&self) -> bool {
        self.prefix
    }

    /// Whether both stand for the same paths; the names of parameters do not matter.
    pub fn is_like(&self, other: &Path) -> bool {
        let same = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Text(a), Segment::Text(b)) => a == b,
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
            _ => false,
        };
        self.prefix == other.prefix
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(same)
    }

    /// Whether this stands for the path of a request.
    pub fn matches(&self, path: &str) -> bool {
        if self.exact {
            return *self.uri == *path;
        }
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let Some(text) = rest else { return false };
            let (first, more) = first_segment(text);
            let fits = match segment {
                Segment::Text(own) => **own == *first,
                Segment::Parameter(_) => !first.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = more;
        }
        self.prefix || rest.is_none()
    }

    /// Names and values of the parameters in a path that this one matches.
    pub fn parameters<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let mut rest = path.strip_prefix('/');
        let mut segments = self.segments.iter();
        let mut at_end = self.prefix;
        std::iter::from_fn(move || {
            for segment in segments.by_ref() {
                let (first, more) = first_segment(rest.unwrap_or_default());
                rest = more;
                if let Some(name) = segment.name() {
                    return Some((name, decoded(first)));
                }
            }
            std::mem::take(&mut at_end).then(|| (REST, decoded(rest.unwrap_or_default())))
        })
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Segment::Text(_) => None,
            Segment::Parameter(name) => Some(name),
        }
    }
}

/// Splits off the first segment; `None` when no slash follows it.
pub fn first_segment(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((first, more)) => (first, Some(more)),
        None => (text, None),
    }
}

/// Whether every `%` of a path begins an encoded byte.
pub fn is_well_encoded(path: &str) -> bool {
    let hex = |byte: &u8| byte.is_ascii_hexdigit();
    path.split('%').skip(1).all(|text| {
        let bytes = text.as_bytes();
        bytes.len() >= 2 && bytes[..2].iter().all(hex)
    })
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part[2..].bytes());
            }
            None => return text.into(),
        }
    }
    // Bytes that are no text cannot stand in JSON; the handler gets them as they were sent.
    String::from_utf8(bytes).map_or(text.into(), Cow::from)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(uri: &str, path: &str) -> String {
        let uri = Path::parse(uri).unwrap();
        assert!(uri.matches(path), "{path}");
        uri.parameters(path).map(|(name, value)| format!("{name}={value};")).collect()
    }

    #[test]
    fn paths_are_read_or_refused_with_a_reason() {
        assert_eq!(Path::parse("/a/b").unwrap().exact(), Some("/a/b"));
        assert_eq!(Path::parse("/").unwrap().exact(), Some("/"));
        assert_eq!(Path::parse("/a/{id}").unwrap().exact(), None);
        assert!(Path::parse("/f/*").unwrap().is_prefix());
        let many: String = (0..9).map(|n| format!("/{{p{n}}}")).collect();
        let bad = ["/a/*/b", "/{}", "/{a}/{a}", "/a{b}", "/a*", "/{a", "/a}", "/{path}/*", "/../a"];
        for bad in bad.into_iter().chain([many.as_str(), "a", ""]) {
            assert_eq!(Path::parse(bad).unwrap_err().field, "uris", "{bad}");
        }
    }

    #[test]
    fn what_a_path_stands_for() {
        let cases = [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/A", false),
            ("/a/", "/a/", true),
            ("/", "/", true),
            ("/a/{id}", "/a/1", true),
            ("/a/{id}", "/a/", false),
            ("/a/{id}", "/a/1/2", false),
            ("/a/{id}", "/a/1%2F2", true),
            ("/a/*", "/a", true),
            ("/a/*", "/a/", true),
            ("/a/*", "/a//b/c", true),
            ("/a/*", "/ab", false),
            ("/*", "/", true),
            ("/*", "/x/y", true),
            ("/a/{id}/*", "/a/1", true),
            ("/a/{id}/*", "/a", false),
        ];
        for (uri, path, expected) in cases {
            assert_eq!(Path::parse(uri).unwrap().matches(path), expected, "{uri} {path}");
        }
    }

    #[test]
    fn parameters_have_decoded_values() {
        assert_eq!(parameters("/a/{x}/b/{y}", "/a/1/b/2"), "x=1;y=2;");
        assert_eq!(parameters("/a/{x}", "/a/c%20d%2Fe"), "x=c d/e;");
        assert_eq!(parameters("/a/{x}", "/a/%ff"), "x=%ff;");
        assert_eq!(parameters("/f/*", "/f/g/h"), "path=g/h;");
        assert_eq!(parameters("/f/*", "/f"), "path=;");
        assert_eq!(parameters("/a", "/a"), "");
    }

    #[test]
    fn encodings_are_checked() {
        for (path, good) in [("/a", true), ("/%2F", true), ("/%", false), ("/%2", false)] {
            assert_eq!(is_well_encoded(path), good, "{path}");
        }
        assert!(!is_well_encoded("/a%zz/%20"));
    }
}
