//! Values as Kubernetes, and what stands on it, takes them.

/// Largest value of a label, in characters.
const LABEL: usize = 63;

/// A label's value, as far as it may hold the text.
pub fn label(text: &str) -> String {
    let cut: String = text.chars().take(LABEL).collect();
    cut.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// A value of the environment that arrives as it is: Kubernetes puts others for `$(NAME)`, and one
/// `$` for two.
pub fn unexpanded(value: &str) -> String {
    value.replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_cut_and_have_letters_at_their_ends() {
        assert_eq!(label("_a.b-"), "a.b");
        let long = format!("{}-x", "a".repeat(62));
        assert_eq!(label(&long), "a".repeat(62));
    }

    #[test]
    fn no_value_is_expanded() {
        assert_eq!(unexpanded("$(A) $$ $B"), "$$(A) $$$$ $$B");
    }
}
