//! Logic names, checked as a storage checks them (spec 02 §9, §10).

use super::alphabet::{STAMP_CHARS, TRUNK_CHARS, decode, encode};
use super::generate::{TAIL_LEN, hex, is_generated_tail};
use super::stamp::Stamp;
use crate::protocol::{NAME_LEN_MAX, Name};
use crate::wire::Text;

/// Why a name is no logic name; servers answer status 22.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Too short or too long.
    #[error("a name has 11 to 127 characters")]
    Length,
    /// The `Mxx/` part is wrong.
    #[error("the store path is written M00/ to MFF/")]
    StorePath,
    /// The `HH/HH/` part is wrong, or more directories follow.
    #[error("two directories 00/00/ to FF/FF/ and then the name")]
    Directories,
    /// A byte that no name may hold.
    #[error("control characters, blanks and the names . and .. are not allowed")]
    Character,
}

/// What kind of file a name says it is (spec 02 §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file of its own.
    Normal,
    /// A file that may be appended to.
    Appender,
    /// A file named after a master.
    Slave,
    /// A file within a trunk file; to applications a normal one.
    Trunk,
}

/// Where a trunk file's content lies (spec 02 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrunkPlace {
    /// Trunk file.
    pub file_id: u32,
    /// Bytes into it.
    pub offset: u32,
    /// Bytes of the slot.
    pub size: u32,
}

impl TrunkPlace {
    /// The 16 characters behind the stamp.
    pub fn encode(self) -> [u8; TRUNK_CHARS] {
        let mut bytes = [0; 12];
        let fields = [self.file_id, self.offset, self.size].map(u32::to_be_bytes);
        for (to, from) in bytes.iter_mut().zip(fields.iter().flatten()) {
            *to = *from;
        }
        encode(&bytes)
    }

    /// Reads 16 characters.
    pub fn decode(chars: &[u8]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = decode::<12>(chars)?;
        Some(Self {
            file_id: u32::from_be_bytes([a, b, c, d]),
            offset: u32::from_be_bytes([e, f, g, h]),
            size: u32::from_be_bytes([i, j, k, l]),
        })
    }
}

/// Longest name of a metadata file.
pub const METADATA_NAME_LEN_MAX: usize = NAME_LEN_MAX + 2;

const NORMAL_LEN: usize = 44;
const TRUNK_LEN: usize = 60;

/// A logic name that stays within its store path whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogicName<'n> {
    name: &'n [u8],
    /// `HH/HH/base`.
    true_name: &'n str,
    store_path: u8,
}

