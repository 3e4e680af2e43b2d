//! All objects as the server last told them: a list and a watch for each kind, begun again
//! whenever one ends or is too old.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::super::api::{Api, Kind, Refusal, place};
use super::kinds;

/// Before a list is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

type Key = (Kind, String, String);
type Objects = BTreeMap<Key, Value>;

#[derive(Default)]
pub struct World {
    objects: Mutex<Objects>,
    pub changed: Notify,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().expect("no panic holds it")
    }

    /// All objects of a kind now.
    pub fn of(&self, kind: Kind) -> Vec<Value> {
        let all = self.lock();
        let from = (kind, String::new(), String::new());
        all.range(from..).take_while(|(key, _)| key.0 == kind).map(|(_, o)| o.clone()).collect()
    }

    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.lock().get(&(kind, namespace.to_owned(), name.to_owned())).cloned()
    }

    /// Whether an object of this identity is there, whatever its kind.
    pub fn has(&self, uid: &str) -> bool {
        self.lock().values().any(|object| object["metadata"]["uid"] == *uid)
    }

    /// Follows all kinds until it is dropped.
    pub fn follow(self: &Arc<Self>, api: &Api) {
        for kind in kinds::ALL {
            let (world, api) = (Arc::clone(self), api.clone());
            tokio::spawn(async move {
                loop {
                    // A watch that ends is begun again; so is one that was never had.
                    let _ = world.follow_one(*kind, &api).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
    }

    async fn follow_one(&self, kind: Kind, api: &Api) -> Result<(), Refusal> {
        let list = api.list(kind).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        {
            let mut all = self.lock();
            all.retain(|key, _| key.0 != kind);
            for item in list["items"].as_array().into_iter().flatten() {
                all.insert(key(kind, item), item.clone());
            }
        }
        self.changed.notify_one();
        let mut watch = api.watch(kind, version).await?;
        let mut kept = Vec::new();
        while let Ok(Some(part)) = watch.chunk().await {
            kept.extend_from_slice(&part);
            while let Some(end) = kept.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = kept.drain(..=end).collect();
                let Ok(event) = serde_json::from_slice::<Event>(&line) else { return Ok(()) };
                let key = key(kind, &event.object);
                match event.kind.as_str() {
                    "ADDED" | "MODIFIED" => drop(self.lock().insert(key, event.object)),
                    "DELETED" => drop(self.lock().remove(&key)),
                    _ => return Ok(()),
                }
                self.changed.notify_one();
            }
        }
        Ok(())
    }
}

fn key(kind: Kind, object: &Value) -> Key {
    let (namespace, name) = place(object);
    (kind, namespace.to_owned(), name.to_owned())
}
