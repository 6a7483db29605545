//! The wasmtime engine and what bounds every instance in it.
//!
//! Each call into a component gets a fresh instance that is dropped after it. What it may use is
//! fixed here: memory (a limiter over all its linear memories and tables), processor time without
//! progress (epochs), wall-clock time (a deadline around the call), and of the outside world
//! nothing but the contract's streams, clocks, randomness, and `wasi:http` through
//! [egress](crate::egress). No file system, no sockets, no environment, no arguments.
//!
//! ```no_run
//! use reverse_sync::{EngineConfig, Workspace};
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! // Compiled plugins are native code: the folder has to be the user's own.
//! let engine =
//!     EngineConfig { cache_dir: Some("/var/cache/app".into()), ..EngineConfig::default() };
//! let workspace = Workspace::builder("state").plugin_file("plugin.wasm").engine(engine).open().await?;
//! # Ok(())
//! # }
//! ```

mod calls;
mod error;
mod limits;
mod request_line;

pub use error::{EngineError, Trapped};
pub(crate) use limits::PeakMemory;

use crate::{
    aot,
    bindings::ReverseSync,
    contract::{capabilities::Phase, types as wit},
    digest::Digest,
    egress::{Budget, Egress},
};
use error::shortened;
use limits::{Limits, MAX_CORE_INSTANCES, MAX_TABLE};
use std::{
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline,
    component::{Component as WasmComponent, HasSelf, Linker, ResourceTable, Val},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What a component exports.
const DESTINATION: &str = "reverse-sync:destination/destination@0.1.0";

/// How often the epoch advances: the grain of fairness between instances on one thread.
const TICK: Duration = Duration::from_millis(10);

/// Handles that a component may have open at once: requests, answers, streams, and whatever else
/// costs the host memory and the component none. The bundled component has some five for each
/// request.
const MAX_HANDLES: usize = 1_024;
/// Bytes that one call into the host may bring: a batch of the longest records. Strings of a list
/// may all be the same bytes of the guest's memory, so that bounds nothing.
const MAX_CALL: usize = 32 << 20;
/// Bytes of the headers of one request.
const MAX_HEADERS: usize = 16 << 10;
/// Random bytes of one call: a seed, an id. Drawing many takes time of the host that no epoch ends.
const MAX_RANDOM: u64 = 64 << 10;

/// Where instances live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// In slots that are reserved when the engine starts: an instance costs microseconds, and the
    /// engine some address space for each.
    #[default]
    Pooled,
    /// Each where the system has room for it, for hosts whose address space is limited. Its bounds
    /// are the same.
    OnDemand,
}

/// Bounds of every instance of an engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where instances live. Pooled by default.
    pub allocation: Allocation,
    /// Instances alive at the same time. Slots are address space, not memory. 64 by default.
    pub max_instances: u32,
    /// Bytes that all memories and tables of one instance may have together. 64 MiB by default; the
    /// bundled component stays under 8, with jobs and their uploads under 36.
    pub max_memory: usize,
    /// Requests that one instance may have in flight at once; one counts until its answer was read
    /// and dropped, and those beyond wait. 32 by default, the most that the bundled component is
    /// ever told to have (`in_flight`). With the sizes in
    /// [`TransportLimits`](crate::egress::transport::TransportLimits) it bounds what a call takes
    /// of the host's own memory.
    pub max_requests: u32,
    /// Processor time an instance may burn without taking in or giving back a record. 10 s by
    /// default.
    pub max_idle_spin: Duration,
    /// Wall-clock time of one call. 24 h by default: at 190 calls of 100 records per 10 s that is
    /// 164 million records.
    pub deadline: Duration,
    /// Folder of artefacts compiled ahead of time; `None` compiles on every load. It holds native
    /// code, so it must belong to the user alone.
    pub cache_dir: Option<PathBuf>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            allocation: Allocation::Pooled,
            max_instances: 64,
            max_memory: 64 << 20,
            max_requests: 32,
            max_idle_spin: Duration::from_secs(10),
            deadline: Duration::from_secs(24 * 3600),
            cache_dir: None,
        }
    }
}

/// Loads components and runs their instances. Make one per process.
pub struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
    pub(crate) config: EngineConfig,
    alive: Arc<AtomicU64>,
}

