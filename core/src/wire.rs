//! Reading and writing the primitive fields of FastDFS packets and binary records.
//!
//! All integers are big-endian and signed, text fields are NUL-padded (spec 01 §1, 03 §0.1).
//! Nothing here panics on bad input, and nothing allocates by a length that came from the wire:
//! a [`Reader`] only hands out slices of the bytes it was given.

use bytes::{BufMut, BytesMut};
use std::fmt;

/// Why bytes could not be read as the structure asked for. Servers answer it with status 22.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("{field}: needs {needed} bytes, {available} left")]
    Short {
        /// The field being read.
        field: &'static str,
        /// Bytes the field needs.
        needed: u64,
        /// Bytes that were left.
        available: usize,
    },
    /// Bytes remain after the last field.
    #[error("{extra} bytes after the last field")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// A field holds a value outside its range.
    #[error("{field}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// A field or structure with one byte layout.
pub trait Wire: Sized {
    /// Reads one value; `field` names it in errors.
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError>;

    /// Appends the value's bytes.
    fn write(&self, out: &mut BytesMut);

    /// Reads a value that must fill `body` exactly.
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let value = Self::read(&mut reader, "body")?;
        reader.finish()?;
        Ok(value)
    }

    /// The value's bytes in a new buffer.
    fn encode(&self) -> BytesMut {
        // Enough for all but lists, so that it grows once.
        let mut out = BytesMut::with_capacity(192);
        self.write(&mut out);
        out
    }
}

/// Takes fields from the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet taken.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `len` bytes.
    pub fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((head, tail)) = self.rest.split_at_checked(len) else {
            return Err(DecodeError::Short {
                field,
                needed: len as u64,
                available: self.rest.len(),
            });
        };
        self.rest = tail;
        Ok(head)
    }

    /// Takes the next `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Short { field, needed: N as u64, available: self.rest.len() });
        };
        self.rest = tail;
        Ok(*head)
    }

    /// Takes an 8-byte length that must fit what is left after it plus `slack` bytes that may
    /// still arrive outside this slice.
    pub fn length(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let value = i64::read(self, field)?;
        u64::try_from(value).map_err(|_| DecodeError::Value { field, reason: "negative length" })
    }

    /// Takes `len` bytes as text of at most `N` bytes.
    pub fn text<const N: usize>(
        &mut self,
        len: u64,
        field: &'static str,
    ) -> Result<Text<N>, DecodeError> {
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= N)
            .ok_or(DecodeError::Value { field, reason: "too long" })?;
        let bytes = self.bytes(len, field)?;
        Text::new(bytes).ok_or(DecodeError::Value { field, reason: "too long" })
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Checks that nothing is left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { extra }),
        }
    }
}

macro_rules! integers {
    ($($int:ty => $put:ident),*) => {$(
        impl Wire for $int {
            fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(reader.array(field)?))
            }
            fn write(&self, out: &mut BytesMut) {
                out.$put(*self);
            }
        }
    )*};
}
integers!(
    u8 => put_u8, i8 => put_i8, i32 => put_i32, u32 => put_u32, i64 => put_i64, u64 => put_u64
);

/// Text of at most `N` bytes in a field of exactly `N` bytes, NUL-padded on the wire.
///
/// A text that fills the field has no terminator. Bytes behind the first NUL are noise of the
/// sender and are dropped on reading (spec 03 §0.1, 01 Q12). A text too long for the field cannot
/// be built, so inside the program an over-long group name does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FixedStr<const N: usize>(Text<N>);

impl<const N: usize> FixedStr<N> {
    /// The empty text.
    pub const EMPTY: Self = Self(Text::EMPTY);

    /// The text up to the first NUL of `bytes`; `None` when it is longer than `N` bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Text::new(text).map(Self)
    }

    /// The longest prefix of `bytes` that fits.
    pub fn truncated(bytes: &[u8]) -> Self {
        Self::new(bytes.get(..N).unwrap_or(bytes)).unwrap_or(Self::EMPTY)
    }
}

impl<const N: usize> std::ops::Deref for FixedStr<N> {
    type Target = Text<N>;
    fn deref(&self) -> &Text<N> {
        &self.0
    }
}

