//! The simulator as a server.

use crate::{Config, World, server};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running simulator. It stops when it is dropped.
pub struct Simulator {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    connections: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Simulator {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// If no socket can be had.
    pub async fn start(config: Config) -> anyhow::Result<Simulator> {
        Simulator::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), config).await
    }

    /// Starts on this address.
    ///
    /// # Errors
    /// If it is taken.
    pub async fn start_at(address: SocketAddr, config: Config) -> anyhow::Result<Simulator> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let world = Arc::new(Mutex::new(World::new(config)));
        let connections = Arc::new(AtomicU64::new(0));
        let serving =
            tokio::spawn(server::serve(listener, Arc::clone(&world), Arc::clone(&connections)));
        Ok(Simulator { address, world, connections, serving })
    }

    /// Such as `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that were ever accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Records, log and faults. Requests wait while the guard is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        // A request that panics leaves a world worth looking at.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until the process ends.
    pub async fn forever(mut self) {
        // The task ends only when it is aborted.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
