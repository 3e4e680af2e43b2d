//! Fills a stopped server's store with organizations, each with a quota and a route:
//! `fill_organizations DIR N`.

use anyhow::{Context, Result};
use dispatch_model::api::{Api, ApiSpec};
use dispatch_model::organization::{Organization, OrganizationSpec};
use dispatch_model::{Name, OrgName, Quota, Resource, State, Tags};
use dispatch_store::{Options, Store, Synchronous};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("the data directory is missing")?;
    let count: u32 = arguments.next().context("the number of organizations is missing")?.parse()?;
    let options = Options { synchronous: Synchronous::Normal, ..Options::default() };
    let store = Store::open(&format!("sqlite:{folder}/dispatch.db"), options).await?;
    for i in 0..count {
        let called = format!("fill-{i:06}");
        let (org, name) = (OrgName::new(&called)?, Name::new(&called)?);
        let quota = Quota {
            functions: Some(100),
            runs_per_second: Some(1_000),
            memory_seconds_per_day: Some(1_000_000),
            ..Quota::default()
        };
        let spec = OrganizationSpec { quota, ..OrganizationSpec::default() };
        let made: Resource<Organization> =
            Resource::new(org.clone(), name, Tags::new(), State::Ready, spec);
        store.insert(&made).await?;
        let spec = ApiSpec {
            function: "f".to_owned(),
            methods: Vec::new(),
            uris: vec!["/f".to_owned()],
            hosts: Vec::new(),
            protocols: Vec::new(),
            authentication: "public".to_owned(),
            enabled: true,
            cors: false,
            tls: None,
        };
        let api: Resource<Api> =
            Resource::new(org, Name::new("f")?, Tags::new(), State::Ready, spec);
        store.insert(&api).await?;
    }
    store.close().await;
    Ok(())
}
