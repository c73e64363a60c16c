//! `allow_hosts`: which peers may connect (spec 06 §1.7).

use super::ConfigError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names that all bracket expressions together may stand for; each may cost a look-up.
const NAMES_MAX: usize = 65536;

/// The peers allowed: everybody, or those within ranges of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowHosts {
    /// `None` allows everybody. Inclusive ranges of addresses as 128-bit numbers, sorted and apart.
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
        let (mut ranges, mut warnings, mut names_left) = (Vec::new(), Vec::new(), NAMES_MAX);
        for (value, place) in values.iter().filter(|(value, _)| !value.is_empty()) {
            if let Some((base, bits)) = value.split_once('/') {
                ranges.push(network(base, bits).map_err(|error| error.at(place))?);
                continue;
            }
            let bare = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            if let Some(ip) = bare.and_then(|ip| ip.parse::<Ipv6Addr>().ok()) {
                ranges.push((number(ip.into()), number(ip.into())));
                continue;
            }
            let names = expand(value, names_left).map_err(|error| error.at(place))?;
            names_left = names_left.saturating_sub(names.len());
            for name in names {
                let ips = name.parse().map_or_else(|_| resolve(&name), |ip| vec![ip]);
                if ips.is_empty() {
                    warnings.push(format!("{place}: allow_hosts {name} has no address, skipped"));
                }
                ranges.extend(ips.into_iter().map(|ip| (number(ip), number(ip))));
            }
        }
        Ok((Self { ranges: Some(merge(ranges)) }, warnings))
    }

    /// Whether `ip` may connect.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        let ip = number(ip);
        let behind = ranges.partition_point(|(first, _)| *first <= ip);
        let before = behind.checked_sub(1).and_then(|at| ranges.get(at));
        before.is_some_and(|(_, last)| ip <= *last)
    }
}

/// Sorts, and joins what overlaps or touches.
fn merge(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = next.0 <= kept.1.saturating_add(1);
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
    ranges
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

/// `prefix[1-3,7]suffix` as the names it stands for, `max` at most.
fn expand(value: &str, max: usize) -> Result<Vec<String>, ConfigError> {
    let bad = |what: &str| ConfigError::invalid(format!("allow_hosts {value}: {what}"));
    let Some((prefix, rest)) = value.split_once('[') else {
        return if max > 0 { Ok(vec![value.to_owned()]) } else { Err(bad("too many names")) };
    };
    let (list, suffix) = rest.split_once(']').ok_or_else(|| bad("missing ]"))?;
    let mut names = Vec::new();
    for item in list.split(',').map(str::trim) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (first.trim(), last.trim());
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse::<u32>().ok().filter(|_| digits);
            number.ok_or_else(|| bad("numbers expected in []"))
        };
        let range = number(first)?..=number(last)?;
        if range.is_empty() {
            return Err(bad("a range in [] ends before it starts"));
        }
        // The width pads each name, so that its length needs a bound as well.
        let width = first.len();
        if range.size_hint().0.saturating_add(names.len()) > max || width > 10 {
            return Err(bad("too many names"));
        }
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
        assert!(allows(&["[fd00::1]", "fd00::2"], "fd00::1"));
        assert!(!allows(&["[fd00::1]", "fd00::3"], "fd00::2"));
        assert!(allows(&["host[07].example", "10.0.0.[1]", "", "nowhere"], "10.0.0.1"));
    }

    #[test]
    fn ranges_are_joined_and_found() {
        let hosts = parse(&["10.0.0.0/16", "10.0.3.[1-9]", "10.1.0.0/16", "192.168.0.1"]).unwrap();
        assert_eq!(hosts.ranges.as_ref().unwrap().len(), 2);
        for (ip, allowed) in [("9.255.255.255", false), ("10.0.0.0", true), ("10.1.255.255", true)]
            .into_iter()
            .chain([("10.2.0.0", false), ("192.168.0.1", true), ("192.168.0.2", false)])
        {
            assert_eq!(hosts.allows(ip.parse().unwrap()), allowed, "{ip}");
        }
        assert!(allows(&["::/0"], "8.8.8.8") && allows(&["::/0"], "ffff::ffff"));
    }

    #[test]
    fn malformed_entries_are_errors_with_their_place() {
        for bad in [
            "10.0.0.0/9",
            "10.0.0.0/32",
            "x/16",
            "fd00::/129",
            "10.0.0.[1-",
            "10.0.0.[]",
            "10.0.0.[1,,2]",
            "a[x]",
            "a[+1]",
            "a[5-3]",
            "a[1-9999999]",
        ] {
            let error = parse(&[bad]).unwrap_err();
            assert!(error.to_string().starts_with("t.conf:1: allow_hosts"), "{bad}: {error}");
            assert_eq!(error.errno(), 22);
        }
    }

    #[test]
    fn all_brackets_together_have_a_limit() {
        assert!(parse(&["10.0.[0-255].1", "10.1.[1-60000].1"]).is_ok());
        assert!(parse(&["10.0.[0-9999].1", "10.1.[1-60000].1"]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(value in "[0-9a-z.:/*,\\[\\]-]{0,40}|.{0,40}") {
            let _ = AllowHosts::parse(&[(&value, "")], &mut |_| Vec::new());
        }
    }
}
