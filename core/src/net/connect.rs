//! Making connections.

use super::limits::Limits;
use super::world::{Stream, lookup_host};
use crate::error::{Error, ErrorKind, Result};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// How to connect.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// Time until the connection must stand.
    pub connect_timeout: Duration,
    /// Time without a byte until a call fails.
    pub io_timeout: Duration,
    /// Local address to connect from.
    pub bind: Option<IpAddr>,
}

/// `host:port` as messages name a server.
pub(super) fn peer_name(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Connects to `host`, resolving it now, and trying all its addresses in turn.
pub(super) async fn connect(
    host: &str,
    port: u16,
    options: &ConnectOptions,
    limits: &Limits,
) -> Result<Stream> {
    let peer = || peer_name(host, port);
    let own = Some(("connect_timeout", options.connect_timeout));
    let connecting = limits.run("connecting", own, connect_any(host, port, options.bind));
    match connecting.await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Connect, "cannot connect")
            .with_peer(peer())
            .with_source(error)),
        Err(error) => Err(error.with_peer(peer())),
    }
}

async fn connect_any(host: &str, port: u16, bind: Option<IpAddr>) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in lookup_host((host, port)).await? {
        let bind = bind.filter(|ip| ip.is_ipv4() == addr.is_ipv4());
        match Stream::connect(addr, bind).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
