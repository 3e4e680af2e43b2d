//! An RPM header as databases keep it: counts, an index of tags, then the data.
//!
//! <https://rpm-software-management.github.io/rpm/manual/format_header.html>; in a database the
//! eight bytes of magic are left out. Numbers are big-endian.

/// Entries and bytes of one header, which are rpm's own limits.
const MAX_ENTRIES: usize = 0xffff;
const MAX_DATA: usize = 256 << 20;
/// Strings of one entry.
const MAX_STRINGS: usize = 100_000;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// The texts and numbers of a header.
pub struct Header {
    entries: Vec<Entry>,
}

struct Entry {
    tag: u32,
    value: Value,
}

enum Value {
    Number(u32),
    Texts(Vec<String>),
}

impl Header {
    pub fn parse(blob: &[u8]) -> Result<Self, String> {
        let entries = number(blob, 0).ok_or("it has no counts")? as usize;
        let data = number(blob, 4).ok_or("it has no counts")? as usize;
        if entries > MAX_ENTRIES || data > MAX_DATA {
            return Err(format!("it says it has {entries} entries and {data} bytes"));
        }
        let start = 8 + entries * 16;
        let data = blob.get(start..start + data).ok_or("it is shorter than it says")?;
        let entry = |i: usize| {
            let at = |part: usize| number(blob, 8 + i * 16 + part * 4);
            let (tag, kind, offset, count) = (at(0)?, at(1)?, at(2)?, at(3)?);
            let value = value(data, kind, offset as usize, count as usize)?;
            Some(Entry { tag, value })
        };
        Ok(Self { entries: (0..entries).filter_map(entry).collect() })
    }

    /// The first text of a tag.
    pub fn text(&self, tag: u32) -> Option<&str> {
        self.texts(tag).next()
    }

    pub fn texts(&self, tag: u32) -> impl Iterator<Item = &str> {
        let texts =
            self.entries.iter().filter(move |e| e.tag == tag).flat_map(|entry| {
                match &entry.value {
                    Value::Texts(texts) => texts.as_slice(),
                    Value::Number(_) => &[],
                }
            });
        texts.map(String::as_str)
    }

    pub fn number(&self, tag: u32) -> Option<u32> {
        self.entries.iter().find_map(|entry| match entry.value {
            Value::Number(number) if entry.tag == tag => Some(number),
            _ => None,
        })
    }
}

/// `None` for kinds nobody asks for and for places outside the data.
fn value(data: &[u8], kind: u32, offset: usize, count: usize) -> Option<Value> {
    let count = match kind {
        INT32 => return number(data, offset).map(Value::Number),
        STRING => 1,
        STRING_ARRAY | I18N_STRING if count <= MAX_STRINGS => count,
        _ => return None,
    };
    let strings = data.get(offset..)?.split(|byte| *byte == 0).take(count);
    Some(Value::Texts(strings.map(|s| String::from_utf8_lossy(s).into_owned()).collect()))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(entries: &[(u32, u32, u32, u32)], data: &[u8]) -> Vec<u8> {
        let mut blob = Vec::new();
        let counts = [entries.len() as u32, data.len() as u32];
        let index = entries.iter().flat_map(|(a, b, c, d)| [*a, *b, *c, *d]);
        for number in counts.into_iter().chain(index) {
            blob.extend(number.to_be_bytes());
        }
        blob.extend(data);
        blob
    }

    #[test]
    fn texts_and_numbers() {
        let entries = [(1000, 6, 0, 1), (1003, 4, 4, 1), (1049, 8, 8, 2), (1, 6, 99, 1)];
        let blob = header(&entries, b"abc\0\0\0\0\x02x\0y\0");
        let parsed = Header::parse(&blob).expect("a header");
        assert_eq!(parsed.text(1000), Some("abc"));
        assert_eq!(parsed.number(1003), Some(2));
        assert_eq!(parsed.texts(1049).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(parsed.text(1), None);
        assert!(Header::parse(&blob[..blob.len() - 1]).is_err());
        assert!(Header::parse(&[0xff; 64]).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_no_reason_to_panic(
            head in prop::array::uniform8(0u8..4),
            blob in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let all: Vec<u8> = head.into_iter().chain(blob.clone()).collect();
            let _ = Header::parse(&all);
            let _ = Header::parse(&blob);
        }
    }
}
