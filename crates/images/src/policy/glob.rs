//! Globs: `*` and `?`.

/// Whether the whole text matches. Takes at most glob × text steps.
pub fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    // Where the last star was, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                (g, t) = (at + 1, reach + 1);
            }
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("lib*ssl?", "libopenssl3", true),
            ("lib*ssl?", "libopenssl", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-cd", false),
            ("*.example.com/*", "r.example.com/x/y", true),
            ("ü?", "üß", true),
        ] {
            assert_eq!(matches(glob, text), expected, "{glob} {text}");
        }
        // Stars are no reason to be slow.
        assert!(!matches(&"*a".repeat(150), &format!("{}b", "a".repeat(5_000))));
    }
}
