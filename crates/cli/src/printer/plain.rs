//! Texts that show what they are. Control characters move the cursor, retitle the window and
//! worse (ECMA-48), and those of writing direction show a text in another order than it has
//! (UAX #9): whoever may name a thing could otherwise write the terminal of whoever lists it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The same text, with what steers a terminal written as `\u{1b}`. Lines and tabs stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |out, c| write!(out, "{}", c.escape_unicode()))
}

/// The same with lines and tabs written so, too: for what must not look like more than one thing.
pub fn one_line(text: &str) -> String {
    plain(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// The same of a JSON document, which means what it did.
pub fn json(text: &str) -> Cow<'_, str> {
    // Everything of the kind is in the first plane of Unicode: four digits hold it.
    escaped(text, |out, c| write!(out, "\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, write: impl Fn(&mut String, char) -> std::fmt::Result) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = match steers(c) {
            true => write(&mut out, c),
            false => out.write_char(c),
        };
    }
    Cow::Owned(out)
}

fn steers(c: char) -> bool {
    let of_direction = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    (c.is_control() && !matches!(c, '\n' | '\t')) || of_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_as_what_it_is() {
        for (text, shown) in [
            ("ada\tLovelace\n", "ada\tLovelace\n"),
            ("Zoë 東京 👩‍🔬", "Zoë 東京 👩‍🔬"),
            ("\u{1b}[2J\u{1b}]0;mine\u{7}", "\\u{1b}[2J\\u{1b}]0;mine\\u{7}"),
            ("over\rwritten", "over\\u{d}written"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(one_line("a\nhint: b\u{1b}"), "a\\nhint: b\\u{1b}");
    }

    #[test]
    fn json_means_what_it_did() {
        let value = serde_json::json!({"a\u{9b}": ["\u{1b}[2J", "\u{202e}x", "é\n"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = json(&text);
        assert!(!shown.contains(steers), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
