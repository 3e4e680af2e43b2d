//! The wasmtime engine, its limits and its clock.

use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::config::WasmConfig;
use super::guest::Guest;

/// How often a running guest yields to the async runtime.
const TICK: Duration = Duration::from_millis(2);
/// Interpreters recurse deeply; this is address space, not memory.
const WASM_STACK_BYTES: usize = 1 << 20;
const FIBER_STACK_BYTES: usize = 2 << 20;
/// Memory of a slot that is cleared by hand instead of being given back to the kernel: for a small
/// guest no call into the kernel is left. (Asking it which pages were touched costs more: 1 µs.)
const KEEP_RESIDENT_BYTES: usize = 64 << 10;
const KEEP_TABLE_BYTES: usize = 16 << 10;
const KEEP_STACK_BYTES: usize = 64 << 10;
/// What a Python or JavaScript component needs.
const MAX_CORE_INSTANCES: u32 = 64;
const MAX_MEMORIES: u32 = 16;
const MAX_TABLES: u32 = 64;
const MAX_TABLE_ELEMENTS: usize = 100_000;
const MAX_INSTANCE_BYTES: usize = 4 << 20;
/// Tables there are in the pool for each memory.
pub const TABLES_PER_MEMORY: u32 = 8;

/// The engine and the thread that ticks it for as long as it lives.
pub fn engine(config: &WasmConfig) -> wasmtime::Result<Engine> {
    let engine = Engine::new(&settings(config))?;
    let weak = engine.weak();
    std::thread::Builder::new().name("wasm-epoch".into()).spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(engine)
}

/// Everything a component may import. One for all, as nothing in it belongs to a function.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

fn settings(limits: &WasmConfig) -> Config {
    let instances = limits.max_instances.max(1);
    let memory = usize::try_from(limits.max_memory_mib << 20).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_MEMORY))
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(MAX_CORE_INSTANCES))
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_core_instance_size(MAX_INSTANCE_BYTES)
        .max_component_instance_size(MAX_INSTANCE_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(memory)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_TABLE_BYTES)
        .async_stack_keep_resident(KEEP_STACK_BYTES);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .wasm_component_model(true)
        .wasm_threads(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    config
}
