//! The table of storage ids, from `storage_ids.conf` or from a tracker (spec 06 §6, 01 §7.12).

use super::ConfigError;
use super::address::{order_addresses, split_host_port};
use crate::protocol::{GROUP_LEN, STORAGE_PORT_DEFAULT, is_group_name};
use std::collections::{BTreeMap, HashMap};

/// Largest storage id (spec 02 §1.1).
pub(super) const STORAGE_ID_MAX: u32 = 16_777_215;

/// What a storage may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RwMode {
    /// Nothing.
    None = 0,
    /// Uploads only.
    Write = 2,
    /// Downloads only.
    Read = 4,
    /// Both.
    #[default]
    Both = 6,
}

impl RwMode {
    /// Whether files may be read from it.
    pub fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Both)
    }

    /// Whether files may be written to it.
    pub fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Both)
    }
}

/// One storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageIdEntry {
    /// Server id, 1 to 16777215.
    pub id: u32,
    /// Its group.
    pub group: String,
    /// One or two addresses, the inner one first.
    pub ips: Vec<String>,
    /// TCP port.
    pub port: u16,
    /// What it may be used for.
    pub rw: RwMode,
}

impl StorageIdEntry {
    /// The line trackers send, with its end.
    pub fn line(&self) -> String {
        let ips = self.ips.join(",");
        let ips = if ips.contains(':') { format!("[{ips}]") } else { ips };
        let rw = match self.rw {
            RwMode::None => " rw=none",
            RwMode::Write => " rw=write",
            RwMode::Read => " rw=read",
            RwMode::Both => "",
        };
        format!("{} {} {ips}:{}{rw}\n", self.id, self.group, self.port)
    }
}

/// All storages with ids, sorted by the id's text as everywhere in FastDFS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageIds {
    entries: BTreeMap<String, StorageIdEntry>,
    /// The id text at each address and port.
    by_addr: HashMap<(String, u16), String>,
}

impl StorageIds {
    /// Parses the file. `resolve` gives the address texts of a host.
    pub fn parse(
        text: &str,
        resolve: &mut dyn FnMut(&str) -> Vec<String>,
    ) -> Result<Self, ConfigError> {
        let mut ids = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("line {}", at + 1);
            let entry = parse_line(line, resolve).map_err(|error| error.at(&place))?;
            ids.insert(entry).map_err(|error| error.at(&place))?;
        }
        match ids.entries.is_empty() {
            true => Err(ConfigError::missing("the storage ids file names no storage")),
            false => Ok(ids),
        }
    }

    fn insert(&mut self, entry: StorageIdEntry) -> Result<(), ConfigError> {
        let id = entry.id.to_string();
        let addrs: Vec<_> = entry.ips.iter().map(|ip| (ip.clone(), entry.port)).collect();
        let known_addr = addrs.iter().find(|addr| self.by_addr.contains_key(addr));
        let twice = match known_addr {
            Some((ip, port)) => Some(format!("address {ip}:{port} stands twice")),
            None => self.entries.contains_key(&id).then(|| format!("id {id} stands twice")),
        };
        if let Some(text) = twice {
            return Err(ConfigError::invalid(text).with_errno(17));
        }
        self.by_addr.extend(addrs.into_iter().map(|addr| (addr, id.clone())));
        self.entries.insert(id, entry);
        Ok(())
    }

    /// The storage with this id text.
    pub fn by_id(&self, id: &str) -> Option<&StorageIdEntry> {
        self.entries.get(id)
    }

    /// The storage at this address.
    pub fn by_addr(&self, group: &str, ip: &str, port: u16) -> Option<&StorageIdEntry> {
        self.at(ip, port).filter(|entry| entry.group == group)
    }

    /// The group of the storage at this address.
    pub fn group_of(&self, ip: &str, port: u16) -> Option<&str> {
        self.at(ip, port).map(|entry| entry.group.as_str())
    }

    fn at(&self, ip: &str, port: u16) -> Option<&StorageIdEntry> {
        self.entries.get(self.by_addr.get(&(ip.to_owned(), port))?)
    }

    /// All entries, by id text.
    pub fn iter(&self) -> impl Iterator<Item = &StorageIdEntry> {
        self.entries.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether some storage has an IPv6 address.
    pub fn has_ipv6(&self) -> bool {
        self.entries.values().any(|entry| entry.ips.iter().any(|ip| ip.contains(':')))
    }
}

