//! File ids (spec 02).
//!
//! ```text
//! group1/M00/0A/1F/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml
//! group  |   dirs  27 characters: the stamp    7: digits and extension
//!        store path
//! ```
//!
//! The part behind the group is the *logic name*: [`LogicName`] checks it as a storage must.
//! [`Stamp`] is what its 27 characters say. [`FileId`] is the whole, for applications. Names are
//! made by [`generate`] and [`slave`].

mod alphabet;
pub mod generate;
mod logic_name;
pub mod slave;
mod stamp;

pub use alphabet::short_code;
pub use logic_name::{Kind, LogicName, METADATA_NAME_LEN_MAX, NameError, TrunkPlace};
pub use stamp::{SizeField, Source, Stamp};

use crate::protocol::{Name, is_group_name};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// The id of a stored file. Reading one asks no server.
///
/// ```
/// use fdfs_core::file_id::{FileId, Kind};
///
/// let id: FileId = "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml".parse()?;
/// assert_eq!(id.group(), "group1");
/// assert_eq!(id.kind(), Kind::Normal);
/// assert_eq!(id.size(), Some(1242));
/// assert_eq!(id.crc32(), Some(0xe465_2640));
/// assert_eq!(id.slave("_big", "xml")?.to_string(),
///            "group1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126_big.xml");
/// # Ok::<(), fdfs_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    text: String,
    group_len: usize,
}

impl FileId {
    /// The id of the file with this logic name in this group, as servers report it.
    pub fn new(group: &str, name: &str) -> Result<Self> {
        format!("{group}/{name}").parse()
    }

    /// The group.
    pub fn group(&self) -> &str {
        self.text.get(..self.group_len).unwrap_or_default()
    }

    /// The logic name, `M00/00/00/…`.
    pub fn path(&self) -> &str {
        self.text.get(self.group_len + 1..).unwrap_or_default()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The logic name as requests carry it.
    pub fn name(&self) -> Name {
        Name::new(self.path().as_bytes()).unwrap_or_default()
    }

    /// The logic name, checked when the id was made.
    fn logic_name(&self) -> Option<LogicName<'_>> {
        LogicName::parse(self.path().as_bytes()).ok()
    }

    /// 0-based index of the store path.
    pub fn store_path_index(&self) -> u8 {
        self.logic_name().map_or(0, |name| name.store_path())
    }

    /// What kind of file the name says it is.
    pub fn kind(&self) -> Kind {
        self.logic_name().map_or(Kind::Normal, |name| name.kind())
    }

    /// The decoded part of the name; `None` when the name is too short to hold one. A slave's
    /// describes its master.
    pub fn stamp(&self) -> Option<Stamp> {
        self.logic_name().and_then(|name| name.stamp())
    }

    /// Where the file was uploaded to.
    pub fn source(&self) -> Option<Source> {
        self.stamp().map(|stamp| stamp.source)
    }

    /// When the file was stored, in Unix seconds.
    pub fn created_at(&self) -> Option<i64> {
        self.stamp().map(|stamp| i64::from(stamp.created))
    }

    /// Size in bytes, when the name tells: not for appender and slave files.
    pub fn size(&self) -> Option<u64> {
        self.own_stamp().map(|stamp| stamp.size.bytes())
    }

    /// CRC-32 of the content, when the name tells: not for appender and slave files.
    pub fn crc32(&self) -> Option<u32> {
        self.own_stamp().map(|stamp| stamp.crc32)
    }

    fn own_stamp(&self) -> Option<Stamp> {
        self.logic_name().and_then(|name| name.own_stamp())
    }

    /// The id of this file's slave with that prefix and extension, whether it exists or not.
    pub fn slave(&self, prefix: &str, ext: &str) -> Result<Self> {
        let made = slave::slave_name(self.path().as_bytes(), prefix.as_bytes(), ext.as_bytes());
        let name = made.map_err(|error| invalid(format!("slave of {self}: {error}")))?;
        Self::new(self.group(), &name.to_string())
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl FromStr for FileId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let hint = |hint: &str| invalid(format!("{text:?} is no file id: {hint}"));
        if text.contains("://") {
            return Err(hint("it is a URL; pass the part behind the host"));
        }
        if text.starts_with('/') {
            return Err(hint("remove the leading slash"));
        }
        let Some((group, name)) = text.split_once('/') else {
            return Err(hint("expected group/M00/00/00/name"));
        };
        let is_path =
            |part: &str| part.len() == 3 && part.starts_with('M') && name.get(2..3) == Some("/");
        if is_path(group) {
            return Err(hint("the group is missing in front"));
        }
        if !is_group_name(group.as_bytes()) {
            return Err(hint("a group is 1 to 16 letters and digits"));
        }
        LogicName::parse(name.as_bytes()).map_err(|error| hint(&error.to_string()))?;
        Ok(Self { text: text.to_owned(), group_len: group.len() })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl AsRef<str> for FileId {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_id_is_refused_with_a_hint() {
        for (text, hint) in [
            ("/group1/M00/00/00/a", "leading slash"),
            ("http://h/group1/M00/00/00/a", "URL"),
            ("M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml", "group is missing"),
            ("group1", "expected"),
            ("gr-1/M00/00/00/wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml", "letters and digits"),
            ("group1/M00/00/00/../../etc", "directories"),
            ("", "expected"),
        ] {
            let error = text.parse::<FileId>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(hint), "{text}: {error}");
        }
    }
}
