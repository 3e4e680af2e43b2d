//! The part of a run that is not searched by, as compact JSON text: every byte of it is written
//! for every run, so names are short and what is empty is left out.

use dispatch_model::{InvocationError, Logs, Name, OrgName, RawJson, Run, State, Tags};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// The columns a run is read from, in the order of [`RunColumns`].
pub(crate) const COLUMNS: &str = "org, id, function_name, function_id, state, body";

pub(crate) type RunColumns = (String, Uuid, String, Uuid, String, String);

/// Room for the body of a small run.
const SMALL: usize = 512;

/// Declares the body twice with the same names: borrowed to write, owned to read.
macro_rules! body {
    ($($short:literal $skip:literal $field:ident: $owned:ty,)*) => {
        #[derive(Serialize)]
        struct Written<'a> {
            $(#[serde(rename = $short, skip_serializing_if = $skip)] $field: &'a $owned,)*
        }

        #[derive(Deserialize)]
        struct Read {
            $(#[serde(rename = $short, default)] $field: $owned,)*
        }

        /// The body of a run.
        pub(crate) fn write(run: &Run) -> Result<String> {
            let mut text = Vec::with_capacity(SMALL);
            serde_json::to_writer(&mut text, &Written { $($field: &run.$field,)* })?;
            String::from_utf8(text).map_err(|error| Error::Corrupt(error.to_string()))
        }

        /// A run from its columns.
        pub(crate) fn read(columns: RunColumns) -> Result<Run> {
            let (org, id, function_name, function_id, state, body) = columns;
            let read: Read = serde_json::from_str(&body)?;
            Ok(Run {
                id,
                org: OrgName::trusted(&org),
                function_name: Name::trusted(&function_name),
                function_id,
                state: State::parse(&state)
                    .ok_or_else(|| Error::Corrupt(format!("state {state}")))?,
                $($field: read.$field,)*
            })
        }
    };
}

body! {
    "d" "Option::is_none" faas_id: Option<Uuid>,
    "e" "Option::is_none" engine: Option<String>,
    "b" "is_default" blocking: bool,
    "r" "Vec::is_empty" reason: Vec<String>,
    "i" "Option::is_none" input: Option<RawJson>,
    "o" "Option::is_none" output: Option<RawJson>,
    "x" "Option::is_none" error: Option<InvocationError>,
    "l" "Logs::is_empty" logs: Logs,
    "s" "Vec::is_empty" secrets: Vec<String>,
    "v" "Vec::is_empty" services: Vec<String>,
    "c" "Option::is_none" event: Option<RawJson>,
    "h" "Option::is_none" http_context: Option<RawJson>,
    "t" "Tags::is_empty" tags: Tags,
    "n" "is_default" attempts: u32,
    "a" "is_default" accepted_us: i64,
    "g" "Option::is_none" executed_us: Option<i64>,
    "f" "Option::is_none" finished_us: Option<i64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
