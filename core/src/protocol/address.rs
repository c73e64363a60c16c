//! Address fields, whose width depends on the tracker's `response_ip_addr_size` (spec 01 §2.1).

use crate::wire::{DecodeError, Reader, Text, Wire};
use bytes::{BufMut, BytesMut};

/// An address text without padding.
pub type Ip = Text<46>;

/// The address mode of a cluster: every reply of one mode uses the same widths, and a reader
/// recognises the mode by the length of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddrWidth {
    /// Fields of 16 bytes (15 in the replies to store and fetch queries).
    #[default]
    V4,
    /// Fields of 46 bytes (45 in the replies to store and fetch queries).
    V6,
}

impl AddrWidth {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Bytes of an address field in lists and file information.
    pub fn field(self) -> usize {
        match self {
            Self::V4 => 16,
            Self::V6 => 46,
        }
    }

    /// Bytes of an address field in the replies to store and fetch queries: one less, because
    /// there the original counts no terminator.
    pub fn query_field(self) -> usize {
        self.field() - 1
    }

    /// The mode in which a body of `len` bytes is a whole number of records.
    pub fn of(len: usize, fits: impl Fn(Self, usize) -> bool) -> Result<Self, DecodeError> {
        Self::ALL.into_iter().find(|width| fits(*width, len)).ok_or(DecodeError::Value {
            field: "body",
            reason: "length fits neither address width",
        })
    }
}

/// Reads an address field of `width` bytes.
pub(super) fn read_ip(reader: &mut Reader<'_>, width: usize) -> Result<Ip, DecodeError> {
    let bytes = reader.bytes(width, "ip")?;
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ip::new(text).ok_or(DecodeError::Value { field: "ip", reason: "too long" })
}

/// Writes an address field of `width` bytes; an address that does not fit is cut, as the original
/// does, because the alternative is a reply no client can parse.
pub(super) fn write_ip(ip: &Ip, width: usize, out: &mut BytesMut) {
    let bytes = ip.as_bytes();
    let fitting = bytes.get(..width).unwrap_or(bytes);
    out.put_slice(fitting);
    out.put_bytes(0, width - fitting.len());
}

/// One server in the reply to a store or fetch query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerAddr {
    /// Address text.
    pub ip: Ip,
    /// TCP port.
    pub port: i64,
}

impl ServerAddr {
    pub(super) fn read(reader: &mut Reader<'_>, width: AddrWidth) -> Result<Self, DecodeError> {
        Ok(Self { ip: read_ip(reader, width.query_field())?, port: i64::read(reader, "port")? })
    }

    pub(super) fn write(&self, width: AddrWidth, out: &mut BytesMut) {
        write_ip(&self.ip, width.query_field(), out);
        self.port.write(out);
    }
}
