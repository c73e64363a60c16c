//! Typed values of configuration keys (spec 06 §1.5), and the declaration of configuration
//! structures: each field stands once with its key, default and meaning.

use super::{ConfigError, Ini};
use std::time::Duration;

/// A key as documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    /// The key.
    pub key: &'static str,
    /// How the value is read.
    pub kind: &'static str,
    /// Default and bounds, as written in the declaration.
    pub default: &'static str,
    /// Meaning.
    pub doc: &'static str,
}

impl KeyDoc {
    /// A key that is read by hand, because its default or its form depends on others.
    pub const fn new(
        key: &'static str,
        kind: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { key, kind, default, doc }
    }
}

/// Declares a configuration structure: `field: type = kind("key", default…);`, where `kind` is a
/// method of [`Scope`].
#[macro_export]
macro_rules! conf {
    ($(#[$meta:meta])* pub struct $name:ident { $(
        $(#[doc = $doc:literal])+
        pub $field:ident : $ty:ty = $kind:ident ( $key:literal $(, $arg:expr)* );
    )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $ty,)* }

        impl $name {
            /// The keys, for documentation.
            pub const KEYS: &'static [$crate::config::KeyDoc] = &[$($crate::config::KeyDoc {
                key: $key,
                kind: stringify!($kind),
                default: stringify!($($arg),*),
                doc: concat!($($doc),+),
            }),*];

            /// Reads all keys.
            pub fn from_scope(
                scope: &$crate::config::Scope<'_>,
            ) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self { $($field: scope.$kind($key $(, $arg)*)?,)* })
            }
        }
    };
}

/// Where keys are looked up: the global section, or a named one and then the global one.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'i> {
    ini: &'i Ini,
    section: Option<&'i str>,
}

impl<'i> Scope<'i> {
    pub(super) fn new(ini: &'i Ini, section: Option<&'i str>) -> Self {
        Self { ini, section }
    }

    fn find(&self, key: &str) -> Option<(&'i str, &'i str)> {
        // Both are looked up, lest a key hidden by the section's counts as unknown.
        let global = self.ini.get("", key);
        self.section.and_then(|s| self.ini.get(s, key)).or(global)
    }

    /// Remarks on the value of `key`, which something else is used for.
    pub fn warn(&self, key: &str, text: &str) {
        if let Some((value, place)) = self.find(key) {
            self.ini.warn(format!("{place}: {key} = {value}: {text}"));
        }
    }

    /// The value as text, when the key is there.
    pub fn get(&self, key: &str) -> Option<&'i str> {
        self.find(key).map(|(value, _)| value)
    }

    /// The value in the named section alone.
    pub fn get_here(&self, key: &str) -> Option<&'i str> {
        self.ini.get(self.section.unwrap_or(""), key).map(|(value, _)| value)
    }

    /// All values of a repeated key, in file order, with their places.
    pub fn all(&self, key: &str) -> Vec<(&'i str, &'i str)> {
        self.ini.all(self.section.unwrap_or(""), key)
    }

    /// Names the place of `key` in an error about its value.
    pub fn blame(&self, key: &str, error: ConfigError) -> ConfigError {
        match self.find(key) {
            Some((_, place)) => error.at(place),
            None => error,
        }
    }

    fn invalid(&self, key: &str, what: &str) -> ConfigError {
        let value = self.get(key).unwrap_or_default();
        self.blame(key, ConfigError::invalid(format!("{key} = {value}: {what}")))
    }

    /// Text, with a default.
    pub fn text(&self, key: &str, default: &str) -> Result<String, ConfigError> {
        Ok(self.get(key).unwrap_or(default).to_owned())
    }

    /// Text that may be absent; empty counts as absent.
    pub fn optional(&self, key: &str) -> Result<Option<String>, ConfigError> {
        Ok(self.get(key).filter(|value| !value.is_empty()).map(str::to_owned))
    }

    /// An integer read like `atoi`.
    pub fn int(&self, key: &str, default: i64) -> Result<i64, ConfigError> {
        Ok(self.get(key).map_or(default, atoi))
    }

    /// An integer; zero and below mean the default.
    pub fn positive(&self, key: &str, default: usize) -> Result<usize, ConfigError> {
        let value = self.get(key).map_or(0, atoi);
        Ok(usize::try_from(value).ok().filter(|value| *value > 0).unwrap_or(default))
    }

    /// Fails when the key is there and below 1: for keys that only matter together with others.
    pub fn at_least_one(&self, key: &str) -> Result<(), ConfigError> {
        match self.get(key).map(atoi) {
            Some(..=0) => Err(self.invalid(key, "must be at least 1")),
            _ => Ok(()),
        }
    }

    /// An integer that must lie in `min..=max`.
    pub fn ranged(
        &self,
        key: &str,
        default: usize,
        min: usize,
        max: usize,
    ) -> Result<usize, ConfigError> {
        let Some(value) = self.get(key).map(atoi) else { return Ok(default) };
        usize::try_from(value)
            .ok()
            .filter(|value| (min..=max).contains(value))
            .ok_or_else(|| self.invalid(key, &format!("must be {min} to {max}")))
    }

    /// A TCP port; zero and below mean the default.
    pub fn port(&self, key: &str, default: u16) -> Result<u16, ConfigError> {
        match self.get(key).map_or(0, atoi) {
            ..=0 => Ok(default),
            value => u16::try_from(value).map_err(|_| self.invalid(key, "no TCP port")),
        }
    }

    /// True for `true`, `yes`, `on` in any case and exactly `1`; everything else is false.
    pub fn bool(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        Ok(self.get(key).map_or(default, parse_bool))
    }

    /// Seconds; zero and below mean the default.
    pub fn secs(&self, key: &str, default: usize) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(self.positive(key, default)? as u64))
    }

    /// Milliseconds; zero and below mean the default.
    pub fn millis(&self, key: &str, default: usize) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(self.positive(key, default)? as u64))
    }

    /// An integer; what lies outside `min..=max` means the nearer bound, with a warning.
    pub fn clamped(
        &self,
        key: &str,
        default: usize,
        min: usize,
        max: usize,
    ) -> Result<usize, ConfigError> {
        let Some(value) = self.get(key).map(atoi) else { return Ok(default) };
        let value = usize::try_from(value).unwrap_or(0);
        let clamped = value.clamp(min, max);
        if clamped != value {
            self.warn(key, &format!("{clamped} is used"));
        }
        Ok(clamped)
    }

    /// Bytes with a unit; a malformed value means the default and one outside `min..=max` the
    /// nearer bound, each with a warning.
    pub fn bytes_soft(
        &self,
        key: &str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<u64, ConfigError> {
        let value = self.get(key).map_or(Some(default), parse_bytes);
        if value.is_none() {
            self.warn(key, &format!("no size, such as 512, 64KB or 1GB; {default} is used"));
        }
        let value = value.unwrap_or(default);
        let clamped = value.clamp(min, max);
        if clamped != value {
            self.warn(key, &format!("{clamped} is used"));
        }
        Ok(clamped)
    }

    /// Bytes with a unit; a malformed value is an error.
    pub fn bytes(&self, key: &str, default: u64) -> Result<u64, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        parse_bytes(value).ok_or_else(|| self.invalid(key, "no size, such as 512, 64KB or 1GB"))
    }

    /// A time of day, `H:M` or `H:M:S`, in seconds since midnight.
    pub fn time(&self, key: &str, default: u32) -> Result<u32, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        parse_time(value).ok_or_else(|| self.invalid(key, "no time of day, such as 01:30"))
    }
}

