//! Globs: `*` and `?`.

/// Whether the whole text matches. Takes at most glob × text steps.
pub fn matches(glob: &str, text: &str) -> bool {
    // Positions are of bytes, steps of characters: nothing is allocated for a comparison.
    let next = |of: &str, at: usize| of[at..].chars().next();
    let (mut g, mut t) = (0, 0);
    // Where the last star was, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while let Some(here) = next(text, t) {
        match next(glob, g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if c == '?' || c == here => {
                g += c.len_utf8();
                t += here.len_utf8();
            }
            _ => {
                let Some((at, reach)) = star else { return false };
                let reach = reach + next(text, reach).map_or(1, char::len_utf8);
                star = Some((at, reach));
                (g, t) = (at + 1, reach);
            }
        }
    }
    glob[g..].chars().all(|c| c == '*')
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
