//! What all plans of a process share (the plugin, compiled, and the threads of the library), and how
//! Python waits for the library: other threads of Python keep running, and signals are handled.

use crate::errors::internal;
use parking_lot::Mutex;
use pyo3::prelude::*;
use reverse_sync::{Component, Engine, EngineConfig, StopSignal};
use reverse_sync_component::COMPONENT;
use std::{env, path::PathBuf, sync::Arc, time::Duration};
use tokio::runtime::Runtime;

/// How often Python is asked whether a signal has come.
const TICK: Duration = Duration::from_millis(100);

/// Of one process: a fork has neither the threads nor the connections of its parent.
pub(crate) struct Process {
    pid: u32,
    runtime: Runtime,
    pub(crate) component: Component,
}

static CURRENT: Mutex<Option<Arc<Process>>> = Mutex::new(None);

impl Process {
    /// That of this process.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Arc<Process>> {
        py.detach(|| {
            let mut current = CURRENT.lock();
            if let Some(process) = current.as_ref().filter(|process| process.is_current()) {
                return Ok(Arc::clone(process));
            }
            // Waiting for threads that a fork does not have would never end.
            std::mem::forget(current.take());
            Ok(Arc::clone(current.insert(Arc::new(Process::new()?))))
        })
    }

    fn new() -> PyResult<Process> {
        let runtime = Runtime::new().map_err(internal)?;
        let config = EngineConfig { cache_dir: cache_dir(), ..EngineConfig::default() };
        let engine = Engine::new(config).map_err(internal)?;
        let component = runtime.block_on(Component::load(&engine, COMPONENT)).map_err(internal)?;
        Ok(Process { pid: std::process::id(), runtime, component })
    }

    fn is_current(&self) -> bool {
        self.pid == std::process::id()
    }

    /// What `work` comes to. Meanwhile `watch` is called now and then. If it fails, or a signal's
    /// handler raises (KeyboardInterrupt, usually), `stop` is asked to stop, and the exception is
    /// raised once the work has ended; without a `stop` the work is cancelled.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = T> + Send + 'static,
        stop: Option<&StopSignal>,
        mut watch: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    ) -> PyResult<T> {
        if !self.is_current() {
            return Err(internal(
                "it was made before this process was forked; load the plan by its id here: reverse_sync.load_plan",
            ));
        }
        let waited = py.detach(|| {
            self.runtime.block_on(async {
                let mut work = self.runtime.spawn(work);
                let mut ticks = tokio::time::interval(TICK);
                let mut raised = None;
                loop {
                    tokio::select! {
                        done = &mut work => return (done, raised),
                        _ = ticks.tick() => {
                            let heard = Python::attach(|py| {
                                py.check_signals()?;
                                if raised.is_none() { watch(py) } else { Ok(()) }
                            });
                            match (heard, stop) {
                                (Ok(()), _) => {}
                                (Err(error), Some(stop)) => {
                                    stop.stop();
                                    raised.get_or_insert(error);
                                }
                                (Err(error), None) => {
                                    work.abort();
                                    return ((&mut work).await, Some(error));
                                }
                            }
                        }
                    }
                }
            })
        });
        match waited {
            (_, Some(raised)) => Err(raised),
            (done, None) => {
                // What the last tick has not seen.
                watch(py)?;
                done.map_err(internal)
            }
        }
    }
}

/// Where the compiled plugin is kept: where the command keeps it.
fn cache_dir() -> Option<PathBuf> {
    if let Some(dir) = env::var_os("REVERSE_SYNC_CACHE_DIR") {
        return Some(dir.into());
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("reverse-sync"))
}
