//! On which line of a YAML file a field stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// The lines of a document's fields, as a tree like the document itself.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    line: u64,
    inner: Inner,
}

#[derive(Debug, Clone, Default)]
enum Inner {
    #[default]
    Scalar,
    List(Vec<Lines>),
    /// Keys with their own lines.
    Map(Vec<(String, u64, Lines)>),
}

impl Lines {
    /// One tree for each document; none when the text cannot be read, which others report.
    pub fn of(text: &str) -> Vec<Lines> {
        serde_saphyr::from_multiple(text).unwrap_or_default()
    }

    /// The line of the field at a path like `schema.in` or `tags[0].key`; of the nearest field
    /// around it when it is not there.
    pub fn line(&self, path: &str) -> u64 {
        let (mut tree, mut line) = (self, self.line);
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        for step in steps {
            let found = match &tree.inner {
                Inner::Map(map) => {
                    map.iter().find(|(key, ..)| key == step).map(|(_, l, t)| (*l, t))
                }
                Inner::List(list) => {
                    step.parse().ok().and_then(|at: usize| list.get(at)).map(|t| (t.line, t))
                }
                Inner::Scalar => None,
            };
            let Some((at, inner)) = found else { break };
            (line, tree) = (at, inner);
        }
        line
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Inner>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), inner: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InnerVisitor)
    }
}

struct InnerVisitor;

/// Scalars of any type: only where they stand matters.
macro_rules! scalars {
    ($($visit:ident($type:ty)),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Inner, E> {
            Ok(Inner::Scalar)
        })*
    };
}

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Inner;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    scalars!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    scalars!(visit_i128(i128), visit_u128(u128), visit_bytes(&[u8]));

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_none<E>(self) -> Result<Inner, E> {
        Ok(Inner::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Inner::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inner, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Inner::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inner, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key.value, key.referenced.line(), map.next_value()?));
        }
        Ok(Inner::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_line() {
        let text = "kind: Secret\nname: s\n---\n# a comment\nkind: Function\nname: f\ntags:\n\
                    - key: a\n  value: b\n- {key: c}\nschema:\n  in:\n    type: object\n";
        let all = Lines::of(text);
        assert_eq!(all.len(), 2);
        let lines = ["name", "kind", "tags", "tags[0].value", "tags[1].key", "schema.in.type"];
        let found = lines.map(|path| all[1].line(path));
        assert_eq!(found, [6, 5, 7, 9, 10, 13]);
        assert_eq!(all[1].line("schema.out"), 11, "the nearest there is");
        assert_eq!(all[1].line("colour"), 5, "the document itself");
        assert!(Lines::of("a: [").is_empty());
    }
}
