//! Whose containers are whose, when several servers use one engine.
//!
//! Each server has a volume in the engine, by whose label its containers are named too, and
//! renews it: makes the next and removes the one before. Where another server sees no renewal for
//! the time of a lease, by its own clock, the owner is dead and its containers go.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dispatch_driver::Result;
use serde_json::json;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::api::{Answer, Api, Listed};

/// Label with the server's instance.
pub const SERVER: &str = "io.dispatch.server";

pub struct Owner {
    pub instance: Uuid,
    /// Number of the volume there is now; `None` for none.
    held: Mutex<Option<u64>>,
}

/// Other servers as they were seen: their volume, and since when it is the same.
pub type Seen = HashMap<String, (String, Instant)>;

impl Owner {
    pub fn new() -> Self {
        Self { instance: Uuid::new_v4(), held: Mutex::new(None) }
    }

    fn name(&self, number: u64) -> String {
        format!("dispatch-server-{}-{number}", self.instance.simple())
    }

    async fn create(&self, api: &Api, number: u64) -> Answer<()> {
        api.create_volume(&self.name(number), json!({ SERVER: self.instance })).await
    }

    /// Before the first container: the lease.
    pub async fn hold(&self, api: &Api) -> Result<()> {
        let mut held = self.held.lock().await;
        if held.is_none() {
            let made = self.create(api, 0).await;
            made.map_err(|failure| failure.error("cannot make the volume of this server"))?;
            *held = Some(0);
        }
        Ok(())
    }

    /// The next volume in place of the one before, where there is one.
    pub async fn renew(&self, api: &Api) -> Answer<()> {
        let mut held = self.held.lock().await;
        let Some(number) = *held else { return Ok(()) };
        self.create(api, number + 1).await?;
        *held = Some(number + 1);
        api.remove_volume(&self.name(number)).await
    }

    /// The end of the lease; there is no container any more.
    pub async fn release(&self, api: &Api) {
        if let Some(number) = self.held.lock().await.take() {
            // Else another server removes it.
            let _ = api.remove_volume(&self.name(number)).await;
        }
    }

    /// This server's containers of a list.
    pub fn owns(&self, listed: &Listed) -> bool {
        listed.labels.get(SERVER) == Some(&self.instance.to_string())
    }

    /// Removes what servers left that renewed nothing for the time of a lease.
    pub async fn sweep(
        &self,
        api: &Api,
        containers: &[Listed],
        seen: &mut Seen,
        lease: Duration,
    ) -> Answer<()> {
        let own = self.instance.to_string();
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for volume in api.volumes(SERVER).await? {
            let labels = volume.labels.unwrap_or_default();
            if let Some(server) = labels.get(SERVER).filter(|server| **server != own) {
                others.entry(server.clone()).or_default().push(volume.name);
            }
        }
        for container in containers {
            if let Some(server) = container.labels.get(SERVER).filter(|server| **server != own) {
                others.entry(server.clone()).or_default();
            }
        }
        seen.retain(|server, _| others.contains_key(server));
        for (server, mut volumes) in others {
            volumes.sort();
            let now = volumes.join(" ");
            let known = seen.entry(server.clone()).or_insert_with(|| (now.clone(), Instant::now()));
            if known.0 != now {
                *known = (now, Instant::now());
            } else if known.1.elapsed() >= lease {
                let left = |listed: &&Listed| listed.labels.get(SERVER) == Some(&server);
                for container in containers.iter().filter(left) {
                    let (container, id) = (&server, &container.id);
                    tracing::info!(server = container, container = id, "removing what it left");
                    api.remove(id).await?;
                }
                for volume in volumes {
                    api.remove_volume(&volume).await?;
                }
            }
        }
        Ok(())
    }
}
