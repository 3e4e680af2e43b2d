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

#[cfg(test)]
mod tests {
    use super::*;

    /// One page of slots, and blobs behind it at multiples of 16 bytes.
    fn database(blobs: &[&[u8]]) -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let (mut slots, mut rest) = (Vec::new(), Vec::new());
        for (at, blob) in (1..).zip(blobs) {
            let offset = ((PAGE + rest.len()) / UNIT) as u32;
            let start = rest.len();
            rest.extend(words(&[BLOB, at, 7, blob.len() as u32]));
            rest.extend(*blob);
            rest.extend(words(&[0, blob.len() as u32, u32::from_le_bytes(*b"BlbE")]));
            rest.resize(rest.len().next_multiple_of(UNIT), 0);
            slots.extend(words(&[SLOT, at, offset, ((rest.len() - start) / UNIT) as u32]));
        }
        let mut file = words(&[HEADER, 0, 7, 1, 100, 0, 0, 0]);
        file.extend(slots);
        while file.len() < PAGE {
            file.extend(words(&[SLOT, 0, 0, 0]));
        }
        file.extend(rest);
        file
    }

    #[test]
    fn blobs_of_used_slots() {
        let file = database(&[b"first", &[7; 100]]);
        assert_eq!(blobs(&file), Ok(vec![b"first".to_vec(), vec![7; 100]]));
        assert_eq!(blobs(&database(&[])), Ok(Vec::new()));
        assert!(blobs(b"RpmP").is_err() && blobs(b"other").is_err());
        for cut in [20, 2 * UNIT + 4, PAGE + 8, file.len() - 40] {
            assert!(blobs(&file[..cut]).is_err(), "{cut}");
        }
        let mut many = file.clone();
        many[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(blobs(&many).is_err());
    }
}
