//! What organizations use of this server: kept in memory while they run something, and told to the
//! store every few seconds, where that of all servers is added up. A server that is killed takes
//! what it has not told with it; one that is stopped tells all.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dispatch_model::organization::Organization;
use dispatch_model::{Name, OrgName, State};
use dispatch_store::Store;
use dispatch_store::usage::{DAY, UsageDelta};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::invoker::Invoker;
use super::meter::{Meter, hour_now};
use super::placing::now_ns;
use super::tenant::Tenant;
use crate::app::Result;

/// Rows of one transaction: runs that wait to be written do not wait long for it.
const BATCH: usize = 256;

/// The `[usage]` part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSettings {
    /// How often what was used is stored, in milliseconds.
    pub flush_interval_ms: u64,
    /// How often it is looked at what organizations store, in seconds.
    pub storage_interval_s: u64,
    /// Age at which usage is forgotten, in days. 0 keeps it.
    pub max_age_days: u32,
}

/// The organizations and functions that are in use. Nothing on the way of a call looks here: a
/// function that is loaded has its own.
#[derive(Default)]
pub struct Usage {
    tenants: DashMap<OrgName, Arc<Tenant>>,
    meters: DashMap<(OrgName, Name), Arc<Meter>>,
    /// Those that were closed while something of them was under way.
    closed: DashMap<OrgName, Vec<Arc<Tenant>>>,
}

impl Usage {
    /// Where a function's runs are counted.
    pub fn meter(&self, org: &OrgName, function: &Name) -> Arc<Meter> {
        let key = (org.clone(), function.clone());
        let new = || Arc::new(Meter::new(self.tenant(org), function.clone()));
        self.meters.entry(key).or_insert_with(new).clone()
    }

    fn tenant(&self, org: &OrgName) -> Arc<Tenant> {
        let new = || Arc::new(Tenant::new(org.clone()));
        self.tenants.entry(org.clone()).or_insert_with(new).clone()
    }

    /// Makes an organization's limits those that are stored. False when it is being deleted, or is
    /// another one now.
    pub async fn prepare(&self, store: &Store, tenant: &Tenant) -> Result<bool> {
        let org = &tenant.org;
        let found = store.by_name::<Organization>(org, &Name::trusted(org.as_str())).await?;
        let Some(found) = found else { return Ok(true) };
        if !tenant.is(found.meta.id) {
            self.close(org);
            return Ok(false);
        }
        if found.meta.state == State::Deleting {
            return Ok(false);
        }
        tenant.limit(&found.spec.quota);
        let day = hour_now().div_euclid(DAY);
        if tenant.lacks_memory(day) {
            let used = store.usage_memory(&[org.as_str()], day * DAY).await?;
            tenant.know_memory(day, used.get(org.as_str()).copied().unwrap_or(0));
        }
        Ok(true)
    }

    /// Takes in that an organization was changed or deleted, here or by another server.
    pub async fn follow(&self, store: &Store, org: &OrgName) -> Result<()> {
        let found = store.by_name::<Organization>(org, &Name::trusted(org.as_str())).await?;
        let Some(tenant) = self.tenants.get(org).map(|tenant| tenant.clone()) else {
            return Ok(());
        };
        match found.filter(|found| found.meta.state != State::Deleting) {
            Some(found) if tenant.is(found.meta.id) => tenant.limit(&found.spec.quota),
            _ => self.close(org),
        }
        Ok(())
    }

    /// Lets no run of an organization begin any more, and forgets what it used.
    pub fn close(&self, org: &OrgName) {
        if let Some((_, tenant)) = self.tenants.remove(org) {
            tenant.close();
            self.closed.entry(org.clone()).or_default().push(tenant);
        }
        self.meters.retain(|(of, _), _| of != org);
        self.closed.retain(|_, all| {
            all.retain(|tenant| tenant.in_flight() > 0);
            !all.is_empty()
        });
    }

    pub fn under_way(&self, org: &OrgName) -> u64 {
        let open = self.tenants.get(org).map_or(0, |tenant| tenant.in_flight());
        let closed = self.closed.get(org);
        open + closed.map_or(0, |all| all.iter().map(|tenant| tenant.in_flight()).sum())
    }