impl<'n> LogicName<'n> {
    /// Checks `name` by the rules of a storage.
    ///
    /// Stricter than the original in ways that no name made by a server notices. Bytes that would
    /// end a line or a field of the binlog are refused, or a request could forge its records. The
    /// names `.` and `..` are refused as they are no files, NUL and more than 127 characters as
    /// they crash the original (spec 01 Q6), and what is not UTF-8 as no client can show it.
    pub fn parse(name: &'n [u8]) -> Result<Self, NameError> {
        if !(11..=NAME_LEN_MAX).contains(&name.len()) {
            return Err(NameError::Length);
        }
        let (store_path, true_name) = match name {
            [b'M', high, low, b'/', rest @ ..] => (path_index([*high, *low])?, rest),
            [b'M', ..] => return Err(NameError::StorePath),
            // The form of versions before store paths existed.
            _ => (0, name),
        };
        let true_name = std::str::from_utf8(true_name).map_err(|_| NameError::Character)?;
        let [a, b, b'/', c, d, b'/', base @ ..] = true_name.as_bytes() else {
            return Err(NameError::Directories);
        };
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        if ![a, b, c, d].into_iter().all(is_hex) || base.contains(&b'/') {
            return Err(NameError::Directories);
        }
        if base.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) || matches!(base, b"." | b"..") {
            return Err(NameError::Character);
        }
        Ok(Self { name, true_name, store_path })
    }

    /// The name as it came.
    pub fn as_bytes(&self) -> &'n [u8] {
        self.name
    }

    /// The name with its store path written `M00/` to `MFF/`. As it came it may hold a blank
    /// there (`M 0/`), which a binlog record must not.
    pub fn canonical(&self) -> Name {
        let [high, low] = hex(self.store_path);
        let name = Name::concat(&[&[b'M', high, low, b'/'], self.true_name.as_bytes()]);
        // Too long only without store path and with more than 123 characters: nothing to rewrite.
        name.or_else(|| Name::new(self.name)).unwrap_or_default()
    }

    /// The name of the metadata file, below the `data` directory like [`Self::true_name`]
    /// (spec 02 §7.3).
    pub fn metadata_name(&self) -> Text<METADATA_NAME_LEN_MAX> {
        Text::concat(&[self.true_name.as_bytes(), b"-m"]).unwrap_or_default()
    }

    /// 0-based index of the store path.
    pub fn store_path(&self) -> u8 {
        self.store_path
    }

    /// `HH/HH/base`: the path below a store path's `data` directory.
    pub fn true_name(&self) -> &'n str {
        self.true_name
    }

    /// The name behind the directories.
    pub fn base(&self) -> &'n str {
        self.true_name.get(6..).unwrap_or_default()
    }

    /// The two directory numbers.
    pub fn directories(&self) -> (u8, u8) {
        let number = |range| {
            let text = self.true_name.get::<std::ops::Range<usize>>(range);
            text.and_then(|text| u8::from_str_radix(text, 16).ok()).unwrap_or(0)
        };
        (number(0..2), number(3..5))
    }

    /// The stamp, when the base name begins with one.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::decode(self.base().as_bytes().get(..STAMP_CHARS)?)
    }

    /// Length as the original counts it: with the `Mxx/` part.
    fn logic_len(&self) -> usize {
        self.true_name.len() + 4
    }

    /// What kind of file this is.
    ///
    /// Servers make names of exactly 44 or, in trunk files, 60 characters with a tail of digits
    /// and extension; every other name with a stamp was derived from a master's. The original
    /// looks at the length alone and so takes slaves without extension for their masters
    /// (spec 02 Q-F2): with a checksum that is not theirs. It also lets the appender mark win over
    /// the length (Q-F4); [`Self::has_appender_mark`] answers that question.
    pub fn kind(&self) -> Kind {
        self.stamp().map_or(Kind::Normal, |stamp| self.kind_with(&stamp))
    }

    /// The stamp where it describes this file itself: an appender's does not tell its content, and a
    /// slave's is its master's.
    pub fn own_stamp(&self) -> Option<Stamp> {
        let is_own = |stamp: &Stamp| matches!(self.kind_with(stamp), Kind::Normal | Kind::Trunk);
        self.stamp().filter(is_own)
    }

    fn kind_with(&self, stamp: &Stamp) -> Kind {
        match self.logic_len() {
            NORMAL_LEN | TRUNK_LEN if !is_generated_tail(self.tail()) => Kind::Slave,
            TRUNK_LEN if stamp.size.is_trunk() => Kind::Trunk,
            NORMAL_LEN if stamp.size.is_appender() => Kind::Appender,
            NORMAL_LEN => Kind::Normal,
            _ => Kind::Slave,
        }
    }

    /// Whether the name carries the appender mark, as append and its like require. A slave of an
    /// appender carries its master's (spec 02 Q-F4).
    pub fn has_appender_mark(&self) -> bool {
        self.logic_len() >= NORMAL_LEN && self.stamp().is_some_and(|s| s.size.is_appender())
    }

    /// Where the content lies, for a file within a trunk file.
    pub fn trunk_place(&self) -> Option<TrunkPlace> {
        if self.kind() != Kind::Trunk {
            return None;
        }
        let chars = self.base().as_bytes().get(STAMP_CHARS..STAMP_CHARS + TRUNK_CHARS)?;
        TrunkPlace::decode(chars)
    }

    /// The last 7 characters: digits and extension.
    pub fn tail(&self) -> &'n [u8] {
        self.name.get(self.name.len().saturating_sub(TAIL_LEN)..).unwrap_or_default()
    }
}

