//! What other servers on the same database do to functions that were called here.

use std::collections::HashSet;

use dispatch_model::function::FunctionSpec;
use uuid::Uuid;

use crate::invoke::testing::{TestEngine, World, eventually, request};

/// Waits until the engine holds just this.
async fn holds(world: &World, deployments: &[Uuid]) {
    let wanted: HashSet<Uuid> = deployments.iter().copied().collect();
    eventually(async || (*world.engine.ensured.lock().unwrap() == wanted).then_some(())).await;
}

#[tokio::test]
async fn deployments_they_replace_or_delete_go_here_too() {
    let world = World::new(TestEngine::echo()).await;
    let mut function = world.function("f", FunctionSpec::default()).await;
    world.invoker.run(request("f", "1")).await.unwrap();
    holds(&world, &[function.status.faas_id.unwrap()]).await;

    world.serve(&mut function).await;
    let new = function.status.faas_id;
    // The change is heard of a moment later.
    eventually(async || {
        let run = world.invoker.run(request("f", "2")).await.unwrap();
        (run.faas_id == new).then_some(())
    })
    .await;
    holds(&world, &[new.unwrap()]).await;

    world.store.remove(&function).await.unwrap();
    holds(&world, &[]).await;
}
