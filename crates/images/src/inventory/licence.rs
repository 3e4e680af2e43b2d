//! Licences as SPDX expressions.
//!
//! The identifiers are those of the SPDX licence list that CycloneDX 1.6 names; the grammar is
//! annex D of SPDX 2.3. What distributions and languages wrote before is mapped where its meaning
//! is beyond doubt, and stays text where it is not (`BSD` says nothing of its clauses).

mod alias;

use std::collections::HashMap;
use std::sync::LazyLock;

const IDS: &str = include_str!("licence/spdx-ids.txt");
/// Characters of a licence's text that are kept.
const MAX_TEXT: usize = 200;
/// Parentheses in parentheses.
const MAX_DEPTH: usize = 16;

/// Lower case → as the list spells it.
static BY_LOWER: LazyLock<HashMap<String, &'static str>> =
    LazyLock::new(|| IDS.lines().map(|id| (id.to_ascii_lowercase(), id)).collect());

/// The SPDX expression a text means; else the text on one line, cut to 200 characters.
pub fn normal(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    expression(&line).unwrap_or(line)
}

/// Whether a text is a valid SPDX expression, spelled as the list spells it.
pub fn is_expression(text: &str) -> bool {
    expression(text).is_some_and(|spdx| spdx == text)
}

/// Whether it is one identifier of the list, without operators.
pub fn is_id(text: &str) -> bool {
    BY_LOWER.get(&text.to_ascii_lowercase()).is_some_and(|id| *id == text)
}

/// Whether a licensee who accepts certain licences may use what is under this expression: of
/// `A OR B` one is enough, of `A AND B` both are needed, and AND binds closer. A text that is no
/// expression is one licence; `A WITH exception` is asked for as a whole.
pub fn satisfied(text: &str, accepts: &dyn Fn(&str) -> bool) -> bool {
    if !is_expression(text) {
        return accepts(text);
    }
    let words = words(text);
    let mut at = 0;
    choice(&words, &mut at, accepts)
}

fn choice(words: &[String], at: &mut usize, accepts: &dyn Fn(&str) -> bool) -> bool {
    let mut any = false;
    loop {
        let mut all = true;
        loop {
            all &= one(words, at, accepts);
            if words.get(*at).is_none_or(|word| word != "AND") {
                break;
            }
            *at += 1;
        }
        any |= all;
        if words.get(*at).is_none_or(|word| word != "OR") {
            return any;
        }
        *at += 1;
    }
}

fn one(words: &[String], at: &mut usize, accepts: &dyn Fn(&str) -> bool) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let inner = choice(words, at, accepts);
        *at += 1;
        return inner;
    }
    match (words.get(*at).map(String::as_str), words.get(*at + 1)) {
        (Some("WITH"), Some(exception)) => {
            *at += 2;
            accepts(&format!("{word} WITH {exception}"))
        }
        _ => accepts(word),
    }
}

fn expression(text: &str) -> Option<String> {
    if let Some(id) = alias::whole(text) {
        return Some(id.to_owned());
    }
    let mut parser = Parser { words: words(text), at: 0 };
    let parsed = parser.any(0)?;
    (parser.at == parser.words.len()).then_some(parsed)
}

/// Parentheses are words of their own.
fn words(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser {
    words: Vec<String>,
    at: usize,
}

impl Parser {
    /// Terms with AND and OR between them, left as they are: AND binds closer for the reader too.
    fn any(&mut self, depth: usize) -> Option<String> {
        let mut out = self.term(depth)?;
        while let Some(operator) = self.operator() {
            self.at += 1;
            out = format!("{out} {operator} {}", self.term(depth)?);
        }
        Some(out)
    }

    fn operator(&self) -> Option<&'static str> {
        match self.words.get(self.at)?.to_ascii_lowercase().as_str() {
            "and" => Some("AND"),
            "or" => Some("OR"),
            _ => None,
        }
    }

    fn term(&mut self, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.words.get(self.at)? == "(" {
            self.at += 1;
            let inner = self.any(depth + 1)?;
            if self.words.get(self.at)? != ")" {
                return None;
            }
            self.at += 1;
            return Some(format!("({inner})"));
        }
        let licence = alias::licence(&self.atom()?)?;
        if !self.words.get(self.at).is_some_and(|word| word.eq_ignore_ascii_case("with")) {
            return Some(licence);
        }
        self.at += 1;
        let exception = alias::exception(&self.atom()?)?;
        Some(format!("{licence} WITH {exception}"))
    }

    /// Words up to the next operator: names of older licences have several.
    fn atom(&mut self) -> Option<String> {
        let start = self.at;
        while let Some(word) = self.words.get(self.at) {
            let with = word.eq_ignore_ascii_case("with");
            if self.operator().is_some() || with || word == "(" || word == ")" {
                break;
            }
            self.at += 1;
        }
        (self.at > start).then(|| self.words[start..self.at].join(" "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_old_become_expressions() {
        for (text, spdx) in [
            ("MIT", "MIT"),
            ("mit", "MIT"),
            ("The MIT License", "MIT"),
            ("Expat", "MIT"),
            ("Apache License, Version 2.0", "Apache-2.0"),
            ("ASL 2.0", "Apache-2.0"),
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-2.0", "GPL-2.0-only"),
            ("GPLv2 and LGPLv2+", "GPL-2.0-only AND LGPL-2.0-or-later"),
            ("(MIT or Apache-2.0)", "(MIT OR Apache-2.0)"),
            ("GPL-3+ with GCC-Runtime exception", "GPL-3.0-or-later WITH GCC-exception-3.1"),
            ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
            ("LicenseRef-own", "LicenseRef-own"),
            ("BSD", "BSD"),
            ("GPL-2+ and odd", "GPL-2+ and odd"),
            ("MIT AND", "MIT AND"),
            ("(MIT", "(MIT"),
            ("", ""),
        ] {
            assert_eq!(normal(text), spdx, "{text}");
        }
        assert_eq!(normal(&"long ".repeat(100)).len(), MAX_TEXT);
        assert!(!is_expression("mit") && is_expression("MIT OR Zlib") && !is_expression("BSD"));
        assert!(is_id("MIT") && !is_id("MIT OR Zlib"));
        assert_eq!(normal(&format!("{}MIT", "(".repeat(100))).find("MIT"), Some(100));
    }

    #[test]
    fn choices_and_obligations() {
        let accepts = |id: &str| matches!(id, "MIT" | "ISC" | "GPL-2.0-only WITH LLVM-exception");
        for (text, expected) in [
            ("MIT", true),
            ("Zlib", false),
            ("MIT OR Zlib", true),
            ("MIT AND Zlib", false),
            ("Zlib OR MIT AND ISC", true),
            ("MIT AND ISC OR Zlib", true),
            ("MIT AND (Zlib OR ISC)", true),
            ("MIT AND (Zlib OR BSL-1.0)", false),
            ("GPL-2.0-only WITH LLVM-exception AND MIT", true),
            ("own words", false),
        ] {
            assert_eq!(satisfied(text, &accepts), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_normal_stays(text in "[A-Za-z0-9+(). -]{0,40}|\\PC{0,40}") {
            let once = normal(&text);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
