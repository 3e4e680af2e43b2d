//! What a rule may name as resources: all, a kind, one thing, or things whose names begin alike.

use std::fmt;

/// One entry of a rule's resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// None for every kind.
    pub word: Option<Box<str>>,
    pub names: Names,
}

/// Names of things of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    All,
    One(Box<str>),
    Beginning(Box<str>),
}

impl Pattern {
    pub const EVERYTHING: Pattern = Pattern { word: None, names: Names::All };

    /// None for what is no pattern.
    pub fn parse(text: &str) -> Option<Pattern> {
        let (word, names) = match text.split_once('/') {
            Some((word, names)) => (word, Names::parse(names)?),
            None => (text, Names::All),
        };
        let word = match word {
            "*" => None,
            "" => return None,
            word if word.contains('*') => return None,
            word => Some(word.into()),
        };
        Some(Pattern { word, names })
    }

    /// `unknown` is the answer where the name would have to be known.
    pub fn fits(&self, word: &str, name: Option<&str>, unknown: bool) -> bool {
        self.word.as_deref().is_none_or(|own| own == word) && self.names.fit(name, unknown)
    }

    /// Whether everything that the other fits is fitted by this one.
    pub fn covers(&self, other: &Pattern) -> bool {
        let word = self.word.is_none() || self.word == other.word;
        word && match (&self.names, &other.names) {
            (Names::All, _) => true,
            (Names::Beginning(own), Names::One(name) | Names::Beginning(name)) => {
                name.starts_with(&**own)
            }
            (own, other) => own == other,
        }
    }

    /// Whether there can be a thing that both fit.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let word = self.word.is_none() || other.word.is_none() || self.word == other.word;
        word && match (&self.names, &other.names) {
            (Names::All, _) | (_, Names::All) => true,
            (Names::One(one), Names::One(other)) => one == other,
            (Names::One(one), Names::Beginning(start))
            | (Names::Beginning(start), Names::One(one)) => one.starts_with(&**start),
            (Names::Beginning(one), Names::Beginning(other)) => {
                one.starts_with(&**other) || other.starts_with(&**one)
            }
        }
    }
}

impl Names {
    fn parse(text: &str) -> Option<Names> {
        match text.strip_suffix('*') {
            Some("") => Some(Names::All),
            Some(start) if !start.contains('*') => Some(Names::Beginning(start.into())),
            None if !text.is_empty() && !text.contains('*') => Some(Names::One(text.into())),
            _ => None,
        }
    }

    fn fit(&self, name: Option<&str>, unknown: bool) -> bool {
        match self {
            Names::All => true,
            Names::One(own) => name.map_or(unknown, |name| name == &**own),
            Names::Beginning(start) => name.map_or(unknown, |name| name.starts_with(&**start)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word.as_deref().unwrap_or("*"))?;
        match &self.names {
            Names::All => Ok(()),
            Names::One(name) => write!(f, "/{name}"),
            Names::Beginning(start) => write!(f, "/{start}*"),
        }
    }
}
