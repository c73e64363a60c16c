//! Listening and connecting.

use super::runtime::{current, current_host};
use super::{Network, TcpStream};
use std::collections::VecDeque;
use std::future::{Ready, poll_fn, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

#[derive(Debug, Default)]
struct Waiting {
    streams: VecDeque<TcpStream>,
    acceptor: Option<Waker>,
}

/// Connections that wait to be accepted.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<Waiting>);

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, stream: TcpStream) {
        let mut waiting = self.lock();
        waiting.streams.push_back(stream);
        if let Some(acceptor) = waiting.acceptor.take() {
            acceptor.wake();
        }
    }
}

/// A socket of the simulated network, before it listens or connects.
#[derive(Debug)]
pub struct TcpSocket {
    network: Arc<Network>,
    bound: OnceLock<SocketAddr>,
}

impl TcpSocket {
    /// A socket.
    pub fn new_v4() -> io::Result<Self> {
        Ok(Self { network: current()?, bound: OnceLock::new() })
    }

    /// The same.
    pub fn new_v6() -> io::Result<Self> {
        Self::new_v4()
    }

    /// Addresses are free as soon as nobody listens there.
    pub fn set_reuseaddr(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Takes an address; the unspecified one is that of the host whose task this is.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.bound.set(addr).map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    fn local(&self) -> io::Result<SocketAddr> {
        let mut addr = self.bound.get().copied().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
        if addr.ip().is_unspecified() {
            let host = current_host().ok_or(io::ErrorKind::AddrNotAvailable)?;
            addr.set_ip(host);
        }
        if addr.port() == 0 {
            addr.set_port(self.network.free_port());
        }
        Ok(addr)
    }

    /// Listens.
    pub fn listen(self, _: u32) -> io::Result<TcpListener> {
        let (addr, backlog) = (self.local()?, Arc::default());
        self.network.listen(addr, &backlog)?;
        Ok(TcpListener { network: self.network, addr, backlog })
    }

    /// Connects.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let (network, local) = (self.network.clone(), self.local()?);
        let (from, to) = (local.ip(), addr.ip());
        network.travel(from, to).await;
        let Some(backlog) = network.listener(addr) else {
            network.travel(to, from).await;
            network.note(format_args!("refused {from} > {addr}"));
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (client, server) = TcpStream::pair(&network, local, addr);
        backlog.push(server);
        network.travel(to, from).await;
        network.note(format_args!("connected {from} > {addr}"));
        Ok(client)
    }
}

/// A listening socket of the simulated network.
#[derive(Debug)]
pub struct TcpListener {
    network: Arc<Network>,
    addr: SocketAddr,
    backlog: Arc<Backlog>,
}

impl TcpListener {
    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    /// Waits for a connection.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            let mut waiting = self.backlog.lock();
            match waiting.streams.pop_front() {
                Some(stream) => {
                    let peer = stream.peer_addr();
                    Poll::Ready(peer.map(|peer| (stream, peer)))
                }
                None => {
                    waiting.acceptor = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.network.unlisten(self.addr);
    }
}

/// Here hosts have no names.
pub fn lookup_host(
    (host, port): (&str, u16),
) -> Ready<io::Result<std::option::IntoIter<SocketAddr>>> {
    let ip = host.parse::<IpAddr>().map_err(|_| io::Error::from(io::ErrorKind::NotFound));
    ready(ip.map(|ip| Some(SocketAddr::new(ip, port)).into_iter()))
}
