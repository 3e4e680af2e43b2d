//! Quotas of what is stored, held in the transaction that stores it: of two who want the last room
//! at once, one gets it.

use std::collections::HashMap;

use dispatch_model::organization::OrganizationSpec;
use dispatch_model::quota::{Exceeded, Frees, Limit, Quota};
use dispatch_model::{ResourceKind, State};
use serde::Deserialize;
use sqlx::{PgConnection, SqliteConnection};

use crate::{Error, Result};

/// The state and the spec of an organization's row.
pub(crate) type Held = Option<(String, String)>;

/// The quota of an organization in which something is about to be stored.
///
/// # Errors
/// [`Error::Missing`] when it is not there, or on its way out.
pub(crate) fn of(held: Held) -> Result<Quota> {
    let (state, spec) = held.ok_or(Error::Missing)?;
    if state == State::Deleting.as_str() {
        return Err(Error::Missing);
    }
    Ok(serde_json::from_str::<OrganizationSpec>(&spec)?.quota)
}

/// A limit, its value, and what is used.
pub(crate) type Used = Vec<(Limit, u64, u64)>;

/// The limits that something of a kind counts towards.
pub(crate) fn limits(quota: &Quota, kind: ResourceKind) -> Vec<(Limit, u64)> {
    let (functions, routes, storage) = (
        quota.functions,
        quota.routes,
        quota.storage_bytes.map(|most| (Limit::StorageBytes, most)),
    );
    let first = match kind {
        ResourceKind::Function => functions.map(|most| (Limit::Functions, most)),
        ResourceKind::Api => routes.map(|most| (Limit::Routes, most)),
        ResourceKind::Secret | ResourceKind::Image | ResourceKind::BaseImage => None,
        _ => return Vec::new(),
    };
    let storage = storage.filter(|_| kind != ResourceKind::Api);
    first.into_iter().chain(storage).collect()
}

/// What is used of limits.
pub(crate) async fn used<C: Count>(
    connection: &mut C,
    limits: &[(Limit, u64)],
    org: &str,
) -> Result<Used> {
    let mut all = Used::new();
    for (limit, most) in limits {
        all.push((*limit, *most, connection.count(*limit, org).await?));
    }
    Ok(all)
}

/// Whether a change kept to the limits. One that makes nothing more is always admitted; what is
/// `new` is not once all is used, as it may grow later (an image is built first).
pub(crate) fn check(before: &Used, after: &Used, new: bool) -> Result<()> {
    for (&(limit, most, used), (_, _, now)) in before.iter().zip(after) {
        let full = new && limit == Limit::StorageBytes && used >= most;
        if full || (*now > most && *now > used) {
            return Err(Error::Quota(Exceeded { limit, most, used, frees: Frees::Deleting }));
        }
    }
    Ok(())
}

/// How a connection counts what is used, inside a transaction.
pub(crate) trait Count {
    async fn count(&mut self, limit: Limit, org: &str) -> Result<u64>;
}

macro_rules! counts {
    ($connection:ty) => {
        impl Count for $connection {
            async fn count(&mut self, limit: Limit, org: &str) -> Result<u64> {
                let count = match limit {
                    Limit::Functions => {
                        let (count,): (i64,) = sqlx::query_as(
                            "SELECT COUNT(*) FROM resource WHERE kind = 'Function' AND org = $1",
                        )
                        .bind(org)
                        .fetch_one(&mut *self)
                        .await?;
                        count
                    }
                    Limit::Routes => {
                        let apis: Vec<(String,)> = sqlx::query_as(
                            "SELECT spec FROM resource WHERE kind = 'API' AND org = $1",
                        )
                        .bind(org)
                        .fetch_all(&mut *self)
                        .await?;
                        return apis.iter().map(|(spec,)| routes(spec)).sum();
                    }
                    Limit::StorageBytes => {
                        let (stored,): (i64,) =
                            sqlx::query_as(STORED).bind(org).fetch_one(&mut *self).await?;
                        let images: Vec<(String, String)> =
                            sqlx::query_as(IMAGES).bind(org).fetch_all(&mut *self).await?;
                        return Ok(unsigned(stored) + images_bytes(images)[org]);
                    }
                    Limit::ConcurrentRuns | Limit::RunsPerSecond | Limit::MemorySecondsPerDay => 0,
                };
                Ok(unsigned(count))
            }
        }
    };
}
counts!(SqliteConnection);
counts!(PgConnection);

