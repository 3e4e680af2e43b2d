//! What belongs to one instance: its limits, and its view of WASI, made when it first asks.

use std::sync::Arc;
use std::time::Instant;

use dispatch_model::Logs;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::deployed::Deployed;
use super::egress::Egress;
use super::failure::{MemoryLimit, TimedOut};
use super::output::Output;

/// The data of a store. A guest that never touches WASI costs no more than this.
pub struct Guest {
    deployed: Arc<Deployed>,
    deadline: Instant,
    /// Bytes of all linear memories.
    memory_bytes: usize,
    wasi: Option<Box<Wasi>>,
}

struct Wasi {
    context: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    egress: Egress,
    stdout: Output,
    stderr: Output,
}

/// A store for one call, which yields to the runtime at every tick and traps at the deadline.
pub fn store(deployed: &Arc<Deployed>, deadline: Instant) -> Store<Guest> {
    let guest = Guest { deployed: deployed.clone(), deadline, memory_bytes: 0, wasi: None };
    let mut store = Store::new(&deployed.engine, guest);
    store.limiter(|guest| guest);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        if Instant::now() >= store.data().deadline {
            return Err(TimedOut.into());
        }
        Ok(UpdateDeadline::Yield(1))
    });
    // What a guest hands over in one call, its answer included, is copied; more is refused there.
    store.set_hostcall_fuel(deployed.max_transfer_bytes());
    store
}

impl Guest {
    pub fn max_payload_bytes(&self) -> usize {
        self.deployed.max_payload_bytes
    }

    /// Closes every stream, request and response the guest still holds.
    pub fn drop_resources(&mut self) {
        if let Some(wasi) = &mut self.wasi {
            wasi.table = ResourceTable::new();
        }
    }

    /// What was printed so far.
    pub fn take_logs(&mut self) -> Logs {
        match &self.wasi {
            None => Logs::default(),
            Some(wasi) => Logs { stdout: wasi.stdout.lines(), stderr: wasi.stderr.lines() },
        }
    }

    fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(&self.deployed)))
    }
}

impl Wasi {
    fn new(deployed: &Deployed) -> Self {
        let stdout = Output::new(deployed.max_log_bytes);
        let stderr = Output::new(deployed.max_log_bytes);
        let mut context = WasiCtx::builder();
        context
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .envs(&deployed.environment)
            .allow_tcp(false)
            .allow_udp(false);
        Wasi {
            context: context.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            egress: deployed.egress.clone(),
            stdout,
            stderr,
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let wasi = self.wasi();
        WasiHttpCtxView { hooks: &mut wasi.egress, table: &mut wasi.table, ctx: &mut wasi.http }
    }
}

impl ResourceLimiter for Guest {
    /// Ends the call instead of refusing the memory: a guest that is refused mostly dies of it in
    /// a way that does not say why.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = (self.memory_bytes - current).saturating_add(desired);
        if bytes > self.deployed.memory_bytes {
            return Err(MemoryLimit.into());
        }
        self.memory_bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool bounds every table.
        Ok(true)
    }
}
