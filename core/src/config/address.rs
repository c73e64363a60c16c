//! Addresses of servers: one or two per server, their classes, and which one a peer is shown
//! (spec 01 §2.1, 03 §0.5, 06 §1.6).

use super::ConfigError;
use crate::protocol::TRACKER_PORT_DEFAULT;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The class of an address text. Two addresses of one server must differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpClass {
    /// Fewer than 8 characters.
    Unknown,
    /// `10.*`
    Ten,
    /// `172.16.*` to `172.31.*`
    OneSevenTwo,
    /// `192.168.*`
    OneNineTwo,
    /// Anything else, IPv6 included.
    Outer,
}

impl IpClass {
    /// The class of `ip`.
    pub fn of(ip: &str) -> Self {
        let second = || ip.split('.').nth(1).and_then(|part| part.parse::<u8>().ok());
        if ip.len() < 8 {
            Self::Unknown
        } else if ip.starts_with("10.") {
            Self::Ten
        } else if ip.starts_with("192.168.") {
            Self::OneNineTwo
        } else if ip.starts_with("172.") && second().is_some_and(|part| (16..32).contains(&part)) {
            Self::OneSevenTwo
        } else {
            Self::Outer
        }
    }
}

/// The address of a server that `peer` is shown: the second one when it has the peer's class, else
/// the first.
pub fn choose_for_peer<'a>(ips: &'a [String], peer: &str) -> &'a str {
    match ips {
        [_, outer] if IpClass::of(outer) == IpClass::of(peer) => outer,
        [first, ..] => first,
        [] => "",
    }
}

/// Checks and orders the addresses of one server: at most two, of different classes, the inner one
/// first. Names have no class until they are resolved and stay as written.
pub(super) fn order_addresses(mut hosts: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let is_name = |host: &String| host.parse::<IpAddr>().is_err();
    match hosts.as_mut_slice() {
        [_] => Ok(hosts),
        [a, b] if a == b => Err(ConfigError::invalid(format!("address {a} stands twice"))),
        [a, b] if is_name(a) || is_name(b) => Ok(hosts),
        [a, b] if IpClass::of(a) == IpClass::of(b) => Err(ConfigError::invalid(format!(
            "invalid ip addresses {a} and {b}, one MUST be an inner IP and another is a outer IP, \
             or two different types of inner IP addresses"
        ))),
        [a, b] => {
            if IpClass::of(a) == IpClass::Outer {
                std::mem::swap(a, b);
            }
            Ok(hosts)
        }
        _ => Err(ConfigError::invalid("one or two addresses expected")),
    }
}

/// Splits `host[,host][:port]`, IPv6 in brackets.
pub(super) fn split_host_port(text: &str) -> Result<(Vec<String>, Option<u16>), ConfigError> {
    let bad = || ConfigError::invalid(format!("{text}: expected host:port or [ipv6]:port"));
    let (hosts, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (hosts, tail) = rest.split_once(']').ok_or_else(bad)?;
            match tail {
                "" => (hosts, None),
                _ => (hosts, Some(tail.strip_prefix(':').ok_or_else(bad)?)),
            }
        }
        None => match text.rsplit_once(':') {
            // More than one colon without brackets is a bare IPv6 address.
            Some((hosts, _)) if hosts.contains(':') => (text, None),
            Some((hosts, port)) => (hosts, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.trim().parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(bad)?),
        None => None,
    };
    // Addresses are compared as text everywhere, so each must have one spelling.
    let spelled = |host: &str| host.parse::<IpAddr>().map_or(host.to_owned(), |ip| ip.to_string());
    let hosts: Vec<String> = hosts.split(',').map(|host| spelled(host.trim())).collect();
    // What has colons is an address; anything odd would not be read again as it is printed.
    let odd = |host: &String| {
        host.is_empty()
            || host.contains(|c: char| c.is_whitespace() || "[]".contains(c))
            || (host.contains(':') && host.parse::<IpAddr>().is_err())
    };
    if hosts.len() > 2 || hosts.iter().any(odd) {
        return Err(bad());
    }
    Ok((hosts, port))
}

/// A tracker as configured: one or two hosts and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrackerAddr {
    /// Addresses or names, the inner one first.
    pub hosts: Vec<String>,
    /// TCP port.
    pub port: u16,
}

