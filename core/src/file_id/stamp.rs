//! The 20 bytes encoded in a file name (spec 02 §3).

use super::alphabet::{STAMP_CHARS, decode, encode};
use std::fmt;
use std::net::Ipv4Addr;

/// Largest server id.
const ID_MAX: u32 = 16_777_215;

/// The storage that a file was uploaded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// By address.
    Ip(Ipv4Addr),
    /// By server id.
    Id(u32),
}

impl Source {
    /// An address ending in `.0` reads as an id, as everywhere in FastDFS (spec 02 Q-F1).
    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Self {
        match u32::from_le_bytes(bytes) {
            id @ 1..=ID_MAX => Self::Id(id),
            _ => Self::Ip(bytes.into()),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Ip(ip) => ip.octets(),
            Self::Id(id) => id.to_le_bytes(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// Size and kind of a file, in one 64-bit field (spec 02 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeField(pub u64);

const SHORT: u64 = 1 << 63;
const TRUNK: u64 = 1 << 59;
const APPENDER: u64 = 1 << 58;
const RANDOM_MASK: u64 = 0x007f_ffff;
const LOW: u64 = 0xffff_ffff;

impl SizeField {
    /// Of a normal file; `random` makes names of equal files differ, as far as the size leaves
    /// room for it.
    pub fn normal(size: u64, random: u32) -> Self {
        match size {
            ..=LOW => Self(SHORT | Self::random(random) | size),
            _ => Self(size),
        }
    }

    /// Of an appender file, whose size is not in its name.
    pub fn appender(random: u32) -> Self {
        Self(SHORT | APPENDER | Self::random(random))
    }

    /// Of a file within a trunk file.
    pub fn trunk(size: u32, random: u32) -> Self {
        Self(SHORT | TRUNK | Self::random(random) | u64::from(size))
    }

    fn random(random: u32) -> u64 {
        (u64::from(random) & RANDOM_MASK) << 32
    }

    /// Whether it has the appender mark.
    pub fn is_appender(self) -> bool {
        self.0 & APPENDER != 0
    }

    /// Whether it has the trunk mark.
    pub fn is_trunk(self) -> bool {
        self.0 & TRUNK != 0
    }

    /// The size in bytes; 0 for appender files.
    pub fn bytes(self) -> u64 {
        if self.0 & SHORT != 0 { self.0 & LOW } else { self.0 }
    }
}

/// What the 27 characters of a name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Where the file was uploaded to.
    pub source: Source,
    /// Unix seconds.
    pub created: i32,
    /// Size and kind.
    pub size: SizeField,
    /// CRC-32 of the content.
    pub crc32: u32,
}

impl Stamp {
    /// The 20 bytes.
    pub fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let fields: [&[u8]; 4] = [
            &self.source.to_bytes(),
            &self.created.to_be_bytes(),
            &self.size.0.to_be_bytes(),
            &self.crc32.to_be_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// The 27 characters.
    pub fn encode(self) -> [u8; STAMP_CHARS] {
        encode(&self.to_bytes())
    }

    /// Reads 27 characters.
    pub fn decode(chars: &[u8]) -> Option<Self> {
        decode::<20>(chars).map(Self::from_bytes)
    }

    fn from_bytes(bytes: [u8; 20]) -> Self {
        let [a, b, c, d, e, f, g, h, size @ .., i, j, k, l] = bytes;
        Self {
            source: Source::from_bytes([a, b, c, d]),
            created: i32::from_be_bytes([e, f, g, h]),
            size: SizeField(u64::from_be_bytes(size)),
            crc32: u32::from_be_bytes([i, j, k, l]),
        }
    }

    /// Reads the characters of a logic name where a stamp stands, whatever they are: a tracker
    /// answers for junk names as well (spec 01 §7.2). What cannot be decoded is zero.
    pub fn of_any_name(name: &[u8]) -> Self {
        let chars = name.get(10..).unwrap_or_default();
        let chars = chars.get(..STAMP_CHARS).unwrap_or(chars);
        Self::decode(chars).unwrap_or_else(|| Self::from_bytes([0; 20]))
    }
}