/// Leading digits with an optional sign, anything else is 0.
fn atoi(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let value = match digits.get(..len).unwrap_or_default() {
        "" => 0,
        // Only the size can be wrong here; the bounds are those of the original.
        digits => digits.parse().unwrap_or(i64::MAX),
    };
    if text.starts_with('-') { -value } else { value }
}

/// True for `true`, `yes`, `on` in any case and exactly `1`.
pub fn parse_bool(text: &str) -> bool {
    text == "1" || ["true", "yes", "on"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

/// Bytes as text: an integer, optional blanks, an optional unit `K M G T` and, behind a unit, an
/// optional `B` (spec 06 §1.5).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..len)?.parse().ok()?;
    let unit = text.get(len..)?.trim();
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.strip_suffix('B').filter(|unit| !unit.is_empty()).unwrap_or(&unit) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn parse_time(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| part.trim().parse::<u32>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None => 0,
    };
    let valid = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    valid.then_some(hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_like_the_original_reads_them() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("256KB", Some(256 << 10)),
            ("20 G", Some(20 << 30)),
            ("1tb", Some(1 << 40)),
            ("5B", None),
            ("1.5M", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999", None),
            ("18446744073709551615K", None),
        ] {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
        assert_eq!((atoi("12x"), atoi("x"), atoi(" -3"), atoi("")), (12, 0, -3, 0));
        assert_eq!(
            (atoi("99999999999999999999"), atoi("-99999999999999999999")),
            (i64::MAX, -i64::MAX)
        );
        assert_eq!(parse_time("02:30"), Some(9000));
        assert_eq!(parse_time("24:00"), None);
        assert_eq!(parse_time(""), None);
        let ini = Ini::parse("a=YES\nb=2\nc=on\nd=0:61\np=70000\nneg=-5\nw=0\n");
        let scope = ini.global();
        assert_eq!(scope.bool("a", false), Ok(true));
        assert_eq!(scope.bool("b", true), Ok(false), "only 1 is a true number");
        assert_eq!(scope.bool("c", false), Ok(true));
        assert_eq!(scope.time("d", 0).unwrap_err().errno(), 22);
        assert!(scope.time("d", 0).unwrap_err().to_string().starts_with("line 4: d = 0:61"));
        assert!(scope.port("p", 1).is_err());
        assert_eq!(scope.secs("neg", 30), Ok(Duration::from_secs(30)));
        assert_eq!(scope.ranged("w", 4, 1, 1024).unwrap_err().errno(), 22);
    }

    #[test]
    fn values_that_are_replaced_leave_a_warning() {
        let ini = Ini::parse("a=5B\nb=1K\nc=300\nd=8KB\n");
        let scope = ini.global();
        assert_eq!(scope.bytes_soft("a", 8192, 8192, 1 << 31), Ok(8192));
        assert_eq!(scope.bytes_soft("b", 8192, 4096, 1 << 31), Ok(4096));
        assert_eq!(scope.clamped("c", 1, 1, 256), Ok(256));
        assert_eq!(scope.bytes_soft("d", 1, 1, 1 << 31), Ok(8192));
        assert_eq!(scope.bytes_soft("absent", 3, 1, 9), Ok(3));
        let warnings = ini.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert_eq!(warnings.last().unwrap(), "line 3: c = 300: 256 is used");
    }

    #[test]
    fn a_key_hidden_by_its_section_is_not_unknown() {
        let ini = Ini::parse("k=1\n[s]\nk=2\n");
        assert_eq!(ini.section("s").get("k"), Some("2"));
        assert_eq!(ini.unused(), []);
    }
}
