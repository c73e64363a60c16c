//! Where servers are, and where they really are.

use crate::config::{ConfigError, StorageIds};
use crate::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::fmt;
use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::str::FromStr;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// Address or name.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// `host[:port]`; an IPv6 address with a port stands in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    host: String,
    port: Option<u16>,
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::Config, format!("{text:?} is not host[:port]"));
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                let port = match port.strip_prefix(':') {
                    None if port.is_empty() => None,
                    port => Some(port.ok_or_else(wrong)?),
                };
                (host, port)
            }
            None => match text.split_once(':') {
                Some((_, more)) if more.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
        if host.is_empty() || host.contains(char::is_whitespace) || port == Some(0) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Where advertised storage addresses really are: for clients outside of the network in which the
/// storages know themselves.
///
/// ```
/// # use fdfs_core::client::AddressMap;
/// let mut map = AddressMap::default();
/// map.insert("10.0.0.5:23000", "files.example:32300")?;
/// map.insert("10.0.0.6", "[fd00::6]")?;
/// # Ok::<(), fdfs_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressMap(HashMap<Place, Place>);

impl AddressMap {
    /// Maps `advertised` to `real`, each `host[:port]`. Without a port it stands for all ports of
    /// that host, and the port stays as it is; an entry with a port counts more than one without.
    pub fn insert(&mut self, advertised: &str, real: &str) -> Result<()> {
        self.0.insert(advertised.parse()?, real.parse()?);
        Ok(())
    }

    /// Where `host:port` really is.
    pub fn map(&self, host: &str, port: u16) -> ServerAddress {
        let mut advertised = Place { host: host.to_owned(), port: Some(port) };
        let real = self.0.get(&advertised).or_else(|| {
            advertised.port = None;
            self.0.get(&advertised)
        });
        match real {
            Some(real) => {
                ServerAddress { host: real.host.clone(), port: real.port.unwrap_or(port) }
            }
            None => ServerAddress { host: host.to_owned(), port },
        }
    }
}

/// The other address of each storage that has two, from a file of storage ids.
pub(super) fn other_addresses_in_file(path: &Path) -> Result<HashMap<String, String>> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Config, format!("reading {}", path.display())).with_source(error)
    })?;
    let others = other_addresses(&String::from_utf8_lossy(&bytes));
    Ok(others.map_err(|error| error.at(&path.display().to_string()))?)
}

/// The same from lines as trackers send them.
pub(super) fn other_addresses(lines: &str) -> Result<HashMap<String, String>, ConfigError> {
    let mut resolve = |host: &str| {
        let addrs = (host, 0).to_socket_addrs().into_iter().flatten();
        addrs.map(|addr| addr.ip().to_string()).collect()
    };
    let ids = StorageIds::parse(lines, &mut resolve)?;
    let mut others = HashMap::new();
    for storage in ids.iter() {
        if let [first, second] = &storage.ips[..] {
            others.insert(first.clone(), second.clone());
            others.insert(second.clone(), first.clone());
        }
    }
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_a_port_counts_more_and_ports_are_optional() {
        let mut map = AddressMap::default();
        map.insert("10.0.0.5", "host").unwrap();
        map.insert("10.0.0.5:23001", "host:1").unwrap();
        map.insert("10.0.0.6:23000", "[fd00::6]").unwrap();
        map.insert("fd00::7", "[fd00::8]:9").unwrap();
        for (host, port, real) in [
            ("10.0.0.5", 23000, "host:23000"),
            ("10.0.0.5", 23001, "host:1"),
            ("10.0.0.6", 23000, "[fd00::6]:23000"),
            ("10.0.0.6", 23001, "10.0.0.6:23001"),
            ("fd00::7", 5, "[fd00::8]:9"),
        ] {
            assert_eq!(map.map(host, port).to_string(), real);
        }
        for bad in ["", ":1", "a:", "a:x", "a:0", "[::1", "[::1]1", "a b", "a:99999"] {
            assert!(map.insert(bad, "host").is_err() && map.insert("host", bad).is_err(), "{bad}");
        }
    }
}
