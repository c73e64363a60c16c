//! What configuration needs from this host: files, addresses and names.

pub use crate::framework_config::{Framework, FrameworkKeys, LogKeys};

use fdfs_core::config::{ConfigError, Ini, Source};
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::Path;

/// Bytes read of a file: above the limit of [`Ini::load`], so that it can refuse what is longer.
const READ_LEN_MAX: u64 = 2 * 1024 * 1024;

/// Reads configuration files from disk.
#[derive(Debug)]
pub struct Files;

impl Source for Files {
    fn read(&mut self, name: &str) -> std::io::Result<String> {
        // Old files may hold comments in other encodings; only ASCII keys and values matter.
        let mut bytes = Vec::new();
        std::fs::File::open(name)?.take(READ_LEN_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn local_ips(&self) -> Vec<IpAddr> {
        local_ips()
    }

    fn host_name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}

/// This host's addresses: the local ones of the kernel's routing tables.
pub fn local_ips() -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(ip) = line.strip_prefix("|-- ") {
            last = ip.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            ips.extend(last.take().map(IpAddr::from));
        }
    }
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    for line in table.lines() {
        let hex = line.split_whitespace().next().and_then(|hex| u128::from_str_radix(hex, 16).ok());
        ips.extend(hex.map(|ip| IpAddr::from(Ipv6Addr::from(ip))));
    }
    ips.sort_unstable();
    ips.dedup();
    ips.retain(|ip| !ip.is_loopback());
    ips
}

/// The addresses of a host name.
pub fn resolve(host: &str) -> Vec<IpAddr> {
    (host, 0)
        .to_socket_addrs()
        .map(|addrs| addrs.map(|addr| addr.ip()).collect())
        .unwrap_or_default()
}

/// Loads a file; the name may be relative.
pub fn load(path: &Path) -> Result<Ini, ConfigError> {
    Ini::load(&path.to_string_lossy(), &mut Files)
}

/// The local address from which this host reaches `peer`, without sending anything.
pub fn local_ip_towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr =
        if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