/// The two characters behind `M`, read as leniently as the original does: lower case, a leading
/// blank or `+` (spec 01 Q7).
fn path_index(digits: [u8; 2]) -> Result<u8, NameError> {
    let [high, low] = digits;
    let value = |digit: u8| char::from(digit).to_digit(16).ok_or(NameError::StorePath);
    let high = if matches!(high, b' ' | b'+') { 0 } else { value(high)? };
    u8::try_from(high * 16 + value(low)?).map_err(|_| NameError::StorePath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_a_storage_must() {
        let base = "wKhHf1S-oryAZCpgAAAE2uRlJkA126.xml";
        for (text, path) in [
            (format!("M00/00/1F/{base}"), 0),
            (format!("MfF/00/1F/{base}"), 255),
            (format!("M+a/00/1F/{base}"), 10),
            (format!("M 0/00/1F/{base}"), 0),
            (format!("00/1F/{base}"), 0),
        ] {
            let name = LogicName::parse(text.as_bytes()).unwrap();
            assert_eq!((name.store_path(), name.true_name()), (path, &*format!("00/1F/{base}")));
            assert_eq!((name.directories(), name.kind()), ((0, 0x1f), Kind::Normal));
        }
        for (text, error) in [
            ("M00/00/00/".to_owned(), NameError::Length),
            (format!("M00/00/00/{}", "a".repeat(118)), NameError::Length),
            (format!("M-1/00/00/{base}"), NameError::StorePath),
            (format!("M0/00/00/{base}"), NameError::StorePath),
            (format!("M00/0a/00/{base}"), NameError::Directories),
            (format!("M00/00/00/x/{base}"), NameError::Directories),
            ("M00/../../etc/passwd".to_owned(), NameError::Directories),
            ("M00/00/00/..".to_owned(), NameError::Character),
            ("M00/00/00/a\n1 D b".to_owned(), NameError::Character),
            ("M00/00/00/a\0b".to_owned(), NameError::Character),
        ] {
            assert_eq!(LogicName::parse(text.as_bytes()).unwrap_err(), error, "{text:?}");
        }
        assert!(LogicName::parse(b"M00/00/00/\xff\xfe").is_err());
    }

    #[test]
    fn the_forms_of_a_store_path_are_one_name() {
        for (text, canonical) in [
            ("M 0/00/1F/a", "M00/00/1F/a"),
            ("M+a/00/1F/a", "M0A/00/1F/a"),
            ("Mff/00/1F/a", "MFF/00/1F/a"),
            ("00/1F/abcde", "M00/00/1F/abcde"),
        ] {
            let name = LogicName::parse(text.as_bytes()).unwrap();
            assert_eq!(name.canonical().as_str(), Some(canonical));
            let metadata = format!("{}-m", name.true_name());
            assert_eq!(name.metadata_name().as_str(), Some(&*metadata));
        }
        let longest = format!("00/1F/{}", "a".repeat(121));
        let name = LogicName::parse(longest.as_bytes()).unwrap();
        assert_eq!(name.canonical().as_str(), Some(&*longest));
        assert_eq!(name.metadata_name().len(), METADATA_NAME_LEN_MAX);
    }

    #[test]
    fn a_slave_is_told_from_its_master_by_its_tail_where_the_length_does_not() {
        let trunk = "oYYBAGsAwP2IDQ-QAAAAC09fjYEAAAAAQAAAAAAAAEA";
        let normal = "CgkIB2sAwCiAWu9PAAAACw1KEYU";
        for (base, tail, kind) in [
            (normal, "997.txt", Kind::Normal),
            (normal, "5114..x", Kind::Normal),
            (normal, "7805...", Kind::Normal),
            (normal, ".tar.gz", Kind::Normal),
            (normal, "3395500", Kind::Normal),
            (normal, "997_abc", Kind::Slave),
            (normal, "997_.ab", Kind::Slave),
            (normal, "339550.", Kind::Slave),
            (normal, "997_x", Kind::Slave),
            (normal, "", Kind::Slave),
            (normal, "997_b.txt", Kind::Slave),
            (trunk, "231.txt", Kind::Trunk),
            (trunk, "231_abc", Kind::Slave),
            (trunk, "231_a", Kind::Slave),
            (trunk, "231_b.txt", Kind::Slave),
        ] {
            let text = format!("M00/00/00/{base}{tail}");
            assert_eq!(LogicName::parse(text.as_bytes()).unwrap().kind(), kind, "{text}");
        }
    }
}