impl Engine {
    /// Starts an engine, and the thread that advances its epoch.
    ///
    /// # Errors
    /// If wasmtime refuses the configuration on this machine.
    pub fn new(config: EngineConfig) -> Result<Arc<Engine>, EngineError> {
        let mut wasm = Config::new();
        wasm.epoch_interruption(true);
        // Only WASI 0.2 is used: without the machinery of 0.3 a call into the guest costs a third.
        wasm.concurrency_support(false);
        wasm.memory_init_cow(true);
        match config.allocation {
            Allocation::Pooled => wasm.allocation_strategy(pool(&config)),
            Allocation::OnDemand => wasm.allocation_strategy(InstanceAllocationStrategy::OnDemand),
        };
        let wasmtime = wasmtime::Engine::new(&wasm).map_err(EngineError::Start)?;
        let mut linker = Linker::new(&wasmtime);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(EngineError::Start)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)
            .map_err(EngineError::Start)?;
        request_line::bound(&mut linker).map_err(EngineError::Start)?;
        ReverseSync::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)
            .map_err(EngineError::Start)?;
        let engine = Arc::new(Engine { wasmtime, linker, config, alive: Arc::default() });
        let ticking = Arc::downgrade(&engine);
        std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || tick(&ticking))
            .map_err(|error| EngineError::Start(error.into()))?;
        Ok(engine)
    }

    /// Loads a component from its bytes, compiled or from the cache.
    ///
    /// # Errors
    /// If it is not a component of the contract.
    pub(crate) fn load(self: &Arc<Engine>, bytes: &[u8]) -> Result<Loaded, EngineError> {
        let digest = Digest::of(bytes);
        let component = match &self.config.cache_dir {
            Some(dir) => {
                aot::load(&self.wasmtime, dir, digest, bytes).map_err(EngineError::Contract)?
            }
            None => WasmComponent::new(&self.wasmtime, bytes).map_err(EngineError::Contract)?,
        };
        let instance_pre =
            self.linker.instantiate_pre(&component).map_err(EngineError::Contract)?;
        let pre =
            crate::bindings::ReverseSyncPre::new(instance_pre).map_err(EngineError::Contract)?;
        Ok(Loaded { engine: Arc::clone(self), pre, digest, deadline: self.config.deadline })
    }

    /// Instances that are alive now.
    pub fn instances(&self) -> u64 {
        self.alive.load(Relaxed)
    }
}

fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(config.max_instances)
        .total_core_instances(config.max_instances * 4)
        .total_memories(config.max_instances)
        .total_tables(config.max_instances * 4)
        .total_stacks(config.max_instances)
        .max_memories_per_component(1)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(MAX_TABLE)
        .max_memory_size(config.max_memory);
    pool
}

fn tick(engine: &Weak<Engine>) {
    loop {
        std::thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.wasmtime.increment_epoch(),
            None => return,
        }
    }
}

/// A component that is ready to be instantiated. Clones share what was compiled.
#[derive(Clone)]
pub(crate) struct Loaded {
    engine: Arc<Engine>,
    pre: crate::bindings::ReverseSyncPre<Guest>,
    digest: Digest,
    deadline: Duration,
}

impl Loaded {
    /// SHA-256 of the component's file.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Wall-clock time of one call.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn with_deadline(&self, deadline: Duration) -> Loaded {
        Loaded { deadline: deadline.min(self.engine.config.deadline), ..self.clone() }
    }

    /// The requests that one instance may have in flight.
    pub(crate) fn budget(&self) -> Budget {
        Budget(self.engine.config.max_requests)
    }

    /// Calls `describe` in an instance in which every import is a trap.
    pub(crate) async fn describe_alone(&self) -> Result<(), EngineError> {
        let component = self.pre.instance_pre().component();
        let mut linker = Linker::new(&self.engine.wasmtime);
        linker.define_unknown_imports_as_traps(component)?;
        let pre = linker.instantiate_pre(component)?;
        let mut store = self.store(Egress::closed(Phase::Plan))?;
        let instance = pre.instantiate_async(&mut store).await?;
        let export = instance.get_export_index(&mut store, None, DESTINATION);
        let describe = export
            .and_then(|export| instance.get_export_index(&mut store, Some(&export), "describe"))
            .and_then(|describe| instance.get_func(&mut store, describe))
            .ok_or_else(|| wasmtime::format_err!("it exports no `describe`"))?;
        within(self.deadline, store, async |store| {
            describe.call_async(store, &[], &mut [Val::Bool(false)]).await
        })
        .await
    }

    /// A fresh instance with its own store.
    pub(crate) async fn instantiate(
        &self,
        egress: Egress,
    ) -> Result<(Store<Guest>, ReverseSync), EngineError> {
        let mut store = self.store(egress)?;
        let instance = self.pre.instantiate_async(&mut store).await?;
        Ok((store, instance))
    }

    /// The store of an instance, with its bounds.
    fn store(&self, egress: Egress) -> Result<Store<Guest>, EngineError> {
        // A pool has so many slots; without one somebody has to count.
        let guest = Guest::new(egress, &self.engine);
        if self.engine.config.allocation == Allocation::OnDemand
            && self.engine.instances() > u64::from(self.engine.config.max_instances)
        {
            return Err(wasmtime::format_err!(
                "there are {} instances already",
                self.engine.config.max_instances
            )
            .into());
        }
        let mut store = Store::new(&self.engine.wasmtime, guest);
        store.limiter(|guest| &mut guest.limits);
        store.set_hostcall_fuel(MAX_CALL);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let guest = store.data_mut();
            guest.spun += 1;
            if guest.spun > guest.max_spin {
                wasmtime::bail!(
                    "it used {:?} of processor time without taking in or giving back a record",
                    TICK * guest.max_spin
                );
            }
            Ok(UpdateDeadline::Yield(1))
        });
        Ok(store)
    }
}