impl TrackerAddr {
    /// Every tracker of `tracker_server` lines, sorted as all programs sort them and without
    /// duplicates (spec 06 §1.6).
    pub fn list<'a>(
        lines: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Vec<Self>, ConfigError> {
        let mut trackers = Vec::new();
        for (line, place) in lines.into_iter().take(crate::protocol::TRACKERS_MAX) {
            trackers.push(line.parse::<Self>().map_err(|error| error.at(place))?);
        }
        trackers.sort_by(|a, b| {
            (a.hosts.len(), &a.hosts, a.port).cmp(&(b.hosts.len(), &b.hosts, b.port))
        });
        trackers.dedup();
        Ok(trackers)
    }

    /// Whether both name the same tracker: one port and an address in common.
    pub fn is_same(&self, other: &Self) -> bool {
        self.port == other.port && self.hosts.iter().any(|host| other.hosts.contains(host))
    }

    /// Whether this tracker has the address `ip`.
    pub fn has_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_string();
        self.hosts.contains(&ip)
    }
}

impl FromStr for TrackerAddr {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (hosts, port) = split_host_port(text.trim())?;
        Ok(Self { hosts: order_addresses(hosts)?, port: port.unwrap_or(TRACKER_PORT_DEFAULT) })
    }
}

impl fmt::Display for TrackerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.join(",");
        match hosts.contains(':') {
            true => write!(f, "[{hosts}]:{}", self.port),
            false => write!(f, "{hosts}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_of_a_tracker_is_read_and_printed() {
        for (text, printed) in [
            ("10.0.0.1", "10.0.0.1:22122"),
            ("10.0.0.1:22000", "10.0.0.1:22000"),
            ("1.2.3.44,10.0.0.1:22122", "10.0.0.1,1.2.3.44:22122"),
            ("tracker.example:1", "tracker.example:1"),
            ("[fe80::1]:22122", "[fe80::1]:22122"),
            ("[fd00::abcd,10.0.0.1]:5", "[10.0.0.1,fd00::abcd]:5"),
            ("fe80::1", "[fe80::1]:22122"),
            ("[FE80:0::1]:5", "[fe80::1]:5"),
            ("a.example,b.example:5", "a.example,b.example:5"),
            ("[fd00::abcd, 10.0.0.1]", "[10.0.0.1,fd00::abcd]:22122"),
        ] {
            assert_eq!(text.parse::<TrackerAddr>().unwrap().to_string(), printed, "{text}");
        }
        for bad in [
            "",
            ":22122",
            "a:",
            "a:x",
            "a:99999",
            "a:0",
            "10.0.0.1,10.0.0.2:1",
            "a,b,c:1",
            "[::1",
            "[::1]5",
            "a,a",
        ] {
            assert!(bad.parse::<TrackerAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn trackers_are_sorted_as_text_and_deduplicated() {
        let lines = [("10.0.0.9:1", ""), ("10.0.0.10:1", ""), ("10.0.0.9:1", "")];
        let list = TrackerAddr::list(lines).unwrap();
        let list: Vec<String> = list.iter().map(TrackerAddr::to_string).collect();
        assert_eq!(list, ["10.0.0.10:1", "10.0.0.9:1"]);
    }

    #[test]
    fn a_peer_is_shown_the_address_of_its_own_class() {
        let ips = ["10.0.0.5".to_owned(), "1.2.3.44".to_owned()];
        assert_eq!(choose_for_peer(&ips, "8.8.8.88"), "1.2.3.44");
        assert_eq!(choose_for_peer(&ips, "10.9.9.9"), "10.0.0.5");
        assert_eq!(choose_for_peer(&ips[..1], "8.8.8.88"), "10.0.0.5");
        assert_eq!(IpClass::of("1.1.1.1"), IpClass::Unknown);
        assert_eq!(IpClass::of("172.32.0.1"), IpClass::Outer);
        assert_eq!(IpClass::of("172.16.0.1"), IpClass::OneSevenTwo);
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_is_printed_and_read_alike(text in "[0-9a-f:.,\\[\\] é]{0,40}") {
            if let Ok(tracker) = text.parse::<TrackerAddr>() {
                proptest::prop_assert_eq!(tracker.to_string().parse::<TrackerAddr>(), Ok(tracker));
            }
        }
    }
}
