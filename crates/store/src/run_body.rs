//! The part of a run that is not searched by, as compact JSON text: every byte of it is written
//! for every run, so names are short and what is empty is left out.

use dispatch_model::secret::SecretUses;
use dispatch_model::{InvocationError, Logs, Name, OrgName, RawJson, Run, State, Tags};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::Error;

type Result<T, E = Error> = std::result::Result<T, E>;

/// The columns a run is read from, in the order of [`RunColumns`].
pub(crate) const COLUMNS: &str = "org, id, function_name, function_id, state, body";

pub(crate) type RunColumns = (String, Uuid, String, Uuid, String, String);

/// Room for the body of a small run.
const SMALL: usize = 512;

/// Declares the body twice with the same names: borrowed to write, owned to read.
macro_rules! body {
    (
        optional { $($option:literal $maybe:ident: $inner:ty,)* }
        plain { $($short:literal $field:ident: $owned:ty,)* }
    ) => {
        #[derive(Serialize)]
        struct Written<'a> {
            $(#[serde(rename = $option, skip_serializing_if = "Option::is_none")]
            $maybe: &'a Option<$inner>,)*
            $(#[serde(rename = $short, skip_serializing_if = "is_default")]
            $field: &'a $owned,)*
        }

        #[derive(Deserialize)]
        struct Read {
            $(#[serde(rename = $option, default, deserialize_with = "present")]
            $maybe: Option<$inner>,)*
            $(#[serde(rename = $short, default)] $field: $owned,)*
        }

        /// The body of a run.
        pub(crate) fn write(run: &Run) -> Result<String> {
            let mut text = Vec::with_capacity(SMALL);
            let written = Written { $($maybe: &run.$maybe,)* $($field: &run.$field,)* };
            serde_json::to_writer(&mut text, &written)?;
            String::from_utf8(text).map_err(|error| Error::Corrupt(error.to_string()))
        }

        /// A run from its columns.
        pub(crate) fn read(columns: RunColumns) -> Result<Run> {
            let (org, id, function_name, function_id, state, body) = columns;
            let read: Read = serde_json::from_str(&body)?;
            let unknown = || Error::Corrupt(format!("state {state}"));
            Ok(Run {
                id,
                org: OrgName::trusted(&org),
                function_name: Name::trusted(&function_name),
                function_id,
                state: State::parse(&state).ok_or_else(unknown)?,
                $($maybe: read.$maybe,)*
                $($field: read.$field,)*
            })
        }
    };
}

body! {
    optional {
        "d" faas_id: Uuid,
        "e" engine: String,
        "q" qualifier: String,
        "w" version: u64,
        "p" placement: String,
        "i" input: RawJson,
        "o" output: RawJson,
        "x" error: InvocationError,
        "c" event: RawJson,
        "h" http_context: RawJson,
        "g" executed_us: i64,
        "f" finished_us: i64,
    }
    plain {
        "b" blocking: bool,
        "r" reason: Vec<String>,
        "l" logs: Logs,
        "s" secrets: Vec<String>,
        "u" secrets_used: SecretUses,
        "v" services: Vec<String>,
        "t" tags: Tags,
        "n" attempts: u32,
        "a" accepted_us: i64,
    }
}

fn is_default<T: Default + PartialEq>(value: &&T) -> bool {
    **value == T::default()
}

/// What is there is something, even when it is the JSON `null` a handler returned.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
