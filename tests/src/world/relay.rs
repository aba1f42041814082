//! A TCP relay on loopback: a stretch of network that can be cut while both of its ends live on.
//!
//! It listens even when nobody listens behind it, as a load balancer does: a probe that only connects succeeds there. What
//! it stands before has to be asked for an answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::error::{Doing as _, WorldError};

/// More open connections than this is a leak in whoever calls.
const CONNECTIONS_MAX: usize = 256;

/// A running relay; dropping it closes every connection.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts one that leads to `to`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(to: SocketAddr) -> Result<Self, WorldError> {
        let what = || format!("open a relay to {to}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing(what)?;
        let address = listener.local_addr().doing(what)?;
        let (cut, is_cut) = watch::channel(false);
        Ok(Self { address, cut, task: tokio::spawn(listen(listener, to, is_cut)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing goes through, in either direction, of old connections or new. Nobody is told.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// New connections go through again. What was cut stays lost.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, to: SocketAddr, cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(carry(stream, to, cut.clone()));
                }
                // Out of file descriptors, most likely: let some close.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn carry(mut caller: TcpStream, to: SocketAddr, mut cut: watch::Receiver<bool>) {
    let through = async {
        match TcpStream::connect(to).await {
            Ok(mut callee) => drop(copy_bidirectional(&mut caller, &mut callee).await),
            // Nobody listens there. What the caller says is read first, or closing would be a reset, and when that is
            // noticed depends on who is faster.
            Err(_) => drop(caller.read(&mut [0; 1_024]).await),
        }
    };
    let was_cut = tokio::select! {
        biased;
        cut = cut.wait_for(|cut| *cut) => cut.is_ok(),
        () = through => false,
    };
    if was_cut {
        // It hears nothing any more, until it gives up by itself.
        let mut lost = [0; 1_024];
        while caller.read(&mut lost).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn says_back(stream: &mut TcpStream) -> bool {
        stream.write_all(b"x").await.unwrap();
        let answer = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0; 1])).await;
        matches!(answer, Ok(Ok(1)))
    }

    #[tokio::test]
    async fn nothing_goes_through_while_it_is_cut() {
        let relay = Relay::start(echo().await).await.unwrap();
        let mut before = TcpStream::connect(relay.address()).await.unwrap();
        assert!(says_back(&mut before).await);
        relay.cut();
        assert!(!says_back(&mut before).await);
        let mut during = TcpStream::connect(relay.address()).await.unwrap();
        assert!(!says_back(&mut during).await);
        relay.mend();
        assert!(!says_back(&mut before).await, "what was cut stays lost");
        let mut after = TcpStream::connect(relay.address()).await.unwrap();
        assert!(says_back(&mut after).await);
    }
}
