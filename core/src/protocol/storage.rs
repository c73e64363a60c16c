//! Client ↔ storage (spec 01 §8). Structures that precede file content hold only the part before
//! it; the content streams.

use super::address::{AddrWidth, Ip, read_ip, write_ip};
use super::{Ext, Group, Name, Prefix};
use crate::wire::{DecodeError, Reader, Rest, Text, Wire};
use bytes::BytesMut;

/// The store path index that lets the storage choose (spec 01 §8.1).
pub const ANY_STORE_PATH: u8 = 0xff;
/// Flag of [`SetMetadata`]: replace all items.
pub const META_OVERWRITE: u8 = b'O';
/// Flag of [`SetMetadata`]: keep items that the request does not name.
pub const META_MERGE: u8 = b'M';
/// Flag in the status byte of `QUERY_FILE_INFO`: do not compute the CRC-32.
pub const INFO_WITHOUT_CRC: u8 = 1;
/// Flag in the status byte of `QUERY_FILE_INFO`: a missing file is no news.
pub const INFO_SILENT: u8 = 2;

message! {
    /// Stores the content as a new file. 15 bytes before the content.
    pub struct Upload {
        /// Store path, or [`ANY_STORE_PATH`].
        pub store_path: u8,
        /// Bytes of content.
        pub content_len: i64,
        /// Extension without the dot.
        pub ext: Ext,
    }

    /// The name of a stored file.
    pub struct StoredAs {
        /// The storage's group.
        pub group: Group,
        /// Logic name.
        pub name: Name,
    }

    /// A file by group and logic name.
    pub struct FileRef {
        /// The file's group.
        pub group: Group,
        /// Logic name.
        pub name: Name,
    }

    /// Asks for the bytes of a file.
    pub struct Download {
        /// First byte wanted.
        pub offset: i64,
        /// Bytes wanted; 0 means to the end.
        pub len: i64,
        /// The file's group.
        pub group: Group,
        /// Logic name.
        pub name: Name,
    }
}

lengths_first! {
    /// Stores the content as a slave of a master file. 38 bytes and the name before the content.
    pub struct UploadSlave {
        /// Logic name of the master.
        pub master: Name,
        /// Bytes of content.
        pub content_len: i64,
        /// What is added to the master's name.
        pub prefix: Prefix,
        /// Extension without the dot; the master's is not inherited.
        pub ext: Ext,
    }
    wire { len master, field content_len, field prefix, field ext, text master }

    /// Adds the content to the end of an appender file.
    pub struct Append {
        /// Logic name.
        pub name: Name,
        /// Bytes of content.
        pub content_len: i64,
    }
    wire { len name, field content_len, text name }

    /// Overwrites part of an appender file.
    pub struct Modify {
        /// Logic name.
        pub name: Name,
        /// First byte overwritten; at most the file's size.
        pub offset: i64,
        /// Bytes of content.
        pub content_len: i64,
    }
    wire { len name, field offset, field content_len, text name }

    /// Sets the size of an appender file.
    pub struct Truncate {
        /// Logic name.
        pub name: Name,
        /// New size; a larger one extends with zero bytes.
        pub size: i64,
    }
    wire { len name, field size, text name }

    /// Sets the metadata of a file.
    pub struct SetMetadata {
        /// Logic name.
        pub name: Name,
        /// Packed items, see [`super::meta`].
        pub items: Items,
        /// [`META_OVERWRITE`] or [`META_MERGE`].
        pub flag: u8,
        /// The file's group.
        pub group: Group,
    }
    wire { len name, len items, field flag, field group, text name, text items }

    /// Makes a link to a stored file (spec 01 §8.14).
    pub struct CreateLink {
        /// Logic name of the master; empty for a link with a fresh name.
        pub master: Name,
        /// Logic name the link points to.
        pub source: Name,
        /// Opaque signature.
        pub signature: Text<63>,
        /// The group.
        pub group: Group,
        /// Slave prefix.
        pub prefix: Prefix,
        /// Extension without the dot.
        pub ext: Ext,
    }
    wire {
        len master, len source, len signature, field group, field prefix, field ext,
        text master, text source, text signature
    }
}

/// Packed metadata items of any length; the receiver's limit on messages bounds them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items(pub Rest);

impl Items {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.0.len()
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.0
    }
}

/// How `lengths_first!` reads a text field: texts of bounded length inline, items on the heap.
pub(super) trait ReadText: Sized {
    fn read_text(
        reader: &mut Reader<'_>,
        len: u64,
        field: &'static str,
    ) -> Result<Self, DecodeError>;
}

impl<const N: usize> ReadText for Text<N> {
    fn read_text(
        reader: &mut Reader<'_>,
        len: u64,
        field: &'static str,
    ) -> Result<Self, DecodeError> {
        reader.text(len, field)
    }
}

impl ReadText for Items {
    fn read_text(
        reader: &mut Reader<'_>,
        len: u64,
        field: &'static str,
    ) -> Result<Self, DecodeError> {
        let available = reader.remaining();
        let len = usize::try_from(len).ok().filter(|len| *len <= available);
        let len = len.ok_or(DecodeError::Value { field, reason: "longer than the body" })?;
        Ok(Self(Rest(reader.bytes(len, field)?.to_vec())))
    }
}

/// What a storage knows about a file (spec 01 §8.12). 40 or 70 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Address mode of the reply.
    pub width: AddrWidth,
    /// Bytes.
    pub size: i64,
    /// Unix seconds.
    pub modified: i64,
    /// CRC-32; on the wire sign-extended to 64 bits (spec 01 Q16).
    pub crc32: u32,
    /// Address of the storage the file was uploaded to; empty when unknown.
    pub source_ip: Ip,
}

impl Wire for FileInfo {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        let width = AddrWidth::of(reader.remaining(), |width, len| len == 24 + width.field())?;
        let (size, modified) = (i64::read(reader, "size")?, i64::read(reader, "modified")?);
        reader.bytes(4, "crc32")?;
        let crc32 = u32::read(reader, "crc32")?;
        Ok(Self { width, size, modified, crc32, source_ip: read_ip(reader, width.field())? })
    }
    fn write(&self, out: &mut BytesMut) {
        self.size.write(out);
        self.modified.write(out);
        i64::from(self.crc32.cast_signed()).write(out);
        write_ip(&self.source_ip, self.width.field(), out);
    }
}