impl<const N: usize> Wire for FixedStr<N> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let bytes = reader.bytes(N, field)?;
        Ok(Self::truncated(bytes))
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(self.0.as_bytes());
        out.put_bytes(0, N - self.0.len());
    }
}

impl<const N: usize> TryFrom<&str> for FixedStr<N> {
    type Error = DecodeError;
    fn try_from(text: &str) -> Result<Self, DecodeError> {
        if text.as_bytes().contains(&0) {
            return Err(DecodeError::Value { field: "text", reason: "holds a NUL byte" });
        }
        Self::new(text.as_bytes())
            .ok_or(DecodeError::Value { field: "text", reason: "longer than its field" })
    }
}

impl<const N: usize> Default for FixedStr<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Debug for FixedStr<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const N: usize> fmt::Display for FixedStr<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Up to `N` (at most 255) bytes held inline, without a terminator: file names, ids, addresses.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// A copy of `text`; `None` when it is longer than `N` bytes.
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: u8::try_from(text.len()).ok()? })
    }

    /// The parts in one; `None` when that is longer than `N` bytes.
    pub fn concat(parts: &[&[u8]]) -> Option<Self> {
        let mut bytes = [0; N];
        let mut len = 0;
        for part in parts {
            let end = len + part.len();
            bytes.get_mut(len..end)?.copy_from_slice(part);
            len = end;
        }
        Some(Self { bytes, len: u8::try_from(len).ok()? })
    }

    /// The bytes of the text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// The text as UTF-8, or `None` when it is not.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Reads all that is left as the text.
impl<const N: usize> Wire for Text<N> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let len = reader.remaining() as u64;
        reader.text(len, field)
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(self.as_bytes());
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = DecodeError;
    fn try_from(text: &str) -> Result<Self, DecodeError> {
        Self::new(text.as_bytes())
            .ok_or(DecodeError::Value { field: "text", reason: "longer than its field" })
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> PartialEq for Text<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl<const N: usize> Eq for Text<N> {}
impl<const N: usize> PartialOrd for Text<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<const N: usize> Ord for Text<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl<const N: usize> std::hash::Hash for Text<N> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}
impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}
impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Nothing: the body of requests and replies without fields.
impl Wire for () {
    fn read(_: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        Ok(())
    }
    fn write(&self, _: &mut BytesMut) {}
}

/// Records until the bytes end. The memory taken is bounded by the bytes given.
impl<T: Wire> Wire for Vec<T> {
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let mut items = Self::new();
        while reader.remaining() > 0 {
            let before = reader.remaining();
            items.push(T::read(reader, field)?);
            if reader.remaining() == before {
                return Err(DecodeError::Value { field, reason: "record without bytes" });
            }
        }
        Ok(items)
    }
    fn write(&self, out: &mut BytesMut) {
        for item in self {
            item.write(out);
        }
    }
}

/// All bytes that are left, as they are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Rest(pub Vec<u8>);

impl Wire for Rest {
    fn read(reader: &mut Reader<'_>, _: &'static str) -> Result<Self, DecodeError> {
        Ok(Self(reader.rest().to_vec()))
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_text_drops_noise_behind_the_nul_and_pads_when_written() {
        let read = FixedStr::<16>::decode(b"group1\0\x7f\0\0junkju").unwrap();
        assert_eq!(read.as_bytes(), b"group1");
        assert_eq!(&read.encode()[..], b"group1\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(FixedStr::<4>::decode(b"abcd").unwrap().as_str(), Some("abcd"));
        assert!(FixedStr::<4>::try_from("abcde").is_err());
    }

    #[test]
    fn short_and_long_bodies_are_told_apart() {
        assert_eq!(
            i64::decode(&[0; 7]),
            Err(DecodeError::Short { field: "body", needed: 8, available: 7 })
        );
        assert_eq!(i64::decode(&[0; 9]), Err(DecodeError::Trailing { extra: 1 }));
    }

    #[test]
    fn a_length_beyond_the_text_is_refused_before_anything_is_copied() {
        let mut reader = Reader::new(b"abc");
        assert!(reader.text::<127>(u64::MAX, "name").is_err());
        assert!(reader.text::<127>(4, "name").is_err());
        assert_eq!(reader.text::<127>(3, "name").unwrap().as_bytes(), b"abc");
    }
}
