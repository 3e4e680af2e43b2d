//! Fills a stopped server's store with functions that were never deployed: `fill_store DIR N`.

use anyhow::{Context, Result};
use dispatch_model::function::{Function, FunctionSpec, FunctionStatus};
use dispatch_model::{Name, OrgName, Resource, State, Tags};
use dispatch_store::{Options, Store};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("the data directory is missing")?;
    let count: u32 = arguments.next().context("the number of functions is missing")?.parse()?;
    let store = Store::open(&format!("sqlite:{folder}/dispatch.db"), Options::default()).await?;
    let org = OrgName::new("dispatch")?;
    for i in 0..count {
        let name = Name::new(&format!("fill-{i:06}"))?;
        let tags = Tags::from([("group".to_owned(), (i % 100).to_string())]);
        let spec = FunctionSpec {
            image: "python3".into(),
            handler: "fill.handle".into(),
            ..FunctionSpec::default()
        };
        let mut function: Resource<Function> =
            Resource::new(org.clone(), name, tags, State::Ready, spec);
        function.status = FunctionStatus { engine: Some("process".into()), ..Default::default() };
        store.insert(&function).await?;
    }
    store.close().await;
    Ok(())
}