/// Runs a call under a wall-clock deadline. `store` is looked at once the call is over.
pub(crate) async fn within<T>(
    deadline: Duration,
    mut store: Store<Guest>,
    call: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(deadline, call(&mut store)).await {
        Ok(result) => {
            let stderr = store.data().stderr();
            if !stderr.is_empty() {
                tracing::warn!(stderr, "the plugin wrote to standard error");
            }
            result.map_err(|error| EngineError::Trap(Trapped::new(&error, &stderr)))
        }
        Err(_) => Err(EngineError::Deadline(deadline)),
    }
}

/// Runs a call that may end with an error in the component's words.
pub(crate) async fn called(
    deadline: Duration,
    store: Store<Guest>,
    call: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<Result<(), wit::Error>>,
) -> Result<Result<(), wit::Error>, EngineError> {
    Ok(within(deadline, store, call).await?.map_err(shortened))
}

/// What one instance's store holds.
pub(crate) struct Guest {
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    egress: Egress,
    limits: Limits,
    /// Epochs that passed in guest code since the last record went in or out.
    spun: u32,
    max_spin: u32,
    /// When the component last asked whether to stop, and `spun` then.
    asked: Option<(Instant, u32)>,
    stderr: MemoryOutputPipe,
    _alive: Alive,
}

/// Counts an instance as long as it lives.
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn new(count: &Arc<AtomicU64>) -> Alive {
        count.fetch_add(1, Relaxed);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What a component may write to standard error before the rest is dropped: it goes to a log, and
/// into the error of a trap.
const MAX_STDERR: usize = 4 << 10;

impl Guest {
    fn new(egress: Egress, engine: &Engine) -> Guest {
        let config = &engine.config;
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let stderr = MemoryOutputPipe::new(MAX_STDERR);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_HEADERS);
        let wasi = WasiCtx::builder()
            .stderr(stderr.clone())
            .max_random_size(MAX_RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Guest {
            table,
            wasi,
            http,
            egress,
            limits: Limits::new(config.max_memory),
            spun: 0,
            max_spin: (config.max_idle_spin.as_millis() / TICK.as_millis())
                .clamp(1, u128::from(u32::MAX)) as u32,
            asked: None,
            stderr,
            _alive: Alive::new(&engine.alive),
        }
    }

    /// The most that this instance has had; it can be asked when the instance is gone.
    pub(crate) fn peak_memory(&self) -> PeakMemory {
        self.limits.peak()
    }

    /// A record went in or out.
    pub(crate) fn progressed(&mut self) {
        self.spun = 0;
    }

    /// It asks whether to stop. Each time a component wakes up costs it an epoch; one that waits
    /// for hours, as for a job, gets back what that cost, and one that spins gets nothing: it used
    /// the time since it last asked.
    pub(crate) fn waited(&mut self) {
        let now = Instant::now();
        if let Some((asked, spun)) = self.asked {
            let ticks = now.duration_since(asked).as_millis() / TICK.as_millis();
            let used = self.spun.saturating_sub(spun);
            if u128::from(used) * 4 <= ticks {
                self.spun = self.spun.min(spun);
            }
        }
        self.asked = Some((now, self.spun));
    }

    /// What the component wrote to standard error, such as a panic message.
    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.contents()).into_owned()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.egress, table: &mut self.table, ctx: &mut self.http }
    }
}
