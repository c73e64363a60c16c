//! `allow_hosts`: which peers may connect (spec 06 §1.7).

use super::ConfigError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names one bracket expression may stand for.
const NAMES_MAX: usize = 65536;

/// The peers allowed: everybody, or those within ranges of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowHosts {
    /// `None` allows everybody. Inclusive ranges of addresses as 128-bit numbers, sorted.
    ranges: Option<Vec<(u128, u128)>>,
}

impl AllowHosts {
    /// Reads the occurrences of the key with their places. `resolve` gives the addresses of a
    /// name; names without any are skipped and returned as warnings.
    pub fn parse(
        values: &[(&str, &str)],
        resolve: &mut dyn FnMut(&str) -> Vec<IpAddr>,
    ) -> Result<(Self, Vec<String>), ConfigError> {
        if values.is_empty() || values.iter().any(|(value, _)| *value == "*") {
            return Ok((Self::default(), Vec::new()));
        }
        let (mut ranges, mut warnings) = (Vec::new(), Vec::new());
        for (value, place) in values.iter().filter(|(value, _)| !value.is_empty()) {
            if let Some((base, bits)) = value.split_once('/') {
                ranges.push(network(base, bits).map_err(|error| error.at(place))?);
                continue;
            }
            for name in expand(value).map_err(|error| error.at(place))? {
                let ips = name.parse().map_or_else(|_| resolve(&name), |ip| vec![ip]);
                if ips.is_empty() {
                    warnings.push(format!("{place}: allow_hosts {name} has no address, skipped"));
                }
                ranges.extend(ips.into_iter().map(|ip| (number(ip), number(ip))));
            }
        }
        ranges.sort_unstable();
        Ok((Self { ranges: Some(ranges) }, warnings))
    }

    /// Whether `ip` may connect.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        let ip = number(ip);
        // Ranges may overlap, and there are few: a scan is simplest.
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&ip))
    }
}

/// An address as a number, IPv4 in its place within IPv6.
fn number(ip: IpAddr) -> u128 {
    let ip = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    u128::from(ip)
}

fn network(base: &str, bits: &str) -> Result<(u128, u128), ConfigError> {
    let bad = || {
        ConfigError::invalid(format!(
            "allow_hosts {base}/{bits}: expected a.b.c.d/10 to /31 or an IPv6 prefix"
        ))
    };
    let bits: u32 = bits.trim().parse().map_err(|_| bad())?;
    let (first, host_bits) = if let Ok(ip) = base.trim().parse::<Ipv4Addr>() {
        if !(10..32).contains(&bits) {
            return Err(bad());
        }
        (number(ip.into()), 32 - bits)
    } else {
        let ip: Ipv6Addr = base.trim().parse().map_err(|_| bad())?;
        (number(ip.into()), 128u32.checked_sub(bits).ok_or_else(bad)?)
    };
    let span = u128::MAX.checked_shr(128 - host_bits).unwrap_or(0);
    // The original adds host bits to the base as written; a base inside the network means it too.
    Ok((first & !span, first | span))
}

/// `prefix[1-3,7]suffix` as the names it stands for.
fn expand(value: &str) -> Result<Vec<String>, ConfigError> {
    let Some((prefix, rest)) = value.split_once('[') else { return Ok(vec![value.to_owned()]) };
    let bad = |what: &str| ConfigError::invalid(format!("allow_hosts {value}: {what}"));
    let (list, suffix) = rest.split_once(']').ok_or_else(|| bad("missing ]"))?;
    let mut names = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (first.trim(), last.trim());
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad("numbers expected in []"));
        let range = number(first)?..=number(last)?;
        if range.size_hint().0 + names.len() > NAMES_MAX {
            return Err(bad("too many names"));
        }
        let width = first.len();
        names.extend(range.map(|n| format!("{prefix}{n:0width$}{suffix}")));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Result<AllowHosts, ConfigError> {
        let values: Vec<_> = values.iter().map(|value| (*value, "t.conf:1")).collect();
        let mut resolve = |name: &str| match name {
            "host07.example" => vec!["10.1.1.7".parse().unwrap()],
            _ => Vec::new(),
        };
        AllowHosts::parse(&values, &mut resolve).map(|(hosts, _)| hosts)
    }

    fn allows(values: &[&str], ip: &str) -> bool {
        parse(values).unwrap().allows(ip.parse().unwrap())
    }

    #[test]
    fn peers_are_matched_by_every_form() {
        assert!(allows(&[], "1.2.3.4"));
        assert!(allows(&["10.0.0.1", "*"], "1.2.3.4"));
        assert!(!allows(&[""], "1.2.3.4"), "an empty list allows nobody");
        assert!(allows(&["10.0.1.[1-15,20]"], "10.0.1.20"));
        assert!(!allows(&["10.0.1.[1-15,20]"], "10.0.1.16"));
        assert!(allows(&["host[01-08].example"], "10.1.1.7"), "zero-padded names");
        assert!(allows(&["192.168.5.64/26"], "192.168.5.127"));
        assert!(!allows(&["192.168.5.64/26"], "192.168.5.128"));
        assert!(allows(&["10.0.0.1"], "::ffff:10.0.0.1"));
        assert!(allows(&["fd00::/8"], "fd12::9"));
    }

    #[test]
    fn malformed_entries_are_errors_with_their_place() {
        for bad in ["10.0.0.0/9", "10.0.0.0/32", "10.0.0.[1-", "10.0.0.[]", "a[x]", "a[1-9999999]"]
        {
            let error = parse(&[bad]).unwrap_err();
            assert!(error.to_string().starts_with("t.conf:1: allow_hosts"), "{bad}: {error}");
            assert_eq!(error.errno(), 22);
        }
    }
}
