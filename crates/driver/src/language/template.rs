//! Words with placeholders: `{name}` stands for a value, `{{` and `}}` for braces.

use super::Values;

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// Splits a template.
///
/// # Errors
/// What is wrong with it, as part of a sentence.
fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        pieces.push(Piece::Text(&rest[..at]));
        let from = &rest[at..];
        if from.starts_with("{{") || from.starts_with("}}") {
            pieces.push(Piece::Text(&from[..1]));
            rest = &from[2..];
            continue;
        }
        let Some(name) = from.strip_prefix('{') else {
            return Err("has a `}` that closes nothing; write `}}` for a brace".to_owned());
        };
        let Some(end) = name.find('}') else {
            return Err("has a `{` that is not closed; write `{{` for a brace".to_owned());
        };
        pieces.push(Piece::Placeholder(&name[..end]));
        rest = &name[end + 1..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// Says what is wrong with a template of which these placeholders are known.
pub fn check(template: &str, known: &[&str]) -> Result<(), String> {
    for piece in pieces(template)? {
        let Piece::Placeholder(name) = piece else { continue };
        if !known.contains(&name) {
            let known: Vec<_> = known.iter().map(|name| format!("`{{{name}}}`")).collect();
            let known = known.join(", ");
            return Err(format!("has the unknown placeholder `{{{name}}}`; known here: {known}"));
        }
    }
    Ok(())
}

/// Puts values in. What has none was refused when the language was read, so it stays as it is.
pub fn fill(template: &str, values: &Values<'_>) -> String {
    let Ok(pieces) = pieces(template) else { return template.to_owned() };
    let value = |piece| match piece {
        Piece::Text(text) => text,
        Piece::Placeholder(name) => values.get(name).copied().unwrap_or_default(),
    };
    pieces.into_iter().map(value).collect()
}

/// The same for a command.
pub fn fill_all(words: &[String], values: &Values<'_>) -> Vec<String> {
    words.iter().map(|word| fill(word, values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_and_braces_stay() {
        let values = Values::from([("host", "/h"), ("heap_mib", "96")]);
        assert_eq!(fill("{host}/a -m {heap_mib}M", &values), "/h/a -m 96M");
        assert_eq!(fill("$x = {{}} {host}", &values), "$x = {} /h");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(check("{host}/{{x}}", &["host"]), Ok(()));
        let unknown = check("{hosts}", &["host", "version"]).unwrap_err();
        assert!(unknown.contains("`{hosts}`") && unknown.contains("`{version}`"), "{unknown}");
        assert!(check("a { b", &[]).unwrap_err().contains("not closed"));
        assert!(check("a } b", &[]).unwrap_err().contains("closes nothing"));
    }
}
