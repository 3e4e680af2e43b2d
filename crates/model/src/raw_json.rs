//! JSON text that was checked once and is passed on as it is, shared instead of copied.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{Error as _, IgnoredAny};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The name by which serde_json knows text that it is to write as it is. `RawValue` writes itself
/// the same way, but can only be had by checking the text again.
const AS_IT_IS: &str = "$serde_json::private::RawValue";

/// One JSON value. A clone shares the text.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(ByteString);

impl RawJson {
    /// Checks that these bytes are one JSON value, and keeps them without copying.
    ///
    /// # Errors
    /// Where the text stops being JSON, in serde_json's words.
    pub fn parse(bytes: Bytes) -> serde_json::Result<Self> {
        let text = ByteString::try_from(bytes).map_err(serde_json::Error::custom)?;
        serde_json::from_str::<IgnoredAny>(&text)?;
        let trimmed = text.trim_ascii();
        if trimmed.len() == text.len() {
            return Ok(Self(text));
        }
        let trimmed = text.slice_ref(trimmed);
        Ok(Self(trimmed))
    }

    /// Text of which the caller knows that it is one JSON value, having written it.
    pub fn written(text: String) -> Self {
        debug_assert!(serde_json::from_str::<IgnoredAny>(&text).is_ok(), "not JSON: {text}");
        Self(text.into())
    }

    /// A value that was found in these bytes while they were read, as a part of them: shared, not
    /// copied.
    pub fn within(bytes: &Bytes, value: &RawValue) -> Self {
        let part = bytes.slice_ref(value.get().as_bytes());
        Self(ByteString::try_from(part).expect("it was read as text"))
    }

    /// The JSON of anything that has one.
    ///
    /// # Errors
    /// When a map has keys that are no strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }

    pub fn get(&self) -> &str {
        &self.0
    }

    /// The text as bytes, shared.
    pub fn bytes(&self) -> Bytes {
        self.0.as_bytes().clone()
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct(AS_IT_IS, 1)?;
        raw.serialize_field(AS_IT_IS, self.get())?;
        raw.end()
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let checked = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(String::from(Box::<str>::from(checked)).into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &'static str) -> serde_json::Result<RawJson> {
        RawJson::parse(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn text_is_kept_as_it_was_sent_and_written_as_it_is() {
        let json = parse(" {\"b\": 1.50,  \"a\": [1e3]}\n").unwrap();
        assert_eq!(json.get(), r#"{"b": 1.50,  "a": [1e3]}"#);
        assert_eq!(serde_json::to_string(&[&json]).unwrap(), format!("[{}]", json.get()));
        assert_eq!(serde_json::to_value(&json).unwrap(), json!({"b": 1.5, "a": [1000.0]}));
        let read: RawJson = serde_json::from_str(json.get()).unwrap();
        assert_eq!(read, json);
    }

    #[test]
    fn nothing_is_copied() {
        let bytes = Bytes::from_owner(b"[1]".to_vec());
        let json = RawJson::parse(bytes.clone()).unwrap();
        assert_eq!(json.bytes().as_ptr(), bytes.as_ptr());
        assert_eq!(json.clone().get().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn a_part_is_shared_with_the_whole() {
        let bytes = Bytes::from_static(b"{\"a\": [1, 2]}");
        let parts: std::collections::HashMap<String, &RawValue> =
            serde_json::from_slice(&bytes).unwrap();
        let part = RawJson::within(&bytes, parts["a"]);
        assert_eq!(part.get(), "[1, 2]");
        assert_eq!(part.get().as_ptr(), bytes[6..].as_ptr());
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for bad in ["", "{", "nul", "1 2", "{\"a\":NaN}", "\u{feff}1", "\u{a0}1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(RawJson::parse(Bytes::from_static(b"\"\xff\"")).is_err());
    }
}
