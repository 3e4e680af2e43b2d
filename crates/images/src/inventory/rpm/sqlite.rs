//! The blobs of one table of an SQLite database, read from its bytes.
//!
//! Only what that takes of <https://www.sqlite.org/fileformat2.html>: the schema table, table
//! b-trees with overflow pages, records. Nothing is locked or written, and each page is visited
//! at most once, so that a damaged file cannot lead in circles.

const MAGIC: &[u8] = b"SQLite format 3\0";
/// The file's own header, before that of the first page.
const FILE_HEADER: usize = 100;
const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;
/// Bytes of one row.
const MAX_ROW: u64 = 256 << 20;

/// One column's value; what is neither text nor a blob matters only by being a number.
enum Value<'a> {
    Null,
    Number(i64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// The first blob of every row of a table.
///
/// # Errors
/// Says what is no SQLite or damaged.
pub fn blobs(bytes: &[u8], table: &str) -> Result<Vec<Vec<u8>>, String> {
    let file = Database::open(bytes)?;
    let mut root = None;
    file.rows(1, &mut |row| {
        let columns = columns(row).ok_or("a row of its schema is damaged")?;
        // type, name, tbl_name, rootpage, sql
        if let [Value::Text(b"table"), Value::Text(name), _, Value::Number(page), ..] =
            columns.as_slice()
            && *name == table.as_bytes()
        {
            root = Some(*page);
        }
        Ok(())
    })?;
    let root = root.ok_or_else(|| format!("it has no table {table}"))?;
    let root = u32::try_from(root).map_err(|_| format!("page {root} cannot be"))?;
    let mut blobs = Vec::new();
    file.rows(root, &mut |row| {
        let columns = columns(row).ok_or("a row is damaged")?;
        let blob = columns.into_iter().find_map(|value| match value {
            Value::Blob(blob) => Some(blob.to_vec()),
            _ => None,
        });
        blobs.extend(blob);
        Ok(())
    })?;
    Ok(blobs)
}

struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Bytes of a page that hold content.
    usable: usize,
}

type Visit<'v> = &'v mut dyn FnMut(&[u8]) -> Result<(), String>;

impl<'a> Database<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) || bytes.len() < FILE_HEADER {
            return Err("it is no SQLite database".into());
        }
        let page = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = page.saturating_sub(usize::from(bytes[20]));
        if !page.is_power_of_two() || page < 512 || usable < 480 {
            return Err(format!("pages of {page} bytes cannot be"));
        }
        Ok(Self { bytes, page, usable })
    }

    fn page(&self, number: u32) -> Result<&'a [u8], String> {
        let start = (number as usize).checked_sub(1).and_then(|n| n.checked_mul(self.page));
        let page = start.and_then(|start| self.bytes.get(start..start.checked_add(self.page)?));
        page.ok_or_else(|| format!("page {number} is not in the file"))
    }

    /// Calls `visit` with the record of every row under a page.
    fn rows(&self, root: u32, visit: Visit<'_>) -> Result<(), String> {
        let mut left = self.bytes.len() / self.page;
        let mut open = vec![root];
        while let Some(number) = open.pop() {
            left = left.checked_sub(1).ok_or("its pages lead in circles")?;
            let page = self.page(number)?;
            let start = if number == 1 { FILE_HEADER } else { 0 };
            let damaged = || format!("page {number} is damaged");
            let cells = usize::from(short(page, start + 3).ok_or_else(damaged)?);
            let interior = match page[start] {
                INTERIOR => true,
                LEAF => false,
                _ => return Err(damaged()),
            };
            let pointers = start + if interior { 12 } else { 8 };
            if interior {
                open.push(long(page, start + 8).ok_or_else(damaged)?);
            }
            // The stack gives back the last first: rows come in the order of their keys.
            for cell in (0..cells).rev().filter(|_| interior) {
                let at = usize::from(short(page, pointers + cell * 2).ok_or_else(damaged)?);
                open.push(long(page, at).ok_or_else(damaged)?);
            }
            for cell in (0..cells).filter(|_| !interior) {
                let at = usize::from(short(page, pointers + cell * 2).ok_or_else(damaged)?);
                visit(&self.record(page, at)?)?;
            }
        }
        Ok(())
    }

    /// The whole record of a leaf's cell, its overflow pages included.
    fn record(&self, page: &[u8], at: usize) -> Result<Vec<u8>, String> {
        let damaged = || "a cell is damaged".to_owned();
        let mut at = at;
        let length = varint(page, &mut at).ok_or_else(damaged)?;
        varint(page, &mut at).ok_or_else(damaged)?;
        if length > MAX_ROW || length > self.bytes.len() as u64 {
            return Err(format!("a row of {length} bytes: larger than it can be"));
        }
        let length = length as usize;
        let local = self.local(length);
        let mut record = page.get(at..at + local).ok_or_else(damaged)?.to_vec();
        let mut next = match length - local {
            0 => return Ok(record),
            _ => long(page, at + local).ok_or_else(damaged)?,
        };
        let mut left = self.bytes.len() / self.page;
        while record.len() < length {
            left = left.checked_sub(1).ok_or("its overflow pages lead in circles")?;
            let page = self.page(next)?;
            next = long(page, 0).ok_or_else(damaged)?;
            let part = (self.usable - 4).min(length - record.len());
            record.extend_from_slice(&page[4..4 + part]);
        }
        Ok(record)
    }

    /// Bytes of a record that are on the leaf itself.
    fn local(&self, length: usize) -> usize {
        let most = self.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let rest = least + (length - least) % (self.usable - 4);
        if rest <= most { rest } else { least }
    }
}

/// The values of a record.
fn columns(record: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut at = 0;
    let header = usize::try_from(varint(record, &mut at)?).ok()?;
    let mut body = header;
    let mut columns = Vec::new();
    while at < header {
        let kind = varint(record, &mut at)?;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        let bytes = record.get(body..body.checked_add(size)?)?;
        body += size;
        columns.push(match kind {
            1..=6 => Value::Number(
                bytes
                    .iter()
                    .skip(1)
                    .fold(i64::from(bytes[0] as i8), |number, byte| number << 8 | i64::from(*byte)),
            ),
            8 | 9 => Value::Number(kind as i64 - 8),
            0 | 7 => Value::Null,
            _ if kind % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(bytes),
        });
    }
    Some(columns)
}

/// Seven bits a byte, the highest first; all eight of the ninth.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for i in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if i == 8 {
            return Some(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(value)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
