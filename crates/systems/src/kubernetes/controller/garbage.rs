//! What is left when its owner is gone goes too.

use super::{Shared, kinds, settled};

pub async fn round(shared: &Shared) {
    for kind in kinds::ALL {
        for object in shared.world.of(*kind) {
            let owners = object["metadata"]["ownerReferences"].as_array();
            let Some(owners) = owners.filter(|owners| !owners.is_empty()) else { continue };
            let uids: Vec<&str> = owners.iter().filter_map(|owner| owner["uid"].as_str()).collect();
            let going = !object["metadata"]["deletionTimestamp"].is_null();
            if going || uids.iter().any(|uid| shared.world.has(uid)) {
                continue;
            }
            // This program's picture may be older than the object: only the server knows.
            if !super::gone(shared, &owners[0], &object).await {
                continue;
            }
            settled(shared.api.delete(*kind, &object, false).await);
        }
    }
}
