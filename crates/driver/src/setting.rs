//! What can be set on what a driver makes, and the checked form of what an operator wrote. All
//! contracts share it.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch_model::{Violation, nearest};

/// One thing that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub value: Value,
    /// Must be given.
    pub required: bool,
    /// May be given by a secret only.
    pub secret: bool,
    /// Text of what holds when it is not given, as it would be written; empty for nothing.
    pub default: &'static str,
    /// One sentence, units in it.
    pub help: &'static str,
}

/// How the text of a setting is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Text,
    /// `http://` or `https://`, without user, query and fragment.
    Url,
    /// A number with its unit: `500ms`, `30s`, `5m`.
    Duration,
    /// A whole number from 0.
    Number,
    /// `true` or `false`.
    Flag,
    /// Words between commas.
    List,
    /// One of these.
    Choice(&'static [&'static str]),
}

impl Setting {
    /// One that need not be given.
    pub const fn new(name: &'static str, value: Value, help: &'static str) -> Self {
        Self { name, value, required: false, secret: false, default: "", help }
    }

    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    #[must_use]
    pub const fn default(self, text: &'static str) -> Self {
        Self { default: text, ..self }
    }
}

/// What may be set where: the settings of one type.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// What the type makes, in the plural: `engines`.
    pub kind: &'static str,
    /// Name of the type.
    pub of: &'static str,
    pub settings: &'static [Setting],
}

/// The checked settings of one thing that a driver makes: reading them cannot fail any more.
#[derive(Clone)]
pub struct Config {
    /// Name of what is made.
    pub name: String,
    known: &'static [Setting],
    values: BTreeMap<String, String>,
}

impl Config {
    /// Checks what an operator wrote against what the type knows.
    ///
    /// # Errors
    /// The first key that is unknown, misplaced, missing or unreadable, as `settings.KEY` or
    /// `secrets.KEY`. Never holds a secret's value.
    pub fn check(
        name: &str,
        known: Known,
        settings: BTreeMap<String, String>,
        secrets: BTreeMap<String, String>,
    ) -> Result<Self, Violation> {
        for (key, text) in &settings {
            let setting = known.find("settings", key)?;
            if setting.secret {
                let rule = "may be given by a secret only: name the secret in `secrets`";
                return Err(Violation::new(format!("settings.{key}"), rule));
            }
            setting.value.check(text).map_err(|rule| {
                Violation::new(format!("settings.{key}"), format!("{text:?} {rule}"))
            })?;
        }
        for (key, text) in &secrets {
            let setting = known.find("secrets", key)?;
            let checked = setting.value.check(text);
            checked.map_err(|rule| Violation::new(format!("secrets.{key}"), rule))?;
        }
        let mut values = settings;
        values.extend(secrets);
        for setting in known.settings.iter().filter(|s| s.required) {
            if values.get(setting.name).is_none_or(String::is_empty) {
                let rule = format!("is required by {} of type {}", known.kind, known.of);
                return Err(Violation::new(format!("settings.{}", setting.name), rule));
            }
        }
        Ok(Self { name: name.to_owned(), known: known.settings, values })
    }

    /// The text of a setting, or its default; `None` when there is neither.
    pub fn text(&self, key: &str) -> Option<&str> {
        let setting = self.known.iter().find(|s| s.name == key);
        let setting = setting.unwrap_or_else(|| panic!("{key} is no setting of this type"));
        let given = self.values.get(key).map(String::as_str);
        given.or(Some(setting.default)).filter(|text| !text.is_empty())
    }

    /// A URL without a slash at its end.
    pub fn url(&self, key: &str) -> Option<&str> {
        self.text(key).map(|url| url.trim_end_matches('/'))
    }

    pub fn duration(&self, key: &str) -> Option<Duration> {
        self.text(key).and_then(|text| duration(text).ok())
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key).and_then(|text| text.parse().ok())
    }

    pub fn flag(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    pub fn list(&self, key: &str) -> Vec<&str> {
        let words = self.text(key).unwrap_or_default().split(',');
        words.map(str::trim).filter(|word| !word.is_empty()).collect()
    }
}

impl Known {
    fn find(&self, field: &str, key: &str) -> Result<&'static Setting, Violation> {
        self.settings.iter().find(|s| s.name == key).ok_or_else(|| {
            let names: Vec<&str> = self.settings.iter().map(|s| s.name).collect();
            let hint = match nearest(key, names.iter().copied()) {
                Some(near) => format!("; did you mean {near}?"),
                None => format!(": {}", names.join(", ")),
            };
            let rule = format!("is not known to {} of type {}{hint}", self.kind, self.of);
            Violation::new(format!("{field}.{key}"), rule)
        })
    }
}

impl Value {
    fn check(self, text: &str) -> Result<(), String> {
        match self {
            Value::Text | Value::List => Ok(()),
            Value::Url => url(text),
            Value::Duration => duration(text).map(drop),
            Value::Number => {
                let number = text.parse::<u64>();
                number.map(drop).map_err(|_| "must be a whole number from 0".to_owned())
            }
            Value::Flag if matches!(text, "true" | "false") => Ok(()),
            Value::Flag => Err("must be true or false".to_owned()),
            Value::Choice(of) if of.contains(&text) => Ok(()),
            Value::Choice(of) => Err(format!("must be one of {}", of.join(", "))),
        }
    }
}

fn url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.unwrap_or_default().split('/').next().unwrap_or_default();
    let plain = !text.contains(['?', '#', ' ', '@']);
    match plain && !host.is_empty() {
        true => Ok(()),
        false => Err("must be http://HOST or https://HOST, without user, ? and #".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_ms = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let ms = number.parse::<u64>().ok().zip(unit_ms).and_then(|(n, unit)| n.checked_mul(unit));
    ms.map(Duration::from_millis)
        .ok_or_else(|| "must be a number with its unit, such as 500ms, 30s or 5m".to_owned())
}
