//! Making names (spec 02 §4 to §6).

use super::logic_name::{LogicName, TrunkPlace};
use super::stamp::Stamp;
use crate::protocol::{EXT_LEN, Ext, Name};

/// Characters behind the stamp.
pub const TAIL_LEN: usize = 7;

/// Whether `ext` may be part of a name: up to 6 of `A-Z a-z 0-9 - _ .`.
pub fn is_ext(ext: &[u8]) -> bool {
    ext.len() <= EXT_LEN && ext.iter().all(is_name_char)
}

/// The characters of extensions and slave prefixes.
pub(super) fn is_name_char(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The tail: random digits, then a dot and the extension, 7 characters in all.
pub fn tail(ext: Ext, random: u64) -> [u8; TAIL_LEN] {
    let mut tail = [b'.'; TAIL_LEN];
    let ext = ext.as_bytes();
    let digits = if ext.is_empty() { TAIL_LEN } else { EXT_LEN - ext.len() };
    let mut random = random;
    for digit in tail.iter_mut().take(digits) {
        *digit = b"0123456789".get((random % 10) as usize).copied().unwrap_or(b'0');
        random /= 10;
    }
    let (_, end) = tail.split_at_mut(TAIL_LEN - ext.len());
    end.copy_from_slice(ext);
    tail
}

/// Whether a name ends as [`tail`] ends one.
pub(super) fn is_generated_tail(tail: &[u8]) -> bool {
    let dot = tail.iter().position(|byte| *byte == b'.');
    let digits = tail.get(..dot.unwrap_or(tail.len())).unwrap_or_default();
    // A dot at the very end has no extension behind it.
    tail.len() == TAIL_LEN && dot != Some(TAIL_LEN - 1) && digits.iter().all(u8::is_ascii_digit)
}

/// Two upper-case digits.
pub(super) fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|nibble| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    })
}

/// `Mxx/HH/HH/`.
fn path(store_path: u8, (high, low): (u8, u8)) -> [u8; 10] {
    let ([a, b], [c, d], [e, f]) = (hex(store_path), hex(high), hex(low));
    [b'M', a, b, b'/', c, d, b'/', e, f, b'/']
}

/// `Mxx/HH/HH/` and the base name.
pub fn logic_name(
    store_path: u8,
    directories: (u8, u8),
    stamp: &Stamp,
    tail: [u8; TAIL_LEN],
) -> Name {
    let parts: [&[u8]; 3] = [&path(store_path, directories), &stamp.encode(), &tail];
    // 44 characters always fit.
    Name::concat(&parts).unwrap_or_default()
}

/// The name of a file within a trunk file; the directories are the trunk file's (spec 02 §6).
pub fn trunk_name(
    store_path: u8,
    directories: (u8, u8),
    stamp: &Stamp,
    place: TrunkPlace,
    tail: [u8; TAIL_LEN],
) -> Name {
    let parts: [&[u8]; 4] =
        [&path(store_path, directories), &stamp.encode(), &place.encode(), &tail];
    // 60 characters always fit.
    Name::concat(&parts).unwrap_or_default()
}

/// The name that an appender file gets when it becomes a normal one: store path, directories and
/// tail stay (spec 02 §11.12). `None` for names without the appender mark.
pub fn regenerated_name(old: &LogicName<'_>, stamp: &Stamp) -> Option<Name> {
    let tail = old.has_appender_mark().then(|| old.tail().first_chunk::<TAIL_LEN>().copied())??;
    Some(logic_name(old.store_path(), old.directories(), stamp, tail))
}

/// The directories of a new file when they are chosen by hash (`file_distribute_path_mode` 1).
pub fn hashed_directories(stamp: &Stamp, subdir_count: u16) -> (u8, u8) {
    let hash = pjw(&stamp.encode());
    let [.., high, low] = hash.to_be_bytes();
    let bounded = |byte: u8| u8::try_from(u16::from(byte) % subdir_count.max(1)).unwrap_or(0);
    (bounded(high), bounded(low))
}

/// The hash of the original, whose top bits are shifted with their sign (spec 02 §5.2).
fn pjw(text: &[u8]) -> u32 {
    let mut hash: u32 = 0;
    for byte in text {
        hash = (hash << 4).wrapping_add(u32::from(*byte));
        let top = hash & 0xf000_0000;
        if top != 0 {
            hash = (hash ^ (top.cast_signed() >> 24).cast_unsigned()) & 0x0fff_ffff;
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_matches_the_specified_values() {
        for (text, hash) in [
            ("wKhHf1S-oryAZCpgAAAE2uRlJkA", 90_648_881),
            ("wKhYlVjSGkmAKSsbAAAFX016BtA", 157_159_409),
            ("oYYBAGsAwP-AaLX2AB6EgHvxQdE", 246_179_653),
            ("CgkIB2sAwCiAWu9PAAAACw1KEYU", 5_762_965),
        ] {
            assert_eq!(pjw(text.as_bytes()), hash, "{text}");
        }
        let stamp = Stamp::decode(b"oYYBAGsAwP-AaLX2AB6EgHvxQdE").unwrap();
        assert_eq!(hashed_directories(&stamp, 256), (0x67, 0x45));
        assert_eq!(hashed_directories(&stamp, 4), (3, 1));
    }

    #[test]
    fn tails_are_digits_and_the_extension() {
        for (ext, expected) in
            [("txt", "100.txt"), ("tar.gz", ".tar.gz"), ("", "1000000"), (".x", "1000..x")]
        {
            assert_eq!(tail(ext.try_into().unwrap(), 1), expected.as_bytes(), "{ext}");
        }
        for ext in ["", "a", "ab", "txt", "jpeg", "xhtml", "tar.gz", ".", "..", ".x"] {
            assert!(is_generated_tail(&tail(ext.try_into().unwrap(), u64::MAX)), "{ext}");
        }
        assert!(is_ext(b"tar.gz") && !is_ext(b"../a") && !is_ext(b"7letter") && !is_ext(b"a b"));
    }
}
