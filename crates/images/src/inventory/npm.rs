//! Node packages: `node_modules/NAME/package.json`, at any depth.

use std::path::Path;

use serde_json::Value;

use super::{Ecosystem, Found, Package, licence, purl};

pub fn is_metadata(path: &str) -> bool {
    let Some(folder) = path.strip_suffix("/package.json") else { return false };
    let mut parts = folder.rsplit('/');
    let (_, parent) = (parts.next(), parts.next().unwrap_or_default());
    parent == "node_modules" || (parent.starts_with('@') && parts.next() == Some("node_modules"))
}

pub fn read(found: &mut Found<'_>, path: &str, place: &Path) {
    let Some(text) = found.file(path, place) else { return };
    let json: Value = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(json) => json,
        Err(error) => return found.note(path, format!("is no JSON: {error}")),
    };
    let field = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut package = Package::new(Ecosystem::Npm, field("name"), field("version"), path);
    package.licences = licences(&json);
    package.supplier = author(json.get("author"));
    let needs = json.get("dependencies").and_then(Value::as_object);
    package.depends_on(needs.into_iter().flat_map(|needs| needs.keys().cloned()));
    package.purl = purl::of(&package, found.os.as_ref());
    found.package(package);
}

/// `"license": "MIT"`, and the older `{"type": …}` and `"licenses": [{"type": …}]`.
fn licences(json: &Value) -> Vec<String> {
    let name = |value: &Value| {
        let name = value.as_str().or_else(|| value.get("type").and_then(Value::as_str))?;
        Some(licence::normal(name)).filter(|name| !name.is_empty())
    };
    if let Some(one) = json.get("license").and_then(name) {
        return vec![one];
    }
    let many = json.get("licenses").and_then(Value::as_array);
    let any: Vec<String> = many.into_iter().flatten().filter_map(name).collect();
    // More than one in the old list meant a choice.
    match any.len() {
        0 | 1 => any,
        _ => vec![licence::normal(&any.join(" OR "))],
    }
}

fn author(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let name = value.as_str().or_else(|| value.get("name").and_then(Value::as_str))?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_not_folders_in_them() {
        assert!(is_metadata("/function/node_modules/left-pad/package.json"));
        assert!(is_metadata("/a/node_modules/@scope/name/package.json"));
        assert!(is_metadata("/a/node_modules/b/node_modules/c/package.json"));
        assert!(!is_metadata("/a/node_modules/b/test/package.json"));
        assert!(!is_metadata("/a/package.json"));
        assert!(!is_metadata("/package.json"));
    }

    #[test]
    fn licences_of_three_generations() {
        let of = |text: &str| licences(&serde_json::from_str(text).expect("JSON"));
        assert_eq!(of(r#"{"license": "(MIT OR Zlib)"}"#), ["(MIT OR Zlib)"]);
        assert_eq!(of(r#"{"license": {"type": "isc"}}"#), ["ISC"]);
        assert_eq!(of(r#"{"licenses": [{"type": "MIT"}, "Zlib"]}"#), ["MIT OR Zlib"]);
        assert_eq!(of(r#"{"license": 7}"#), [""; 0]);
    }
}
