//! Values of a pod's environment, as Kubernetes expands them.

/// `$(NAME)` becomes the value of a variable before it, if there is one, and `$$` becomes `$`.
pub fn expand(value: &str, before: &[(String, String)]) -> String {
    let (mut expanded, mut rest) = (String::new(), value);
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let named = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let found = named.and_then(|(name, after)| {
            let (_, value) = before.iter().rev().find(|(known, _)| known == name)?;
            Some((value, after))
        });
        match found {
            Some((value, after)) => {
                expanded.push_str(value);
                rest = after;
            }
            None => expanded.push('$'),
        }
    }
    expanded + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_expanded_as_kubernetes_documents_it() {
        let before = [("A".to_owned(), "one".to_owned())];
        for (value, expanded) in
            [("$(A)$(B)", "one$(B)"), ("$$(A)", "$(A)"), ("$$$$ $x $", "$$ $x $"), ("$(A", "$(A")]
        {
            assert_eq!(expand(value, &before), expanded);
        }
    }
}
