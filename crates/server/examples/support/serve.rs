//! A function that is deployed, as the controller leaves it.

use dispatch_model::function::{Deployed, Function, Serving};
use dispatch_model::function_version::{FunctionVersion, FunctionVersionSpec, version_name};
use dispatch_model::{Resource, State, Tags};
use dispatch_store::Store;
use uuid::Uuid;

/// Has the function's first version take calls on an engine.
pub async fn serve(
    store: &Store,
    engine: &str,
    function: &mut Resource<Function>,
) -> anyhow::Result<()> {
    let faas_id = Uuid::now_v7();
    let version = FunctionVersionSpec {
        function: function.meta.name.to_string(),
        number: 1,
        faas_id,
        language: engine.to_owned(),
        spec: function.spec.clone(),
        ..FunctionVersionSpec::default()
    };
    let (org, name) = (function.meta.org.clone(), version_name(&function.meta.name, 1));
    let version = Resource::<FunctionVersion>::new(org, name, Tags::new(), State::Ready, version);
    store.insert(&version).await?;
    let engines = vec![engine.to_owned()];
    function.status.deployments =
        vec![Deployed { version: 1, faas_id, engines, making: Vec::new() }];
    function.status.latest = 1;
    function.status.serving = Some(Serving { version: 1, ..Serving::default() });
    function.status.faas_id = Some(faas_id);
    store.update(function).await?;
    Ok(())
}
