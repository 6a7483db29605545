//! Between a service and its database: a connection that breaks off, stalls, or loses what the
//! database answers.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What becomes of the bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// They arrive.
    All,
    /// No connection is there, none can be made.
    Nothing,
    /// They wait.
    Waits,
    /// Those to the database arrive; those from it are lost.
    Asked,
}

/// Passes bytes on. It ends when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    passing: watch::Sender<Passing>,
    /// Moves on when all connections are to break off.
    cuts: watch::Sender<u64>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// To a server on this machine.
    pub(crate) async fn to(port: u16) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let here = listener.local_addr()?.port();
        let (passing, cuts) = (watch::Sender::new(Passing::All), watch::Sender::new(0));
        let (of_all, cut) = (passing.subscribe(), cuts.subscribe());
        let serving = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                while open.try_join_next().is_some() {}
                if *of_all.borrow() != Passing::Nothing {
                    open.spawn(connection(client, to, of_all.clone(), cut.clone()));
                }
            }
        });
        Ok(Proxy { port: here, passing, cuts, serving })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, passing: Passing) {
        self.passing.send_replace(passing);
    }

    /// Breaks all connections off.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// So for a while, and then all is well again. Connections that have lost something do not live
    /// on.
    pub(crate) async fn for_a_while(&self, passing: Passing, away: Duration) {
        self.set(passing);
        if passing == Passing::Nothing {
            self.cut();
        }
        tokio::time::sleep(away).await;
        if passing == Passing::Asked {
            self.cut();
        }
        self.set(Passing::All);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(
    client: TcpStream,
    to: SocketAddr,
    passing: watch::Receiver<Passing>,
    mut cut: watch::Receiver<u64>,
) {
    cut.mark_unchanged();
    let Ok(server) = TcpStream::connect(to).await else { return };
    // Statements are small and wait for each other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(from_client, to_server, passing.clone(), false) => {}
        () = pass(from_server, to_client, passing, true) => {}
        // An error says that the proxy is gone.
        _ = cut.changed() => {}
    }
}

/// Bytes of one direction; those of the database can be lost.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut passing: watch::Receiver<Passing>,
    may_be_lost: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut lost = false;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if passing.wait_for(|passing| *passing != Passing::Waits).await.is_err() {
            return;
        }
        // What comes after something that was lost would be the answer to something else.
        lost |= may_be_lost && *passing.borrow() == Passing::Asked;
        if !lost && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