fn parse_line(
    line: &str,
    resolve: &mut dyn FnMut(&str) -> Vec<String>,
) -> Result<StorageIdEntry, ConfigError> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [id, group, address, options @ ..] = fields.as_slice() else {
        return Err(ConfigError::invalid("expected: ID GROUP HOST[:PORT] [rw=MODE]"));
    };
    let id = parse_id(id)
        .ok_or_else(|| ConfigError::invalid(format!("{id}: an id is 1 to {STORAGE_ID_MAX}")))?;
    let group = group.get(..GROUP_LEN).unwrap_or(group);
    if !is_group_name(group.as_bytes()) {
        return Err(ConfigError::invalid(format!("{group}: no group name")));
    }
    let (hosts, port) = split_host_port(address)?;
    let mut ips = Vec::new();
    for host in hosts {
        let resolved = match host.parse::<std::net::IpAddr>() {
            Ok(ip) => Some(ip.to_string()),
            Err(_) => resolve(&host).into_iter().next(),
        };
        ips.push(resolved.ok_or_else(|| ConfigError::invalid(format!("{host}: no address")))?);
    }
    let rw = match options {
        [] => RwMode::Both,
        [option] => match option.to_ascii_lowercase().as_str() {
            "rw=both" | "rw=all" => RwMode::Both,
            "rw=read" | "rw=readonly" => RwMode::Read,
            "rw=write" | "rw=writeonly" => RwMode::Write,
            "rw=none" => RwMode::None,
            _ => return Err(ConfigError::invalid(format!("{option}: unknown option"))),
        },
        _ => return Err(ConfigError::invalid("more than one option")),
    };
    let ips = order_addresses(ips)?;
    let port = port.unwrap_or(STORAGE_PORT_DEFAULT);
    Ok(StorageIdEntry { id, group: group.to_owned(), ips, port, rw })
}

/// A server id: decimal without sign or leading zeros, 1 to 16777215.
pub fn parse_id(text: &str) -> Option<u32> {
    let id: u32 = text.parse().ok()?;
    ((1..=STORAGE_ID_MAX).contains(&id) && id.to_string() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StorageIds, ConfigError> {
        StorageIds::parse(text, &mut |_| Vec::new())
    }

    #[test]
    fn lines_are_read_and_sent_back() {
        let ids = parse(
            "# comment\n\n100002  group1  1.2.3.44,192.168.0.3:23001 rw=READ\n\
             100001 group1\t10.9.8.7\n100003 g2 [fd00::1]:23000 rw=none\n",
        )
        .unwrap();
        let lines: Vec<String> = ids.iter().map(StorageIdEntry::line).collect();
        assert_eq!(
            lines,
            [
                "100001 group1 10.9.8.7:23000\n",
                "100002 group1 192.168.0.3,1.2.3.44:23001 rw=read\n",
                "100003 g2 [fd00::1]:23000 rw=none\n",
            ]
        );
        assert_eq!(parse(&lines.concat()).unwrap(), ids, "the sent text is the same table");
        assert_eq!(ids.by_addr("group1", "1.2.3.44", 23001).unwrap().id, 100_002);
        assert_eq!(ids.group_of("10.9.8.7", 23000), Some("group1"));
        assert!(ids.has_ipv6());
    }

    #[test]
    fn wrong_lines_fail_with_their_number() {
        for (text, errno) in [
            ("", 2),
            ("007 g 10.0.0.1", 22),
            ("16777216 g 10.0.0.1", 22),
            ("1 g-1 10.0.0.1", 22),
            ("1 g", 22),
            ("1 g unknown.host", 22),
            ("1 g 10.0.0.1 rw=maybe", 22),
            ("1 g 10.0.0.1\n1 g 10.0.0.2", 17),
            ("1 g 10.0.0.1\n2 g 10.0.0.1:23000", 17),
        ] {
            assert_eq!(parse(text).unwrap_err().errno(), errno, "{text}");
        }
        let error = parse("1 g 10.0.0.1\nx").unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
        assert!(error.in_file("ids.conf").to_string().starts_with("ids.conf:2: "));
        assert!(parse("").unwrap_err().in_file("ids.conf").to_string().starts_with("ids.conf: "));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9]{0,9}|g1| |\t|\n|[a-f:.,\\[\\]]{0,9}|rw=|é){0,20}") {
            let _ = parse(&text);
        }
    }
}