    /// Stores what was used, and reads what all servers have used of what is limited by the day.
    pub async fn tell(&self, store: &Store) -> Result<()> {
        let hour = hour_now();
        let told = self.tell_meters(store, hour).await;
        self.read_memory(store, hour.div_euclid(DAY)).await?;
        // What nobody runs any more leaves the memory.
        self.meters.retain(|_, meter| Arc::strong_count(meter) > 1 || !meter.is_idle());
        let now = now_ns();
        self.tenants.retain(|_, tenant| Arc::strong_count(tenant) > 1 || !tenant.is_rested(now));
        told
    }

    async fn tell_meters(&self, store: &Store, hour: i64) -> Result<()> {
        let meters: Vec<Arc<Meter>> = self.meters.iter().map(|meter| meter.clone()).collect();
        for some in meters.chunks(BATCH) {
            let taken = some.iter().flat_map(|meter| meter.take(hour).map(move |d| (meter, d)));
            let (from, deltas): (Vec<_>, Vec<_>) = taken.unzip();
            if let Err(error) = store.usage_add(&deltas).await {
                from.iter().zip(&deltas).for_each(|(meter, delta)| meter.put_back(delta));
                return Err(error.into());
            }
            let told = from.iter().zip(&deltas);
            told.for_each(|(meter, delta)| meter.tenant.tell_memory(delta.memory_mib_ms));
        }
        let peak = |tenant: &Arc<Tenant>| {
            let (org, concurrency) = (tenant.org.to_string(), tenant.take_peak());
            UsageDelta { org, hour, concurrency, ..UsageDelta::default() }
        };
        let peaks: Vec<_> = self.tenants.iter().map(|tenant| peak(&tenant)).collect();
        let peaks: Vec<_> = peaks.into_iter().filter(|peak| peak.concurrency > 0).collect();
        for some in peaks.chunks(BATCH) {
            store.usage_add(some).await?;
        }
        Ok(())
    }

    async fn read_memory(&self, store: &Store, day: i64) -> Result<()> {
        let limited: Vec<Arc<Tenant>> =
            self.tenants.iter().filter(|t| t.limits_memory()).map(|t| t.clone()).collect();
        let names: Vec<&str> = limited.iter().map(|tenant| tenant.org.as_str()).collect();
        let used = store.usage_memory(&names, day * DAY).await?;
        for tenant in &limited {
            tenant.know_memory(day, used.get(tenant.org.as_str()).copied().unwrap_or(0));
        }
        Ok(())
    }
}

impl Invoker {
    /// Stores what was used until now.
    pub async fn tell_usage(&self) {
        if let Err(error) = self.loader.usage.tell(&self.store).await {
            self.metrics.usage_failures.inc();
            tracing::warn!(%error, "usage cannot be stored; it is tried again");
        }
    }

    /// Stores what organizations store, and forgets what is old.
    async fn tell_storage(&self, max_age_days: u32) -> Result<()> {
        let hour = hour_now();
        let stored = self.store.usage_storage().await?.into_iter();
        let deltas: Vec<_> = stored
            .map(|(org, storage_bytes)| UsageDelta {
                org,
                hour,
                storage_bytes,
                ..UsageDelta::default()
            })
            .collect();
        for some in deltas.chunks(BATCH) {
            self.store.usage_add(some).await?;
        }
        if max_age_days > 0 {
            self.store.usage_trim(hour - i64::from(max_age_days) * DAY).await?;
        }
        Ok(())
    }
}

/// Tells what is used until the server stops, which tells the rest itself.
pub async fn keep(invoker: Arc<Invoker>, settings: UsageSettings, stop: CancellationToken) {
    let mut flush =
        tokio::time::interval(Duration::from_millis(settings.flush_interval_ms.max(100)));
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut storage =
        tokio::time::interval(Duration::from_secs(settings.storage_interval_s.max(1)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = flush.tick() => invoker.tell_usage().await,
            _ = storage.tick() => {
                if let Err(error) = invoker.tell_storage(settings.max_age_days).await {
                    tracing::warn!(%error, "what organizations store cannot be counted");
                }
            }
        }
    }
}