/// Sources and secrets of an organization, with the versions of secrets that are kept.
const STORED: &str = "SELECT CAST(COALESCE((SELECT SUM(LENGTH(b.bytes)) FROM \
    (SELECT DISTINCT value FROM resource_label WHERE label = 'blob' AND org = $1) l \
    JOIN blob b ON b.digest = l.value), 0) + COALESCE((SELECT SUM(LENGTH(spec)) FROM resource \
    WHERE kind = 'Secret' AND org = $1), 0) + COALESCE((SELECT SUM(LENGTH(v.spec)) \
    FROM resource r JOIN secret_version v ON v.secret = r.id \
    WHERE r.kind = 'Secret' AND r.org = $1), 0) AS BIGINT)";
/// What images of an organization are made of, with its name.
const IMAGES: &str = "SELECT DISTINCT l.org, c.body FROM resource_label l \
    JOIN content c ON c.digest = l.value \
    WHERE l.label IN ('field:digest', 'field:image_digest') AND l.org = $1";

/// The part of a content's body that is counted.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
    size: u64,
}

/// Bytes of images by organization; a layer that several have counts once for each organization.
pub(crate) struct ImagesBytes(HashMap<String, u64>);

impl std::ops::Index<&str> for ImagesBytes {
    type Output = u64;

    fn index(&self, org: &str) -> &u64 {
        self.0.get(org).unwrap_or(&0)
    }
}

impl ImagesBytes {
    pub fn into_rows(self) -> impl Iterator<Item = (String, u64)> {
        self.0.into_iter()
    }
}

pub(crate) fn images_bytes(rows: Vec<(String, String)>) -> ImagesBytes {
    let mut layers: HashMap<String, HashMap<String, u64>> = HashMap::new();
    for (org, body) in rows {
        // What cannot be read is not the fault of whoever stores something now.
        let Ok(body) = serde_json::from_str::<Body>(&body) else { continue };
        let of = layers.entry(org).or_default();
        of.extend(body.layers.into_iter().map(|layer| (layer.digest, layer.size)));
    }
    ImagesBytes(layers.into_iter().map(|(org, of)| (org, of.values().sum())).collect())
}

/// How many routes an API's spec asks for.
fn routes(spec: &str) -> Result<u64> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Api {
        uris: Vec<serde::de::IgnoredAny>,
        hosts: Vec<serde::de::IgnoredAny>,
    }
    let api: Api = serde_json::from_str(spec)?;
    Ok((api.uris.len().max(1) * api.hosts.len().max(1)) as u64)
}

pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_nothing_more_is_admitted_beyond_a_lowered_limit() {
        let used = |used| vec![(Limit::Functions, 3, used)];
        assert!(check(&used(3), &used(3), false).is_ok());
        assert!(check(&used(5), &used(5), false).is_ok());
        assert!(check(&used(2), &used(3), true).is_ok());
        let refused = check(&used(3), &used(4), true);
        assert!(matches!(refused, Err(Error::Quota(Exceeded { used: 3, most: 3, .. }))));
    }

    #[test]
    fn nothing_new_is_stored_where_all_room_is_used() {
        let used = vec![(Limit::StorageBytes, 10, 10)];
        assert!(matches!(check(&used, &used, true), Err(Error::Quota(_))));
        assert!(check(&used, &used, false).is_ok());
    }

    #[test]
    fn routes_are_uris_at_hosts() {
        assert_eq!(routes(r#"{"uris": ["/a", "/b"], "hosts": ["x", "y", "z"]}"#).unwrap(), 6);
        assert_eq!(routes("{}").unwrap(), 1);
    }

    #[test]
    fn a_layer_counts_once_for_each_organization() {
        let body = |digest: &str| {
            format!(
                r#"{{"layers": [{{"digest": "base", "size": 10}}, {{"digest": "{digest}",
                "size": 1}}], "kind": "image"}}"#
            )
        };
        let rows = [("a", "x"), ("a", "y"), ("b", "x")];
        let rows = rows.map(|(org, digest)| (org.to_owned(), body(digest))).to_vec();
        let bytes = images_bytes(rows);
        assert_eq!((bytes["a"], bytes["b"], bytes["c"]), (12, 11, 0));
    }
}
