//! RPM's `ndb` format: `Packages.db`, as SUSE and its relatives use it.
//!
//! Little-endian. Pages of 4,096 bytes with slots of 16 come first (the first two places of the
//! first page are the file's header), then blobs at multiples of 16 bytes
//! (rpm's `lib/backend/ndb/rpmpkg.c`).

const HEADER: u32 = u32::from_le_bytes(*b"RpmP");
const SLOT: u32 = u32::from_le_bytes(*b"Slot");
const BLOB: u32 = u32::from_le_bytes(*b"BlbS");
const PAGE: usize = 4096;
const UNIT: usize = 16;
const BLOB_HEADER: usize = 16;
/// Pages of slots: more than a million packages.
const MAX_SLOT_PAGES: usize = 4096;

/// The header of every package.
///
/// # Errors
/// Says what is no such database or damaged.
pub fn blobs(bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if number(bytes, 0) != Some(HEADER) {
        return Err("it is no ndb database".into());
    }
    let pages = number(bytes, 12).ok_or("it is cut off")? as usize;
    if pages > MAX_SLOT_PAGES {
        return Err(format!("{pages} pages of slots cannot be"));
    }
    let mut blobs = Vec::new();
    for at in (2 * UNIT..pages * PAGE).step_by(UNIT) {
        let slot = |part: usize| number(bytes, at + part * 4);
        if slot(0) != Some(SLOT) {
            return Err("a slot is damaged".into());
        }
        let (index, offset) = (slot(1), slot(2).unwrap_or_default() as usize);
        if offset != 0 {
            let blob = blob(bytes, index, offset * UNIT);
            blobs.push(blob.ok_or_else(|| format!("the blob at {offset} is damaged"))?);
        }
    }
    Ok(blobs)
}

fn blob(bytes: &[u8], index: Option<u32>, at: usize) -> Option<Vec<u8>> {
    let head = |part: usize| number(bytes, at + part * 4);
    if head(0)? != BLOB || head(1) != index {
        return None;
    }
    let start = at + BLOB_HEADER;
    bytes.get(start..start + head(3)? as usize).map(<[u8]>::to_vec)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
